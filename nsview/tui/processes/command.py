"""What the command column says of a row, in pieces of one look each: branches, name, arguments, how it ended. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len

from nsview.host.text import printable
from nsview.tui.cell_text import fitted
from nsview.tui.processes.rows import Row

FAINT, NAME, OWN, GONE, BOUNDARY, VALUE = "faint", "name", "own", "gone", "boundary", "value"
"""The looks: component classes of the table without their prefix."""

Piece = tuple[str, str]
"""A text and its look."""


def command_pieces(row: Row, width: int) -> Iterator[Piece]:
    """Yield what a row has in a command column of ``width`` cells; together exactly so many."""
    ending = f" {row.exit or 'gone'}" if row.gone else f" {row.exit}" if row.exit else ""
    branch = shortened(row.branch, width, cell_len(printable(row.record.comm) + ending) if row.gone else 0)
    lines, joint, after = branch.partition("◆")
    yield lines, FAINT
    yield joint + after, BOUNDARY
    left = width - cell_len(branch)
    if row.below is not None:
        hidden = fitted(f"▸{row.below} ", max(0, min(left, len(f"▸{row.below} "))))
        yield hidden, BOUNDARY
        left -= cell_len(hidden)
    room = max(0, left - len(ending))
    for text, look in _words(row, room):
        shown = fitted(text, min(cell_len(text), room))
        if shown:
            yield shown, FAINT if row.aside or row.gone else look
        room -= cell_len(shown)
        left -= cell_len(shown)
    yield fitted(ending, left), GONE


def _words(row: Row, room: int) -> Iterator[Piece]:
    """Yield name and arguments: the program's own name stands out, wherever in them it is."""
    record = row.record
    comm, command = printable(record.comm), row.detail.command
    look = OWN if row.own else NAME
    if record.is_kernel_thread:
        yield f"[{comm}]", FAINT
        return
    if row.thread:
        yield comm, FAINT
        return
    if command is None or not command.strip() or command == f"[{comm}]":
        yield comm, look
        return
    program, blank, arguments = command.partition(" ")
    directory, slash, base = program.rpartition("/")
    if comm and (base.lstrip("-").startswith(comm) or base.rstrip(":") == comm):
        # The directory is the first to go where there is no room for all.
        if cell_len(command) <= room:
            yield directory + slash, FAINT
        yield base, look
        yield blank + arguments, VALUE
    else:
        yield f"{comm}  ", look
        yield command, FAINT


def shortened(branch: str, width: int, needs: int) -> str:
    """Fit the tree's lines to a command of ``width`` cells, of which the text right of them ``needs`` so
    many.

    Where it is narrow a level has two cells. What is too deep loses its left part: deep names begin in one
    column.
    """
    if width < 30:
        levels = [branch[place : place + 3] for place in range(0, len(branch), 3)]
        branch = "".join("◆ " if "◆" in level else f"{level[0]} " for level in levels)
    most = max(0, min(max(width // 2, width - 18), max(4, width - needs)))
    if len(branch) <= most:
        return branch
    return "⋯" + branch[len(branch) - most + 1 :] if most else ""
