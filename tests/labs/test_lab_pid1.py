"""The lab on process 1: its answers from this kernel, what it says when one is not as told, and what it leaves."""

from __future__ import annotations

import errno
import json
import signal
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from leftovers import Census
from nobody import Runner

from nsview.cli import main
from nsview.labs.lab import Conclusion, Finding, Report, Scene, Setting, Verdict
from nsview.labs.pid1 import experiment, family, signals
from nsview.labs.pid1.conclusions import conclusions
from nsview.labs.pid1.part import Heard, Part
from nsview.labs.pid1.talk import Subject
from nsview.labs.running import begin, perform
from nsview.labs.table import find
from nsview.tui.launching.outlook_text import about_flag
from spawner import LaunchError, first_process
from spawner.first_process import Effect
from spawner.flags import BY_NAME

LAB = find("pid1")
PARTS = experiment.PARTS
KEYS = {key for part in PARTS for key in part.keys}


@pytest.fixture(scope="module")
def report() -> Report:
    return perform(LAB, Setting())


def only(*keys: str) -> tuple[Part, ...]:
    """The first part, and those that ask for these."""
    return (PARTS[0], *(part for part in PARTS[1:] if {*keys} & {*part.keys}))


@pytest.mark.needs("pid_namespace")
def test_the_kernel_answers_as_is_told_of_process_1(report: Report) -> None:
    assert report.error is None
    assert {finding.key: finding.verdict for finding in report.findings} == dict.fromkeys(KEYS, Verdict.AS_EXPECTED)
    answers = {finding.key: finding.answered for finding in report.findings}
    assert answers["number.unshare"] == "it keeps its pid, and its next child is 1"
    assert answers["signals.itself"] == "went on: all 31"
    assert answers["signals.init"] == "ended with status 143"
    assert answers["end.control"] == "the other lives on"
    assert answers["end.others"] == "the other ended too"
    assert answers["end.born-after"] == "ENOMEM"


@pytest.mark.needs("pid_namespace")
def test_its_conclusions_have_their_numbers(report: Report) -> None:
    assert {conclusion.verdict for conclusion in report.conclusions} == {Verdict.AS_EXPECTED}
    assert {conclusion.key: conclusion.numbers for conclusion in report.conclusions} == {
        "pid1-is-spared-signals": {
            "standard": 31,
            "acting_on_ordinary": 27,
            "acting_from_above": 2,
            "acting_from_inside": 0,
        },
        "orphans-go-to-process-1-or-a-subreaper": {"orphans": 4, "as_expected": 4},
        "zombies-stay-where-nobody-waits": {"ended": 4, "stayed": 2},
        "an-init-does-what-process-1-has-to": {"asked": 3, "as_expected": 3},
        "a-pid-namespace-ends-with-its-process-1": {"asked": 4, "as_expected": 4},
        "one-call-isolates-pids-and-leaves-a-duty": {"asked": 4, "as_expected": 4},
    }


@pytest.mark.needs("pid_namespace")
def test_conclusions_follow_from_the_answers(report: Report) -> None:
    ordinary = {number: first_process.by_default(number) for number in first_process.STANDARD}

    def heard(*changed: Finding) -> dict[str, Conclusion]:
        of = {finding.key: finding for finding in (*report.findings, *changed)}
        signals = {
            key: dict(ordinary) for key in ("signals.control", "signals.itself", "signals.child", "signals.above")
        }
        signals["signals.itself"] = dict.fromkeys(ordinary, Effect.WENT_ON)
        return {conclusion.key: conclusion for conclusion in conclusions(Heard([*of.values()], signals))}

    found = {finding.key: finding for finding in report.findings}
    told = heard(replace(found["signals.above"], verdict=Verdict.OTHERWISE))
    spared = told["pid1-is-spared-signals"]
    assert (spared.verdict, spared.numbers["acting_from_above"]) == (Verdict.OTHERWISE, 27)
    assert spared.numbers["acting_from_inside"] == 27
    assert told["one-call-isolates-pids-and-leaves-a-duty"].verdict is Verdict.OTHERWISE
    told = heard(replace(found["zombie.init"], answered="a zombie stays", verdict=Verdict.OTHERWISE))
    assert told["zombies-stay-where-nobody-waits"].numbers == {"ended": 4, "stayed": 3}
    assert told["an-init-does-what-process-1-has-to"].verdict is Verdict.OTHERWISE
    assert told["a-pid-namespace-ends-with-its-process-1"].verdict is Verdict.AS_EXPECTED
    told = heard(replace(found["signals.above"], answered="?", verdict=Verdict.LEFT_OUT))
    assert told["pid1-is-spared-signals"].verdict is Verdict.LEFT_OUT
    assert {conclusion.verdict for conclusion in conclusions(Heard())} == {Verdict.LEFT_OUT}


@pytest.mark.needs("pid_namespace")
def test_a_rule_that_the_kernel_does_not_know_is_told_and_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], nothing_left: Census
) -> None:
    monkeypatch.setitem(first_process.FROM_INSIDE, signal.SIGTERM, Effect.ENDED)
    assert main(["lab", "pid1"]) == 1
    told = capsys.readouterr().out
    assert "expected  ended: TERM; went on:" in told
    assert told.count("NOT AS EXPECTED") == 2


