"""A throw-away parent: a process of its own that makes the children a lab looks at, asked over its pipes.

The module that it runs reads from standard input one request a line, a JSON array of a method's name and its
arguments, and answers each with one line of JSON (serve()). It ends when its input does, so never after us.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Protocol


class Parent:
    """Such a process. It has a process group of its own: what a terminal sends to ours is not for it.

    ``pid`` is its pid.
    """

    def __init__(self, module: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        self.pid = self._process.pid

    def ask(self, request: str, *arguments: object) -> dict[str, Any]:
        """Its answer; BrokenPipeError when it is gone."""
        assert self._process.stdout is not None
        self.tell(request, *arguments)
        answer = self._process.stdout.readline()
        if not answer:
            raise BrokenPipeError("the parent of the lab's children has ended; its message is above")
        found: dict[str, Any] = json.loads(answer)
        return found

    def tell(self, request: str, *arguments: object) -> None:
        """Ask for what it will not be there to answer."""
        assert self._process.stdin is not None
        print(json.dumps([request, *arguments]), file=self._process.stdin, flush=True)

    def close(self) -> None:
        """Let it end, and its child with it."""
        with suppress(BrokenPipeError):  # it is gone already
            self._process.communicate()


@contextmanager
def parent(module: str) -> Iterator[Parent]:
    """Such a process for as long as the block lasts."""
    made = Parent(module)
    try:
        yield made
    finally:
        made.close()


class Serving(Protocol):
    """What answers: each request is a method of it; ``close`` gives back what would outlive the process."""

    def close(self) -> None:
        """Give it back."""


def serve(subject: Serving) -> None:
    """In that process: answer until standard input ends; SIGTERM too ends it in order."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    try:
        for line in sys.stdin:
            name, *arguments = json.loads(line)
            print(json.dumps(getattr(subject, name)(*arguments)), flush=True)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        subject.close()
