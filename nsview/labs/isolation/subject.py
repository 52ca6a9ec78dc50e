"""The stand-in for a host: a throw-away process in namespaces of its own, so that a child may harm it and nobody else.

``python -m nsview.labs.isolation.subject``: it acts as the child does (inside.py), launches children by the engine,
passes questions on to the one there is, and measures how long launches take.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from time import perf_counter_ns
from typing import Any

from nsview.labs.isolation.inside import ACTS, serve
from nsview.labs.isolation.looks import AHEAD, LOOKS
from nsview.labs.pid1.talk import Subject
from spawner import Child, LaunchError, Mechanism, Spec, SpecError, Stdio, calls, launch
from spawner.namespaces import BY_NAME as KIND_OF
from spawner.namespaces import flags_of

PROGRAM = "/bin/true"
_MAKING = ("clone3(", "clone(", "fork(", "vfork(", "unshare(")


class StandIn:
    """One child at a time; what is refused is answered {"refused": why}."""

    def __init__(self) -> None:
        self._child: Child | calls.Run | None = None

    # ---- a child that acts ----

    def launch(self, kind: str, key: str, new: bool) -> dict[str, Any]:
        """Launch who acts, for one look; its pid and the directories of its group."""
        return self._made(lambda: launch(LOOKS[kind].child(KIND_OF[kind], key, new)))

    def _made(self, make: Callable[[], Child | calls.Run]) -> dict[str, Any]:
        self.end()
        try:
            self._child = child = make()
        except (SpecError, LaunchError) as error:
            return {"refused": str(error)}
        groups = child.cgroup.paths.values() if isinstance(child, Child) and child.cgroup is not None else ()
        return {"pid": child.pid, "groups": list(groups)}

    def inside(self, act: str, *arguments: object) -> dict[str, Any]:
        """What the child answers."""
        assert isinstance(self._child, Child)
        found: dict[str, Any] = Subject(self._child).ask(act, *arguments)
        return found

    def end(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.close()
            self._child = None

    # ---- a child that waits on its way ----

    def hold(self, way: str, kinds: list[str]) -> dict[str, Any]:
        """Launch a program, to wait before the first step of its plan."""
        return self._made(lambda: launch(_spec(way, kinds), hold=0))

    def step(self) -> dict[str, Any]:
        """Let it run a step: which one that was, and the pid of who waits now."""
        assert isinstance(self._child, Child)
        assert self._child.held is not None
        label = self._child.plan.steps[self._child.held].label
        self._child.step()
        return {"label": label, "pid": self._child.pid}

    def go(self) -> dict[str, Any]:
        """Let it go on to its end: the calls of its timeline that make processes or namespaces, and its namespaces."""
        assert isinstance(self._child, Child)
        self._child.resume()
        self._child.wait()
        return {"calls": _making(self._child), "namespaces": self._child.namespaces}

    def links(self, pid: int) -> dict[str, int | None]:
        """The inodes of a process's namespaces, by the links of /proc/PID/ns; None where one leads nowhere.

        So does pid_for_children after unshare(2), until there is a child (namespaces(7)).
        """
        found: dict[str, int | None] = {}
        for link in os.listdir(f"/proc/{pid}/ns"):
            try:
                found[link] = os.stat(f"/proc/{pid}/ns/{link}").st_ino
            except FileNotFoundError:
                found[link] = None
        return found

    # ---- a child of the bare call ----

    def bare(self, kind: str, unshare: bool) -> dict[str, Any]:
        """Make a child in a new namespace of one kind, by the call itself or by unshare(2), which waits then."""
        mask = KIND_OF[kind].flag
        asked = calls.call("geteuid")
        if unshare:
            return self._made(lambda: calls.start((calls.call("unshare", mask), asked), hold=1))
        return self._made(lambda: calls.start((asked,), flags=mask, hold=0))

    def bare_euid(self) -> int | None:
        """Who the child says it is; then it ends."""
        assert isinstance(self._child, calls.Run)
        self._child.resume()
        return self._child.answers[-1].result

    def set_clock(self, pid: int) -> str:
        """Set an offset of the time namespace that a process is to enter: "done" or the errno's name."""
        try:
            with open(f"/proc/{pid}/timens_offsets", "w") as file:
                file.write(f"boottime {AHEAD} 0\n")
        except OSError as error:
            return errno.errorcode.get(error.errno or 0, str(error))
        return "done"

    # ---- times ----

    def times(self, way: str, kinds: list[str]) -> dict[str, Any]:
        """Nanoseconds of a launch, from before the call until the child has been waited for, and of its calls."""
        spec = _spec(way, kinds)
        made: list[tuple[str, int]] = []

        def whole() -> None:
            with launch(spec) as child:
                child.wait()
                made.extend((name, ns) for name, _, ns in _making(child) if ns is not None)

        return {**_timed(whole), "calls": made}

    def bare_times(self, unshare: bool, kinds: list[str]) -> dict[str, Any]:
        """The same of a child that executes nothing: one clone3 with the flags, or clone3 and then unshare."""
        mask = flags_of(frozenset(kinds))
        steps = (calls.call("unshare", mask),) if unshare else (calls.call("getpid"),)
        return _timed(lambda: calls.run(steps, flags=0 if unshare else mask))


def _making(child: Child) -> list[tuple[str, int | None, int | None]]:
    """Name, result and nanoseconds of each call of its launch that makes a process or a namespace."""
    made = (event for event in child.timeline if event.text.startswith(_MAKING))
    return [(event.text.partition("(")[0], event.result, event.duration_ns) for event in made]


def _spec(way: str, kinds: list[str]) -> Spec:
    spec = Spec(args=(PROGRAM,), stdio=Stdio.NULL, via=Mechanism(way), namespaces=frozenset(kinds))
    return replace(spec, **LOOKS["user"].new()) if "user" in kinds else spec


def _timed(whole: Callable[[], object]) -> dict[str, Any]:
    start = perf_counter_ns()
    try:
        whole()
    except (SpecError, LaunchError) as error:
        return {"refused": str(error)}
    return {"ns": perf_counter_ns() - start}


def main() -> None:
    """Serve until standard input ends."""
    made = StandIn()
    acts: tuple[Callable[..., object], ...] = (
        *(made.launch, made.inside, made.end),
        *(made.hold, made.step, made.go, made.links),
        *(made.bare, made.bare_euid, made.set_clock),
        *(made.times, made.bare_times),
    )
    try:
        serve({**ACTS, **{act.__name__: act for act in acts}})
    finally:
        made.end()


if __name__ == "__main__":
    main()
