"""The lab of the ways to make a child: what the kernel says of copies, and that nothing is judged by its time."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from leftovers import Census
from nobody import Runner

from nsview.labs.lab import Event, Report, Setting, Verdict
from nsview.labs.mechanisms import experiment, parents
from nsview.labs.running import begin, perform
from nsview.labs.table import find
from spawner import Mechanism

LAB = find("mechanisms")


@pytest.fixture(scope="module")
def report() -> Report:
    census = Census()
    patch = pytest.MonkeyPatch()
    patch.setattr(experiment, "ROUNDS", 2)
    patch.setattr(experiment, "QUICK", (parents.MIB, 8 * parents.MIB))
    try:
        found = perform(LAB, Setting())
    finally:
        patch.undo()
    assert census.difference() == []
    return found


def verdicts(report: Report) -> dict[str, Verdict]:
    return {each.key: each.verdict for each in report.judged}


def test_fork_copies_page_tables_and_clone_with_vm_copies_nothing(report):
    assert report.error is None
    found = verdicts(report)
    assert len(found) == len(report.judged)
    for way in ("fork", "fork-unshare", "plain"):
        assert {found[f"{way}.{what}"] for what in ("memory", "page-tables", "pages")} == {Verdict.AS_EXPECTED}
    answers = {each.key: each.answered for each in report.findings}
    assert answers["fork.memory"] == answers["plain.memory"] == "memory of its own"
    assert answers["clone3.memory"] == answers["clone.memory"] == "the parent's own memory"
    assert Verdict.OTHERWISE not in found.values()


def test_who_writes_first_after_fork_pays(report):
    numbers = next(each for each in report.conclusions if each.key == "writes-after-fork-cost-faults").numbers
    assert numbers["alone"] < numbers["pages"] <= numbers["after_fork"]


def test_every_way_is_measured_at_every_size(report):
    whole = next(each for each in report.measurements if each.key == "whole")
    assert {line.name for line in whole.series} >= {"fork", "vfork", "clone", "clone3", "posix_spawn", "subprocess"}
    for line in whole.series:
        assert [x for x, _ in line.points] == [parents.MIB, 8 * parents.MIB]
        assert all(point.count == 2 and 0 < point.lower <= point.median <= point.upper for _, point in line.points)


def test_a_table_that_says_otherwise_than_the_kernel_is_told(monkeypatch):
    table = dict(experiment.TABLE)
    table[Mechanism.FORK] = replace(table[Mechanism.FORK], shares=True)
    monkeypatch.setattr(experiment, "TABLE", table)
    monkeypatch.setattr(experiment, "ROUNDS", 2)
    monkeypatch.setattr(experiment, "QUICK", ())
    found = perform(LAB, Setting())
    assert verdicts(found)["fork.memory"] is Verdict.OTHERWISE
    assert found.failed


def test_a_size_that_there_is_no_memory_for_is_left_out(monkeypatch):
    monkeypatch.setattr(parents, "available", lambda: 600 * parents.MIB)
    monkeypatch.setattr(experiment, "ROUNDS", 2)
    monkeypatch.setattr(experiment, "QUICK", (parents.MIB, 1 << 40))
    found = perform(LAB, Setting())
    assert verdicts(found)[f"size.{(1 << 40) // parents.MIB}-mib"] is Verdict.LEFT_OUT
    assert not found.failed


@pytest.mark.parametrize("events", [1, 2, 5, 20])
def test_closing_it_early_leaves_nothing(events: int, nothing_left: Census):
    told = begin(LAB, Setting())
    seen: list[Event] = [next(told) for _ in range(events)]
    told.close()
    assert len(seen) == events


def test_nobody_may_run_it(nobody: Runner):
    done = nobody("nsview", "lab", "mechanisms", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = {each["key"]: each["verdict"] for each in json.loads(done.stdout)["findings"]}
    assert found["fork.memory"] == "as expected"


def test_a_parent_that_dies_is_an_error_that_names_it():
    parent = parents.Parent(parents.MIB)
    parent._process.kill()
    parent._process.wait()
    with pytest.raises(BrokenPipeError):
        parent.ask("where")
    parent.close()


def test_the_subject_ends_with_its_standard_input(nothing_left: Census):
    done = subprocess.run(
        [sys.executable, "-m", "nsview.labs.mechanisms.subject", str(parents.MIB)],
        input='["hold", "clone3"]\n',
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["pid"] > 0