def test_who_makes_a_pid_namespace_is_told_from_the_same_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert BY_NAME["CLONE_NEWPID"].besides == first_process.told()
    assert first_process.told() in about_flag(BY_NAME["CLONE_NEWPID"]).plain
    assert main(["flags", "NEWPID", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["flags"][0]["besides"] == first_process.told()
    assert main(["flags", "NEWPID"]) == 0
    assert f"besides      {first_process.told()[:20]}" in capsys.readouterr().out
    assert "only SIGKILL and SIGSTOP act, from inside none" in first_process.told()
    monkeypatch.setitem(first_process.FROM_INSIDE, signal.SIGTERM, Effect.ENDED)
    assert "from inside SIGTERM" in first_process.told()


@pytest.mark.needs("pid_namespace")
@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.keys[0])
def test_closed_after_any_event_the_lab_of_process_1_leaves_nothing(
    part: Part, monkeypatch: pytest.MonkeyPatch, nothing_left: Census
) -> None:
    monkeypatch.setattr(experiment, "PARTS", (part,))
    monkeypatch.setattr(experiment, "conclusions", lambda heard: ())
    events = list(begin(LAB, Setting()))
    assert {event.key for event in events if isinstance(event, Finding)} == {*part.keys}
    for last in range(len(events)):
        with closing(begin(LAB, Setting())) as told:
            for at, _ in enumerate(told):
                if at == last:
                    break
        assert nothing_left.difference() == []


@pytest.mark.needs("pid_namespace")
def test_there_is_something_to_look_at(report: Report) -> None:
    assert sum(isinstance(event, Scene) for event in report.events) == 6


@pytest.mark.needs("root", "userns")
def test_nobody_may_run_the_lab_of_process_1_in_a_user_namespace(nobody: Runner) -> None:
    done = nobody("nsview", "lab", "pid1", "--json", timeout=600)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert {finding["key"]: finding["verdict"] for finding in told["findings"]} == dict.fromkeys(KEYS, "as expected")


def refused(**_options: bool) -> object:
    raise LaunchError("clone3", errno=1, cause="no privilege")


def test_without_a_pid_namespace_the_lab_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(family, "subject_in", refused)
    (_finding,) = found = [event for event in begin(LAB, Setting()) if isinstance(event, Finding)]
    assert found[0].verdict is Verdict.LEFT_OUT
    assert "no privilege" in found[0].why


@pytest.mark.needs("pid_namespace")
def test_a_later_process_that_cannot_be_had_leaves_its_questions_out(
    monkeypatch: pytest.MonkeyPatch, nothing_left: Census
) -> None:
    monkeypatch.setattr(experiment, "PARTS", only("signals.control", "end.others"))
    monkeypatch.setattr(signals, "subject_in", refused)
    found = perform(LAB, Setting())
    assert (found.failed, found.error) == (False, None)
    verdicts = {finding.key: finding.verdict for finding in found.findings}
    left_out = {key for key, verdict in verdicts.items() if verdict is Verdict.LEFT_OUT}
    assert left_out == {"signals.control", "signals.itself", "signals.child"}
    assert verdicts["end.others"] is Verdict.AS_EXPECTED
    spared = next(each for each in found.conclusions if each.key == "pid1-is-spared-signals")
    assert spared.verdict is Verdict.LEFT_OUT


@pytest.mark.needs("pid_namespace")
def test_an_unshare_that_is_refused_is_left_out(monkeypatch: pytest.MonkeyPatch, nothing_left: Census) -> None:
    monkeypatch.setattr(experiment, "PARTS", only("number.unshare"))
    ask = Subject.ask
    monkeypatch.setattr(
        Subject, "ask", lambda subject, name, *rest: [errno.EPERM] if name == "unshare" else ask(subject, name, *rest)
    )
    found = {finding.key: finding for finding in perform(LAB, Setting()).findings}
    assert found["number.unshare"].verdict is Verdict.LEFT_OUT
    assert "EPERM" in found["number.unshare"].why


@pytest.mark.needs("pid_namespace")
def test_a_process_that_ends_unasked_is_a_failed_finding_and_no_crash(
    monkeypatch: pytest.MonkeyPatch, nothing_left: Census
) -> None:
    ask = Subject.ask

    def gone(subject: Subject, name: str, *arguments: object) -> Any:
        if name == "taken":
            subject.child.signal(signal.SIGKILL)
        return ask(subject, name, *arguments)

    monkeypatch.setattr(experiment, "PARTS", only("signals.handler.inside", "orphan.pid1"))
    monkeypatch.setattr(Subject, "ask", gone)
    found = perform(LAB, Setting())
    assert found.failed
    assert found.error is None
    verdicts = {finding.key: finding.verdict for finding in found.findings}
    assert verdicts["signals.handler.inside"] is Verdict.OTHERWISE
    assert verdicts["signals.handler.above"] is Verdict.LEFT_OUT
    assert verdicts["orphan.pid1"] is Verdict.AS_EXPECTED
