"""``nsview show`` tells all that is known of one process."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator

import pytest
from listed import json_of, nsview, text_of
from shells import unshared_shell

from nsview.host.difference import ALL

HOSTILE = "a\nb\x1b[31mred\u202egnp.exe"

SLEEPER = """
import os, sys, threading
kept = open(sys.argv[1])
kept.seek(3)
os.eventfd(7)
threading.Thread(target=threading.Event().wait, daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def sleeper(tmp_path) -> Iterator[subprocess.Popen[str]]:
    """A Python process with two threads, an eventfd, an open file at offset 3, and hostile words."""
    (tmp_path / "kept").write_text("content")
    with subprocess.Popen(
        [sys.executable, "-c", SLEEPER, str(tmp_path / "kept"), HOSTILE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PLAIN": "1", "HOSTILE": HOSTILE, "EMPTY": ""},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (123, 456)),
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process
        assert process.stdin
        process.stdin.close()


def rows_of(*words: str) -> dict[tuple[str, str], str]:
    return {(row["section"], row["attribute"]): row["value"] for row in json_of("show", *words)["rows"]}


def test_every_section_but_sharing_is_told_in_order():
    document = json_of("show", str(os.getpid()))
    sections = list(dict.fromkeys(row["section"] for row in document["rows"]))
    assert sections == [name for name in ALL if name != "sharing"]
    assert document["pid"] == os.getpid()


def test_limits_descriptors_threads_and_environment_are_those_of_the_process(sleeper, tmp_path):
    document = json_of("show", str(sleeper.pid))
    rows = {(row["section"], row["attribute"]): row["value"] for row in document["rows"]}
    details = document["details"]
    assert rows["limits", "nofile"] == "123 of 456"
    assert details["limits"]["nofile"] == {"soft": 123, "hard": 456, "unit": "files"}
    assert {thread["tid"] for thread in details["threads"]} == {
        int(name) for name in os.listdir(f"/proc/{sleeper.pid}/task")
    }
    kept = next(one for one in details["descriptors"] if one["target"] == str(tmp_path / "kept"))
    assert (kept["kind"], kept["offset"], kept["flags"]) == ("file", 3, ["O_RDONLY", "O_CLOEXEC"])
    assert [one["detail"] for one in details["descriptors"] if one["kind"] == "eventfd"] == ["count 7"]
    assert details["environment"]["PLAIN"] == "1"
    assert details["environment"]["EMPTY"] == ""


def test_hostile_words_and_variables_break_no_line_and_no_document(sleeper):
    escaped = r"a\nb\x1b[31mred\u202egnp.exe"
    lines = text_of("show", str(sleeper.pid))
    assert all(line.isprintable() for line in lines)
    assert any(escaped in line for line in lines if " command " in line)
    assert any(escaped in line for line in lines if " HOSTILE " in line)
    assert json_of("show", str(sleeper.pid))["details"]["environment"]["HOSTILE"] == escaped


NASTY = b"x\n\r\x1b[31m\xff\xe2\x80\xae\x0b\xc2\x85"
"""A newline, a carriage return, an escape sequence, invalid UTF-8, a mark that turns the writing, other line ends."""

NASTY_PROCESS = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(15, b"\\r\\x0bVmRSS:\\t9 kB", 0, 0, 0)
kept = open(os.fsencode(sys.argv[1]), "w")
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("words", [("show",), ("diff", "--all")])
def test_nothing_a_process_can_name_breaks_a_line_or_a_document(tmp_path, words):
    """Its name, arguments, directory, open file and environment all try."""
    directory = os.fsencode(tmp_path) + b"/" + NASTY
    os.mkdir(directory)
    with subprocess.Popen(
        [os.fsencode(sys.executable), b"-c", NASTY_PROCESS.encode(), directory + b"/" + NASTY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=directory,
        env={NASTY: NASTY},
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        command, *options = words
        lines = text_of(command, str(process.pid), *options)
        document = json_of(command, str(process.pid), *options)
        assert process.stdin
        process.stdin.close()
    assert all(line.isprintable() for line in lines)
    assert all(text.isprintable() for text in texts_of(document))
    escaped = r"x\n\r\x1b[31m\xff\u202e\x0b\x85"
    for attribute in ("cwd", "command", "fd 3", escaped):
        row = next(row for row in document["rows"] if row["attribute"] == attribute)
        assert escaped in (row["child"] if command == "diff" else row["value"]), attribute


def texts_of(value: object) -> Iterator[str]:
    """Every string of a JSON document, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        value = list(value.values())
    for one in value if isinstance(value, list) else ():
        yield from texts_of(one)


def test_details_of_cgroups_and_network_are_values():
    details = json_of("show", "self", "--section", "cgroups,network")["details"]
    assert set(details) == {"cgroups", "network"}
    assert "lo" in details["network"]["links"]
    assert all(held["group"].startswith("/") for held in details["cgroups"].values())


def test_only_the_sections_asked_for_are_shown():
    lines = text_of("show", "self", "--section", "limits,signals", "--section", "ids", "--no-header")
    assert {line.split()[0] for line in lines} == {"limits", "signals", "ids"}


def test_sources_name_the_file_or_call():
    lines = text_of("show", "self", "--section", "limits", "--sources", "--no-header")
    assert lines
    assert all(line.endswith("/proc/PID/limits") for line in lines)


def test_start_time_names_one_process_and_not_its_successor():
    started = json_of("show", str(os.getpid()), "--section", "identity")["start_time"]
    assert rows_of(f"{os.getpid()}:{started}", "--section", "identity")["identity", "pid"] == str(os.getpid())
    done = nsview("show", f"{os.getpid()}:{started + 1}")
    assert (done.returncode, done.stderr) == (
        2,
        f"nsview show: no process {os.getpid()} started at tick {started + 1}\n",
    )


@pytest.mark.needs("unshare", "user_namespace")
def test_capabilities_in_a_namespace_are_told_with_their_rule():
    with unshared_shell("--user", "--map-root-user") as pid:
        asked = ("--in", f"user={pid}", "--in", f"/proc/{os.getpid()}/ns/net")
        inside, outside = json_of("show", str(pid), *asked)["rows"]
    assert inside["value"] == "all"
    assert outside["value"] == "none"
    assert "neither its own nor below" in outside["source"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("4194305",), "no process 4194305"),
        (("x",), "'x' is not a pid"),
        (("1:",), "'1:' is not a pid"),
        ((), "required"),
        (("self", "--section", "foo"), "there is no section 'foo'"),
        (("self", "--section", "sharing"), "there is no section 'sharing'"),
        (("self", "--in", "net"), "'net' is neither TYPE=PID"),
        (("self", "--in", "net=0"), "'0' is not a pid"),
        (("self", "--in", "/nowhere\n"), r"no namespace at /nowhere\n: No such file"),
        (("self", "--in", "/proc/self/status"), "/proc/self/status is not a namespace"),
    ],
)
def test_bad_input_is_one_clear_line_and_status_2(words, says):
    done = nsview("show", *words)
    assert done.returncode == 2
    assert says in done.stderr.splitlines()[0]
    assert done.stdout == ""


@pytest.mark.needs("root")
def test_without_privilege_the_unknown_is_null_and_the_rest_is_told(nobody):
    done = nobody("nsview", "show", str(os.getpid()), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    rows = {(row["section"], row["attribute"]): row["value"] for row in document["rows"]}
    assert rows["environment", "variables"] is None
    assert rows["usage", "pss"] is None
    assert rows["capabilities", "in its net"] is None
    assert rows["delays", "block I/O"] is None
    assert rows["limits", "nofile"]
    assert rows["scheduling", "policy"] == "other"
    assert document["details"]["descriptors"] is None


@pytest.mark.needs("root", "unshare", "pid_namespace", "kcmp")
def test_under_the_proc_of_another_pid_namespace_no_stranger_is_asked_by_number():
    """Pid 1 of the new namespace is somebody else in /proc; what only system calls tell of it is unknown."""

    def in_new_pid_namespace(*words: str) -> dict[tuple[str, str], dict[str, str]]:
        command = ["unshare", "--pid", "--fork", sys.executable, "-m", "nsview", *words, "--json"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        return {(row["section"], row["attribute"]): row for row in json.loads(done.stdout)["rows"]}

    shown = in_new_pid_namespace("show", "self")
    assert shown["identity", "pid inside"]["value"] == shown["identity", "pid"]["value"] + "/1"
    assert "nsview show self" in shown["identity", "command"]["value"]
    assert shown["usage", "cpu"]["value"] is None
    assert shown["usage", "cpu user"]["value"] is not None
    assert shown["usage", "cpu wait"]["value"] is not None
    assert shown["scheduling", "I/O priority"]["value"] is None
    compared = in_new_pid_namespace("diff", "self", str(os.getpid()), "--all")
    assert {row["same"] for (section, _), row in compared.items() if section == "sharing"} == {None}
    assert compared["descriptors", "one open file"]["same"] is None
