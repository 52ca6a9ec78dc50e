"""The words of the timeline: results, sums, man pages, what changed. Pure."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from rich.cells import cell_len

from nsview.host.difference import DiffRow
from nsview.host.text import printable
from nsview.tui.cell_text import breakable
from nsview.tui.launching.held_facts import Changes
from nsview.tui.launching.launched import Launched, Run
from nsview.tui.launching.wording import condition
from nsview.tui.timeline.beside import returned, until_exec
from nsview.tui.timeline.lines import PhaseLine, State, StepLine
from nsview.tui.timeline.waterfall import duration, total
from spawner import Plan
from spawner.plan import Bearing

_MAN = {
    "newfstatat": "2 stat",
    "rt_sigaction": "2 sigaction",
    "rt_sigprocmask": "2 sigprocmask",
    "prlimit64": "2 prlimit",
    "umount2": "2 umount",
    "posix_spawn": "3 posix_spawn",
    "getdents64": "2 getdents",
    "fork+unshare": "2 fork",
}
"""Pages that are not called as their system call is."""

_WHAT_STATES_MEAN = {
    State.NEXT: "the child waits before this step",
    State.DIED: "the child waited before this step when it ended",
    State.TO_COME: "not done yet",
    State.NEVER: "not done, and not to be: passed over, or the child ended before",
}


def result_word(result: int | None) -> str:
    """Word a result as strace does: ``0``, ``-1 ENOENT (No such file or directory)``; ``?`` if it is unknown."""
    if result is None:
        return "?"
    if result >= 0:
        return str(result)
    return f"-1 {errno.errorcode.get(-result, str(-result))} ({os.strerror(-result)})"


def traced(line: StepLine) -> str:
    """Word a step as strace would print it."""
    return printable(line.text if line.event is None else f"{line.text} = {result_word(line.event.result)}")


def why(line: StepLine, plan: Plan) -> str:
    """Say why a step is there, as its plan has it; how it stands, where it is not done."""
    reasons = [_WHAT_STATES_MEAN[line.state]] if line.state in _WHAT_STATES_MEAN else []
    if line.index is not None:
        step = plan.steps[line.index]
        reasons += [step.why] if step.why else []
        if line.state is State.REFUSED:
            reasons.append("the plan goes on after this")
    elif line.phase == "birth":
        reasons.append(plan.why)
    else:
        reasons.append("done by the parent while the child waits")
    return printable("; ".join(reasons))


def manual(line: StepLine, plan: Plan) -> str | None:
    """Return the man page of a step's call, as ``man 2 mount``; None for what is no system call."""
    if line.index is not None:
        name = plan.steps[line.index].syscall
    elif line.phase == "birth":
        name = plan.birth_label
    else:
        return None
    return None if name == "entry" else f"man {_MAN.get(name, f'2 {name}')}"


def heading_words(line: PhaseLine) -> str:
    """Say what the steps of a phase come to."""
    steps = "1 step" if line.done == 1 else f"{line.done} steps"
    done = f"{steps} in {duration(line.took)}" if line.done else "nothing done yet"
    left = f", {line.steps - line.done} not done" if line.steps > line.done else ""
    return printable(f"{line.phase}: {done}{left}. Enter {'unfolds' if line.folded else 'folds'} it.")


def sums(launched: Launched) -> list[str]:
    """Say what a launch comes to, the most telling first."""
    plan, run = launched.plan, Run(launched.timeline, launched.returned_ns)
    done = len({event.index for event in launched.timeline if event.index is not None})
    standing = _standing(launched)
    parts = [*([standing] if standing else []), f"{launched.pid} {launched.title}", plan.birth_label]
    if launched.executed:
        parts.append(f"{len(launched.timeline)} steps in {duration(total(launched.timeline))}")
        if (ran := until_exec(run)) is not None:
            parts.append(f"exec after {duration(ran)}{' with pauses' if launched.was_held else ''}")
    else:
        parts.append(f"{done} of {len(plan.steps)} steps done")
    if (back := returned(run)) is not None:
        parts.append(f"parent back after {duration(back)}")
    return [printable(part) for part in parts]


