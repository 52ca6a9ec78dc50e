"""Nice, CPUs, I/O priority, policy, OOM score and limits: asked for, set, and what the kernel has now told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from nsview.host.process import ProcessGoneError
from nsview.tui.acting.actor import Actor
from nsview.tui.acting.affinity_dialog import AffinityDialog, cpus_of_machine, parse_cpus
from nsview.tui.acting.guards import Kind
from nsview.tui.acting.held import Held
from nsview.tui.acting.limit_table import limit_rows
from nsview.tui.acting.limits_dialog import LimitsDialog
from nsview.tui.acting.picking import Pick, PickDialog
from nsview.tui.acting.progress import Progress
from nsview.tui.acting.settings import (
    AFFINITY,
    IO_PRIORITY,
    NICE,
    OOM_SCORE,
    POLICY,
    IoPriority,
    Outcome,
    Policy,
    Setting,
    change,
    limit_setting,
)
from nsview.tui.acting.value_dialog import ValueDialog, whole_number
from nsview.tui.acting.whom import Choices, Whom
from nsview.tui.acting.wording import several

_NICE = "19 gives way to all others, 0 is usual, −20 takes most of a busy CPU; for every thread"
_OOM = "−1000: never killed for want of memory; 0: by its size; 1000: the first to be"


async def raise_nice(actor: Actor) -> None:
    """Make the process give way more: nice one higher."""
    await _nice_by(actor, 1)


async def lower_nice(actor: Actor) -> None:
    """Make the process give way less: nice one lower."""
    await _nice_by(actor, -1)


async def _nice_by(actor: Actor, by: int) -> None:
    choices = await actor.choices()
    if choices is None:
        return
    now = await _now(NICE, choices)
    # Of threads that differ the first one counts, as everywhere.
    number = int(now.split()[0].replace("−", "-")) if now != "?" else 0
    await _set(actor, choices.this, NICE, max(-20, min(19, number + by)))


async def set_nice(actor: Actor) -> None:
    """Ask for a nice value."""
    choices = await actor.choices()
    if choices is None:
        return
    now = await _now(NICE, choices)
    dialog = ValueDialog("Nice value of", choices, NICE, now, _NICE, lambda text: whole_number(text, -20, 19))
    await _asked(actor, NICE, await actor.ask(dialog))


async def set_affinity(actor: Actor) -> None:
    """Ask on which CPUs it may run."""
    choices = await actor.choices()
    if choices is None:
        return
    said = await _now(AFFINITY, choices)
    cpus = await asyncio.to_thread(cpus_of_machine)
    now = frozenset(parse_cpus(said)) if "(" not in said else frozenset()
    await _asked(actor, AFFINITY, await actor.ask(AffinityDialog(choices, cpus, now, said)))


async def set_io_priority(actor: Actor) -> None:
    """Ask for class and level of its I/O priority."""
    choices = await actor.choices()
    if choices is None:
        return
    now = await _now(IO_PRIORITY, choices)
    await _asked(actor, IO_PRIORITY, await actor.ask(PickDialog("I/O priority of", choices, io_offers, now)))


async def set_policy(actor: Actor) -> None:
    """Ask for a scheduling policy."""
    choices = await actor.choices()
    if choices is None:
        return
    now = await _now(POLICY, choices)
    await _asked(actor, POLICY, await actor.ask(PickDialog("Scheduling policy of", choices, policy_offers, now)))


async def set_oom_score(actor: Actor) -> None:
    """Ask how gladly it is killed for want of memory."""
    choices = await actor.choices()
    if choices is None:
        return
    now = await _now(OOM_SCORE, choices)
    dialog = ValueDialog("OOM score of", choices, OOM_SCORE, now, _OOM, lambda text: whole_number(text, -1000, 1000))
    await _asked(actor, OOM_SCORE, await actor.ask(dialog))


async def set_limits(actor: Actor) -> None:
    """Show its limits and ask for a new one."""
    choices = await actor.choices()
    if choices is None:
        return
    rows = await asyncio.to_thread(limit_rows, choices.subject.identity)
    answer = await actor.ask(LimitsDialog(choices, rows))
    if answer is not None:
        await _set(actor, answer.whom, limit_setting(answer.value.name), answer.value)


async def _asked(actor: Actor, setting: Setting[Any], answer: Any) -> None:
    if answer is not None:
        await _set(actor, answer.whom, setting, answer.value)


async def _now(setting: Setting[Any], choices: Choices) -> str:
    """Return what the kernel says it is; ``?`` where it does not tell us."""

    def read() -> str:
        try:
            with Held(choices.subject.identity) as held:
                return setting.read(held)
        except (ProcessLookupError, FileNotFoundError):
            raise ProcessGoneError(*choices.subject.identity) from None
        except OSError:
            return "?"

    return await asyncio.to_thread(read)


async def _set(actor: Actor, whom: Whom, setting: Setting[Any], value: Any) -> None:
    if not await actor.may(whom, Kind.CHANGE, f"Set {setting.name} of", setting.form(value), asks=False):
        return

    def work(progress: Progress) -> Outcome:
        return change(setting, value, whom.members, progress)

    outcome = await actor.work(f"{setting.name} of {several(whom)}", work)
    actor.tell(outcome, several(whom), setting.name)


def io_offers(text: str) -> Iterator[Pick]:
    """Offer the classes and levels that fit what is typed."""
    every = [
        (IoPriority("none"), "follows from its nice value"),
        *((IoPriority("best-effort", level), f"the usual class{_ENDS.get(level, '')}") for level in range(8)),
        (IoPriority("idle"), "only when nobody else reads or writes"),
        *((IoPriority("realtime", level), f"before all others{_ENDS.get(level, '')}") for level in range(8)),
    ]
    for value, means in every:
        if all(word in f"{value} {means}".lower() for word in text.lower().split()):
            yield Pick(str(value), means, value, IO_PRIORITY.form(value))


_ENDS = {0: ", first among them", 7: ", last among them"}


def policy_offers(text: str) -> Iterator[Pick]:
    """Offer the policies that fit what is typed; fifo and rr with any priority that is."""
    words = text.lower().split()
    if len(words) == 2 and words[0] in ("fifo", "rr") and words[1].isdecimal() and 1 <= int(words[1]) <= 99:
        every = [(Policy(words[0], int(words[1])), _MEANS[words[0]])]
    else:
        every = [(policy, _MEANS[policy.name]) for policy in _POLICIES]
        every = [row for row in every if all(word in f"{row[0]} {row[1]}".lower() for word in words)]
    for value, means in every:
        yield Pick(str(value), means, value, POLICY.form(value))


_MEANS = {
    "other": "shares the CPU by nice values, as is usual",
    "batch": "the same, and held to use much CPU",
    "idle": "only when nobody else runs",
    "fifo": "before all of those, until it waits; 1 to 99 can be typed",
    "rr": "as fifo, and in turns with its equals; 1 to 99 can be typed",
}
_POLICIES = (
    *(Policy(name) for name in ("other", "batch", "idle")),
    *(Policy(name, priority) for name in ("fifo", "rr") for priority in (1, 50, 99)),
)
