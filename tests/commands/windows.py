"""nsview's command line in a terminal of a given width."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
import termios


def shown_in_window(columns: int, *words: str, **environment: str) -> list[str]:
    """Run nsview with a terminal of this width as its standard output; return the lines it wrote."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, columns))
    own = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
    command = [sys.executable, "-m", "nsview", *words]
    with subprocess.Popen(command, stdout=slave, env={**own, **environment}) as process:
        os.close(slave)
        pieces = []
        with (
            os.fdopen(master, "rb", buffering=0) as terminal,
            contextlib.suppress(OSError),
        ):  # EIO ends a terminal
            while piece := terminal.read(65536):
                pieces.append(piece)
    assert process.returncode == 0
    return b"".join(pieces).decode().splitlines()
