"""Rows about the screen beside htop and btop: first paint, key to paint, work per refresh.

Each sample is of a program started anew, which is alone on the machine but for the crowd; all look at one interval.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from nsview.bench.births import births
from nsview.bench.crowd import crowd, reader
from nsview.bench.peer import PEERS
from nsview.bench.row import Contest, Entry, Setting, Take
from nsview.bench.screen import Screen

_LANDMARK = b"landmark"
_BIRTHS = 1000.0
_NEARLY = 0.9
"""Part of the births that must have come for the figure to be told."""
_KEYS = (b"\x1b[B", b"\x1b[A")
_SETTLING, _WATCHED = 2, 3
"""Refreshes that a program gets to settle, and those whose work is measured."""


@dataclass(slots=True)
class _Scene:
    """How the programs are started, and what is beside them. ``lacks`` is that of the Contest; takes add to it."""

    setting: Setting
    home: Path
    names: re.Pattern[bytes]
    rate: float = 0.0
    lacks: dict[str, str] = field(default_factory=dict)

    @property
    def interval(self) -> float:
        """Seconds between two refreshes."""
        return 0.5 if self.setting.quick else 2.0

    def screen(self, name: str) -> Screen:
        """Start a program."""
        # A home of its own, also where sudo says who asked: nothing of theirs is read or written.
        env = {name: value for name, value in os.environ.items() if not name.startswith("SUDO_")}
        homes = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"), str(self.home))
        env |= {**homes, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        return Screen(self._command(name), env, self.setting.stop)

    def _command(self, name: str) -> list[str]:
        match name:
            case "nsview":
                return [sys.executable, "-P", "-m", "nsview", "--interval", f"{self.interval:g}"]
            case "htop":
                return [PEERS["htop"].needed(), "--tree", "-d", f"{self.interval * 10:.0f}"]
        (self.home / "btop").mkdir(exist_ok=True)
        told = f"update_ms = {self.interval * 1000:.0f}\nproc_tree = True\n"
        (self.home / "btop" / "btop.conf").write_text(told)
        return [PEERS["btop"].needed()]

    def born(self, told: list[float]) -> AbstractContextManager[None]:
        """Processes born beside, if there are to be any."""
        return births(self.rate, told) if self.rate else nullcontext()

    def check(self, told: list[float]) -> None:
        """Note that fewer were born than the figure is about."""
        if told and told[0] < _NEARLY * self.rate:
            self.lacks["births"] = f"no more than {told[0]:.0f} of {self.rate:.0f} processes were born a second"


def _scene(setting: Setting, stack: ExitStack, *, crowded: bool = True, rate: float = 0.0) -> _Scene:
    home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nsview-bench-")))
    if crowded:
        stack.enter_context(crowd(reader(home), setting.processes, setting.stop))
    stack.enter_context(_landmark(home))
    # The first lines of a tree begin with process 1; ours is where it stands itself, which is behind the landmark.
    first = Path("/proc/1/comm").read_bytes().strip()
    scene = _Scene(setting, home, re.compile(rb"%s|kthreadd|reader|%s" % (_LANDMARK, re.escape(first))), rate)
    if crowded and setting.processes < 10_000:
        scene.lacks["processes"] = f"the figure is of 10,000 processes; this was of {setting.processes:,}"
    return scene


@contextmanager
def _landmark(home: Path) -> Iterator[None]:
    """A process with a name that nothing else on the screen has, born before a program of ours and of its parent."""
    program = home / _LANDMARK.decode()
    program.symlink_to(Path(sys.executable).resolve())
    words = [_LANDMARK.decode(), "-I", "-S", "-c", "input()"]
    with subprocess.Popen(words, executable=program, stdin=subprocess.PIPE, process_group=0) as process:
        try:
            yield
        finally:
            process.communicate(b"\n")


def _contest(scene: _Scene, take: Callable[[_Scene, str, int], list[float]], note: str) -> Contest:
    def entry(name: str) -> Entry:
        with scene.screen(name) as screen:
            screen.first_paint(scene.names)
        taken: Take = partial(take, scene, name)
        return Entry(taken)

    return Contest({name: partial(entry, name) for name in ("nsview", "htop", "btop")}, scene.lacks, note)


def _paints(scene: _Scene, name: str, count: int) -> list[float]:
    taken: list[float] = []
    for _ in range(count):
        with scene.screen(name) as screen:
            taken.append(screen.first_paint(scene.names))
    return taken


def paint(setting: Setting, stack: ExitStack) -> Contest:
    """From the start until a process is on the screen."""
    return _contest(_scene(setting, stack, crowded=False), _paints, "the machine as it is")


def paint_crowded(setting: Setting, stack: ExitStack) -> Contest:
    """The same with a crowd."""
    return _contest(_scene(setting, stack), _paints, f"{setting.processes:,} idle processes beside what runs anyway")


def _keys(scene: _Scene, name: str, count: int) -> list[float]:
    told: list[float] = []
    with scene.born(told), scene.screen(name) as screen:
        screen.first_paint(scene.names)
        screen.settle(_SETTLING * scene.interval)
        taken = [screen.key(_KEYS[number % len(_KEYS)]) for number in range(count)]
    scene.check(told)
    return taken


def keys(setting: Setting, stack: ExitStack) -> Contest:
    """From a cursor key until its answer begins, with a crowd."""
    return _contest(_scene(setting, stack), _keys, f"{setting.processes:,} idle processes beside what runs anyway")


def keys_while_born(setting: Setting, stack: ExitStack) -> Contest:
    """The same while processes are born."""
    note = f"{setting.processes:,} idle processes, and {_BIRTHS:,.0f} born a second"
    return _contest(_scene(setting, stack, rate=_BIRTHS), _keys, note)


def _refreshes(scene: _Scene, name: str, count: int) -> list[float]:
    told: list[float] = []
    taken: list[float] = []
    with scene.born(told), scene.screen(name) as screen:
        screen.first_paint(scene.names)
        screen.settle(_SETTLING * scene.interval)
        for _ in range(count):
            before = screen.cpu()
            seconds = screen.settle(_WATCHED * scene.interval)
            taken.append((screen.cpu() - before) / seconds * scene.interval)
    scene.check(told)
    return taken


def refresh(setting: Setting, stack: ExitStack) -> Contest:
    """CPU time for each refresh, with a crowd."""
    scene = _scene(setting, stack)
    note = f"{setting.processes:,} idle processes beside what runs anyway; a refresh every {scene.interval:g} s"
    return _contest(scene, _refreshes, note)


def refresh_while_born(setting: Setting, stack: ExitStack) -> Contest:
    """The same while processes are born."""
    scene = _scene(setting, stack, rate=_BIRTHS)
    note = f"{setting.processes:,} idle processes, {_BIRTHS:,.0f} born a second; a refresh every {scene.interval:g} s"
    return _contest(scene, _refreshes, note)
