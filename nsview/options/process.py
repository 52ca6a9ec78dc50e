"""Options for the process: its end and ours, its terminal, its environment, its name."""

from __future__ import annotations

import argparse
import os
import signal
from typing import Any

from nsview.options import words
from nsview.options.option import ON, Option, in_order
from nsview.options.window import own_size
from spawner import Mechanism, Spec, Stdio
from spawner.flags import BY_NAME

TITLE = "process"

_WINDOW = (24, 80)
"""The size of a terminal of its own where we have none."""

OPTIONS: tuple[Option, ...] = (
    Option(("--init",), "put a small process above it that reaps orphans and passes signals on", ON),
    Option(
        ("--kill-child",),
        "the signal for the child when nsview dies; [=SIGNAL], KILL without it and by default",
        {"nargs": "?", "const": signal.SIGKILL, "type": words.signal_number, "metavar": "SIGNAL"},
    ),
    Option(("--no-kill-child",), "let the child outlive nsview", ON),
    Option(("--forward-signals",), "pass SIGTERM and SIGINT on to the child", ON),
    Option(("--pty",), "give it a terminal of its own", {"action": argparse.BooleanOptionalAction}),
    Option(("--new-session",), "setsid(2) first", ON),
    Option(("--setenv",), "set a variable", in_order("environment", "NAME", "VALUE")),
    Option(("--unsetenv",), "remove a variable", in_order("environment", "NAME")),
    Option(("--clearenv",), "remove every variable but PWD", in_order("environment")),
    Option(("--argv0",), "what the program is told it is called", {"metavar": "NAME"}),
    Option(("--timeout",), "kill it after this long", {"metavar": "SECONDS", "type": words.duration}),
)


def fields(asked: argparse.Namespace, base: Spec) -> dict[str, Any]:
    """What these options make of a Spec."""
    made: dict[str, Any] = {
        "env": _environment(asked.environment, base.env),
        "new_session": base.new_session or asked.new_session,
        "init": base.init or asked.init,
        "pdeathsig": _death_signal(asked, base),
    }
    if asked.argv0 is not None:
        made["argv0"] = asked.argv0
    if asked.pty is not None:
        made["stdio"] = Stdio.PTY if asked.pty else Stdio.INHERIT
    if asked.pty:
        made["window"] = own_size() or _WINDOW
    return made


def _death_signal(asked: argparse.Namespace, base: Spec) -> int | None:
    """On by default where there can be one; asked for where there cannot it is the engine that refuses."""
    cannot = base.via is Mechanism.POSIX_SPAWN or base.clone_flags & BY_NAME["CLONE_PARENT"].bit
    if asked.no_kill_child or (asked.kill_child is None and cannot):
        return None
    return int(asked.kill_child or signal.SIGKILL)


def _environment(
    changes: list[tuple[str, ...]], base: tuple[tuple[str, str], ...] | None
) -> tuple[tuple[str, str], ...] | None:
    if not changes:
        return base
    env = dict(os.environ if base is None else base)
    for change in changes:
        match change:
            case "--setenv", name, value:
                env[name] = value
            case "--unsetenv", name:
                env.pop(name, None)
            case _:
                env = {name: value for name, value in env.items() if name == "PWD"}
    return tuple(env.items())
