"""Processes for commands to list."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest


@pytest.fixture
def contained() -> Iterator[int]:
    """The pid of a shell in uts and user namespaces of its own."""
    with subprocess.Popen(
        ["unshare", "--user", "--map-root-user", "--uts", "sh", "-c", "echo ready; read forever"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process.pid
        assert process.stdin
        process.stdin.close()
