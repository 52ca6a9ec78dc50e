"""The lab: a container made stage by stage, each verified from the kernel, then attempts to get out of it."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Generator, Iterable
from dataclasses import replace

from nsview.host.abilities import findings
from nsview.host.process import PinnedProcess
from nsview.host.standing import Standing, standing_of
from nsview.labs.container.attempts import ATTEMPTS, DONE, Attempt, tell_all
from nsview.labs.container.description import Container, described
from nsview.labs.container.stages import MAKING, Asked, born, finished
from nsview.labs.lab import Conclusion, Event, Finding, Scene, Setting, Stage, Verdict
from spawner import Child, Spec, Stdio, launch


def run(_setting: Setting) -> Generator[Event, None, None]:
    """Make it held, look after each stage, and again when its program runs; then try from inside and outside."""
    container = described()
    if container.refused:
        yield Finding("call", "make a user namespace", "made", "refused", Verdict.LEFT_OUT, container.refused)
        return
    for name, why in container.left_out.items():
        yield Finding(f"part.{name}", f"give a child a {name} part", "made", "refused", Verdict.LEFT_OUT, why)
    stages = yield from _made(container.spec)
    yield from _tried(container, stages)


def _made(spec: Spec) -> Generator[Event, None, int]:
    verified = 0
    with launch(spec, hold=0) as child, PinnedProcess(child.pid) as process:
        yield Stage("Choose the call", f"{child.plan.mechanism}: {child.plan.why}.")
        verified += yield from _asked("call", born(spec, child, process))
        yield Scene("Born, nothing set up yet", os.getpid(), child.pid, "namespaces differ, root and files do not")
        passed = []
        for making in MAKING:
            end = making.end(child.plan)
            if end is None:
                continue
            child.resume(hold=end)
            passed.append(making)
            yield Stage(making.title, f"The child waits before step {end}, {child.plan.steps[end].label}.")
            verified += yield from _asked(making.key, making.asks(spec, child, process))
            yield Scene(making.title, os.getpid(), child.pid, "what has changed since the last stage")
        child.resume()
        yield Stage("Run the program", "execve has succeeded: what was set up before it must be in force still.")
        verified += yield from _asked("exec", finished(spec, child, process))
        for making in passed:
            verified += yield from _asked(f"finished.{making.key}", making.asks(spec, child, process))
        yield Scene("The finished container", os.getpid(), child.pid, "every difference at once")
    return verified


def _asked(stage: str, asked: Asked) -> Generator[Event, None, int]:
    right = 0
    for key, what, expected, answered in asked:
        right += expected == answered
        yield Finding(
            f"{stage}.{key.lower()}",
            what,
            expected,
            "?" if answered is None else answered,
            Verdict.LEFT_OUT if answered is None else _verdict(expected == answered),
            "we may not look: run as root" if answered is None else "",
        )
    return right


def _verdict(right: bool) -> Verdict:
    return Verdict.AS_EXPECTED if right else Verdict.OTHERWISE


def _tried(container: Container, stages: int) -> Generator[Event, None, None]:
    yield Stage("Try to get out", "Each attempt is made inside by a process of its own, and outside by one unconfined.")
    keys = [each.key for each in ATTEMPTS if _stoppable(each, container)]
    with launch(replace(_UNCONFINED, args=("/usr/bin/sleep", "infinity"), stdio=Stdio.NULL)) as victim:
        outside, _, _ = _answers(_UNCONFINED, (key for key in keys if key != "hard-limit"), victim.pid)
        inside, standing, kills = _answers(_callable(container.spec), keys, victim.pid)
        unfiltered: dict[str, str] = {}
        if container.spec.seccomp:
            bare = replace(_callable(container.spec), seccomp=())
            unfiltered, standing, _ = _answers(bare, (key for key in keys if key not in _SPENDING), victim.pid)
    landlocked = container.spec.landlock is not None
    view = {each.ability.name: each.verdict for each in findings(standing, landlocked)}
    stopped: Counter[str] = Counter()
    for each in ATTEMPTS:
        if each.key not in inside:
            yield Finding(f"attempt.{each.key}", each.done, "stopped", "not tried", Verdict.LEFT_OUT, _lacks(each))
            continue
        answer = inside[each.key]
        right = answer in each.answers
        yield Finding(f"attempt.{each.key}", each.done, " or ".join(each.answers), answer, _verdict(right), each.why)
        stopped[each.layer] += right
        if each.key in outside:
            yield _control(each, outside[each.key])
    if "memory" in inside:
        told = "?" if kills is None else str(kills)
        why = "memory.events of version 2, memory.oom_control of version 1"
        yield Finding("memory.oom-kills", "processes the group had killed", "1", told, _verdict(kills == 1), why)
    if unfiltered:
        yield Stage("The same without the filter", "What the security view says of such a process, and what it finds.")
    for each in ATTEMPTS:
        verdict = view.get(each.ability)
        if each.key in unfiltered and verdict is not None and verdict.can is not None:
            yield _agreement(each, verdict.can, verdict.why, unfiltered[each.key])
    if unfiltered:
        through = [each.key for each in ATTEMPTS if unfiltered.get(each.key) == DONE]
        yield Conclusion(
            "what-the-filter-alone-stops",
            f"Without the seccomp filter {len(through)} of {len(unfiltered)} attempts would get through"
            + (f": {', '.join(through)}." if through else "."),
            numbers={"attempts": len(unfiltered), "through": len(through)},
        )
    layers = ", ".join(f"{count} by {layer}" for layer, count in stopped.most_common())
    yield Conclusion(
        "every-stage-is-in-force",
        f"{stages} answers of the kernel agree with what the container was asked to be.",
        numbers={"verified": stages},
    )
    yield Conclusion(
        "nobody-gets-out",
        f"{sum(stopped.values())} of {len(inside)} attempts were stopped ({layers}); the kernel itself is shared all "
        f"the same: inside, uname(2) tells the machine's {os.uname().release}.",
        _verdict(sum(stopped.values()) == len(inside)),
        {"attempts": len(inside), "stopped": sum(stopped.values())},
    )


_SPENDING = frozenset(each.key for each in ATTEMPTS if each.layer in ("cgroup", "rlimit"))
"""What a filter has no say in."""
_UNCONFINED = Spec(args=(), stdio=Stdio.PIPE)


def _callable(spec: Spec) -> Spec:
    """The same with a callable inside, which enters no time namespace (only execve does)."""
    return replace(spec, args=(), namespaces=spec.namespaces - {"time"}, stdio=Stdio.PIPE)


def _stoppable(attempt: Attempt, container: Container) -> bool:
    return attempt.layer not in container.left_out


def _control(attempt: Attempt, answer: str) -> Finding:
    """What became of it outside: it must work there, or nothing is shown by its being refused inside."""
    verdict, why = _verdict(answer == DONE), ""
    if answer != DONE and attempt.privileged:
        verdict, why = Verdict.LEFT_OUT, "it is refused outside, too: run as root, with all capabilities and a network"
    return Finding(f"outside.{attempt.key}", f"{attempt.done}, unconfined", DONE, answer, verdict, why)


def _agreement(attempt: Attempt, can: bool, why: str, answer: str) -> Finding:
    """Whether the security view and the kernel say the same of a process without a filter."""
    expected = DONE if can else "refused"
    right = can == (answer == DONE)
    return Finding(f"view.{attempt.key}", f"{attempt.done}, unfiltered", expected, answer, _verdict(right), why)


def _lacks(attempt: Attempt) -> str:
    return f"nothing would stop it without the {attempt.layer} part"


def _answers(spec: Spec, keys: Iterable[str], outer: int) -> tuple[dict[str, str], Standing, int | None]:
    """What each attempt found, how the process stood before, and how many the group's limit of memory killed."""
    wanted = tuple(keys)
    with launch(spec, entry=lambda: tell_all(wanted, outer)) as child:
        return *_told(child), None if child.cgroup is None else child.cgroup.oom_kills


def _told(child: Child) -> tuple[dict[str, str], Standing]:
    assert child.stdin is not None and child.stdout is not None  # noqa: PT018
    with os.fdopen(child.stdout, "rb", closefd=False) as told:
        if told.readline() != b"ready\n":
            raise OSError("the process inside did not begin")
        with PinnedProcess(child.pid) as process:
            standing = standing_of(process)
        os.write(child.stdin, b"\n")
        found = told.readline()
    if standing is None or not found:
        raise OSError("the process inside ended before it told what it found")
    return json.loads(found), standing
