"""Whom an act is for, who is left out of it, and what is said of it: values in, values out, on a made-up machine."""

from __future__ import annotations

import errno
import os
from collections import Counter

import pytest
from machine import HOST, PLAIN, in_namespaces, record

from nsview.host.cgroups.hierarchies import Hierarchy
from nsview.host.snapshot import PF_KTHREAD, ProcessRecord
from nsview.tui.acting.groups import FoundGroup
from nsview.tui.acting.guards import REFUSED, Guard, Kind, guard_of
from nsview.tui.acting.refusals import refusal
from nsview.tui.acting.settings import Outcome
from nsview.tui.acting.signals import seen
from nsview.tui.acting.whom import Choices, Scope, choices
from nsview.tui.acting.wording import left_out, names, several, told

SHELL = record(10, 1, "bash")
NSVIEW = record(20, 10, "nsview")
CHILD = record(30, 20, "sh", ns=in_namespaces(p=99), inner_pid=1)
GRANDCHILD = record(31, 30, "sleep", ns=in_namespaces(p=99), inner_pid=2)
OTHER = record(40, 1, "other")
KERNEL = record(50, 2, "kworker", flags=PF_KTHREAD)
MACHINE = {one.pid: one for one in (PLAIN, SHELL, NSVIEW, CHILD, GRANDCHILD, OTHER, KERNEL)}


def choices_of(subject: ProcessRecord, *tagged: ProcessRecord, groups: tuple[FoundGroup, ...] = ()) -> Choices:
    """Whom acts on this process can be for."""
    return choices(subject, MACHINE, NSVIEW.identity, [one.identity for one in tagged], groups)


def pids(found: Choices, scope: Scope) -> list[int] | None:
    """The members of a scope, None when it is not offered."""
    whom = found.of(scope)
    return None if whom is None else [one.pid for one in whom.members]


def group(*members: ProcessRecord) -> FoundGroup:
    """A group of version 2 with these in it."""
    hierarchy = Hierarchy("", frozenset(), "/sys/fs/cgroup", "/", "/")
    return FoundGroup(hierarchy, "/box", "/sys/fs/cgroup/box", frozenset(one.pid for one in members))


def test_scopes_that_are_nobody_else_are_not_offered() -> None:
    found = choices_of(OTHER)
    assert [whom.scope for whom in found.whoms] == [Scope.THIS]


def test_a_subtree_begins_with_the_process_itself() -> None:
    assert pids(choices_of(CHILD), Scope.SUBTREE) == [30, 31]


def test_nsview_and_what_runs_it_are_left_out_of_a_subtree() -> None:
    whom = choices_of(SHELL).of(Scope.SUBTREE)
    assert whom is not None
    assert [one.pid for one in whom.members] == [30, 31]
    assert {guard for _one, guard in whom.left_out} == {Guard.SELF, Guard.ANCESTOR}
    assert whom.holds_us
    assert left_out(whom) == "left out: what runs nsview (10), nsview itself (20)"


def test_another_pid_namespace_is_a_scope_and_our_own_is_not() -> None:
    assert pids(choices_of(GRANDCHILD), Scope.PID_NAMESPACE) == [30, 31]
    inside = choices_of(GRANDCHILD).of(Scope.PID_NAMESPACE)
    assert inside is not None
    assert inside.init == CHILD
    assert pids(choices_of(OTHER), Scope.PID_NAMESPACE) is None
    assert HOST[2] != 99


def test_tagged_processes_that_are_gone_or_another_now_are_not_met() -> None:
    successor = OTHER._replace(start_time=OTHER.start_time + 1)
    assert pids(choices_of(CHILD, OTHER, CHILD), Scope.TAGGED) == [40, 30]
    assert pids(choices_of(CHILD, successor), Scope.TAGGED) is None


def test_zombies_are_nobody_to_act_on() -> None:
    machine = {**MACHINE, 31: GRANDCHILD._replace(state="Z")}
    found = choices(CHILD, machine, NSVIEW.identity)
    assert pids(found, Scope.SUBTREE) == [30]


