"""The lab: a container made stage by stage, each verified from the kernel, then attempts to get out of it."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field

from nsview.host.process import PinnedProcess
from nsview.labs.container.attempts import ATTEMPTS
from nsview.labs.container.description import described, unconfined, with_program
from nsview.labs.container.inside import DONE, Aim
from nsview.labs.container.judging import Trials, concluded, one_less, tried_from_inside, verdict_of, viewed
from nsview.labs.container.layers import SESSION
from nsview.labs.container.stages import MAKING, Asked, born, finished, others
from nsview.labs.container.terminal import at_a_terminal
from nsview.labs.container.trials import (
    WHOLE,
    Told,
    aim,
    ask,
    bare,
    demanded,
    outsider,
    refusals_counted,
    settings_here,
    tried,
)
from nsview.labs.lab import Conclusion, Event, Finding, Scene, Setting, Stage, Verdict
from spawner import Child, LaunchError, Plan, Spec, launch
from spawner.mechanism import INTO_CGROUP
from spawner.namespaces import ALL_FLAGS


@dataclass(slots=True)
class _Kept:
    """What the stages came to, and what the container then told."""

    asked: int = 0
    right: int = 0
    aimed: Aim | None = None
    answers: dict[str, str] = field(default_factory=dict)
    kills: int | None = None
    refusals: int | None = None


def run(setting: Setting) -> Generator[Event, None, None]:
    """Make it held, look after each stage, and again when its program runs; then try from inside and outside."""
    container = described()
    if container.refused:
        yield Finding("call", "make a user namespace", "made", "refused", Verdict.LEFT_OUT, container.refused)
        return
    for name, why in container.left_out.items():
        yield Finding(f"part.{name}", f"give a child a {name} part", "made", "refused", Verdict.LEFT_OUT, why)
    spec, kept = with_program(container.spec), _Kept()
    with outsider() as outer:
        try:
            yield from _made(spec, outer.pid, kept)
        except LaunchError as error:
            if error.step != "execve":
                raise
            yield Finding("part.program", "run Python inside", "runs", "refused", Verdict.LEFT_OUT, f"{error}")
        yield _in_force(kept)
        if kept.aimed is not None:
            yield from _tried(spec, kept.aimed, kept, thorough=setting.thorough)


def _made(spec: Spec, outer: int, kept: _Kept) -> Iterator[Event]:
    with launch(spec, hold=0) as child, PinnedProcess(child.pid) as process:
        yield Stage("Choose the call", f"{child.plan.mechanism}: {child.plan.why}.")
        yield from _verified("call", born(spec, child, process), kept)
        at_birth = others(process)
        yield Scene("Born, nothing set up yet", os.getpid(), child.pid, "namespaces differ, root and files do not")
        passed = []
        for making in MAKING:
            end = making.end(child.plan)
            if end is None:
                continue
            child.resume(hold=end)
            passed.append(making)
            yield Stage(making.title, f"The child waits before step {end}, {child.plan.steps[end].label}.")
            yield from _verified(making.key, making.asks(spec, child, process), kept)
            yield Scene(making.title, os.getpid(), child.pid, "what has changed since the last stage")
        child.resume()
        yield Stage("Run the program", "execve has succeeded: what was set up before it must be in force still.")
        yield from _verified("exec", finished(spec, child, process), kept)
        for making in passed:
            yield from _verified(f"finished.{making.key}", making.asks(spec, child, process), kept)
        yield _by_the_call(spec, child.plan, at_birth, others(process))
        yield Scene("The finished container", os.getpid(), child.pid, "every difference at once")
        _let_try(child, outer, kept)


def _by_the_call(spec: Spec, plan: Plan, at_birth: int, at_end: int) -> Conclusion:
    """What of it clone did, and what is left to the child: the document's 6.4 has limits set by the call, too.

    The nearest that a call comes to that is CLONE_INTO_CGROUP, into a group whose limits are set already.
    """
    placed = "put it into a group with limits" if plan.clone_flags & INTO_CGROUP else "set no limit"
    steps = sum(step.syscall != "execve" for step in plan.steps)
    return Conclusion(
        "the-call-makes-namespaces-alone",
        f"{plan.mechanism} made {at_birth} of {at_end} namespaces and {placed}: the rest is up to {steps} system "
        "calls that the child makes itself between that call and execve.",
        verdict_of(at_birth == (plan.clone_flags & ALL_FLAGS).bit_count() and at_end == len(spec.namespaces)),
        {"by the call": at_birth, "in the end": at_end, "steps": steps},
    )


def _let_try(child: Child, outer: int, kept: _Kept) -> None:
    """Make all attempts in the container that was looked at, and read what its group has counted before it is gone."""
    keys = [each.key for each in ATTEMPTS]
    kept.aimed = aim(outer, {} if child.cgroup is None else child.cgroup.paths)
    kept.answers = ask(child, keys, kept.aimed)
    kept.kills = None if child.cgroup is None else child.cgroup.oom_kills
    kept.refusals = refusals_counted(child)


def _verified(stage: str, asked: Asked, kept: _Kept) -> Iterator[Event]:
    for key, what, expected, answered in asked:
        right = expected == answered
        kept.asked += answered is not None
        kept.right += right
        yield Finding(
            f"{stage}.{key.lower()}",
            what,
            expected,
            "?" if answered is None else answered,
            Verdict.LEFT_OUT if answered is None else verdict_of(right),
            "we may not look: run as root" if answered is None else "",
        )


def _in_force(kept: _Kept) -> Conclusion:
    return Conclusion(
        "every-stage-is-in-force",
        f"{kept.right} of {kept.asked} answers of the kernel agree with what the container was asked to be.",
        verdict_of(kept.asked > 0 and kept.right == kept.asked),
        {"verified": kept.right, "asked": kept.asked},
    )


def _tried(spec: Spec, aimed: Aim, kept: _Kept, *, thorough: bool) -> Iterator[Event]:
    yield Stage(
        "Try to get out",
        "Each attempt is made by a process of its own: in the container that was looked at, in others that are the "
        "same but for a layer or more, and outside of any.",
    )
    trials = _trials(spec, aimed, kept.answers, thorough=thorough)
    for attempt in ATTEMPTS:
        yield from tried_from_inside(attempt, trials)
    yield from _counted(trials, kept)
    if thorough:
        yield Stage("One layer less", "Only what that layer alone holds may be answered otherwise.")
        yield from one_less(trials)
    yield Stage("The security view", "What it says of such a process without a filter, and what that one finds.")
    yield from viewed(trials)
    yield from concluded(trials, os.uname().release)


def _trials(spec: Spec, aimed: Aim, inside: dict[str, str], *, thorough: bool) -> Trials:
    settings = settings_here()
    wanted = demanded(ATTEMPTS, spec, settings, thorough=thorough)
    outside = frozenset({_OUTSIDE})
    rest = {removed: (bare(spec, removed), asked) for removed, asked in wanted.items()}
    rest[outside] = unconfined(), [each.key for each in ATTEMPTS]
    terminal = at_a_terminal({each: rest.pop(each) for each in [*rest] if each & {SESSION, _OUTSIDE}}, aimed)
    told = {**tried(rest, aimed), **terminal.told}
    if told[outside].refused:
        raise OSError(f"nothing can be tried outside: {told[outside].refused}")
    answers = told.pop(outside).answers
    return Trials(spec, settings, answers, {WHOLE: Told(inside), **told}, ATTEMPTS, terminal.pushed)


_OUTSIDE = "any container"


def _counted(trials: Trials, kept: _Kept) -> Iterator[Finding]:
    """What the group has counted of it, and what was typed at the caller's terminal."""
    for key, name, counted, what in (
        ("memory", "oom-kills", kept.kills, "processes the group had killed for want of memory"),
        ("children", "refusals", kept.refusals, "tasks the group has refused"),
    ):
        attempt = next((each for each in trials.attempts if each.key == key), None)
        if attempt is not None and trials.held(attempt):
            yield Finding(
                f"{key}.{name}",
                what,
                "1",
                "?" if counted is None else str(counted),
                Verdict.LEFT_OUT if counted is None else verdict_of(counted == 1),
                "the kernel does not count it" if counted is None else "",
            )
    terminal = next((each for each in trials.attempts if each.key == "terminal"), None)
    if terminal is not None:
        pushed = [trials.outside[terminal.key], *(told.answers.get(terminal.key) for told in trials.told.values())]
        expected, read = pushed.count(DONE), trials.pushed
        what = "keys the caller then read from its terminal: as many as were pushed"
        yield Finding("terminal.pushed", what, str(expected), str(read), verdict_of(expected == read))
