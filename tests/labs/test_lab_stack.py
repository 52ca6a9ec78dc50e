"""The lab on stacks: where a child stands, what an overflow does to whom, and what is told when it is otherwise."""

from __future__ import annotations

import json
import mmap
import os
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from leftovers import Census
from nobody import Runner

from nsview.cli import main
from nsview.labs.lab import Conclusion, Finding, Report, Scene, Setting, Verdict
from nsview.labs.parent import Parent, parent
from nsview.labs.running import begin, perform
from nsview.labs.stack import experiment
from nsview.labs.stack.conclusions import conclusions
from nsview.labs.stack.standing import MAIN, standing
from nsview.labs.table import find
from spawner.mechanism import WAYS, Stack
from spawner.spec import Mechanism

LAB = find("stack")
KEYS = {
    *("own.vm", "own.copy", "own.none"),
    *(f"size.{size}" for size in experiment.SIZES),
    "size.main",
    *("way.clone3", "way.clone", "way.fork", "way.fork-unshare"),
    *(f"dig.{what}.{memory}" for what in ("within", "beyond", "larger") for memory in ("vm", "copy")),
    "dig.unguarded",
    *("memory.with", "memory.without"),
    *("call.returns-twice", "call.stack-alone", "call.size-alone"),
    *("entry.status.0", "entry.status.7", "entry.status.255", "entry.stack"),
    *("exec.before", "exec.stack"),
}


@pytest.fixture(scope="module")
def report() -> Report:
    return perform(LAB, Setting())


def answers(report: Report) -> dict[str, str]:
    return {finding.key: finding.answered for finding in report.findings}


def test_the_kernel_answers_as_is_told_of_stacks(report: Report) -> None:
    assert report.error is None
    assert {finding.key: finding.verdict for finding in report.findings} == dict.fromkeys(KEYS, Verdict.AS_EXPECTED)
    assert {conclusion.verdict for conclusion in report.conclusions} == {Verdict.AS_EXPECTED}


def test_a_stack_is_given_or_it_is_a_copy_of_the_parents(report: Report) -> None:
    found = answers(report)
    assert [found[f"own.{which}"] for which in ("vm", "copy", "none")] == [Stack.OWN, Stack.OWN, Stack.COPY]
    assert found["way.fork"] == found["entry.stack"] == Stack.COPY


