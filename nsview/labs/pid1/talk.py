"""Talking to a subject: it is launched as asked, answers questions over its pipes, and is gone at the end."""

from __future__ import annotations

import json
import os
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nsview.labs.pid1 import subject
from spawner import Child, IDMapping, Spec, Stdio, launch

DEADLINE = 30.0
"""Seconds after which a subject that does not answer counts as stopped, or a thing as not coming about."""

_ENDED = "the process looked at has ended"
_NAMESPACED = frozenset({"pid"})


@dataclass(frozen=True, slots=True)
class Subject:
    """A living subject."""

    child: Child

    def ask(self, name: str, *arguments: object) -> Any:
        """Its answer. ConnectionError if it has ended instead, TimeoutError if it does not answer."""
        self.tell(name, *arguments)
        return json.loads(self._line())

    def tell(self, name: str, *arguments: object) -> None:
        """Ask what it will not live to answer."""
        assert self.child.stdin is not None
        try:
            os.write(self.child.stdin, json.dumps([name, *arguments]).encode() + b"\n")
        except BrokenPipeError:
            raise ConnectionResetError(_ENDED) from None

    def _line(self) -> bytes:
        assert self.child.stdout is not None
        poller = select.poll()
        poller.register(self.child.stdout, select.POLLIN)
        text = b""
        while not text.endswith(b"\n"):
            if not poller.poll(DEADLINE * 1000):
                raise TimeoutError("the process looked at does not answer")
            part = os.read(self.child.stdout, 65536)
            if not part:
                raise ConnectionResetError(_ENDED)
            text += part
        return text

    @property
    def answers(self) -> bool:
        """Whether it lives and goes on."""
        try:
            self.ask("identity")
        except (ConnectionError, TimeoutError):
            return False
        return True


@contextmanager
def subject_in(*, namespace: bool, init: bool = False, privileged: bool = False) -> Iterator[Subject]:
    """Launch a subject, as process 1 of a pid namespace or as an ordinary process; LaunchError if that is refused.

    ``privileged``: an ordinary one that may make a pid namespace.
    """
    spec = Spec(args=(sys.executable, "-I", "-S", subject.__file__), init=init)
    if namespace:
        spec = replace(spec, **{"namespaces": _NAMESPACED, **unprivileged()})
    elif privileged and (needed := unprivileged()):
        spec = replace(spec, **{**needed, "namespaces": frozenset({"user"})})
    with talking_to(spec) as found:
        yield found


@contextmanager
def talking_to(spec: Spec) -> Iterator[Subject]:
    """Launch what answers questions, on pipes, to end with us; LaunchError if that is refused."""
    with launch(replace(spec, stdio=Stdio.PIPE, pdeathsig=9)) as child:
        try:
            yield Subject(child)
        finally:
            child.close_stream("stdin")  # so that what is not ours to kill ends before its parent does
            child.wait(0 if stopped(child.pid) else 1.0)


def unprivileged(namespaces: frozenset[str] = _NAMESPACED) -> dict[str, Any]:
    """What a Spec for these namespaces needs besides, for who has no privilege: a user namespace."""
    if os.geteuid() == 0:
        return {}
    return {
        "namespaces": namespaces | {"user"},
        "uid_mappings": (IDMapping(0, os.geteuid()),),
        "gid_mappings": (IDMapping(0, os.getegid()),),
    }


def until(condition: Callable[[], bool]) -> bool:
    """Whether ``condition`` comes about."""
    end = time.monotonic() + DEADLINE
    never = threading.Event()
    while not (met := condition()) and time.monotonic() < end:
        never.wait(0.005)
    return met


def state(pid: int) -> str | None:
    """The letter of a process's state, None when it is gone."""
    return None if (fields := _fields(pid)) is None else fields[0]


def parent(pid: int) -> int | None:
    """The pid of its parent."""
    return None if (fields := _fields(pid)) is None else int(fields[1])


def stopped(pid: int) -> bool:
    """Whether it is stopped."""
    return state(pid) == "T"


def _fields(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(") ")[2].split()
