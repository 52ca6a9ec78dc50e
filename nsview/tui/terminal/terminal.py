"""The terminal of a launched program: textual-tty's widget on a pty that we made, with a history to look back at."""

from __future__ import annotations

import time
from typing import ClassVar

from bittty import TerminalCaps
from rich.segment import Segment
from rich.style import Style as RichStyle
from textual import events
from textual.binding import Binding, BindingType
from textual.color import Color as TextualColor
from textual.geometry import Offset
from textual.message import Message
from textual.selection import Selection
from textual.strip import Strip
from textual.timer import Timer

from nsview.tui.terminal import as_xterm, keys_sent, scrolled_off
from nsview.tui.terminal.bounds import Wire, bound
from nsview.tui.terminal.chrome import ChildChrome
from nsview.tui.terminal.colours import rich_style
from nsview.tui.terminal.history import Cell, History
from nsview.tui.terminal.looking_back import LookingBack
from nsview.tui.terminal.mouse_terminal import MouseTerminal
from nsview.tui.terminal.pty_stream import FRAME, PtyStream
from nsview.tui.terminal.searching import find, occurrences

LEAVE_WITHIN = 0.25
"""Seconds between two Esc that leave the terminal. A single Esc goes to the program after that, or before the
next key: sent at once, the first of two would stay in the program's input."""


