"""``nsview doctor`` tells what the kernel itself tells, to root and to nobody, and leaves nothing behind."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from leftovers import Census
from nobody import Runner

from nsview.cli import main
from nsview.commands import doctor_trials as trials
from nsview.commands.doctor_finding import Finding, State
from nsview.commands.doctor_probes import PROBES, Probe, look
from spawner.namespaces import BY_NAME, KINDS, NamespaceKind


def findings(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, dict[str, str | None]]:
    assert main(["doctor", "--json", *words]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["version"] == 1
    return {row["name"]: row for row in document["findings"]}


def test_every_probe_answers_and_leaves_nothing(nothing_left: Census, capsys: pytest.CaptureFixture[str]) -> None:
    rows = findings(capsys)
    assert list(rows) == [probe.name for probe in PROBES]
    for row in rows.values():
        assert row["state"] in [state.value for state in State]
        assert row["detail"]


def test_what_does_not_work_in_full_comes_with_a_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    no_remedy_known = {"BPF iterator", "landlock", "taskstats", "process events"}
    for name, row in findings(capsys).items():
        if row["state"] in ("limited", "no") and name not in no_remedy_known:
            assert row["remedy"], name


@pytest.mark.needs("root")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_root_is_told_that_it_may_create_every_namespace(
    kind: NamespaceKind, capsys: pytest.CaptureFixture[str]
) -> None:
    assert findings(capsys, f"{kind.name} namespace")[f"{kind.name} namespace"]["state"] == "ok"


@pytest.mark.needs("root", "userns")
def test_nobody_is_told_to_add_a_user_namespace(nobody: Runner) -> None:
    done = nobody("nsview", "doctor", "--json", "namespace")
    assert (done.returncode, done.stderr) == (0, "")
    rows = {row["name"]: row for row in json.loads(done.stdout)["findings"]}
    assert rows["user namespace"]["state"] == "ok"
    for kind in KINDS:
        if kind.name != "user":
            row = rows[f"{kind.name} namespace"]
            assert (row["state"], row["remedy"]) == ("limited", "add -U -r, or run with sudo")


@pytest.mark.needs("root")
def test_nobody_is_told_what_it_lacks(nobody: Runner) -> None:
    done = nobody("nsview", "doctor", "--json", "privileges", "taskstats")
    rows = {row["name"]: row for row in json.loads(done.stdout)["findings"]}
    assert rows["privileges"]["state"] == "limited"
    assert "without capabilities" in rows["privileges"]["detail"]
    assert (rows["taskstats"]["state"], rows["taskstats"]["remedy"]) == ("no", "run with sudo")


def test_limits_are_the_kernels(capsys: pytest.CaptureFixture[str]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert findings(capsys, "open files")["open files"]["detail"] == f"{soft} (may be raised to {hard})"


def test_an_attempt_names_the_step_that_failed(nothing_left: Census) -> None:
    def refuse() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    refusal = trials.attempt(("first", lambda: None), ("second", refuse), ("third", lambda: None))
    assert refusal == trials.Refusal("second", errno.ENOSPC)
    assert str(refusal) == "second: No space left on device (ENOSPC)"


def test_an_attempt_happens_in_another_process() -> None:
    before = os.getpid()
    assert trials.attempt(("ends", lambda: os.kill(os.getpid(), 9))) == trials.Refusal("ends", errno.EPERM)
    assert os.getpid() == before


@pytest.mark.needs("root")
def test_a_namespace_limit_of_zero_is_told_with_its_sysctl(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a user namespace of its own, whose limit of uts namespaces is set to 0, the probe runs unchanged."""

    def forbid() -> None:
        with open("/proc/sys/user/max_uts_namespaces", "w") as limit:
            limit.write("0")

    kind = BY_NAME["uts"]
    steps = (*trials._as_root_of_new_user(os.geteuid(), os.getegid()), ("forbid", forbid), *trials._new(kind))
    refusal = trials.attempt(*steps)
    assert refusal == trials.Refusal("unshare(CLONE_NEWUTS)", errno.ENOSPC)
    monkeypatch.setattr(trials, "create", lambda _: refusal)
    finding = look(next(probe for probe in PROBES if probe.name == "uts namespace"))
    assert finding.remedy == "raise the limit: sysctl -w user.max_uts_namespaces=1000"


def test_what_a_probe_cannot_find_out_is_unknown_and_not_no() -> None:
    def fails() -> Finding:
        raise OSError(errno.EIO, "broken")

    assert look(Probe("broken", fails)).state is State.UNKNOWN


def test_text_wraps_to_the_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["THING", "STATE", "DETAIL"]
    assert max(map(len, lines)) <= 80


def test_no_header_leaves_it_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--no-header", "kernel"]) == 0
    assert capsys.readouterr().out.startswith("kernel ")


def test_a_row_that_is_not_there_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "teapot"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "no row is named teapot" in err


@pytest.mark.needs("root", "unshare")
def test_a_mount_point_with_a_carriage_return_ends_no_line(tmp_path: Path) -> None:
    point = tmp_path / "a\rb"
    point.mkdir()
    script = 'mount -t tmpfs none "$0" && exec "$@"'
    told = [
        subprocess.run([*words, sys.executable, "-m", "nsview", "doctor", "/proc"], capture_output=True, text=True)
        for words in ((), ("unshare", "--mount", "sh", "-c", script, str(point)))
    ]
    assert told[0].stdout.startswith("THING")
    assert told[1].stdout == told[0].stdout
