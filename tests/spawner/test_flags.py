"""The table of clone flags is whole, agrees with the kernel's header, and reads what people write."""

from __future__ import annotations

import re
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spawner import namespaces
from spawner.flags import ALL_BITS, FLAGS, GROUPS, Flag, UnknownFlag, bits, format_mask, parse


def test_every_bit_and_name_is_there_once() -> None:
    assert len({flag.name for flag in FLAGS}) == len({flag.bit for flag in FLAGS}) == len(FLAGS)
    assert all(flag.bit.bit_count() == 1 for flag in FLAGS)


def test_every_namespace_kind_is_a_flag() -> None:
    ours = {flag.name: flag.bit for flag in FLAGS if flag.group == "namespace"}
    assert {kind.flag_name: kind.flag for kind in namespaces.KINDS}.items() <= ours.items()


@pytest.mark.needs("cc")
def test_table_has_what_the_kernels_header_has() -> None:
    macros = subprocess.run(
        ["cc", "-E", "-dM", "-include", "linux/sched.h", "-x", "c", "/dev/null"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    header = dict(re.findall(r"^#define (CLONE_(?!ARGS_)\w+)\s+(.+)$", macros, re.MULTILINE))
    ours = {flag.name: flag.bit for flag in FLAGS}
    assert header.keys() <= ours.keys()
    for name, value in header.items():
        shifted = re.fullmatch(r"\((\w+) *<< *(\d+)\)", value)
        bit = int(shifted[1].rstrip("UL"), 0) << int(shifted[2]) if shifted else int(value.rstrip("UL"), 0)
        assert ours[name] == bit, name


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.short)
def test_flag_is_explained(flag: Flag) -> None:
    assert flag.group in GROUPS
    assert flag.via
    assert flag.via <= {"clone3", "clone", "unshare"}
    assert re.fullmatch(r"\d+\.\d+(\.\d+)?", flag.since)
    for text in (flag.does, flag.after_exec):
        assert text[0].isupper()
        assert text.endswith(".")


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.short)
def test_what_is_said_of_execve_begins_with_what_the_table_has(flag: Flag) -> None:
    first = flag.after_exec.split()[0].rstrip(".:;,")
    assert first in {"Stays", "Nothing", "Ruin", "Ends", "Fires"}
    assert flag.stays is (first == "Stays")


def test_flags_stand_by_group_in_the_order_of_groups() -> None:
    assert list(dict.fromkeys(flag.group for flag in FLAGS)) == list(GROUPS)


@pytest.mark.parametrize(
    "text",
    [
        "NEWUTS,CLONE_FS",
        "newuts, fs",
        "CLONE_FS|CLONE_NEWUTS",
        "clone_newuts fs",
        "0x200,NEWUTS",
        "fs,fs,newuts,",
    ],
)
def test_flags_are_read_as_people_write_them(text: str) -> None:
    assert parse(text) == bits("NEWUTS", "FS")


@pytest.mark.parametrize("text", ["", " ", "0", ","])
def test_no_flags_are_no_bits(text: str) -> None:
    assert parse(text) == 0


@given(st.integers(0, (1 << 64) - 1))
def test_mask_is_read_back_as_it_was_written(mask: int) -> None:
    assert parse(format_mask(mask)) == mask


def test_mask_is_spelt_lowest_bit_first_and_unknown_bits_in_hexadecimal() -> None:
    assert format_mask(0) == "0"
    assert format_mask(bits("INTO_CGROUP", "NEWUTS", "FS")) == "CLONE_FS|CLONE_NEWUTS|CLONE_INTO_CGROUP"
    assert format_mask(bits("FS") | 1 << 45 | 1) == "CLONE_FS|0x200000000001"
    assert format_mask(ALL_BITS).count("|") == len(FLAGS) - 1


@pytest.mark.parametrize(
    ("word", "matches"),
    [
        ("NEWUT", "CLONE_NEWUTS"),
        ("CLONE_NEWNET_", "CLONE_NEWNET"),
        ("mount", "CLONE_NEWNS"),
        ("NEWMNT", "CLONE_NEWNS"),
        ("network", "CLONE_NEWNET"),
        ("timens", "CLONE_NEWTIME"),
    ],
)
def test_unknown_name_says_what_may_have_been_meant(word: str, matches: str) -> None:
    with pytest.raises(UnknownFlag) as caught:
        parse(f"FS,{word}")
    assert caught.value.name == word
    assert caught.value.matches[0] == matches
    assert str(caught.value).startswith(f"unknown clone flag '{word}'; did you mean {matches}")


def test_name_like_no_flag_has_no_matches() -> None:
    with pytest.raises(UnknownFlag, match=r"^unknown clone flag 'xyzzy'$"):
        parse("xyzzy")