def _standing(launched: Launched) -> str:
    if launched.exit is not None and launched.ended_before is not None:
        at = launched.plan.steps[launched.ended_before].label
        if launched.aborted:
            return f"given up before {at}"
        if launched.trouble is None:
            return f"{condition(launched)} while it waited before {at}"
        return f"failed at {at}"
    return condition(launched) if launched.held is not None or launched.exit is not None else ""


def wrapped(parts: list[str], width: int, most: int) -> str:
    """Set parts into at most ``most`` lines with dots between them; what does not fit at all is left out."""
    lines: list[str] = []
    for part in parts:
        joined = f"{lines[-1]} · {part}" if lines else part
        if lines and cell_len(joined) <= width:
            lines[-1] = joined
        elif len(lines) < most:
            lines.append(part)
    return "\n".join(lines)


def steps_worded(changes: Changes, plan: Plan) -> str:
    """Name what was done between two looks: ``10 sethostname``, ``0 open and write uid_map of the parent``,
    ``steps 4–11``, ``clone3 and steps 0–3``.
    """
    parts = []
    if changes.birth:
        parts.append(plan.birth_label)
    if changes.first == changes.last:
        parts.append(f"{changes.first} {plan.steps[changes.first].label}")
    elif changes.first < changes.last:
        parts.append(f"steps {changes.first}–{changes.last}")
    parts += [f"{label} of the parent" for label in changes.acts]
    return printable(" and ".join(parts))


def changes_title(changes: Changes, plan: Plan) -> str:
    """Head the list of what changed."""
    by = steps_worded(changes, plan)
    if changes.unread:
        return f"What {by} changed is unknown: {printable(changes.unread)}"
    if not changes.rows:
        return f"Nothing that is read was changed by {by}"
    alone = changes.birth and changes.first > changes.last
    verb = "Other than in nsview since" if alone else "Changed by"
    own = " and the program itself" if changes.running else ""
    return f"{verb} {by}{own} ({len(changes.rows)})"


def unknown_words(changes: Changes) -> str:
    """Say what of the child the kernel does not tell us, so that it may have changed too; empty where there is none."""
    return printable(f"? not told: {', '.join(changes.unknown)}") if changes.unknown else ""


def change_words(row: DiffRow) -> str:
    """Word one change: ``host name: vm → box``; what came and went first, where that can be told."""
    told = f"{row.delta}  " if row.delta and len(row.delta) > 1 and row.delta != "own" else ""
    before, after = ("?" if value is None else value for value in (row.parent, row.child))
    return printable(f"{row.attribute}: {told}{before} → {after}")


def details(line: StepLine, launched: Launched) -> Iterator[tuple[str, str]]:
    """Tell all that is known of a step: what, and its words."""
    plan, event = launched.plan, line.event
    yield "call", breakable(traced(line))
    if event is not None:
        yield "began", f"{duration(event.start_ns)} after launch() was called ({event.start_ns} ns)"
        if event.duration_ns is not None:
            yield "took", f"{duration(event.duration_ns)} ({event.duration_ns} ns)"
        if event.result is not None and event.result < 0:
            yield "errno", f"{errno.errorcode.get(-event.result, '?')} {-event.result}: {os.strerror(-event.result)}"
    yield "phase", line.phase
    yield "why", why(line, plan)
    if line.index is not None:
        yield from _of_the_plan(line.index, plan)
    if launched.trouble is not None and line.state is State.FAILED:
        yield "cause", printable(launched.trouble.cause)
        yield "remedy", printable(launched.trouble.remedy)
    if (page := manual(line, plan)) is not None:
        yield "manual", page


def _of_the_plan(index: int, plan: Plan) -> Iterator[tuple[str, str]]:
    step = plan.steps[index]
    if step.path is not None:
        yield "file", printable(step.path)
    if step.tolerated:
        names = (errno.errorcode.get(number, str(number)) for number in step.tolerated)
        yield "goes on", f"also after {', '.join(names)}"
    elif step.bearing & Bearing.TOLERATE_ALL:
        yield "goes on", "whatever the kernel answers"
    if step.only_if is not None:
        yield "only if", f"step {step.only_if.step} {plan.steps[step.only_if.step].label} succeeded"
    if step.unless is not None:
        yield "only if", f"step {step.unless.step} {plan.steps[step.unless.step].label} failed"
