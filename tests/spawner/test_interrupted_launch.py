"""A signal handler may raise between any two lines of a launch (Ctrl-C's does): nothing is left behind, wherever it is.

The exception is raised by a trace function, before each line of the engine in turn until a launch gets through.
"""

from __future__ import annotations

import linecache
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from leftovers import Census

import spawner
from spawner import IDMapping, LaunchError, Mechanism, Spec, Stdio, launch
from spawner.oci import Cgroup, Resources

ENGINE = str(Path(spawner.__file__).parent) + os.sep
APART = (f"{ENGINE}thread.py",)
"""What keeps a clean-up from being interrupted, by other means."""


class HandlerError(Exception):
    pass


def _leaves_a_block(frame: FrameType) -> bool:
    """Whether it may be a ``with`` that ends: Python calls __exit__() before it looks for signals, and a trace function
    would come between.
    """
    return linecache.getline(frame.f_code.co_filename, frame.f_lineno).lstrip().startswith("with ")


@contextmanager
def raising_before(line: int) -> Iterator[list[str]]:
    """Raise HandlerError before the ``line``-th line that the engine executes in this thread; tells where."""
    where: list[str] = []
    passed = 0

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal passed
        path = frame.f_code.co_filename
        if not path.startswith(ENGINE) or path in APART:
            return None
        if event == "line" and not _leaves_a_block(frame):
            passed += 1
            if passed == line:
                where.append(f"{path.removeprefix(ENGINE)}:{frame.f_lineno}")
                raise HandlerError
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield where
    finally:
        sys.settrace(before)


def left() -> tuple[set[str], bool]:
    """Our descriptors, and whether there is any child."""
    fds = {fd for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")}
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return fds, False
    return fds, True


PLAIN = Spec(args=("/bin/true",), stdio=Stdio.PIPE)
SPECS = {
    "clone3": PLAIN,
    "clone, told by another signal": Spec(
        args=("/bin/true",), via=Mechanism.CLONE, exit_signal=signal.SIGURG, stdio=Stdio.NULL
    ),
    "fork": Spec(args=("/bin/true",), via=Mechanism.FORK, stdio=Stdio.PTY),
    "posix_spawn": Spec(args=("/bin/true",), via=Mechanism.POSIX_SPAWN, stdio=Stdio.PIPE),
    "namespaces": Spec(args=("/bin/true",), namespaces=frozenset({"mount", "pid", "time"}), stdio=Stdio.PIPE),
}
DIVIDED = {
    "fork+unshare": Spec(
        args=("/bin/true",), via=Mechanism.FORK_UNSHARE, namespaces=frozenset({"pid", "uts"}), stdio=Stdio.PIPE
    ),
    "ids by the parent, a group": Spec(
        args=("/bin/true",),
        namespaces=frozenset({"user"}),
        uid_mappings=(IDMapping(0, 0, 1000),),
        gid_mappings=(IDMapping(0, 0, 1000),),
        cgroup=Cgroup(resources=Resources(pids=10)),
        stdio=Stdio.PIPE,
    ),
}


def others_can_launch() -> None:
    """Nothing is locked: another thread launches."""
    thread = threading.Thread(target=lambda: launch(SPECS["fork"]).close(), daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive(), "a lock is held for good"


def interrupt_everywhere(spec: Spec, fails: tuple[int | str, int] | None = None) -> int:
    """Launch until no line is left to raise before; returns how many there were."""
    for line in range(1, 20_000):
        before = left()
        with raising_before(line) as where:
            try:
                child = launch(spec, inject=fails)
            except (HandlerError, LaunchError):
                child = None
        if not where:
            if child is not None:
                child.close()
            others_can_launch()
            return line - 1
        if child is not None:  # it was raised behind the launch, or swallowed
            child.close()
            raise AssertionError(f"HandlerError was swallowed at {where[0]}")
        assert left() == before, f"left behind: raised before {where[0]}"
    raise AssertionError("the launch has no end")


@pytest.mark.parametrize("name", SPECS)
def test_a_handler_that_raises_before_any_line_of_a_launch_leaves_nothing(name: str, nothing_left: Census) -> None:
    launch(SPECS[name]).close()  # what is looked up once for all
    assert interrupt_everywhere(SPECS[name]) > 50


# A file object that is left open is closed as it goes away, which Python warns of.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.needs("root")
@pytest.mark.parametrize("name", DIVIDED)
def test_so_it_is_where_the_parent_has_a_part(name: str, nothing_left: Census) -> None:
    launch(DIVIDED[name]).close()
    assert interrupt_everywhere(DIVIDED[name]) > 50


@pytest.mark.parametrize("name", ["clone3", "fork"])
def test_so_it_is_where_the_launch_fails_anyhow(name: str, nothing_left: Census) -> None:
    assert interrupt_everywhere(SPECS[name], ("execve", 5)) > 50
