"""Real processes to look at: forked, launched by unshare(1), or without privileges."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from children import drop_privileges, end, fork_and


@pytest.fixture
def forked() -> Iterator[Callable[..., tuple[int, Any]]]:
    """children.fork_and(), whose children end with the test."""
    with ExitStack() as stack:

        def fork(action: Callable[[], Any] = lambda: None) -> tuple[int, Any]:
            pid, result = fork_and(action)
            stack.callback(end, pid)
            return pid, result

        yield fork


@pytest.fixture
def unshared() -> Iterator[Callable[..., int]]:
    """Run ``script`` in a shell under unshare(1) with options; return the shell's pid, seen from here."""
    with ExitStack() as stack:

        def launch(*options: str, script: str = "") -> int:
            process = subprocess.Popen(
                ["unshare", *options, "sh", "-c", f"{script}\necho ready; read forever"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            assert process.stdin
            assert process.stdout
            stack.callback(process.wait)
            stack.callback(process.stdout.close)
            stack.callback(process.stdin.close)  # the shell reads its end and leaves, and unshare(1) after it
            assert process.stdout.readline() == "ready\n", "unshare(1) failed; its words are above"
            if "--fork" not in options:
                return process.pid
            with open(f"/proc/{process.pid}/task/{process.pid}/children") as file:
                return int(file.read())

        yield launch


@pytest.fixture
def as_nobody() -> Callable[[Callable[[], Any]], Any]:
    """Run an action in a child without any privilege and return its result; needs root.

    A fork, for another user could not start an interpreter that lives below /root.
    """

    def run(action: Callable[[], Any]) -> Any:
        def drop_and_act() -> Any:
            drop_privileges()
            return action()

        pid, result = fork_and(drop_and_act)
        end(pid)
        return result

    return run
