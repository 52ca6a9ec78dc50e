"""What goes into a terminal's history and what comes back, on bittty's board alone: no pty, no screen."""

from __future__ import annotations

from bittty import Board
from bittty.style import Style
from bittty.video import WideHead

from nsview.tui.terminal import scrolled_off
from nsview.tui.terminal.history import History, line_of
from nsview.tui.terminal.looking_back import LookingBack

WIDTH, HEIGHT = 12, 4
BLANK = (Style(), " ")


class Emulated:
    """A board of twelve columns and four lines that keeps its history."""

    def __init__(self, most: int = 100) -> None:
        self.board = Board(width=WIDTH, height=HEIGHT)
        self.history = History(most)
        scrolled_off.keep(self.board, self.history)

    def feed(self, text: str) -> None:
        self.board.parser.feed(text)

    def resize(self, width: int, height: int) -> None:
        scrolled_off.resize(self.board, self.history, width, height)

    @property
    def kept(self) -> list[str]:
        return [self.history[number].text for number in range(self.history.start, self.history.end)]

    @property
    def screen(self) -> list[str]:
        page = self.board.blitter.current_buffer
        return [page.get_line_text(y).rstrip() for y in range(self.board.height)]

    @property
    def cursor(self) -> tuple[int, int]:
        return self.board.cursor.x, self.board.cursor.y


def numbered(*numbers: int) -> str:
    return "".join(f"line {number}\r\n" for number in numbers)


def test_lines_that_leave_at_the_top_are_kept_in_order() -> None:
    one = Emulated()
    one.feed(numbered(*range(6)))
    assert one.kept == ["line 0", "line 1", "line 2"]
    assert one.screen == ["line 3", "line 4", "line 5", ""]


def test_nothing_is_kept_before_the_screen_is_full() -> None:
    one = Emulated()
    one.feed("line 0\r\nline 1\r\nline 2\r\nline 3")
    assert one.kept == []


def test_colours_are_kept_with_the_text() -> None:
    one = Emulated()
    one.feed("\x1b[31mred\x1b[m plain" + "\r\n" * HEIGHT)
    (red, red_text), (_plain, text) = one.history[0].runs
    assert (red_text, text) == ("red", " plain")
    assert red.fg is not None
    assert red.fg.value == 1


def test_long_line_is_kept_as_the_rows_it_took() -> None:
    one = Emulated()
    one.feed("abcdefghijklmnop" + "\r\n" * HEIGHT)
    assert one.kept == ["abcdefghijkl", "mnop"]
    assert [one.history[number].wrapped for number in (0, 1)] == [True, False]


def test_wide_characters_come_back_as_two_cells() -> None:
    one = Emulated()
    one.feed("日本x" + "\r\n" * HEIGHT)
    assert one.kept == ["日本x"]
    texts = [text for _style, text in one.history[0].cells]
    assert texts == ["日", "", "本", "", "x"]
    assert isinstance(texts[0], WideHead)


def test_clusters_of_characters_stay_in_their_cells() -> None:
    cells = [(Style(), WideHead("e\u0301")), (Style(), ""), (Style(), "x")]
    assert line_of(cells, BLANK).cells == cells


def test_blanks_at_the_end_are_left_out_and_coloured_ones_are_not() -> None:
    one = Emulated()
    one.feed("a\x1b[44m \x1b[m  " + "\r\n" * HEIGHT)
    assert [text for _style, text in one.history[0].cells] == ["a", " "]


def test_ring_drops_the_oldest_and_numbers_go_on() -> None:
    one = Emulated(most=3)
    one.feed(numbered(*range(10)))
    assert one.kept == ["line 4", "line 5", "line 6"]
    assert (one.history.start, one.history.end) == (4, 7)


def test_region_that_begins_at_the_top_is_kept_one_further_down_is_not() -> None:
    one = Emulated()
    one.feed("\x1b[1;3r\x1b[3Htop\r\n\r\n\r\n")  # as a progress bar in the last line has it
    assert one.kept == ["", "", "top"]
    one = Emulated()
    one.feed("\x1b[2;4r\x1b[4Hbelow" + "\r\n" * 8)
    assert one.kept == []


def test_columns_scrolled_within_margins_are_not_kept() -> None:
    one = Emulated()
    one.feed("\x1b[?69h\x1b[1;5sabc\x1b[4H" + "\r\n" * 8)
    assert one.kept == []


def test_deleted_lines_and_lines_scrolled_down_are_not_kept() -> None:
    one = Emulated()
    one.feed("one\r\ntwo\x1b[H\x1b[M\x1b[2T")
    assert one.kept == []


