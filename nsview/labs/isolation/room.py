"""The stand-in and its child as the lab talks to them: launched in namespaces of its own, gone at the end."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from nsview.labs.pid1.talk import Subject, talking_to, unprivileged
from spawner import Spec
from spawner.namespaces import KINDS

HARMED = frozenset({"mount", "uts", "ipc", "network"})
"""What a child without namespaces would change of its host's: the stand-in has its own."""


class Refused(Exception):  # noqa: N818 - an answer, by which something is left out
    """The stand-in was refused a child; the text says why."""


@dataclass(slots=True)
class Host:
    """The stand-in. ``directory`` is for what it and its children do with files."""

    subject: Subject
    directory: str
    launched: int = 0

    @property
    def pid(self) -> int:
        """Its pid."""
        return self.subject.child.pid

    def ask(self, act: str, *arguments: object) -> Any:
        """What it answers; OSError where the kernel refused it a call, ConnectionError where it is gone."""
        try:
            told = self.subject.ask(act, *arguments)
        except ConnectionError:
            raise ConnectionResetError("the stand-in for the host has ended") from None
        return _answer(told)

    def made(self, act: str, *arguments: object) -> dict[str, Any]:
        """The same of a request for a child; Refused where it was refused that."""
        found: dict[str, Any] = self.ask(act, *arguments)
        if "refused" in found:
            raise Refused(found["refused"])
        return found

    def end(self) -> None:
        """Have it end its child, unless it is gone, and the child with it."""
        with suppress(ConnectionError):
            self.ask("end")


@dataclass(slots=True)
class Pair:
    """The stand-in and one child of it, or none yet (asking.Room)."""

    _host: Host
    path: str
    word: str
    child: int = 0
    groups: tuple[str, ...] = ()

    def host(self, act: str, *arguments: object) -> Any:
        """What the stand-in answers."""
        return self._host.ask(act, *arguments)

    def inside(self, act: str, *arguments: object) -> Any:
        """What the child answers."""
        return _answer(self._host.ask("inside", act, *arguments))


def _answer(told: dict[str, Any]) -> Any:
    if "errno" in told:
        if told["errno"] is None:  # no call was refused: the child is gone
            raise ConnectionResetError(told["said"])
        raise OSError(told["errno"], os.strerror(told["errno"]), told["call"])
    return told["answer"]


@contextmanager
def host() -> Iterator[Host]:
    """A stand-in, in those namespaces of its own that there are; LaunchError where that is refused."""
    own = frozenset(kind.name for kind in KINDS if kind.name in HARMED and there_is(kind.proc))
    spec = Spec(args=(sys.executable, "-P", "-m", "nsview.labs.isolation.subject"))
    spec = replace(spec, **{"namespaces": own, **unprivileged(own)})
    with tempfile.TemporaryDirectory(prefix="nsview-lab-") as directory, talking_to(spec) as subject:
        yield Host(subject, directory)


def there_is(link: str) -> bool:
    """Whether this kernel has such namespaces."""
    return os.path.exists(f"/proc/self/ns/{link}")


@contextmanager
def pair(stand_in: Host) -> Iterator[Pair]:
    """What a stand-in and a child of it have in common, before there is a child; at the end there is none again."""
    stand_in.launched += 1
    word = f"nsview-lab-{stand_in.launched:03}"
    path = os.path.join(stand_in.directory, word)
    os.mkdir(path)
    try:
        yield Pair(stand_in, path, word)
    finally:
        stand_in.end()
