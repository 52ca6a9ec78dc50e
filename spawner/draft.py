"""A plan under construction: what it is made for, and the steps so far."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from spawner.kernel import Facts
from spawner.plan import (
    PLAIN,
    Action,
    Argument,
    Bearing,
    Held,
    Look,
    Named,
    Preparation,
    ReadBack,
    Result,
    Slot,
    Step,
    Undo,
)
from spawner.spec import Spec

AT_FDCWD = Named(-100, "AT_FDCWD")
AT_EMPTY_PATH = Named(0x1000, "AT_EMPTY_PATH")
NULL = Named(0, "NULL")
O_PATH_DIR = Named(os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, "O_PATH|O_DIRECTORY|O_CLOEXEC")
O_WRITE = Named(os.O_WRONLY | os.O_CLOEXEC, "O_WRONLY|O_CLOEXEC")
O_READ = Named(os.O_RDONLY | os.O_CLOEXEC, "O_RDONLY|O_CLOEXEC")


@dataclass(slots=True)
class Draft:
    """What a part of a plan adds to.

    ``flags`` are those of the call that makes the child (0: it takes none), ``facts`` what this kernel and this
    process bring, ``paths`` where the program may be; ``proc_directory`` is /proc as it was before other mounts were
    entered. add() returns a reference to the new step's result.
    """

    spec: Spec
    flags: int
    asked: frozenset[str]
    hold: bool
    facts: Facts
    paths: tuple[str, ...]
    steps: list[Step] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    ns_directory: Result | None = None
    proc_directory: Result | None = None
    read_back: list[tuple[str, int]] = field(default_factory=list)
    clocks: list[tuple[int, int]] = field(default_factory=list)
    checks: list[ReadBack] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    entry: bool = False
    preparations: list[Preparation] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)

    def add(
        self,
        label: str,
        syscall: str,
        *args: Argument,
        phase: str,
        why: str = "",
        path: str | None = None,
        tolerated: tuple[int, ...] = (),
        bearing: Bearing = PLAIN,
        only_if: Result | None = None,
        unless: Result | None = None,
    ) -> Result:
        """Append a step; the fields are Step's."""
        self.steps.append(Step(label, syscall, args, phase, why, path, tolerated, bearing, only_if, unless))
        return Result(len(self.steps) - 1)

    def write_file(self, path: str, text: str, *, phase: str, label: str) -> None:
        """Three steps: open, one write(2) for the whole text (the kernel demands it of id maps), close."""
        raw = text.encode()
        fd = self.add(f"open {label}", "openat", AT_FDCWD, path, O_WRITE, 0, phase=phase, path=path)
        self.add(f"write {label}", "write", fd, raw, len(raw), phase=phase, path=path)
        self.add(f"close {label}", "close", fd, phase=phase, path=path)

    def act(
        self,
        label: str,
        text: str,
        does: Callable[[Held], Undo | None],
        *,
        phase: str,
        path: str | None = None,
        lasting: bool = False,
    ) -> None:
        """Let the parent do something here, between the last step and the next; the fields are Action's."""
        self.actions.append(Action(len(self.steps), label, text, does, phase, path, lasting))

    def prepare(self, preparation: Preparation) -> None:
        """Let the parent make something before there is a child."""
        self.preparations.append(preparation)

    def expect(self, what: str, step: Result, wanted: str | Slot, found: Callable[[int, bytes], str | None]) -> None:
        """Compare what a step read with what was asked for; the fields are ReadBack's."""
        self.checks.append(ReadBack(what, step.step, wanted, found))

    def look(self, look: Look) -> None:
        """Let the parent look at the child once it runs its program."""
        self.looks.append(look)
