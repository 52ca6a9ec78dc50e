"""What of a terminal's screen goes into its history, and what comes back: scrolling, erasing, another size.

As in xterm: a line is kept when it leaves the primary screen at the very top, over its whole width. Lines deleted in
the middle, scrolled within a region further down, or of the alternate screen are not. bittty keeps none, and cuts
the screen's end off when it gets smaller, where the person types.
"""

from __future__ import annotations

from bittty import Board, Operation
from bittty.style import Style

from nsview.tui.terminal.history import History, line_of

_ERASE_HISTORY = 3
"""ED's parameter for xterm's saved lines; clear(1) sends it."""

_BLANK = (Style(), " ")


def keep(board: Board, history: History) -> None:
    """Have what scrolls off the board's primary screen go into ``history``; call it before anything is fed."""
    blitter, registry = board.blitter, board.registry
    scroll, erase, reset = blitter.scroll, registry["ED"], registry["RIS"]

    def scrolled(lines: int) -> None:
        if lines > 0 and _leaves_at_the_top(board):
            _keep(board, history, min(lines, blitter.scroll_bottom + 1))
        scroll(lines)

    def erased(operation: Operation) -> None:
        if operation.args[0] == _ERASE_HISTORY:
            history.clear()
        else:
            erase(operation)

    def was_reset(operation: Operation) -> None:
        history.clear()
        reset(operation)

    blitter.scroll = scrolled
    registry["ED"], registry["RIS"] = erased, was_reset


def resize(board: Board, history: History, width: int, height: int) -> None:
    """Make the board that large. The line of the cursor stays: what does not fit goes into the history at the top,
    and comes back from there when there is room again.
    """
    cursor, page = board.cursor, board.blitter.primary_buffer
    inside = board.blitter.in_alt_screen  # then the primary screen's cursor is the one that was saved
    at = cursor.saved_y if inside else cursor.y
    up = min(max(0, _used(board, at) - height), at)
    down = min(max(0, height - board.height), len(history))
    if up:
        _keep(board, history, up)
        page.scroll_up(up)
        _move_cursor(board, -up, inside)
    board.resize(width, height)
    board.blitter.set_scroll_region(0, height - 1)  # as xterm: one that was set is of the old size
    if down:
        page.scroll_down(down)
        for y in reversed(range(down)):
            line = history.take_back()
            page.replace_cells(0, y, line.cells)
            page.set_line_wrapped(y, line.wrapped)
        _move_cursor(board, down, inside)


def _leaves_at_the_top(board: Board) -> bool:
    blitter = board.blitter
    whole = blitter.left_margin == 0 and blitter.right_margin == board.width - 1
    return whole and blitter.scroll_top == 0 and not blitter.in_alt_screen


def _keep(board: Board, history: History, count: int) -> None:
    page = board.blitter.primary_buffer
    for y in range(count):
        history.add(line_of(page.grid[y], _BLANK, page.is_line_wrapped(y)))


def _used(board: Board, cursor: int) -> int:
    """How many rows of the primary screen are in use: down to the cursor, or the last that is not blank."""
    page = board.blitter.primary_buffer
    used = board.height
    while used > cursor + 1 and not page.get_line_text(used - 1).strip():
        used -= 1
    return int(used)


def _move_cursor(board: Board, by: int, saved_only: bool) -> None:
    cursor = board.cursor
    cursor.saved_y = max(0, cursor.saved_y + by)
    if not saved_only:
        cursor.y += by
