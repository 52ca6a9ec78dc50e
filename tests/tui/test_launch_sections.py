"""The sections of the launch panel: every option of `nsview run` is there or left out for a reason; what is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nsview import options
from nsview.tui.launching.form import Form, FormError, Ids, check, filled, plain_spec, words_of
from nsview.tui.launching.sections import (
    KEPT_AT,
    LEFT_OUT,
    ON,
    ROWS,
    SAID_ABOVE,
    SECTIONS,
    RowError,
    Shape,
    parsed,
    told,
    values,
    wrong_with,
)
from spawner import Mechanism, SpecError
from spawner.namespaces import KINDS
from spawner.oci import Bind, Symlink, Tmpfs


def test_every_option_of_run_is_in_one_row_or_left_out_for_a_reason() -> None:
    every = [option.long for _, group in options.GROUPS for option in group]
    rowed = [option.long for section in SECTIONS for row in section.rows for option in row.options]
    assert sorted([*rowed, *SAID_ABOVE, *LEFT_OUT]) == sorted(every)
    assert all(LEFT_OUT.values())
    assert all(SAID_ABOVE.values())


@pytest.mark.parametrize("row", [row for row in ROWS.values() if row.shape is not Shape.TICK], ids=lambda row: row.key)
def test_every_example_is_one(row: object) -> None:
    assert row.example  # type: ignore[attr-defined]
    assert wrong_with(row, row.example) == ""  # type: ignore[arg-type, attr-defined]
    assert values(row, row.example)  # type: ignore[arg-type, attr-defined]


@pytest.mark.parametrize(
    ("key", "text", "sentence"),
    [
        ("--memory", "64Q", "'64Q' is no size: bytes, or a number with K, M, G or T"),
        ("--pids", "0", "'0' is no number of tasks: a whole number from 1 to 4194304"),
        ("--rlimit", "CORE=0 NOFIL=3", "there is no limit 'NOFIL'; did you mean NOFILE?"),
        ("--umask", "8", "'8' is no mode: octal digits, at most 7777"),
        ("--map-users", "0,1", "'0,1' is no map: INNER,OUTER,COUNT (three numbers), auto, subids or all"),
        ("--setgroups", "alow", "there is no answer 'alow': use one of allow, deny; did you mean allow?"),
        ("--kill-child", "HUPP", "'HUPP' is no signal: a name such as TERM, or 1 to 64; did you mean HUP?"),
        ("--veth", "10.0.0.1/8", "'10.0.0.1/8' is no HOST/LEN,CHILD/LEN"),
        ("--rlimit", "'CORE=0", "no closing quotation; end the quotation"),
        ("--join", "net", "'net' is no TYPE=PID or TYPE=FILE"),
        ("files", "robind / /", "there is no 'robind'; did you mean ro-bind"),
        ("files", "ro-", "there is no 'ro-': ro-bind, ro-bind-try, ro-overlay"),
        ("files", "ro-bind /", "ro-bind takes SRC DEST"),
        ("files", "chmod 9 /x", "--chmod: '9' is no mode: octal digits, at most 7777"),
        ("files", "perms 700\nbind / /", "--perms is for the option right after it, which is --bind"),
        ("files", "file 3 /x", "file: the screen was given no descriptor to read from"),
        ("capabilities", "cap-drop", "cap-drop takes CAP"),
        ("environment", "setenv A", "setenv takes NAME VALUE"),
    ],
)
def test_what_is_wrong_is_the_parsers_own_sentence(key: str, text: str, sentence: str) -> None:
    assert sentence in wrong_with(ROWS[key], text)
    with pytest.raises(FormError) as caught:
        check(Form().put(key, text))
    assert list(caught.value.wrong) == [key]


def test_a_seccomp_profile_that_would_never_be_read_to_its_end_is_not_opened(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert wrong_with(ROWS["--seccomp"], f"default {pipe}") == f"{pipe} is no regular file"
    assert wrong_with(ROWS["--seccomp"], "/dev/zero") == "/dev/zero is no regular file"


def test_files_are_options_in_order_with_or_without_dashes_as_copied_from_a_command_line() -> None:
    form = Form().put("files", "--ro-bind /usr /usr --symlink usr/bin /bin\nperms 1777\n  tmpfs '/a b'\n")
    assert plain_spec(form).mounts == (
        Bind(source="/usr", destination="/usr", read_only=True),
        Symlink(target="usr/bin", destination="/bin"),
        Tmpfs(destination="/a b", mode=0o1777),
    )


def test_the_line_being_typed_is_explained() -> None:
    files = ROWS["files"]
    assert told(files, "ro-bind / /") == "ro-bind SRC DEST: SRC read-only at DEST"
    assert told(files, "--tmp") == "tmpfs, tmp-overlay"
    assert told(files, "") == files.help


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (Form(command="sh -c 'a b'"), "sh|-c|a b"),
        (Form(namespaces=frozenset({"user", "pid"})), "--pid|--user|--map-root-user|sh"),
        (Form(namespaces=frozenset({"user"}), ids=Ids.SAME), "--user|--map-current-user|sh"),
        (Form(namespaces=frozenset({"uts"}), via=Mechanism.CLONE), "--uts|--via|clone|sh"),
        (Form(clone_flags=0x300), "--clone-flags|CLONE_VM|CLONE_FS|sh".replace("M|C", "M,C")),
        (Form(command="-odd").put("--init", ON), "--init|--|-odd"),
        (Form().put("--mount-proc", "/proc"), "--mount-proc|sh"),
        (Form().put("--mount-proc", "/p"), "--mount-proc=/p|sh"),
        (Form().put("--net", "/run/n"), "--net=/run/n|sh"),
        (Form().put("--rlimit", "CORE=0  NOFILE=9"), "--rlimit|CORE=0|--rlimit|NOFILE=9|sh"),
        (Form().put("--boottime", " -60 "), "--boottime|-60|sh"),
        (Form().put("--argv0", "- x"), "--argv0|- x|sh"),
    ],
)
def test_words_are_those_of_a_command_line_of_the_same_meaning(form: Form, words: str) -> None:
    assert words_of(form) == tuple(words.split("|"))
    assert plain_spec(form) == options.spec_of(parsed(tuple(words.split("|"))))


def test_rows_keep_the_order_of_the_panel_whatever_was_typed_first() -> None:
    one = filled(Form(), {"--memory": "1M", "--setuid": "0", "files": "dev /dev"})
    other = filled(Form(), {"files": "dev /dev", "--setuid": "0", "--memory": "1M"})
    assert one == other
    assert one.put("--memory", "") == filled(Form(), {"--setuid": "0", "files": "dev /dev"})


def test_values_may_look_like_options_and_spaces_within_quotes_are_kept() -> None:
    spec = plain_spec(Form().put("--landlock-ro", "'/a b' --init").put("--hostname", "--pid"))
    assert spec.landlock is not None
    assert spec.landlock.read == ("/a b", "--init")
    assert spec.hostname == "--pid"
    assert not spec.init
    assert not spec.namespaces


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_namespace_to_be_kept_is_a_new_one_once(kind: object) -> None:
    name = kind.name  # type: ignore[attr-defined]
    form = Form(namespaces=frozenset({name}), ids=Ids.NONE).put(KEPT_AT[KINDS.index(kind)], "/run/x")
    assert len(words_of(form)) == 2
    assert plain_spec(form).keep[0].type == name


def test_what_cannot_be_split_has_no_words() -> None:
    with pytest.raises(RowError):
        values(ROWS["files"], "bind '")
    with pytest.raises(FormError):
        words_of(Form().put("files", "bind '"))


def test_options_that_do_not_go_together_are_a_problem_of_the_whole() -> None:
    form = Form().put("--masquerade", ON)
    check(form)
    with pytest.raises(SpecError, match="--masquerade without --veth"):
        plain_spec(form)
