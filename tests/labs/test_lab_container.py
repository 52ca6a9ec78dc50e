"""The lab of a whole container: the kernel confirms each stage, and attempts to get out are refused, layer by layer."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest
from leftovers import Census
from nobody import Runner

from nsview import cli
from nsview.labs.container import experiment, inside, stages, terminal, trials
from nsview.labs.container.attempts import ATTEMPTS, Attempt, Held, filtered, foreseen, holding
from nsview.labs.container.contained import contained
from nsview.labs.container.description import described
from nsview.labs.container.layers import LAYERS, SECCOMP, in_force, without
from nsview.labs.lab import Conclusion, Finding, Report, Setting, Verdict
from nsview.labs.running import begin, perform
from nsview.labs.table import find
from spawner import Spec, Stdio, launch
from spawner.seccomp.default import ALLOWED

LAB = find("container")
confined = pytest.mark.needs("root", "seccomp", "libseccomp")


@pytest.fixture(scope="module")
def report() -> Report:
    census = Census()
    found = perform(LAB, Setting(thorough=True))
    assert census.difference() == []
    return found


def keys(report: Report, verdict: Verdict) -> set[str]:
    return {each.key for each in report.judged if each.verdict is verdict}


def finding(report: Report, key: str) -> Finding:
    return next(each for each in report.findings if each.key == key)


def conclusion(report: Report, key: str) -> Conclusion:
    return next(each for each in report.conclusions if each.key == key)


def only(monkeypatch: pytest.MonkeyPatch, *attempts: Attempt) -> Report:
    """The lab with these attempts and no others."""
    monkeypatch.setattr(experiment, "ATTEMPTS", attempts)
    return perform(LAB, Setting())


def row(key: str) -> Attempt:
    return next(each for each in ATTEMPTS if each.key == key)


# ---- the table ----


def test_each_attempt_has_a_row_and_a_way_to_try_it():
    assert [each.key for each in ATTEMPTS] == list(inside.TRIES)


def test_each_layer_that_holds_an_attempt_can_be_taken_away_and_holds_one():
    assert {each.layer for row in ATTEMPTS for each in row.held} == set(LAYERS)
    spec = contained()
    for layer in LAYERS:
        assert layer not in in_force(without(spec, {layer}))
    assert in_force(without(spec, LAYERS)) == set()


def test_what_the_filter_answers_is_read_from_its_profile():
    assert filtered("mount") == "EPERM"
    assert filtered("clone3") == "ENOSYS"
    for call in (*ALLOWED["a process's own life"].split(), "clone", "socket"):
        with pytest.raises(KeyError):
            filtered(call)


def test_a_setting_of_the_machine_decides_whether_a_layer_holds():
    perf = row("perf")
    paranoid = {"kernel/perf_event_paranoid": 1}
    assert [each.layer for each in holding(perf, LAYERS, paranoid)] == ["seccomp", "capabilities", "user namespace"]
    for open_to_all in ({"kernel/perf_event_paranoid": 0}, {"kernel/perf_event_paranoid": None}, {}):
        assert [each.layer for each in holding(perf, LAYERS, open_to_all)] == ["seccomp"]
    assert foreseen(perf, {"capabilities"}, paranoid) == "EACCES"
    assert foreseen(perf, {"capabilities"}, {}) == inside.DONE


# ---- the lab ----


@confined
def test_every_stage_of_a_container_is_confirmed_by_the_kernel(report):
    assert report.error is None
    assert len({each.key for each in report.judged}) == len(report.judged)
    assert keys(report, Verdict.OTHERWISE) == set()
    assert {key.split(".")[0] for key in keys(report, Verdict.LEFT_OUT)} <= {"attempt", "outside", "part", "children"}
    told = {each.key.split(".")[0] for each in report.findings if each.verdict is Verdict.AS_EXPECTED}
    assert {"call", "ids", "root", "limits", "privileges", "capabilities", "exec", "finished"} <= told
    assert {"attempt", "outside", "layers", "without", "view"} <= told
    verified = conclusion(report, "every-stage-is-in-force").numbers
    assert verified["verified"] == verified["asked"] > 40


@pytest.mark.needs("root", "seccomp", "libseccomp", "landlock")
def test_landlock_is_a_stage_of_its_own(report):
    assert finding(report, "landlock.restrict").answered == finding(report, "finished.landlock.restrict").answered


@confined
def test_no_attempt_to_leave_a_container_succeeds(report):
    tried = {each.key: each for each in report.findings if each.key.startswith("attempt.")}
    assert {*tried} == {f"attempt.{each.key}" for each in ATTEMPTS}
    assert inside.DONE not in {each.answered for each in tried.values()}
    shown = [each for each in tried.values() if each.verdict is not Verdict.LEFT_OUT]
    numbers = conclusion(report, "nobody-gets-out").numbers
    assert numbers["stopped"] == numbers["attempts"] == len(shown)


@confined
@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda each: each.key)
def test_an_attempt_is_left_out_only_where_it_cannot_be_done_at_all(attempt, report):
    """What takes nothing, or no more than root has here, is shown."""
    found = finding(report, f"attempt.{attempt.key}")
    if found.verdict is Verdict.LEFT_OUT:
        assert attempt.takes
        assert "refused outside, too" in found.why or "nothing would stop it" in found.why
    else:
        assert finding(report, f"layers.{attempt.key}").answered.endswith(f": {inside.DONE}")


@confined
@pytest.mark.parametrize(
    "key", ["signal", "enter", "mount", "remount", "chroot", "user-namespace", "clone3", "own-name", "keys", "gain"]
)
def test_every_layer_stops_an_attempt_by_itself_and_without_them_it_is_done(key, report):
    names = [each.layer for each in row(key).held if each.layer in in_force(described().spec)]
    assert finding(report, f"layers.{key}").verdict is Verdict.AS_EXPECTED
    assert [part.partition(":")[0] for part in finding(report, f"layers.{key}").answered.split("; ")][:-1] == names


@confined
def test_limits_count_what_they_refused(report):
    assert finding(report, "memory.oom-kills").answered == "1"
    assert finding(report, "children.refusals").answered == "1"


@confined
def test_the_call_makes_namespaces_and_the_child_does_the_rest(report):
    numbers = conclusion(report, "the-call-makes-namespaces-alone").numbers
    namespaces = described().spec.namespaces
    assert numbers["in the end"] == len(namespaces)
    assert numbers["by the call"] == len(namespaces - {"cgroup", "time"})
    assert numbers["steps"] > 100


@confined
@pytest.mark.needs("pty")
def test_keys_are_pushed_into_the_terminal_of_a_caller_and_not_into_ours(monkeypatch, nothing_left: Census):
    monkeypatch.setattr(experiment, "ATTEMPTS", (row("terminal"),))

    def at_a_terminal_of_ours() -> int:
        terminal._quiet()
        found = perform(LAB, Setting())
        pushed = int(finding(found, "terminal.pushed").answered)
        ours = terminal._typed()
        os.write(1, json.dumps([found.failed, pushed, ours, finding(found, "attempt.terminal").answered]).encode())
        return 0

    with launch(Spec(args=(), stdio=Stdio.PTY), entry=at_a_terminal_of_ours) as child:
        ended = child.wait()
        assert child.pty is not None
        failed, pushed, ours, inside_answer = json.loads(os.read(child.pty, 4096))
    assert ended is not None
    assert ended.code == 0
    assert (failed, ours, inside_answer) == (False, 0, "ENXIO")
    assert pushed >= 1


# ---- what is wrong is told ----


@confined
def test_an_attempt_that_is_answered_otherwise_than_the_table_says_is_told(monkeypatch):
    found = only(monkeypatch, replace(row("signal"), held=(replace(row("signal").held[0], answer="EXDEV"),)))
    assert keys(found, Verdict.OTHERWISE) == {"attempt.signal", "layers.signal"}
    assert found.failed


@confined
def test_a_layer_that_holds_nothing_by_itself_is_told(monkeypatch):
    found = only(monkeypatch, replace(row("signal"), held=(*row("signal").held, Held(SECCOMP, "EPERM"))))
    assert keys(found, Verdict.OTHERWISE) == {"layers.signal", "each-layer-by-itself"}
    numbers = conclusion(found, "each-layer-by-itself").numbers
    assert numbers["pid namespace: only it"] == 1
    assert "seccomp: stops" not in numbers


@confined
def test_a_layer_that_the_table_does_not_know_is_told(monkeypatch):
    found = only(monkeypatch, replace(row("hostname"), held=row("hostname").held[:1]))
    assert keys(found, Verdict.OTHERWISE) == {"layers.hostname", "what-the-filter-alone-stops"}


@confined
def test_who_gets_out_is_told(monkeypatch):
    made = described()
    monkeypatch.setattr(experiment, "described", lambda: replace(made, spec=without(made.spec, {"seccomp"})))
    monkeypatch.setattr("nsview.labs.container.trials.in_force", lambda spec: frozenset(LAYERS))
    monkeypatch.setattr("nsview.labs.container.judging.in_force", lambda spec: frozenset(LAYERS))
    found = only(monkeypatch, row("keyctl"))
    assert {"attempt.keyctl", "nobody-gets-out"} <= keys(found, Verdict.OTHERWISE)
    assert "keyctl was done" in conclusion(found, "nobody-gets-out").says


@confined
def test_a_container_other_than_described_is_told_and_the_command_ends_with_1(monkeypatch, capsys):
    monkeypatch.setattr(experiment, "ATTEMPTS", (row("signal"),))
    real = stages.MAKING
    other = replace(real[-1], asks=lambda *_: iter([("wrong", "what is not so", "1", "0")]))
    monkeypatch.setattr(experiment, "MAKING", (*real[:-1], other))
    assert cli.main(["lab", "container", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    verdicts = {each["key"]: each["verdict"] for each in (*found["findings"], *found["conclusions"])}
    told = {key for key, verdict in verdicts.items() if verdict == "otherwise"}
    assert told == {f"{other.key}.wrong", f"finished.{other.key}.wrong", "every-stage-is-in-force"}


@confined
def test_where_python_cannot_run_inside_the_stages_are_asked_all_the_same(monkeypatch):
    real = experiment.with_program
    monkeypatch.setattr(experiment, "with_program", lambda spec: replace(real(spec), args=("/nowhere",)))
    found = perform(LAB, Setting())
    assert not found.failed
    assert finding(found, "part.program").verdict is Verdict.LEFT_OUT
    assert conclusion(found, "every-stage-is-in-force").verdict is Verdict.AS_EXPECTED
    assert not [each for each in found.findings if each.key.startswith("attempt.")]


def test_a_program_inside_that_ends_without_answers_is_told_with_its_last_words(nothing_left: Census):
    with (
        launch(Spec(args=("sh", "-c", "echo so it is >&2"), stdio=Stdio.PIPE)) as child,
        pytest.raises(OSError, match="so it is"),
    ):
        trials.ask(child, ["signal"], trials.aim(os.getpid(), {}))


# ---- the end ----


@confined
def test_closing_it_early_at_any_event_leaves_nothing(monkeypatch, nothing_left: Census):
    made = described()
    monkeypatch.setattr(experiment, "described", lambda: made)
    monkeypatch.setattr(experiment, "ATTEMPTS", (row("signal"),))
    events = sum(1 for _ in begin(LAB, Setting()))
    for stop in range(1, events + 1):
        told = begin(LAB, Setting())
        for _ in range(stop):
            next(told)
        told.close()


@pytest.mark.needs("root")
def test_nobody_is_told_what_of_a_container_is_left_out(nobody: Runner):
    done = nobody("nsview", "lab", "container", "--json", timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    left_out = [each for each in found["findings"] if each["verdict"] == "left out"]
    assert left_out
    assert all(each["why"] for each in left_out)
