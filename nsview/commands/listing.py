"""Tables written to standard output: as wide as they need when piped, fitted to the window on a terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence

from nsview.wording.table import UNKNOWN, Column, heading, lines, show

__all__ = ["UNKNOWN", "Column", "heading", "lines", "show", "window", "write"]


def write(columns: Sequence[Column], rows: Iterable[Sequence[str]], header: bool = True) -> None:
    """Write a listing to standard output."""
    sys.stdout.writelines(f"{line}\n" for line in lines(columns, rows, header, window()))


def window() -> int | None:
    """Return the columns of the terminal that standard output is, None when it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
