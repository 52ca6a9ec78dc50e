"""Who reads the snapshots can be asked for in the environment, and ``nsview doctor`` says who does and why."""

from __future__ import annotations

import json
import os

import pytest
from leftovers import Census
from nobody import Runner

from nsview.cli import main
from nsview.host.producer import ENVIRONMENT, refusal


def row(document: str) -> dict[str, str | None]:
    found = json.loads(document)["findings"]
    return next(finding for finding in found if finding["name"] == "BPF iterator")


def test_doctor_says_what_the_producer_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, nothing_left: Census
) -> None:
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    assert main(["doctor", "--json", "BPF"]) == 0
    told, refused = row(capsys.readouterr().out), refusal()
    if refused is None:
        assert told["state"] == "ok"
        assert "snapshots come from it" in str(told["detail"])
    else:
        assert (told["state"], told["remedy"]) == ("no", refused.remedy)
        assert told["detail"] == f"{refused.reason}; snapshots come from /proc"


@pytest.mark.needs("root")
def test_doctor_tells_nobody_why_proc_is_read(nobody: Runner) -> None:
    done = nobody("nsview", "doctor", "--json", "BPF")
    assert (done.returncode, done.stderr) == (0, "")
    told = row(done.stdout)
    assert (told["state"], told["remedy"]) == ("no", "run with sudo")
    assert str(told["detail"]).endswith("snapshots come from /proc")


@pytest.mark.needs("root", "bpf")
def test_doctor_says_that_proc_was_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENVIRONMENT, "proc")
    assert main(["doctor", "--json", "BPF"]) == 0
    told = row(capsys.readouterr().out)
    assert (told["state"], told["remedy"]) == ("limited", "unset NSVIEW_SNAPSHOT")


@pytest.mark.parametrize("command", ["ps", "tree", "ns"])
def test_a_producer_that_is_none_is_one_line_and_status_2(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENVIRONMENT, "lsof")
    assert main([command]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "nsview: NSVIEW_SNAPSHOT is 'lsof': give auto, bpf or proc\n")


@pytest.mark.needs("root")
def test_nobody_cannot_have_bpf_and_is_told_why(nobody: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, "bpf")
    done = nobody("nsview", "ps")
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot be done here: needs CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN (run with sudo)" in done.stderr


@pytest.mark.needs("root", "bpf")
@pytest.mark.parametrize("producer", ["bpf", "proc", "auto"])
def test_ps_lists_the_same_by_either(
    producer: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENVIRONMENT, producer)
    assert main(["ps", "--json"]) == 0
    processes = {row["pid"]: row for row in json.loads(capsys.readouterr().out)["processes"]}
    assert processes[1]["ppid"] == 0
    own = processes[os.getpid()]
    assert (own["ppid"], own["namespaces"]["user"]) == (os.getppid(), os.stat("/proc/self/ns/user").st_ino)
