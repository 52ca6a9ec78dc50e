"""Killing more than one process so that none gets away and no stranger is met: a list, a subtree, a group."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterable, Mapping
from time import monotonic

from nsview.host.model import Identity
from nsview.host.snapshot import ProcessRecord, take
from nsview.host.tree import ProcessTree
from nsview.tui.acting.groups import FoundGroup
from nsview.tui.acting.held import Held
from nsview.tui.acting.progress import Progress
from nsview.tui.acting.refusals import refusal
from nsview.tui.acting.settings import Outcome
from spawner.cgroups import control

LONGEST = 30.0
"""Seconds after which what does not stand still, or does not end, is told and left."""
_PAUSE = 0.005
_BATCH = 256
"""How many pidfds are open at once: far below the usual limit of 1024 descriptors."""
_STOPPED = "TtZX"

Look = Callable[[], Mapping[int, ProcessRecord]]


def send_all(members: Iterable[ProcessRecord], signo: int, progress: Progress) -> Outcome:
    """Signal each of these processes, if it is still the one that was named; of SIGKILL wait for the end."""
    members = tuple(members)
    outcome = Outcome()
    for place, record in enumerate(members):
        if progress.cancelled:
            outcome.cancelled = len(members) - place
            break
        if place % 64 == 0:
            progress.say("signalling", place, len(members))
        _send(record.identity, signo, outcome)
    if signo == signal.SIGKILL:
        _await_end(tuple(record.identity for record in members[: len(members) - outcome.cancelled]), progress, outcome)
    return outcome


def _send(identity: Identity, signo: int, outcome: Outcome) -> bool:
    try:
        with Held(identity) as held:
            held.signal(signo)
    except (ProcessLookupError, FileNotFoundError):
        outcome.gone += 1
        return False
    except OSError as error:
        outcome.refused[refusal("pidfd_send_signal", error)] += 1
        return False
    outcome.done += 1
    return True


def _read() -> Mapping[int, ProcessRecord]:
    return take().records


class Subtree:
    """Everything below one process and the process itself, stopped so that it can be killed as a whole.

    Each pass over the machine stops whoever is new below it. When two passes in a row find nobody new, and
    everybody stopped or ended, nobody can fork any more, and that is the subtree. A process that has got another
    parent meanwhile is none of its descendants any more: it is let go on, as is everybody when it is called off.
    """

    def __init__(self, root: Identity, spared: frozenset[Identity] = frozenset(), look: Look = _read) -> None:
        self._root = root
        self._spared = spared
        self._look = look
        self._stopped: set[Identity] = set()
        self._tried: set[Identity] = set()

    def kill(self, progress: Progress) -> Outcome:
        """Stop all of it, kill it, and wait for its end."""
        outcome = Outcome()
        try:
            members = self._gather(progress, outcome)
        except BaseException:
            self._let_go(self._stopped)
            raise
        if progress.cancelled:
            self._let_go(self._stopped)
            outcome.cancelled = len(members)
            return outcome
        self._let_go(self._stopped - set(members))
        outcome.refused.clear()  # who could not be stopped says so again when it cannot be killed
        for place, identity in enumerate(members):
            progress.say("killing", place, len(members))
            _send(identity, signal.SIGKILL, outcome)
        _await_end(members, progress, outcome)
        return outcome

    def _gather(self, progress: Progress, outcome: Outcome) -> tuple[Identity, ...]:
        """Return who is in it once it stands still, from the root down."""
        end = monotonic() + LONGEST
        quiet = 0
        while True:
            records = self._look()
            members = self._members(records)
            fresh = [record for record in members if record.identity not in self._tried]
            for record in fresh:
                self._stop(record, outcome)
            still = all(record.state in _STOPPED or not self._may_run(record) for record in members)
            quiet = quiet + 1 if not fresh and still else 0
            progress.say("stopping", len(self._tried))
            if quiet == 2 or progress.cancelled or monotonic() > end:
                return tuple(record.identity for record in members)
            progress.pause(_PAUSE)

    def _members(self, records: Mapping[int, ProcessRecord]) -> list[ProcessRecord]:
        root = records.get(self._root[0])
        if root is None or root.identity != self._root:
            return []
        found = (records[pid] for pid in (root.pid, *ProcessTree(records).descendants(root.pid)))
        return [record for record in found if record.identity not in self._spared and not record.has_ended]

    def _stop(self, record: ProcessRecord, outcome: Outcome) -> None:
        self._tried.add(record.identity)
        if record.state not in "Tt" and _send(record.identity, signal.SIGSTOP, Outcome(refused=outcome.refused)):
            self._stopped.add(record.identity)

    def _may_run(self, record: ProcessRecord) -> bool:
        """Whether it is worth waiting for it to stop: one in state D, as a parent in vfork(2), forks no more first."""
        return record.state != "D" and record.identity in self._stopped

    def _let_go(self, identities: Iterable[Identity]) -> None:
        for identity in tuple(identities):
            _send(identity, signal.SIGCONT, Outcome())


def kill_group(group: FoundGroup, progress: Progress) -> Outcome:
    """End everything in a group: by cgroup.kill where there is one, else frozen and killed until it is empty."""
    outcome = Outcome(done=len(group.processes()))
    if group.kills:
        _by_kernel(group, progress, outcome)
    else:
        _one_by_one(group, progress, outcome)
    left = len(group.processes())
    outcome.done = max(0, outcome.done - left)
    if left and not progress.cancelled and not outcome.refused:
        outcome.refused[f"{group.label}: did not end within {LONGEST:.0f} s"] += left
    outcome.cancelled = left if progress.cancelled else 0
    return outcome


def _by_kernel(group: FoundGroup, progress: Progress, outcome: Outcome) -> None:
    try:
        control.write(group.directory, "cgroup.kill", "1")
    except OSError as error:
        outcome.refused[refusal("cgroup.kill", error)] += outcome.done
        return
    total, end = outcome.done, monotonic() + LONGEST
    while (left := len(group.processes())) and monotonic() < end:
        progress.say("ending", max(0, total - left), total)
        if progress.pause(_PAUSE):
            return


def _one_by_one(group: FoundGroup, progress: Progress, outcome: Outcome) -> None:
    """Version 1: what is frozen forks no more, but dies only when thawed. Else again and again until it is empty."""
    taken = group.taken() if group.freezes else None
    total, end = outcome.done, monotonic() + LONGEST
    while (pids := group.processes()) and monotonic() < end and not progress.cancelled:
        if taken is not None:
            try:
                taken.freeze()
            except OSError as error:
                if error.errno != errno.EAGAIN:  # else it is killed moving
                    outcome.refused[refusal("freeze", error)] += 1
                    return
            pids = group.processes()
        try:
            refused = _kill_members(pids, group)
        finally:
            if taken is not None:
                taken.thaw()
        if refused:
            outcome.refused.update(refused)
            return
        progress.say("killing", max(0, total - len(pids)), total)
        progress.pause(_PAUSE)


def _kill_members(pids: tuple[int, ...], group: FoundGroup) -> list[str]:
    """Kill who is in the group *after* its pidfd was opened: a pidfd that still works then is a member's."""
    refused = []
    for start in range(0, len(pids), _BATCH):
        opened: dict[int, int] = {}
        try:
            for pid in pids[start : start + _BATCH]:
                try:
                    opened[pid] = os.pidfd_open(pid)
                except ProcessLookupError:
                    continue
            for pid in opened.keys() & {*group.processes()}:
                try:
                    signal.pidfd_send_signal(opened[pid], signal.SIGKILL)
                except ProcessLookupError:
                    continue
                except OSError as error:
                    refused.append(refusal("pidfd_send_signal", error))
        finally:
            for pidfd in opened.values():
                os.close(pidfd)
    return refused


def _await_end(members: tuple[Identity, ...], progress: Progress, outcome: Outcome) -> None:
    """Wait until all of them have ended; tell of those that do not."""
    end = monotonic() + LONGEST
    left = 0
    for place, identity in enumerate(members):
        progress.say("ending", place, len(members))
        try:
            with Held(identity) as held:
                ended = held.ends_within(0)
                while not ended and monotonic() < end and not progress.cancelled:
                    ended = held.ends_within(50)
        except (ProcessLookupError, FileNotFoundError):
            continue
        left += not ended
    if left:
        outcome.done -= left
        outcome.refused["killed, and not ended yet: a task in state D ends when its wait is over"] += left


def kill_namespace(init: ProcessRecord, progress: Progress) -> Outcome:
    """End a pid namespace by its first process: the kernel then ends all others in it (pid_namespaces(7))."""
    outcome = Outcome()
    progress.say("ending the first process", 0, 1)
    if _send(init.identity, signal.SIGKILL, outcome):
        _await_end((init.identity,), progress, outcome)
    return outcome