def test_scrolling_up_by_request_is_kept_however_far() -> None:
    one = Emulated()
    one.feed("one\r\ntwo\x1b[2S")
    assert one.kept == ["one", "two"]
    one.feed("\x1b[999999999S")
    assert len(one.history) == 2 + HEIGHT


def test_alternate_screen_keeps_nothing_and_touches_nothing() -> None:
    one = Emulated()
    one.feed(numbered(0, 1, 2, 3))
    one.feed("\x1b[?1049h" + numbered(*range(20)) + "\x1b[?1049l")
    assert one.kept == ["line 0"]
    assert one.screen == ["line 1", "line 2", "line 3", ""]


def test_clear_forgets_the_history_and_erasing_the_screen_does_not() -> None:
    one = Emulated()
    one.feed(numbered(*range(6)) + "\x1b[H\x1b[2J")
    assert len(one.history) == 3
    one.feed("\x1b[3J")
    assert one.kept == []
    assert one.history.end == 3


def test_reset_forgets_the_history() -> None:
    one = Emulated()
    one.feed(numbered(*range(6)) + "\x1bc")
    assert one.kept == []


def test_smaller_screen_keeps_the_line_of_the_cursor() -> None:
    one = Emulated()
    one.feed("one\r\ntwo\r\nthree\r\n$ typed")
    one.resize(WIDTH, 2)
    assert one.screen == ["three", "$ typed"]
    assert one.cursor == (7, 1)
    assert one.kept == ["one", "two"]


def test_blank_lines_below_the_cursor_go_first() -> None:
    one = Emulated()
    one.feed("one\r\n$ ")
    one.resize(WIDTH, 2)
    assert one.screen == ["one", "$"]
    assert one.kept == []


def test_larger_screen_takes_back_what_it_can() -> None:
    one = Emulated()
    one.feed(numbered(*range(6)) + "$ ")
    one.resize(WIDTH, 6)
    assert one.screen == ["line 1", "line 2", "line 3", "line 4", "line 5", "$"]
    assert one.cursor == (2, 5)
    assert one.kept == ["line 0"]
    one.resize(WIDTH, 10)
    assert one.screen[:2] == ["line 0", "line 1"]
    assert one.cursor == (2, 6)
    assert one.kept == []


def test_there_and_back_is_the_same_screen() -> None:
    one = Emulated()
    one.feed(numbered(*range(30)) + "$ ")
    before = one.screen, one.cursor, one.kept
    for height in (1, 9, 2, 30, 3, HEIGHT):
        one.resize(WIDTH, height)
    assert (one.screen, one.cursor, one.kept) == before


def test_primary_screen_is_fitted_while_the_alternate_one_is_shown() -> None:
    one = Emulated()
    one.feed("one\r\ntwo\r\nthree\r\n$ vi\x1b[?1049h\x1b[Hinside")
    one.resize(WIDTH, 2)
    assert one.screen == ["inside", ""]
    one.feed("\x1b[?1049l")
    assert one.screen == ["three", "$ vi"]
    assert one.cursor == (4, 1)
    assert one.kept == ["one", "two"]


def test_region_of_another_size_is_forgotten() -> None:
    one = Emulated()
    one.feed("\x1b[3;4r")
    one.resize(WIDTH, 2)
    one.feed("\x1b[H" + numbered(*range(4)))
    assert one.kept[-1] == "line 2"


def test_looking_back_stays_on_its_lines_while_more_come() -> None:
    one = Emulated()
    one.feed(numbered(*range(10)))
    look = LookingBack(one.history)
    look.move(3)
    shown = look.first
    one.feed(numbered(*range(10, 14)))
    assert look.first == shown
    assert look.back == 3 + 4


def test_looking_back_ends_at_the_oldest_line_and_at_the_screen() -> None:
    one = Emulated(most=5)
    one.feed(numbered(*range(20)))
    look = LookingBack(one.history)
    look.move(1000)
    assert look.first == one.history.start
    one.feed(numbered(20, 21))
    assert look.first == one.history.start  # what it stood on was dropped
    look.move(-1000)
    assert not look.active
    assert look.first == one.history.end


def test_looking_back_ends_when_the_history_is_forgotten() -> None:
    one = Emulated()
    one.feed(numbered(*range(10)))
    look = LookingBack(one.history)
    look.to_start()
    one.feed("\x1b[3J")
    assert not look.active


def test_thumb_is_at_the_top_for_the_oldest_and_at_the_bottom_for_the_newest() -> None:
    one = Emulated()
    one.feed(numbered(*range(40)))
    look = LookingBack(one.history)
    assert look.thumb(10).stop == 10
    look.to_start()
    assert look.thumb(10).start == 0
    assert len(look.thumb(10)) == 2
