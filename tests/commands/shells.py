"""A shell in new namespaces that waits to be looked at."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unshared_shell(*options: str, script: str = "") -> Iterator[int]:
    """Run a shell under unshare(1) that does ``script`` and waits; its pid."""
    with subprocess.Popen(
        ["unshare", *options, "sh", "-c", "; ".join(filter(None, (script, "echo ready", "read forever")))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process.pid
        assert process.stdin
        process.stdin.close()
