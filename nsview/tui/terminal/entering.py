"""Entering a process's namespaces: what there is to enter, and the words of ``nsview enter`` that do it.

The words are read by that command's own table of options, so the screen and the command line mean the same.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from nsview import options
from nsview.commands import enter
from nsview.host.model import Identity
from nsview.host.process import PinnedProcess, ProcessGoneError
from nsview.host.shells import shell_in
from nsview.tui.launching.form import environment
from spawner import Problem, Spec, SpecError, Stdio, compile_spec
from spawner.namespaces import KINDS, NamespaceKind

_NO_SHELL = (
    "no shell is in its root directory: type the program to run, by its path inside, "
    "or leave out mount to run one of this machine"
)


@dataclass(frozen=True, slots=True)
class Door:
    """One namespace of the process: ``inode`` is None where it cannot be read, ``ours`` whether we are in it too."""

    kind: NamespaceKind
    inode: int | None
    ours: bool

    @property
    def wanted(self) -> bool:
        """Whether there is anything to enter by it."""
        return self.inode is not None and not self.ours


@dataclass(frozen=True, slots=True)
class House:
    """A process whose namespaces may be entered: who it is, its doors, the shell inside its root, and outside."""

    identity: Identity
    comm: str
    doors: tuple[Door, ...]
    shell: tuple[str, ...] | None
    own_shell: tuple[str, ...]

    @property
    def wanted(self) -> frozenset[str]:
        """The names of the namespaces that are not ours."""
        return frozenset(door.kind.name for door in self.doors if door.wanted)

    def program(self, entered: Collection[str]) -> str:
        """The shell to offer, as a command line: with the mount namespace its own, else ours; empty where none is."""
        if "mount" in entered:
            return " ".join(self.shell or ())
        return " ".join(self.own_shell)


def look(identity: Identity, comm: str) -> House:
    """Read what there is to enter. Raises ProcessGoneError, also where it is a zombie that has no namespaces left."""
    wished = os.environ.get("SHELL")
    with PinnedProcess(*identity) as process, PinnedProcess(os.getpid()) as we:
        doors = tuple(
            Door(kind, inode, inode is not None and inode == we.namespace(kind.proc))
            for kind in KINDS
            for inode in (process.namespace(kind.proc),)
        )
        shell = shell_in(process, wished)
        if not process.is_there():
            raise ProcessGoneError(*identity)
        return House(identity, comm, doors, shell, shell_in(we, wished) or ("/bin/sh",))


def words(house: House, entered: Collection[str], uid: str, gid: str, program: Sequence[str]) -> list[str]:
    """Return the words after ``nsview enter`` that do this. Pure."""
    which = [f"-{kind.letter}" for kind in KINDS if kind.name in entered]
    ids = [word for option, text in (("-S", uid), ("-G", gid)) if text for word in (option, text)]
    return ["-t", str(house.identity[0]), *which, *ids, "--", *program]


def spec_of(house: House, entered: Collection[str], uid: str, gid: str, program: Sequence[str]) -> Spec:
    """Make the Spec that does this in a terminal of its own. Raises SpecError, and ProcessGoneError.

    What is entered is the very process that was looked at: it is pinned while the command looks it up by its number,
    and what the command found goes into the Spec with its pidfd's inode.
    """
    if not program:
        raise SpecError((Problem("no program to run", _NO_SHELL),))
    if not entered:
        raise SpecError((Problem("no namespace to enter", "tick at least one"),))
    parser = _Parser(add_help=False)
    options.add_options(parser, enter.GROUPS)
    with PinnedProcess(*house.identity) as process:
        asked = parser.parse_args(enter.prepare(words(house, entered, uid, gid, program)))
        spec = enter.spec_of(asked)
        if not process.is_there():
            raise ProcessGoneError(*house.identity)
    spec = replace(spec, stdio=Stdio.PTY, env=tuple(environment(os.environ).items()))
    compile_spec(spec)
    return spec


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SpecError((Problem(message.removeprefix("argument "), ""),))
