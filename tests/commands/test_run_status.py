"""`--info-fd`, `--json-status-fd` and the report: what a program that watches is told, and when nothing is."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from launched import complaint, run, said

from spawner.namespaces import KINDS

OPTIONS = ("--info-fd", "--json-status-fd")


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe's two ends, of which the test may close any."""
    ends = os.pipe()
    yield ends
    for fd in ends:
        try:
            os.close(fd)
        except OSError as error:
            assert error.errno == 9  # noqa: PT017 - closed by the test


def told(pipe: tuple[int, int]) -> str:
    """All that was written, to its end: nobody else may hold the other end any more."""
    os.close(pipe[1])
    with os.fdopen(os.dup(pipe[0])) as file:
        return file.read()


# bubblewrap tests/test-run.sh: "info and json-status fd", "namespace id info in info and json-status fd"
@pytest.mark.needs_root
def test_both_tell_the_pid_and_every_namespace(pipe: tuple[int, int], tmp_path: Path) -> None:
    info = os.open(tmp_path / "info", os.O_WRONLY | os.O_CREAT)
    words = ("--info-fd", str(info), "--json-status-fd", str(pipe[1]), "-munipCT", "sh", "-c")
    script = "stat -L -c %i " + " ".join(f"/proc/self/ns/{kind.proc}" for kind in KINDS)
    inodes = said(*words, script, pass_fds=(info, pipe[1])).split()
    os.close(info)
    first, last = (json.loads(line) for line in told(pipe).splitlines())
    assert first == json.loads((tmp_path / "info").read_text())
    assert last == {"exit-code": 0}
    assert {f"{kind.proc}-namespace": int(inode) for kind, inode in zip(KINDS, inodes, strict=True)} == {
        name: value for name, value in first.items() if name != "child-pid"
    }


@pytest.mark.parametrize(("script", "status"), [("exit 42", 42), ("kill -TERM $$", 143)])
def test_the_end_is_told_in_a_shells_words(script: str, status: int, pipe: tuple[int, int]) -> None:
    done = run("--json-status-fd", str(pipe[1]), "sh", "-c", f"echo $$; {script}", pass_fds=(pipe[1],))
    first, last = (json.loads(line) for line in told(pipe).splitlines())
    assert (done.returncode, last) == (status, {"exit-code": status})
    assert first["child-pid"] == int(done.stdout)


# bubblewrap tests/test-run.sh: "pre-exec failure doesn't include exit-code", "exec failure doesn't include exit-code"
@pytest.mark.parametrize(
    "words", [("-w", "/no/such", "true"), ("/no/such/program",), ("--hostname", "x", "true")], ids=str
)
@pytest.mark.parametrize("option", OPTIONS)
def test_of_a_launch_that_failed_nothing_is_told(option: str, words: tuple[str, ...], pipe: tuple[int, int]) -> None:
    assert run(option, str(pipe[1]), *words, pass_fds=(pipe[1],)).returncode in (125, 127)
    assert told(pipe) == ""


@pytest.mark.parametrize("option", OPTIONS)
def test_the_program_does_not_get_the_descriptor(option: str, pipe: tuple[int, int]) -> None:
    text = said(option, str(pipe[1]), "ls", "/proc/self/fd", pass_fds=(pipe[1],))
    assert str(pipe[1]) not in text.split() or pipe[1] == 3  # the directory's own


def test_one_descriptor_may_serve_for_both(pipe: tuple[int, int]) -> None:
    said("--info-fd", str(pipe[1]), "--json-status-fd", str(pipe[1]), "true", pass_fds=(pipe[1],))
    text = told(pipe)
    assert text.count("child-pid") == 2
    assert json.loads(text.splitlines()[-1]) == {"exit-code": 0}


@pytest.mark.parametrize("option", OPTIONS)
def test_what_cannot_be_written_to_is_refused_before_anything_runs(
    option: str, pipe: tuple[int, int], tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    words = (option, str(pipe[0]), "touch", str(mark))
    assert "for reading only" in complaint(run(*words, pass_fds=(pipe[0],)))
    assert not mark.exists()


@pytest.mark.parametrize("option", OPTIONS)
def test_a_reader_that_has_gone_ends_the_launch(option: str, pipe: tuple[int, int]) -> None:
    os.close(pipe[0])
    done = run(option, str(pipe[1]), "sleep", "60", pass_fds=(pipe[1],))
    assert complaint(done).startswith(f"{option}: EPIPE")


# ---- the report ----


def reported(tmp_path: Path, *words: str) -> Any:
    report = tmp_path / "report.json"
    said("--report", str(report), *words)
    return json.loads(report.read_text())


@pytest.mark.needs_root
def test_the_report_tells_what_was_read_back(tmp_path: Path) -> None:
    found = reported(tmp_path, "--no-new-privs", "--rlimit", "NOFILE=64:128", "true")["read_back"]
    assert {"what": "no_new_privs", "found": "1"} in found
    assert {"what": "RLIMIT_NOFILE", "found": "64:128"} in found
    assert reported(tmp_path, "true")["read_back"] == []


@pytest.mark.needs_root
def test_the_report_tells_the_control_group(tmp_path: Path) -> None:
    group = reported(tmp_path, "--cgroup-name", "box-report", "--memory", "64M", "true")["cgroup"]
    assert group["paths"]
    assert {path.rsplit("/", 1)[1] for path in group["paths"].values()} == {"box-report"}
    assert group["usage"]["oom_kills"] == 0
    assert reported(tmp_path, "true")["cgroup"] is None
