"""The lab of a whole container: the kernel confirms each stage, and attempts to get out are refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from leftovers import Census

from nsview.labs.container import attempts, experiment
from nsview.labs.container.description import described
from nsview.labs.lab import Report, Scene, Setting, Verdict
from nsview.labs.running import begin, perform
from nsview.labs.table import find

LAB = find("container")


@pytest.fixture(scope="module")
def report() -> Report:
    census = Census()
    found = perform(LAB, Setting())
    assert census.difference() == []
    return found


def keys(report: Report, verdict: Verdict) -> set[str]:
    return {each.key for each in report.judged if each.verdict is verdict}


@pytest.mark.needs("root", "seccomp", "libseccomp")
def test_every_stage_of_a_container_is_confirmed_by_the_kernel(report):
    assert report.error is None
    assert len({each.key for each in report.judged}) == len(report.judged)
    assert keys(report, Verdict.OTHERWISE) == set()
    assert {key.split(".")[0] for key in keys(report, Verdict.LEFT_OUT)} <= {"attempt", "outside", "part"}
    stages = {each.key.split(".")[0] for each in report.findings if each.verdict is Verdict.AS_EXPECTED}
    assert {"call", "ids", "root", "limits", "privileges", "exec", "finished", "attempt", "outside", "view"} <= stages


@pytest.mark.needs("root", "seccomp", "libseccomp")
def test_no_attempt_to_leave_a_container_succeeds(report):
    tried = {each.key: each for each in report.findings if each.key.startswith("attempt.")}
    assert {*tried} == {f"attempt.{each.key}" for each in attempts.ATTEMPTS}
    assert attempts.DONE not in {each.answered for each in tried.values()}
    conclusion = next(each for each in report.conclusions if each.key == "nobody-gets-out")
    asked = [each for each in tried.values() if each.verdict is not Verdict.LEFT_OUT]
    assert conclusion.numbers["stopped"] == conclusion.numbers["attempts"] == len(asked)


@pytest.mark.needs("root", "seccomp", "libseccomp")
def test_an_attempt_that_is_answered_otherwise_than_the_table_says_is_told(monkeypatch):
    first, *rest = attempts.ATTEMPTS
    monkeypatch.setattr(experiment, "ATTEMPTS", (replace(first, answers=("EXDEV",)), *rest))
    found = perform(LAB, Setting())
    assert keys(found, Verdict.OTHERWISE) == {f"attempt.{first.key}", "nobody-gets-out"}
    assert found.failed


@pytest.mark.needs("root", "seccomp", "libseccomp")
def test_a_container_other_than_described_is_told(monkeypatch):
    made = described()
    looser = replace(made, spec=replace(made.spec, no_new_privs=False, landlock=None, rootfs_readonly=False))
    monkeypatch.setattr(experiment, "described", lambda: looser)
    found = perform(LAB, Setting())
    assert "root.read-only/" in keys(found, Verdict.OTHERWISE)
    assert found.failed


@pytest.mark.needs("root", "seccomp", "libseccomp")
def test_a_container_lab_that_is_closed_early_leaves_nothing():
    census = Census()
    scenes = sum(isinstance(event, Scene) for event in perform(LAB, Setting()).events)
    for stop in range(1, scenes + 1):
        told, seen = begin(LAB, Setting()), 0
        for event in told:
            seen += isinstance(event, Scene)
            if seen == stop:
                break
        told.close()
    assert census.difference() == []


@pytest.mark.needs("root")
def test_nobody_is_told_what_of_a_container_is_left_out(nobody):
    found = nobody("nsview", "lab", "container", "--json")
    assert found.returncode == 0, found.stdout + found.stderr
    assert "left out" in json.dumps(json.loads(found.stdout))
