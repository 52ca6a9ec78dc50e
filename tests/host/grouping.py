"""Control groups made for a test: in whichever hierarchy has what it is about, by a name of the test's own."""

from __future__ import annotations

import errno
import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from children import end, fork_and
from leftovers import until

_numbers = itertools.count(1)
LEGACY = {"io": "blkio"}
"""What version 1 calls a controller that has another name in version 2."""


def unique() -> str:
    """A name that is nobody else's, and not one that the census of other tests looks for."""
    return f"hosttest-{os.getpid()}-{next(_numbers)}"


def mounted() -> dict[str, Path]:
    """Where hierarchies are mounted and writable: by controller or ``name=…`` of version 1, ``""`` for version 2."""
    found: dict[str, Path] = {}
    for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").split("\n")[:-1]:
        own, _, rest = line.partition(" - ")
        kind, _, options = rest.split(" ", 2)
        point = Path(own.split(" ")[4])
        if kind in ("cgroup", "cgroup2") and os.access(point, os.W_OK):
            for key in ("",) if kind == "cgroup2" else options.split(","):
                found.setdefault(key, point)
    return found


def legacy(controller: str) -> bool:
    """Whether a controller (by version 2's name) is in a hierarchy of version 1."""
    return LEGACY.get(controller, controller) in mounted()


@contextmanager
def group(key: str, name: str | None = None, below: Path | None = None) -> Iterator[Path]:
    """A new group in a hierarchy, or below another group; removed at the end, for which its processes must end."""
    directory = (mounted()[key] if below is None else below) / (name or unique())
    directory.mkdir()
    try:
        yield directory
    finally:
        remove(directory)


@contextmanager
def controlled(controller: str, name: str | None = None) -> Iterator[Path]:
    """A new group that has a controller, by version 2's name: of version 1 where that has it, else of version 2."""
    if legacy(controller):
        with group(LEGACY.get(controller, controller), name) as directory:
            yield directory
        return
    top = mounted()[""]
    switch = top / "cgroup.subtree_control"
    was_on = controller in switch.read_text().split()
    switch.write_text(f"+{controller}")
    try:
        with group("", name) as directory:
            yield directory
    finally:
        if not was_on:
            switch.write_text(f"-{controller}")


def remove(directory: Path) -> None:
    """Remove a group and those below it, the deepest first, once their processes are gone."""
    found = [directory]
    for each in found:  # no recursion: some are nested deeply
        thaw(each)
        with os.scandir(each) as entries:
            found += [each / entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    for each in reversed(found):
        assert until(lambda each=each: _removed(each)), f"processes are left in {each}"


def _removed(directory: Path) -> bool:
    try:
        directory.rmdir()
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return False
    return True


def thaw(directory: Path) -> None:
    """Let frozen processes die."""
    for file, word in (("cgroup.freeze", "0"), ("freezer.state", "THAWED")):
        if (directory / file).exists() and (directory / file).read_text().strip() != word:
            (directory / file).write_text(word)


def enter(directory: Path, pid: int = 0) -> None:
    """Put a process into a group; 0 is the one that writes."""
    (directory / "cgroup.procs").write_text(str(pid))


def spin() -> None:
    """Use up CPU time for ever."""
    while True:
        time.monotonic_ns()


@contextmanager
def member(directory: Path, action: Callable[[], object] = lambda: None) -> Iterator[int]:
    """A child that enters a group, acts, and waits there; its pid."""

    def act() -> None:
        enter(directory)
        action()

    pid, _ = fork_and(act)
    try:
        yield pid
    finally:
        end(pid)


@contextmanager
def busy(directory: Path, action: Callable[[], object]) -> Iterator[int]:
    """A child that enters a group and acts there without end; its pid."""
    pid = os.fork()
    if pid == 0:
        try:
            enter(directory)
            action()
        finally:
            os._exit(1)
    try:
        yield pid
    finally:
        end(pid)
