"""Programs that act inside somebody's namespaces, say so, and wait to be looked at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any


@contextmanager
def acting(pid: int, code: str, kinds: str = "n") -> Iterator[subprocess.Popen[str]]:
    """Run Python ``code`` in namespaces (nsenter(1)'s letters) of a process; it waits after that until we are done."""
    words = [*entering(pid, kinds), sys.executable, "-I", "-c", f"{code}\nprint('ready', flush=True)\ninput()"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            assert process.stdout.readline() == "ready\n", "it failed; its words are above"
            yield process
        finally:
            process.stdin.write("\n")
            process.stdin.close()


def entering(pid: int, kinds: str = "n") -> Sequence[str]:
    """The words before a command that runs in namespaces of a process."""
    return ["nsenter", f"--target={pid}", *(f"-{letter}" for letter in kinds), "--"]


def told(pid: int, *command: str, kinds: str = "n") -> str:
    """What a command prints in namespaces of a process."""
    return subprocess.check_output([*entering(pid, kinds), *command], text=True, errors="surrogateescape")


def documents(pid: int, *command: str, kinds: str = "n") -> Any:
    """The JSON that a command prints in namespaces of a process."""
    return json.loads(told(pid, *command, kinds=kinds))


@contextmanager
def shell(*options: str, script: str = "") -> Iterator[int]:
    """Run ``script`` in a shell under unshare(1) with options; the shell's pid as we see it, until we are done."""
    words = ["unshare", *options, "sh", "-c", f"{script}\necho ready; read forever"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            assert process.stdout.readline() == "ready\n", "it failed; its words are above"
            if "--fork" in options:
                with open(f"/proc/{process.pid}/task/{process.pid}/children") as file:
                    yield int(file.read())
            else:
                yield process.pid
        finally:
            process.stdin.close()


@contextmanager
def opened(pid: int, *names: str) -> Iterator[tuple[int, ...]]:
    """Descriptors of namespaces of a process, by their names in /proc."""
    fds = tuple(os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in names)
    try:
        yield fds
    finally:
        for fd in fds:
            os.close(fd)


@contextmanager
def kept(*names: str, options: Sequence[str], script: str = "") -> Iterator[tuple[int, ...]]:
    """Descriptors of namespaces, by their names in /proc, whose processes have come and gone."""
    with ExitStack() as stack:
        with shell(*options, script=script) as pid:
            fds = stack.enter_context(opened(pid, *names))
        yield fds
