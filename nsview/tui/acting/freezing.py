"""Freezing and thawing: always a whole control group, so who else would stand still with it is asked about first."""

from __future__ import annotations

import asyncio
import errno
import os
from dataclasses import dataclass
from time import monotonic

from nsview.host.model import Identity
from nsview.host.snapshot import take
from nsview.tui.acting.actor import Actor
from nsview.tui.acting.groups import FoundGroup, found_groups
from nsview.tui.acting.guards import Guard, Kind
from nsview.tui.acting.progress import Progress
from nsview.tui.acting.refusals import refusal
from nsview.tui.acting.whom import Choices, Scope, Whom, choices
from nsview.tui.acting.wording import counted, names, one
from spawner.cgroups import control

LONGEST = 10.0
"""Seconds within which everything in a group must stand still."""
_PAUSE = 0.005
_V1 = ("FROZEN", "THAWED")
_NOWHERE = (
    "{who} is in no control group that can be frozen, only in the root groups: SIGSTOP stops it, "
    "or launch it in a group of its own."
)


@dataclass(frozen=True, slots=True)
class Freezer:
    """The group whose freezing stops a process, who else is in it, and whether it stands still now."""

    whom: Whom
    group: FoundGroup
    frozen: bool


def freezer_of(identity: Identity, me: Identity) -> Freezer | None:
    """Find the smallest group that can be frozen, or that is; None when there is none. ProcessGoneError."""
    groups = [group for group in found_groups(identity) if group.freezes]
    standing = [group for group in groups if group.taken().frozen]
    group = next(iter(standing or groups), None)
    if group is None:
        return None
    records = take().records
    record = records.get(identity[0])
    if record is None or record.identity != identity:
        return None
    whom = choices(record, records, me, (), (group,)).of(Scope.CGROUP)
    return None if whom is None else Freezer(whom, group, bool(standing))


async def freeze_or_thaw(actor: Actor) -> None:
    """Freeze the control group of the process, or thaw it where it stands still."""
    chosen = await actor.choices()
    if chosen is None:
        return
    subject = chosen.subject
    freezer = await asyncio.to_thread(freezer_of, subject.identity, actor.desk.me)
    if freezer is None:
        actor.complain(_NOWHERE.format(who=one(subject)))
    elif freezer.frozen:
        await _become(actor, freezer, frozen=False)
    elif await _may_freeze(actor, freezer, chosen):
        await _become(actor, freezer, frozen=True)


async def _may_freeze(actor: Actor, freezer: Freezer, chosen: Choices) -> bool:
    if kept := [(record, guard) for record, guard in freezer.whom.left_out if guard is not Guard.KERNEL]:
        who = ", ".join(f"{guard.value} ({record.pid})" for record, guard in kept)
        actor.complain(f"Cgroup {freezer.group.label} is not frozen: {who} would stand still with it.")
        return False
    others = tuple(record for record in freezer.whom.members if record.identity != chosen.subject.identity)
    note = f"{counted(len(others))} would stand still with it: {names(others)}." if others else "It is alone in it."
    file = "cgroup.freeze, 1" if freezer.group.hierarchy.version == 2 else "freezer.state, FROZEN"
    call = f"write({freezer.group.directory}/{file})"
    return await actor.may(freezer.whom, Kind.END, "Freeze", call, asks=True, note=note)


async def _become(actor: Actor, freezer: Freezer, *, frozen: bool) -> None:
    group = freezer.group
    title = f"{'Freezing' if frozen else 'Thawing'} {group.label}"

    def work(progress: Progress) -> bool | None:
        progress.say(title, 0, freezer.whom.count)
        if frozen:
            stand_still(group, progress)
        else:
            group.taken().thaw()
        return group.taken().frozen

    try:
        state = await actor.work(title, work)
    except OSError as error:
        actor.say(f"{title}: {refusal('freeze', _named(error))}", well=False)
        return
    word = {True: "is frozen; the same key thaws it", False: "is thawed", None: "does not tell its state"}[state]
    above = "; a group above it is frozen" if state and not frozen else ""
    actor.say(f"{group.label} with {counted(freezer.whom.count)} {word}{above}", well=state is frozen)


def stand_still(group: FoundGroup, progress: Progress) -> None:
    """Freeze a group; where something in it does not stand still, or it is called off, all of it goes on again.

    OSError: EAGAIN, ECANCELED, or of the write. Version 1 is told again and again (freezer-subsystem).
    """
    file, still, on = ("cgroup.freeze", "1", "0") if group.hierarchy.version == 2 else ("freezer.state", *_V1)
    end = monotonic() + LONGEST
    while monotonic() < end:
        control.write(group.directory, file, still)
        if group.taken().frozen:
            return
        if progress.pause(_PAUSE):
            break
    control.write(group.directory, file, on)
    number = errno.ECANCELED if progress.cancelled else errno.EAGAIN
    raise OSError(number, os.strerror(number))


def _named(error: OSError) -> OSError:
    """A group that went away meanwhile answers ENODEV through an open file, else ENOENT."""
    return OSError(errno.ENODEV, error.strerror) if error.errno == errno.ENOENT else error