def test_a_group_is_all_in_it_but_the_guarded() -> None:
    whom = choices_of(OTHER, groups=(group(OTHER, CHILD, NSVIEW),)).of(Scope.CGROUP)
    assert whom is not None
    assert [one.pid for one in whom.members] == [30, 40]
    assert whom.holds_us
    assert several(whom) == "2 processes of cgroup v2 /box"


@pytest.mark.parametrize(
    ("one", "guard"),
    [(NSVIEW, Guard.SELF), (PLAIN, Guard.INIT), (KERNEL, Guard.KERNEL), (SHELL, Guard.ANCESTOR), (CHILD, None)],
)
def test_who_is_guarded(one: ProcessRecord, guard: Guard | None) -> None:
    assert guard_of(one, NSVIEW.identity, {10, 1}) is guard
    assert choices_of(one).this.guard is guard


def test_nsview_is_never_ended_by_an_act_and_kernel_threads_neither() -> None:
    assert {guard for guard, kind in REFUSED if kind is Kind.END} == {Guard.SELF, Guard.KERNEL}


def test_many_are_named_in_few_words() -> None:
    several_of_them = tuple(record(pid) for pid in range(100, 110))
    assert names(several_of_them, 2) == "100 p100, 101 p101 and 8 more"


def test_names_with_control_characters_are_made_harmless() -> None:
    assert "\x1b" not in names((record(5, comm="evil\x1b[2J"),))


@pytest.mark.parametrize(
    ("outcome", "text", "well"),
    [
        (Outcome(done=1, words=Counter({"5": 1})), "x: nice is 5", True),
        (Outcome(done=3, words=Counter({"5": 2, "0": 1})), "x: nice is 5 (2), 0 (1)", True),
        (Outcome(gone=1), "nobody was there any more", False),
        (Outcome(done=1, words=Counter({"5": 1}), gone=2), "x: nice is 5. 2 processes had ended before", True),
        (Outcome(refused=Counter({"no": 2})), "2 ×: no", False),
        (Outcome(cancelled=4), "called off: 4 processes left as it was", False),
    ],
)
def test_what_became_of_an_act_is_told_by_what_was_read_back(outcome: Outcome, text: str, well: bool) -> None:
    assert told(outcome, "x", "nice") == (text, well)


@pytest.mark.parametrize("call", ["pidfd_send_signal", "setpriority", "prlimit", "freeze", "anything"])
@pytest.mark.parametrize("number", [errno.EPERM, errno.ESRCH, errno.EINVAL, errno.EACCES, errno.EIO])
def test_every_refusal_is_a_sentence_with_the_errno(call: str, number: int) -> None:
    words = refusal(call, OSError(number, os.strerror(number)))
    assert words.startswith(f"{call}: {errno.errorcode[number]}; ")
    assert len(words.partition("; ")[2]) > 5


def status(**masks: int) -> dict[str, str]:
    """The lines of /proc/PID/status that tell of signals."""
    return {"State": "S (sleeping)", **{key: f"{value:016x}" for key, value in masks.items()}}


def test_what_a_process_makes_of_a_signal_is_read_from_its_masks() -> None:
    term = 1 << 14
    assert seen(15, status(SigIgn=term), status()) == "it ignores it; SIGKILL cannot be ignored"
    assert seen(15, status(SigBlk=term), status()) == "it blocks it, so it waits (state S (sleeping))"
    assert seen(15, status(SigCgt=term), status()) == "it has a handler for it (state S (sleeping))"
    assert seen(9, status(), status()) == "it will end as soon as it can (state S (sleeping))"
    stopped = {**status(), "State": "T (stopped)"}
    assert seen(19, status(), stopped) == "it is stopped (state T (stopped))"
    assert seen(15, status(SigCgt=term), stopped).endswith("and handles it after SIGCONT")
