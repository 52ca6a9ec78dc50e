"""The attempts by a caller that has a terminal of its own: what is pushed into its terminal is not pushed into ours."""

from __future__ import annotations

import json
import os
import termios
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nsview.labs.container.inside import PUSHED, Aim
from nsview.labs.container.trials import Layers, Told, tried
from spawner import Spec, Stdio, launch

_LOCAL, _CHARACTERS = 3, 6
"""Places in what tcgetattr(3) tells: the flags, and the special characters."""


@dataclass(frozen=True, slots=True)
class AtTerminal:
    """What was told there, by what was taken away, and how many of the pushed keys the caller then read."""

    told: Mapping[Layers, Told]
    pushed: int


def at_a_terminal(wanted: Mapping[Layers, tuple[Spec, Sequence[str]]], aimed: Aim) -> AtTerminal:
    """As trials.tried(), by a throw-away caller, first of a session on a terminal made for it."""
    reading, writing = os.pipe()
    with open(reading, "rb") as told, open(writing, "wb") as tells:

        def call() -> None:
            _quiet()
            found = tried(wanted, aimed)
            answers = [[*each.answers.items()] if not each.refused else each.refused for each in found.values()]
            tells.write(json.dumps([answers, _typed()]).encode())
            tells.flush()

        with launch(Spec(args=(), stdio=Stdio.PTY), entry=call) as caller:
            try:
                tells.close()
                said = told.read()
            finally:
                caller.wait()  # it takes away what it has made
    if not said:
        raise OSError("the caller with a terminal ended before it told anything")
    answers, pushed = json.loads(said)
    found = {
        removed: Told({}, refused=each) if isinstance(each, str) else Told(dict(each))
        for removed, each in zip(wanted, answers, strict=True)
    }
    return AtTerminal(found, pushed)


def _quiet() -> None:
    """What is typed is not echoed, and can be read at once, without a line's end and without waiting."""
    mode = termios.tcgetattr(0)
    mode[_LOCAL] &= ~(termios.ECHO | termios.ICANON | termios.ISIG)
    mode[_CHARACTERS][termios.VMIN] = 0
    mode[_CHARACTERS][termios.VTIME] = 0
    termios.tcsetattr(0, termios.TCSANOW, mode)


def _typed() -> int:
    return os.read(0, 1024).count(PUSHED)