class ChildTerminal(MouseTerminal):
    """Shows one program's pty and types into it.

    ``attach`` connects it to a pty master; the widget's size becomes the pty's. Two Esc post ``Left``. ``Ended`` is
    posted when the last process has closed its side; what it wrote stays to be read. ``rung``: the bell has rung and
    nothing was typed since; ``BellChanged`` tells when that changes.
    """

    CHROME = ChildChrome
    TAKES_ALL_KEYS = True
    """As nsview/tui/panes.py asks."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(key, action, label, show=False, priority=True, id=f"terminal.{name}")
        for key, action, label, name in (
            ("shift+pageup", "look_pages(1)", "A page back", "page-back"),
            ("shift+pagedown", "look_pages(-1)", "A page on", "page-on"),
            ("shift+up", "look_lines(1)", "A line back", "line-back"),
            ("shift+down", "look_lines(-1)", "A line on", "line-on"),
            ("shift+home", "look_oldest", "The oldest line kept", "oldest"),
            ("shift+end", "look_newest", "Back to the screen", "newest"),
            ("shift+f3", "look_for", "Search in what scrolled off", "search"),
        )
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "child-terminal--mark",
        "child-terminal--thumb",
        "child-terminal--found",
        "child-terminal--match",
    }
    DEFAULT_CSS = """
    ChildTerminal {
        width: 1fr;
        height: 1fr;
        & > .child-terminal--mark { background: $warning; color: $background; text-style: bold; }
        & > .child-terminal--thumb { color: $warning; }
        & > .child-terminal--found { background: $warning; color: $background; text-style: bold underline; }
        & > .child-terminal--match { text-style: underline bold; }
        &:ansi { background: ansi_default; color: ansi_default; }
        &:ansi > .child-terminal--mark { background: ansi_default; color: ansi_yellow; text-style: bold reverse; }
        &:ansi > .child-terminal--found {
            background: ansi_default; color: ansi_yellow; text-style: bold underline reverse;
        }
        &:nocolor > .child-terminal--mark, &:nocolor > .child-terminal--found { text-style: reverse; }
    }
    """

    class Left(Message):
        """The person wants the keys back."""

    class BellChanged(Message):
        """The bell has rung, or something was typed since."""

    class SearchWanted(Message):
        """The person wants to look for a text."""

        def __init__(self, terminal: ChildTerminal) -> None:
            self.terminal = terminal
            super().__init__()

    class Ended(Message):
        """Nobody holds the other side of the pty any more."""

        def __init__(self, terminal: ChildTerminal) -> None:
            self.terminal = terminal
            super().__init__()

    def __init__(self, window: tuple[int, int] = (24, 80), *, id: str | None = None) -> None:
        """Set up; ``window``: the rows and columns that the pty has already."""
        super().__init__(command="", id=id)
        self.history = History()
        self.looking = LookingBack(self.history)
        self.rung = False
        self._wanted = ""
        self._found: int | None = None
        self._palette_gen = -1
        bound(self.board)
        as_xterm.amend(self.board)
        scrolled_off.keep(self.board, self.history)
        rows, columns = window
        self.board.resize(columns, rows)
        self._wire: Wire | None = None
        self._paint: Timer | None = None
        self._painted = 0.0
        self._escape: Timer | None = None

    # Life ----------------------------------------------------------------

    def attach(self, fd: int) -> None:
        """Show the pty whose master is ``fd``, and close that when it ends or the widget goes."""
        self.detach()
        stream = PtyStream(fd, self.feed, self._end)
        self._wire = Wire(stream)
        self.board.host.attach(self._wire)
        stream.resize(self.board.height, self.board.width)

    def detach(self) -> None:
        """Let go of the pty."""
        if self._wire is not None:
            self._wire.stream.close()
            self.board.host.detach()
            self._wire = None

    @property
    def attached(self) -> bool:
        """Whether a program can still be typed to."""
        return self._wire is not None and not self._wire.stream.closed

    def text(self) -> str:
        """Return what is on the screen, trailing blanks left out."""
        text: str = self.board.capture_text()
        return text

    def _end(self) -> None:
        self.detach()
        self.post_message(self.Ended(self))

    async def on_mount(self, event: events.Mount | None = None) -> None:
        """Take the place of the base class's, which would start a shell and two 60 Hz timers."""
        if event is not None:
            event.prevent_default()
        self._chrome.set_caps(TerminalCaps(color_depth="truecolor", background=self.background_colors[1].rgb))

    def on_unmount(self, event: events.Unmount | None = None) -> None:
        """Let go of the pty with the widget."""
        if event is not None:
            event.prevent_default()
        self.detach()

    # Output --------------------------------------------------------------

    def feed(self, data: str) -> None:
        """Show output. Paints at most once per ``FRAME``, and only when there is something to paint."""
        if self._wire is None or not data:
            return
        self._wire.feed(self.board, data)
        self._dirty = True
        if self._paint is None:
            wait = max(0.001, self._painted + FRAME - time.monotonic())
            self._paint = self.set_timer(wait, self._tick)

    def ring(self) -> None:
        """The program rings the bell."""
        if not self.rung:
            self.rung = True
            self.post_message(self.BellChanged())

    def _tick(self) -> None:
        self._paint = None
        self._painted = time.monotonic()
        self._sync = False  # a program that never ends its synchronised update must not freeze its screen
        if self.board.blitter.in_alt_screen:
            self.looking.to_end()
        if self.looking.active:
            self.refresh()
        super()._tick()

    def _blink(self) -> None:
        """The cursor does not blink: that would be two repaints a second for nothing."""

    def _check_palette(self) -> None:
        palette = self.board.palette
        if palette.generation == self._palette_gen:
            return
        self._palette_gen = palette.generation
        self._style_cache.clear()
        usual = self.board.model.palette
        for rule, now, before in (
            ("color", palette.foreground, usual.foreground),
            ("background", palette.background, usual.background),
        ):
            if now != before:
                setattr(self.styles, rule, TextualColor(*now))
            elif self.styles.inline.has_rule(rule):
                self.styles.inline.clear_rule(rule)
        self.refresh()

    # Size ----------------------------------------------------------------

    def on_resize(self, event: events.Resize) -> None:
        """Make the board, and through it the pty, as large as the widget."""
        event.prevent_default()
        if not event.size.width or not event.size.height:
            return
        scrolled_off.resize(self.board, self.history, event.size.width, event.size.height)
        if self._wire is not None:
            self._wire.resize(event.size.height, event.size.width)
        self.refresh()

    # Painting --------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """Paint a row: of the screen, or of the history where a person looks back."""
        width, height = self.size
        number = self.looking.first + y
        strip = Strip(self._segments(self._cells(number), self._cursor_in(number))).adjust_cell_length(width)
        strip = self._with_matches(self._with_selection(strip, number, width), number, width).apply_offsets(0, number)
        if not self.looking.active:
            return strip
        if y in self.looking.thumb(height):
            thumb = Segment("▐", self.get_component_rich_style("child-terminal--thumb", partial=True))
            strip = Strip.join([strip.crop(0, width - 1), Strip([thumb], 1)])
        mark = self.looking.mark()
        if y == 0 and len(mark) < width:
            style = self.get_component_rich_style("child-terminal--mark")
            strip = Strip.join(
                [strip.crop(0, width - len(mark) - 1), Strip([Segment(mark, style)]), strip.crop(width - 1)]
            )
        return strip

    def _cells(self, number: int) -> list[Cell]:
        end = self.history.end
        if number < end:
            return self.history[number].cells
        page = self.board.blitter.current_buffer
        cells: list[Cell] = page.grid[number - end] if number - end < page.height else []
        return cells

    def _cursor_in(self, number: int) -> int:
        """The column of the cursor, if it is shown in this line; else -1."""
        cursor = self.board.cursor
        return cursor.display_x if self._cursor_shown() and number == self.history.end + cursor.y else -1

    def _segments(self, cells: list[Cell], cursor: int) -> list[Segment]:
        segments: list[Segment] = []
        run: list[str] = []
        of_run = None
        for x, (style, text) in enumerate(cells):
            if x == cursor or style is not of_run:
                if run and (x == cursor or style != of_run):
                    segments.append(Segment("".join(run), self._rich(of_run)))
                    run = []
                of_run = style
            if x == cursor:
                segments.append(Segment(text, self._cursor_style(self._rich(style))))
            else:
                run.append(text)
        if run:
            segments.append(Segment("".join(run), self._rich(of_run)))
        return segments

    def _rich(self, style: object) -> RichStyle:
        cached: RichStyle | None = self._style_cache.get(style)
        if cached is None:
            cached = self._style_cache[style] = rich_style(style, self.board.palette)
        return cached

    def _cursor_style(self, base: RichStyle) -> RichStyle:
        """Swap the cell's colours: seen with any number of colours, and with none."""
        if self.board.cursor.shape == "underline":
            return base + RichStyle(underline=True)
        return base + RichStyle(reverse=not base.reverse)

    def _with_matches(self, strip: Strip, number: int, width: int) -> Strip:
        """Mark what was looked for: the line found stands out from the others."""
        spans = occurrences(self._text_of(number), self._wanted) if self._wanted else []
        if not spans:
            return strip
        name = "child-terminal--found" if number == self._found else "child-terminal--match"
        style = self.get_component_rich_style(name)
        for first, end in spans:
            if first < width:
                before, match, after = strip.divide([first, min(end, width), width])
                strip = Strip.join([before, match.apply_style(style), after])
        return strip

    # Selecting -------------------------------------------------------------

    def _with_selection(self, strip: Strip, number: int, width: int) -> Strip:
        selection = self.text_selection
        span = None if selection is None else selection.get_span(number)
        if span is None:
            return strip
        start, end = span[0], width if span[1] == -1 else span[1]
        before, selected, after = strip.divide([start, end, width])
        return Strip.join(
            [before, selected.apply_style(self.screen.get_component_rich_style("screen--selection")), after]
        )

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Return the selected text: lines by their numbers, without the blanks at their ends."""
        last = self.history.end + self.board.height - 1
        start = selection.start or Offset(0, self.history.start)
        end = selection.end or Offset(self.board.width, last)
        texts: list[str] = []
        for number in range(max(start.y, self.history.start), min(end.y, last) + 1):
            text = "".join(text for _style, text in self._cells(number))
            of_line = text[start.x if number == start.y else 0 : end.x if number == end.y else None]
            texts.append(of_line.rstrip())
        return "\n".join(texts), "\n"

    # Keys --------------------------------------------------------------------

    def on_key(self, event: events.Key) -> None:
        """Type the key into the program; a second Esc at once after the first leaves, and one where it has ended."""
        event.stop()
        event.prevent_default()
        looked_back, escaped = self.looking.active, self._take_escape()
        self._come_back()
        if event.key != "escape":
            if escaped:
                self._send_escape()
            keys_sent.send(event, self.board)
        elif escaped or not self.attached:
            self.post_message(self.Left())
        elif not looked_back:
            self._escape = self.set_timer(LEAVE_WITHIN, self._send_escape)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The keys that look back are the program's own in the alternate screen, which has nothing to look back at."""
        return not (action.startswith("look_") and self.board.blitter.in_alt_screen)

    def action_look_lines(self, back: int) -> None:
        """Go so many lines back."""
        self.looking.move(back)
        self.refresh()

    def action_look_pages(self, back: int) -> None:
        """Go so many pages back, with a line of each on the next."""
        self.action_look_lines(back * max(1, self.size.height - 1))

    def action_look_oldest(self) -> None:
        """Go to the oldest line kept."""
        self.looking.to_start()
        self.refresh()

    def action_look_newest(self) -> None:
        """Go back to the screen."""
        self.looking.to_end()
        self.refresh()

    def action_look_for(self) -> None:
        """Ask for a text to look for."""
        self.post_message(self.SearchWanted(self))

    def search(self, wanted: str, older: bool) -> bool:
        """Go to the next line with this text, older or newer than the last one found; tell whether there is one."""
        history, last = self.history, self.history.end + self.board.height - 1
        if wanted != self._wanted or self._found is None:
            self._wanted, self._found = wanted, None
            numbers = range(last, history.start - 1, -1)
        elif older:
            numbers = range(min(self._found, last + 1) - 1, history.start - 1, -1)
        else:
            numbers = range(max(self._found + 1, history.start), last + 1)
        found = find(self._text_of, numbers, wanted)
        if found is not None:
            self._found = found
            self.looking.to_end()
            self.looking.move(history.end - (found - self.size.height // 2))
        self.refresh()
        return found is not None

    def _text_of(self, number: int) -> str:
        return "".join(text for _style, text in self._cells(number)).rstrip()

    def _come_back(self) -> None:
        """Show the end again, as whenever something is typed."""
        if self._wanted:
            self._wanted, self._found = "", None
            self.refresh()
        if self.looking.active:
            self.looking.to_end()
            self.refresh()
        if self.text_selection is not None:
            self.screen.clear_selection()
        if self.rung:
            self.rung = False
            self.post_message(self.BellChanged())

    def _take_escape(self) -> bool:
        """Take back an Esc that has not been sent yet; tell whether there was one."""
        held, self._escape = self._escape, None
        if held is not None:
            held.stop()
        return held is not None

    def _send_escape(self) -> None:
        self._escape = None
        self.board.input_key("\x1b")

    def on_paste(self, event: events.Paste) -> None:
        """Paste into the program: as one bracketed piece if it asked for that, its own end mark taken out."""
        event.prevent_default()
        event.stop()
        self._come_back()
        self.board.input_paste(event.text.replace("\x1b[201~", ""))