def test_its_size_is_what_was_asked_for_in_whole_pages(report: Report) -> None:
    found = answers(report)
    for size in experiment.SIZES:
        assert int(found[f"size.{size}"].split()[0]) == -(-size // mmap.PAGESIZE) * mmap.PAGESIZE


def test_an_overflow_ends_the_child_by_sigsegv_and_not_its_parent(report: Report) -> None:
    found = answers(report)
    for memory in ("vm", "copy"):
        assert found[f"dig.beyond.{memory}"].startswith("ended by SIGSEGV; its parent lives")
        assert found[f"dig.within.{memory}"].startswith("it returned")
        assert found[f"dig.larger.{memory}"].startswith("it returned")
    assert found["dig.unguarded"].startswith("it returned")


def test_a_table_that_says_otherwise_of_a_call_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], nothing_left: Census
) -> None:
    table = {**WAYS, Mechanism.FORK: replace(WAYS[Mechanism.FORK], stack=Stack.OWN)}
    monkeypatch.setattr(experiment, "WAYS", table)
    assert main(["lab", "stack", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [each["key"] for each in told["findings"] if each["verdict"] == "otherwise"] == ["way.fork"]
    wrong = [each for each in told["conclusions"] if each["verdict"] == "otherwise"]
    assert [each["key"] for each in wrong] == ["a-child-may-have-a-stack-of-its-own"]
    assert "does not hold" in wrong[0]["says"]


def test_conclusions_follow_from_the_answers(report: Report) -> None:
    def of(findings: list[Finding]) -> dict[str, Conclusion]:
        return {conclusion.key: conclusion for conclusion in conclusions(findings)}

    told = of(list(report.findings))
    assert told["an-overflow-ends-the-child-alone"].numbers == {"children": 7, "ended": 2, "parents_alive": 7}
    crashed = [
        replace(each, answered="its parent ended with it", verdict=Verdict.OTHERWISE)
        if each.key == "dig.beyond.vm"
        else each
        for each in report.findings
    ]
    told = of(crashed)
    assert told["an-overflow-ends-the-child-alone"].numbers == {"children": 7, "ended": 1, "parents_alive": 6}
    assert told["an-overflow-ends-the-child-alone"].verdict is Verdict.OTHERWISE
    assert told["execve-makes-a-new-stack"].verdict is Verdict.AS_EXPECTED
    assert {conclusion.verdict for conclusion in conclusions([])} == {Verdict.LEFT_OUT}


def test_a_parent_that_ends_with_its_child_is_a_failed_finding_and_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    ask = Parent.ask

    def gone(ours: Parent, request: str, *arguments: object) -> dict[str, Any]:
        if request == "dig":
            raise BrokenPipeError
        return ask(ours, request, *arguments)

    monkeypatch.setattr(Parent, "ask", gone)
    monkeypatch.setattr(experiment, "STAGES", [stage for stage in experiment.STAGES if "overflows" in stage[0]])
    found = perform(LAB, Setting())
    assert found.failed
    assert found.error is None
    assert answers(found)["dig.beyond.vm"] == "its parent ended with it"


def test_where_the_kernel_does_not_tell_it_is_left_out(monkeypatch: pytest.MonkeyPatch, nothing_left: Census) -> None:
    monkeypatch.setattr(experiment, "standing", lambda pid: None)
    found = perform(LAB, Setting())
    assert not found.failed
    left_out = {each.key.partition(".")[0] for each in found.findings if each.verdict is Verdict.LEFT_OUT}
    assert left_out == {"own", "size", "way", "entry", "exec"}
    assert all("ptrace" in each.why for each in found.findings if each.verdict is Verdict.LEFT_OUT)


def test_what_is_refused_is_left_out_with_its_reason(monkeypatch: pytest.MonkeyPatch, nothing_left: Census) -> None:
    ask = Parent.ask

    def refusing(ours: Parent, request: str, *arguments: object) -> dict[str, Any]:
        if request == "clone3":
            return {"answer": "ENOSYS"}
        return ask(ours, request, *arguments) if request in ("clone", "end") else {"refused": "clone3: EPERM"}

    monkeypatch.setattr(Parent, "ask", refusing)
    found = perform(LAB, Setting())
    assert not found.failed
    asked = {each.key for each in found.findings if each.verdict is not Verdict.LEFT_OUT}
    assert asked == {"own.none", "size.main", "call.returns-twice"}
    reasons = {each.why for each in found.findings if each.verdict is Verdict.LEFT_OUT}
    assert reasons == {"clone3: EPERM", "clone3 answers ENOSYS here"}


def test_an_execve_that_is_refused_is_left_out(monkeypatch: pytest.MonkeyPatch, nothing_left: Census) -> None:
    ask = Parent.ask
    monkeypatch.setattr(experiment, "STAGES", experiment.STAGES[-1:])
    monkeypatch.setattr(
        Parent, "ask", lambda *asked: {"refused": "execve: EACCES"} if asked[1] == "execute" else ask(*asked)
    )
    found = {each.key: each for each in perform(LAB, Setting()).findings}
    assert found["exec.before"].verdict is Verdict.AS_EXPECTED
    assert (found["exec.stack"].verdict, found["exec.stack"].why) == (Verdict.LEFT_OUT, "execve: EACCES")


def test_a_process_that_is_gone_stands_nowhere_and_one_that_waits_does() -> None:
    with parent("nsview.labs.stack.subject") as ours:
        ours.ask("end")
        place = standing(ours.pid)
        assert place is not None
        assert place.mapping.name == MAIN
        assert place.mapping.start <= place.pointer < place.mapping.end
        assert os.getpgid(ours.pid) == ours.pid
    assert standing(ours.pid) is None


@pytest.mark.parametrize("stage", experiment.STAGES, ids=lambda stage: stage[0])
def test_closed_after_any_event_it_leaves_nothing(
    stage: object, monkeypatch: pytest.MonkeyPatch, nothing_left: Census
) -> None:
    monkeypatch.setattr(experiment, "STAGES", (stage,))
    monkeypatch.setattr(experiment, "conclusions", lambda findings: ())
    count = sum(1 for _ in begin(LAB, Setting()))
    assert count > 1
    for last in range(count):
        with closing(begin(LAB, Setting())) as told:
            for at, _ in enumerate(told):
                if at == last:
                    break
        assert nothing_left.difference() == []


def test_at_each_scene_both_are_there(nothing_left: Census) -> None:
    scenes = 0
    for event in begin(LAB, Setting()):
        if isinstance(event, Scene):
            scenes += 1
            assert standing(event.child) is not None
            assert os.path.exists(f"/proc/{event.parent}")
    assert scenes == 4


@pytest.mark.needs("root")
def test_nobody_may_run_it(nobody: Runner) -> None:
    done = nobody("nsview", "lab", "stack", "--json", timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert {each["key"]: each["verdict"] for each in told["findings"]} == dict.fromkeys(KEYS, "as expected")
