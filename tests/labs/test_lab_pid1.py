"""The lab on process 1: its answers from this kernel, what it says when one is not as told, and what it leaves."""

from __future__ import annotations

import json
import signal
from contextlib import closing

import pytest
from leftovers import Census
from nobody import Runner

from nsview.cli import main
from nsview.labs.lab import Finding, Scene, Setting, Verdict
from nsview.labs.pid1 import rules
from nsview.labs.pid1.subject import ENDED
from nsview.labs.running import begin, perform
from nsview.labs.table import find

LAB = find("pid1")

KEYS = {
    "number",
    "signals.control",
    "signals.itself",
    "signals.child",
    "signals.above",
    "signals.handler.inside",
    "signals.handler.above",
    "signals.crash",
    "signals.init",
    *(f"{what}.{who}" for what in ("orphan", "zombie") for who in ("pid1", "init", "control", "subreaper")),
    "end.born-before",
    "end.others",
    "end.born-after",
}


@pytest.mark.needs("pid_namespace")
def test_the_kernel_answers_as_is_told_of_process_1(nothing_left: Census) -> None:
    report = perform(LAB, Setting())
    assert report.error is None
    assert {finding.key: finding.verdict for finding in report.findings} == dict.fromkeys(KEYS, Verdict.AS_EXPECTED)
    assert [(c.key, c.numbers) for c in report.conclusions] == [
        ("pid1-is-spared-signals", {"standard": 31, "acting_on_ordinary": 27, "acting_from_above": 2})
    ]
    answers = {finding.key: finding.answered for finding in report.findings}
    assert answers["signals.itself"] == "went on: all 31"
    assert answers["signals.init"] == "ended with status 143"
    assert answers["end.born-after"] == "ENOMEM"


@pytest.mark.needs("pid_namespace")
def test_a_rule_that_the_kernel_does_not_know_is_told_and_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], nothing_left: Census
) -> None:
    monkeypatch.setitem(rules.FROM_INSIDE, signal.SIGTERM, ENDED)
    assert main(["lab", "pid1"]) == 1
    told = capsys.readouterr().out
    assert "expected  ended: TERM; went on:" in told
    assert told.count("NOT AS EXPECTED") == 2


@pytest.mark.needs("pid_namespace")
def test_closed_after_any_event_the_lab_of_process_1_leaves_nothing(nothing_left: Census) -> None:
    count = sum(1 for _ in begin(LAB, Setting()))
    scenes = 0
    for last in range(0, count, 3):
        with closing(begin(LAB, Setting())) as told:
            for at, event in enumerate(told):
                scenes += isinstance(event, Scene)
                if at == last:
                    break
        assert nothing_left.difference() == []
    assert scenes


@pytest.mark.needs("root", "userns")
def test_nobody_may_run_the_lab_of_process_1_in_a_user_namespace(nobody: Runner) -> None:
    done = nobody("nsview", "lab", "pid1", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert {finding["key"]: finding["verdict"] for finding in told["findings"]} == dict.fromkeys(KEYS, "as expected")


def test_without_a_pid_namespace_the_lab_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    from nsview.labs.pid1 import experiment
    from spawner import LaunchError

    def refused(**_options: bool) -> object:
        raise LaunchError("clone3", errno=1, cause="no privilege")

    monkeypatch.setattr(experiment, "subject_in", refused)
    (_finding,) = found = [event for event in begin(LAB, Setting()) if isinstance(event, Finding)]
    assert found[0].verdict is Verdict.LEFT_OUT
    assert "no privilege" in found[0].why
