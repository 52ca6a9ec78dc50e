"""Rows about launching one static program: into nothing, into six new namespaces, and from parents of two sizes."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from nsview.bench.compiler import CHILD, YARDSTICKS, build
from nsview.bench.launching import SIX, spec
from nsview.bench.peer import PEERS
from nsview.bench.row import Contest, Entry, FailedError, Setting, UnavailableError
from nsview.bench.side import Side
from nsview.host.units import bytes_text
from spawner import LaunchError, compile_spec, launch
from spawner.namespaces import KINDS

SMALL, LARGE = 50 << 20, 4 << 30
_SPARE = 1 << 30
"""Bytes of memory that a large parent leaves alone."""

_READ_BACK = ("readlinkat",) * 8
_TO_EXEC = ("close_range", "rt_sigaction", "rt_sigaction", "rt_sigprocmask", "execve")
_FILE = ("openat", "write", "close")
CALLS = {
    "none": ("openat", *_READ_BACK, *_TO_EXEC),
    "six": ("openat", *_FILE, *_FILE, *_FILE, "mount", *_READ_BACK, *_TO_EXEC),
}
"""What launches.c does in the child; compared with the plan, so that the two stay alike."""


class _Room:
    """Where the programs are built, and the sides that launch them: made when they are first asked for."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nsview-bench-")))
        self._sides: dict[object, Side] = {}
        self.program = build(self._scratch / "program", [YARDSTICKS / "contained.c"], "-static")

    def python(self, size: int = SMALL) -> Side:
        """A process of Python of this size."""
        module = [sys.executable, "-P", "-m", "nsview.bench.launching"]
        return self._side(size, lambda: [*module, str(size), str(self.program), PEERS["unshare"].path or ""])

    def plain_c(self, kind: str) -> Side:
        """The C program; raises FailedError where it would not do what the engine does."""
        planned = tuple(step.syscall for step in compile_spec(spec(kind, [str(self.program)])).steps)
        if planned != CALLS[kind]:
            raise FailedError(f"launches.c does {' '.join(CALLS[kind])}, but the plan is {' '.join(planned)}")
        reference = build(self._scratch / "reference", [YARDSTICKS / "launches.c", CHILD])
        return self._side("C", lambda: [str(reference), str(self.program)])

    def _side(self, key: object, command: Callable[[], list[str]]) -> Side:
        if key not in self._sides:
            side = self._sides[key] = Side(command())
            self._stack.callback(side.close)
        return self._sides[key]


def refused(words: list[str]) -> str | None:
    """Say why we, who are not root, may not make six namespaces; None where we may, or are root."""
    if os.geteuid() == 0:
        return None
    try:
        with launch(spec("six", words)) as child:
            child.wait()
    except LaunchError as error:
        return f"needs root, or user namespaces for all: {error}" + (f"; {error.remedy}" if error.remedy else "")
    return None


def _entry(side: Side, means: str, kind: str) -> Entry:
    """Let the side launch a program that looks where it is: in new namespaces of just those kinds that it should."""
    words = f"{means} {kind}".strip()
    found = side.look(words)
    did: dict[str, bool] = {}
    for each in KINDS:
        ours, theirs = os.readlink(f"/proc/self/ns/{each.proc}"), found.get(each.proc, "?")
        if kind == "six" and each.name in SIX:
            did[f"{each.name} namespace"] = theirs not in (ours, "?")
        elif theirs != ours:
            raise FailedError(f"its program is in the {each.name} namespace {theirs}, not in ours, {ours}")
    return Entry(lambda count: side.times(words, count), did)


def spawn(_setting: Setting, stack: ExitStack) -> Contest:
    """Into nothing new."""
    room = _Room(stack)
    return Contest(
        {
            "launch()": lambda: _entry(room.python(), "engine", "none"),
            "plain C": lambda: _entry(room.plain_c("none"), "", "none"),
            "subprocess.Popen": lambda: _entry(room.python(), "popen", "none"),
            "os.posix_spawn": lambda: _entry(room.python(), "posix_spawn", "none"),
            "fork+execv": lambda: _entry(room.python(), "fork", "none"),
        },
        note=f"from a parent of {bytes_text(SMALL)}",
    )


def namespaces(_setting: Setting, stack: ExitStack) -> Contest:
    """Into six at once."""
    room = _Room(stack)
    if why := refused([str(room.program)]):
        raise UnavailableError(why)
    return Contest(
        {
            "launch()": lambda: _entry(room.python(), "engine", "six"),
            "plain C": lambda: _entry(room.plain_c("six"), "", "six"),
            "unshare(1)": lambda: _entry(room.python(), "unshare", "six"),
            "Popen into none": lambda: _entry(room.python(), "popen", "none"),
        },
        note=f"from a parent of {bytes_text(SMALL)}",
    )


def parent(setting: Setting, stack: ExitStack) -> Contest:
    """From a small and from a large parent."""
    room = _Room(stack)
    size = setting.memory
    six = refused([str(room.program)])
    free = available()
    room_for_it = size + _SPARE <= free

    def entry(at: int, means: str, kind: str) -> Entry:
        if kind == "six" and six:
            raise UnavailableError(six)
        if at == size and not room_for_it:
            needs = f"{bytes_text(size)} of memory and {bytes_text(_SPARE)} to spare"
            raise UnavailableError(f"needs {needs}; {bytes_text(free)} are available")
        return _entry(room.python(at), means, kind)

    makers: dict[str, Callable[[], Entry]] = {}
    for name, means, kind in (
        ("launch()", "engine", "none"),
        ("into six", "engine", "six"),
        ("Popen", "popen", "none"),
        ("fork+execv", "fork", "none"),
    ):
        makers[f"{name}, small"] = partial(entry, SMALL, means, kind)
        makers[f"{name}, large"] = partial(entry, size, means, kind)
    short = f"the figure is of a parent of {bytes_text(LARGE)}; this was one of {bytes_text(size)}"
    return Contest(
        makers,
        {"memory": short} if size < LARGE else {},
        f"small: a parent of {bytes_text(SMALL)}; large: of {bytes_text(size)}, all of it written to, in small pages",
    )


def available() -> int:
    """Bytes of memory that could be had without swapping (MemAvailable of proc_meminfo(5))."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0
