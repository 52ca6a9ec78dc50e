"""Launches that never were: a plan of seven steps and timelines whose every nanosecond is given."""

from __future__ import annotations

import signal
from typing import Any

from nsview.tui.launching.launched import Launched
from spawner import Event, Mechanism, Plan, Spec, Stdio
from spawner.plan import Action, Result, Step

STEPS = (
    Step("open uid_map", "openat", ("/proc/self/uid_map",), "ids", why="to write it"),
    Step("write uid_map", "write", (Result(0), "0 1000 1\n"), "ids"),
    Step("close uid_map", "close", (Result(0),), "ids", only_if=Result(0)),
    Step("sethostname", "sethostname", ("box", 3), "system", why="its own name, in its own uts namespace"),
    Step("mount /proc", "mount", ("proc", "/proc"), "mounts", path="/proc", tolerated=(16,)),
    Step("signal mask", "rt_sigprocmask", (), "signals"),
    Step("execve", "execve", ("/bin/sh",), "exec"),
)

ACTION = Action(4, "move link", "move the link to the child", lambda _held: None, "network")

TOOK = (12_300, 4_560, 890, 2_100, 45_600, 400, 312_000)
"""Nanoseconds of each of STEPS."""


def plan(mechanism: Mechanism = Mechanism.CLONE3, actions: tuple[Action, ...] = ()) -> Plan:
    """A plan of STEPS."""
    return Plan(
        mechanism=mechanism,
        why="one call makes the child inside its new namespaces",
        clone_flags=0,
        flags_text="CLONE_NEWUTS|CLONE_NEWUSER",
        exit_signal=signal.SIGCHLD,
        steps=STEPS,
        asked=frozenset({"uts", "user"}),
        stdio=Stdio.NULL,
        window=(24, 80),
        pdeathsig=None,
        actions=actions,
    )


def events(
    done: int, mechanism: Mechanism = Mechanism.CLONE3, birth: int = 250_000, refused: dict[int, int] | None = None
) -> tuple[Event, ...]:
    """The call that made the child, and the first ``done`` steps right behind one another."""
    made = plan(mechanism)
    found = [Event(None, made.birth_label, "birth", made.birth, 100_000, 100_000 + birth, 4711)]
    at = 100_000 + birth
    for index, step in enumerate(STEPS[:done]):
        result = (refused or {}).get(index, 0)
        found.append(Event(index, step.label, step.phase, str(step), at, at + TOOK[index], result))
        at += TOOK[index]
    return tuple(found)


def launched(done: int, number: int = 1, **more: Any) -> Launched:
    """A launch that has done so many steps."""
    mechanism = more.pop("mechanism", Mechanism.CLONE3)
    asked: dict[str, Any] = {
        "spec": Spec(args=("/bin/sh",)),
        "plan": more.pop("plan", None) or plan(mechanism),
        "pid": 4710 + number,
        "start_time": 1000 + number,
        "namespaces": (),
        "timeline": more.pop("timeline", None) or events(done, mechanism),
        "held": done if done < len(STEPS) else None,
        "returned_ns": 180_000,
    }
    return Launched(number=number, **(asked | more))
