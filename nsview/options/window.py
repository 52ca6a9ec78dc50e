"""The size of our own terminal."""

from __future__ import annotations

import os


def own_size() -> tuple[int, int] | None:
    """Rows and columns of our terminal, if we have one."""
    for fd in (1, 0, 2):
        try:
            size = os.get_terminal_size(fd)
        except OSError:  # closed, or no terminal
            continue
        return size.lines, size.columns
    return None
