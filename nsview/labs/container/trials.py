"""Makes the attempts: in the container, in it with layers taken away, and outside of any."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace

from nsview.host.process import PinnedProcess
from nsview.host.standing import Standing, standing_of
from nsview.labs.container.attempts import SETTINGS, Attempt, holding
from nsview.labs.container.description import unconfined
from nsview.labs.container.inside import Aim
from nsview.labs.container.layers import MOUNT, SECCOMP, in_force, without
from spawner import Child, LaunchError, Spec, SpecError, Stdio, launch
from spawner.cgroups.control import number, read
from spawner.cgroups.hierarchies import hierarchies

Layers = frozenset[str]
WHOLE: Layers = frozenset()
"""None taken away."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one container told: the answer to each attempt; or why there is none of its kind here."""

    answers: Mapping[str, str]
    refused: str = ""
    standing: Standing | None = None
    """How its first process stood before."""


def demanded(
    attempts: Iterable[Attempt], spec: Spec, settings: Mapping[str, int | None], *, thorough: bool
) -> dict[Layers, list[str]]:
    """Which attempts are to be made without which layers.

    Each without all that hold it, and with each of those alone; all without the filter, and where ``thorough`` without
    each other layer. What uses up a limit is tried without that limit only.
    """
    present = in_force(spec)
    found: dict[Layers, dict[str, None]] = {}
    for attempt in attempts:
        layers = frozenset(each.layer for each in holding(attempt, present, settings))
        for removed in {layers, *(layers - {each} for each in layers)} - {WHOLE}:
            found.setdefault(removed, {})[attempt.key] = None
    for layer in present if thorough else present & {SECCOMP}:
        for attempt in attempts:
            if not attempt.spends:
                found.setdefault(frozenset({layer}), {})[attempt.key] = None
    return {removed: [*keys] for removed, keys in found.items()}


def settings_here() -> dict[str, int | None]:
    """The settings that decide which layers hold an attempt; None where the kernel has none of the name."""
    return {name: number(read("/proc/sys", name)) for name in SETTINGS}


def aim(outer: int, group: Mapping[str, str]) -> Aim:
    """What the attempts are aimed at: a process outside, and what the machine has; ``group``: the container's."""
    root = os.stat("/")
    known = {each.key: each for each in hierarchies()}
    older = [known[key] for key in group if key in known and not known[key].unified]
    controller = next((name for each in older for name in sorted(each.controllers)), "")
    return Aim(outer, (root.st_dev, root.st_ino), controller)


def ask(child: Child, keys: Sequence[str], aimed: Aim) -> dict[str, str]:
    """Let the program in it make these attempts. OSError with what it said last, where it does not answer all."""
    if not keys:
        return {}
    assert child.stdin is not None and child.stdout is not None  # noqa: PT018
    with suppress(BrokenPipeError):  # what became of it is told below
        os.write(child.stdin, aimed.line([*keys]).encode())
    with os.fdopen(child.stdout, "rb", closefd=False) as told:
        line = told.readline().decode()
    answers = line.rstrip("\n").split("\t")
    if not line.endswith("\n") or len(answers) != len(keys):
        raise OSError(f"the program inside ended before it had answered: {_last_words(child)}")
    return dict(zip(keys, answers, strict=True))


def _last_words(child: Child) -> str:
    with suppress(ProcessLookupError):
        child.signal(signal.SIGKILL)
    child.wait()
    assert child.stderr is not None
    os.set_blocking(child.stderr, False)  # others that it made may have it open
    try:
        said = os.read(child.stderr, 1 << 16).decode(errors="replace").strip()
    except BlockingIOError:
        said = ""
    return said.rpartition("\n")[2] or "it said nothing"


def bare(spec: Spec, removed: Layers) -> Spec:
    """The container without these layers; without its files, the program is found where it lies outside."""
    args = unconfined().args if MOUNT in removed else spec.args
    return replace(without(spec, removed), args=args)


def tried(wanted: Mapping[Layers, tuple[Spec, Sequence[str]]], aimed: Aim) -> dict[Layers, Told]:
    """Make other containers, a few at a time, and these attempts in each."""
    found: dict[Layers, Told] = {}
    every = [*wanted.items()]
    for at in range(0, len(every), _AT_A_TIME):
        with ExitStack() as stack:
            begun = [(removed, keys, _begun(stack, spec)) for removed, (spec, keys) in every[at : at + _AT_A_TIME]]
            for removed, keys, (child, told) in begun:
                found[removed] = told if child is None else replace(told, answers=ask(child, keys, aimed))
    return found


_AT_A_TIME = 4
"""While one answers, Python begins in the others."""


def _begun(stack: ExitStack, spec: Spec) -> tuple[Child | None, Told]:
    try:
        child = stack.enter_context(launch(spec))
    except (SpecError, LaunchError) as error:
        return None, Told({}, refused=str(error))
    with PinnedProcess(child.pid) as process:
        return child, Told({}, standing=standing_of(process))


def outsider() -> Child:
    """A process outside that the attempts are aimed at; it ends with us, however that is."""
    return launch(Spec(args=("sleep", "infinity"), stdio=Stdio.NULL, pdeathsig=signal.SIGKILL))


def refusals_counted(child: Child) -> int | None:
    """How often the limit of tasks of its group has refused one (pids.events); None where nothing tells."""
    paths = () if child.cgroup is None else child.cgroup.paths.values()
    counts = (number(read(path, "pids.events"), "max") for path in paths)
    return next((count for count in counts if count is not None), None)
