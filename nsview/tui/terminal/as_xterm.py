"""Where bittty's terminal does otherwise than xterm, and programs rely on xterm's way."""

from __future__ import annotations

from bittty import Board, constants


def amend(board: Board) -> None:
    """Have it xterm's way; call it before anything is fed."""
    blitter = board.blitter
    switch = blitter.switch_screen

    def switched(alternate: bool) -> None:
        entering = alternate and not blitter.in_alt_screen
        switch(alternate)
        if entering:  # bittty's still shows what the program before had left there; less(1) draws its lines over that
            blitter.clear_screen(constants.ERASE_ALL)

    blitter.switch_screen = switched
