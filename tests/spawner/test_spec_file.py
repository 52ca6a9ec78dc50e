"""A Spec as TOML and as JSON: exact, readable, and every mistake named by its place. (Any Spec at all: tests/fuzz.)"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from spawner import IDMapping, Mechanism, Spec, SpecError, Stdio, TimeOffset
from spawner.oci import Bind, File, Rlimit, Seccomp, User
from spawner.saved import file as spec_file
from spawner.saved.file import SpecFileError, dump, load

FORMATS = pytest.mark.parametrize("form", spec_file.FORMATS)

SPECS = {
    "plain": Spec(args=("true",)),
    "arguments": Spec(args=("sh", "-c", 'echo "\\ \n\t\x00\x7f é"', "")),
    "bytes in arguments": Spec(args=("ls", "\udcff\udc80x")),
    "environment": Spec(args=("x",), env=(("A", "b=c"), ("B.C", ""), ("é", "\n"))),
    "no environment": Spec(args=("x",), env=()),
    "a variable twice": Spec(args=("x",), env=(("A", "1"), ("A", "2"))),
    "no groups": Spec(args=("x",), user=User(uid=0, additional_gids=())),
    "content": Spec(args=("x",), mounts=(File(destination="/a", content=b"text\n'quoted'\r\n"),)),
    "binary content": Spec(args=("x",), mounts=(File(destination="/a", content=b"\xff\x00"),)),
    "binary filter": Spec(args=("x",), seccomp=(Seccomp("raw", program=b"\x06\0\0\0\0\0\xff\x7f"),)),
    "no limit": Spec(args=("x",), rlimits=(Rlimit("RLIMIT_CORE", None, None), Rlimit("RLIMIT_AS", 0, None))),
    "enumerations": Spec(args=("x",), via=Mechanism.FORK_UNSHARE, stdio=Stdio.PTY, window=(1, 2)),
    "offsets": Spec(args=("x",), time_offsets=(("monotonic", TimeOffset(-5, 999999999)),)),
    "a long number": Spec(args=("x",), clone_flags=1 << 63),
}


@FORMATS
@pytest.mark.parametrize("name", SPECS)
def test_what_is_saved_is_read_exactly(name: str, form: str) -> None:
    assert load(dump(SPECS[name], form), form) == SPECS[name]


def test_a_text_is_told_by_how_it_begins_and_a_file_by_its_name(tmp_path: Path) -> None:
    spec = SPECS["environment"]
    for form in spec_file.FORMATS:
        assert load(dump(spec, form)) == spec
        file = tmp_path / f"box.{form}"
        file.write_text(dump(spec, form))
        assert load(file) == spec


def test_it_reads_like_what_a_person_would_write() -> None:
    spec = Spec(
        args=("sh",),
        namespaces=frozenset({"user", "mount"}),
        uid_mappings=(IDMapping(0, 1000), IDMapping(1, 100000, 65536)),
        mounts=(Bind(source="/usr", destination="/usr", read_only=True), File(destination="/a", content=b"x\ny\n")),
    )
    assert dump(spec) == (
        'version = 1\nargs = ["sh"]\nnamespaces = ["mount", "user"]\n'
        "\n[[uid_mappings]]\ncontainer_id = 0\nhost_id = 1000\n"
        "\n[[uid_mappings]]\ncontainer_id = 1\nhost_id = 100000\nsize = 65536\n"
        '\n[[mounts]]\ntype = "bind"\nsource = "/usr"\ndestination = "/usr"\nread_only = true\n'
        "\n[[mounts]]\ntype = \"file\"\ndestination = \"/a\"\ncontent = '''\nx\ny\n'''\n"
    )


@FORMATS
def test_what_is_as_by_default_is_not_said(form: str) -> None:
    text = dump(Spec(args=("true",)), form)
    assert (tomllib.loads if form == "toml" else json.loads)(text) == {"version": 1, "args": ["true"]}


def test_pairs_may_be_a_table_or_a_list() -> None:
    assert load('args = ["x"]\nenv = {A = "1"}').env == load('args = ["x"]\nenv = [["A", "1"]]').env == (("A", "1"),)


def test_null_is_nothing_said() -> None:
    assert load('{"args": ["x"], "cwd": null, "loopback": null, "env": null}') == Spec(args=("x",))


BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    "an integer": ({"mounts": [{"type": "tmpfs", "destination": "/", "size": "5"}]}, "mounts[0].size", "an integer"),
    "true is no number": ({"nice": True}, "nice", "an integer, not true or false"),
    "a fraction": ({"nice": 1.5}, "nice", "an integer, not a number"),
    "a text": ({"hostname": 5}, "hostname", "a text, not an integer"),
    "a truth value": ({"check": 1}, "check", "true or false"),
    "a list": ({"args": "true"}, "args", "a list, not a text"),
    "in a list": ({"args": ["x", 5]}, "args[1]", "a text"),
    "a table": ({"cgroup": 5}, "cgroup", "a table"),
    "null in a list": ({"args": [None]}, "args[0]", "a text, not null"),
    "an unknown key": ({"hostnam": "x"}, "hostnam", "hostname"),
    "an unknown key below": ({"cgroup": {"resources": {"memmory": 5}}}, "cgroup.resources.memmory", "memory"),
    "a missing key": ({"mounts": [{"type": "tmpfs"}]}, "mounts[0].destination", "missing"),
    "a missing type": ({"mounts": [{}]}, "mounts[0].type", "missing"),
    "an unknown type": ({"mounts": [{"type": "tmpf"}]}, "mounts[0].type", "tmpfs"),
    "an unknown word": ({"via": "clone4"}, "via", "clone3"),
    "two numbers": ({"window": [1]}, "window", "2 values"),
    "pairs": ({"env": 5}, "env", "a table or a list of pairs"),
    "a pair of three": ({"env": [["A", "b", "c"]]}, "env[0]", "2 values"),
    "base64": ({"hostname": {"base64": "!"}}, "hostname.base64", "base64"),
    "another table": ({"hostname": {"base65": "YQ=="}}, "hostname", "base64"),
    "half a pair": ({"hostname": "\ud800"}, "hostname", "surrogate"),
    "too large a number": ({"cgroup": {"resources": {"cpus": 10**400}}}, "cgroup.resources.cpus", "large"),
    "another version": ({"version": 2}, "version", "1"),
    "no program": ({}, "args", "missing"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_mistake_is_named_by_its_place(name: str) -> None:
    plain, place, words = BAD[name]
    text = json.dumps(plain if "args" in plain or name == "no program" else {"args": ["x"], **plain})
    with pytest.raises(SpecFileError) as caught:
        load(text)
    assert caught.value.place == place
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{place}: ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("args = [", "no TOML"),
        ("args = 'x'\nargs = 'y'", "no TOML"),
        ('{"args": [}', "no JSON"),
        ('{"args": ["x"], "args": ["y"]}', "twice"),
        ("x = " + "9" * 5000, "no TOML"),
        ("x = " + "[" * 5000, "nested"),
        ('{"a":' * 5000, "nested"),
        ("", "args: missing"),
        ("args = 1979-05-27", "a date"),
    ],
    ids=lambda text: text[:20],
)
def test_what_is_no_file_of_a_spec_is_said_to_be_none(text: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        load(text)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/no/such", "No such file"),
        ("/", "Is a directory"),
        ("/dev/zero", "larger than"),
        ("bytes", "byte 2 is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(path: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"a=\xff")
    file = tmp_path / path
    with pytest.raises(SpecFileError, match=words) as caught:
        load(file)
    assert str(caught.value).startswith(f"{file}: ")


def test_text_that_no_file_can_hold_is_refused() -> None:
    with pytest.raises(SpecFileError, match="cannot be encoded"):
        dump(Spec(args=("\ud800",)))
