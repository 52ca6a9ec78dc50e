"""The terminal pane: the terminals of all launches, one in front, tabs above, and always a word on how to leave."""

from __future__ import annotations

from rich.cells import cell_len
from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import ContentSwitcher, Static

from nsview.host.text import printable
from nsview.tui.collecting.collector import Frame
from nsview.tui.desk import Desk
from nsview.tui.launching.launched import Launched
from nsview.tui.launching.wording import condition
from nsview.tui.terminal.children_bar import ChildrenBar, tab
from nsview.tui.terminal.search_line import SearchLine, SearchRow
from nsview.tui.terminal.terminal import ChildTerminal

_LEAVING = "Esc Esc leaves · F12 full screen · Shift+PgUp looks back"
_LEAVING_SHORT = "Esc Esc leaves · F12 full screen"
_ENDED = "{how} · Esc leaves"
_FULL = "F12 or Esc Esc leaves "
_FULL_ENDED = "Esc leaves "


class TerminalPane(Vertical):
    """Holds a :class:`ChildTerminal` for each launch that has a pty."""

    HELP = """
    # Terminal

    The launched program's own terminal. All keys go to the program, but these:

    | key | does |
    |---|---|
    | `Esc Esc` or `ctrl+]` | gives the keys back to nsview; one `Esc` alone goes to the program |
    | `F12` | the terminal alone on the whole screen, and back |
    | `Shift+PgUp` `Shift+PgDn` | look back at the 5,000 lines that scrolled off last, a page at a time |
    | `Shift+Up` `Shift+Down` | look back, a line at a time |
    | `Shift+Home` `Shift+End` | the oldest line, the newest |
    | `Shift+F3` | look for a text in them: Enter or Up an older line, Down a newer one, Esc done |

    Anything typed returns from looking back. A full-screen program (vim, less, htop) has no lines to look back at,
    so there these keys are its own.

    The **mouse** goes to a program that asks for it. Otherwise the wheel looks back, and a drag selects and copies.
    Hold Shift to have the terminal you sit at select instead, where it knows that.

    The tabs show every launch: number, pid, name and how it is; **bell** marks one whose bell rang. From the other
    panes `[` and `]` go to the launch before and after, and `x` closes one that has ended.

    A program cannot set nsview's title or clipboard, resize it or open links.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._states: dict[int, str] = {}

    def compose(self) -> ComposeResult:
        """Lay out the tabs, the terminals, and the line at the bottom of the full screen."""
        nothing = Static("A launched program gets its terminal here.", id="no-terminal", markup=False)
        yield ChildrenBar(id="children")
        yield ContentSwitcher(nothing, initial="no-terminal", id="terminals")
        yield SearchRow()
        yield Static(id="full-screen-line", markup=False)

    def on_mount(self) -> None:
        """Follow the launches, and their states."""
        self._desk.on_launch.subscribe(self, self._show_front, immediate=True)
        self._desk.on_frame.subscribe(self, self._note_states)

    @property
    def _switcher(self) -> ContentSwitcher:
        return self.query_one("#terminals", ContentSwitcher)

    @property
    def window(self) -> tuple[int, int]:
        """Rows and columns that a new terminal will have; where it is hidden now, those it would have alone."""
        size = self._switcher.size
        return (size.height, size.width) if size else (self.app.size.height - 5, self.app.size.width - 2)

    async def add(self, number: int, pty: int) -> None:
        """Give a launch its terminal; ``pty`` is the pane's from here on."""
        terminal = ChildTerminal(self.window, id=f"terminal-{number}")
        await self._switcher.add_content(terminal)
        terminal.attach(pty)

    def close(self, number: int) -> None:
        """Take a launch's terminal away."""
        self._states.pop(number, None)
        self.query(f"#terminal-{number}").remove()

    def terminal_of(self, number: int) -> ChildTerminal | None:
        """Return a launch's terminal, if it has one."""
        return next(iter(self.query(f"#terminal-{number}").results(ChildTerminal)), None)

    # What is shown ---------------------------------------------------------

    def _show_front(self, launched: Launched | None) -> None:
        terminal = None if launched is None else self.terminal_of(launched.number)
        self._switcher.current = "no-terminal" if terminal is None else terminal.id
        self.show_launches()

    def _note_states(self, frame: Frame) -> None:
        records = frame.snapshot.records
        states: dict[int, str] = {}
        for one in self._desk.launches:
            record = records.get(one.pid)
            if one.exit is None and record is not None and record.start_time == one.start_time:
                states[one.number] = record.state
        if states != self._states:
            self._states = states
            self.show_launches()

    def show_launches(self) -> None:
        """Show how the launches stand: in the tabs, in the border and in the full screen's line."""
        launches = self._desk.launches
        rung = {one.number for one in launches if (it := self.terminal_of(one.number)) is not None and it.rung}
        self.query_one(ChildrenBar).show([*launches], launches.chosen, self._states, rung)
        front = launches.front
        self.border_subtitle = "" if front is None else self._hint(front)
        self._draw_line(front)

    def _hint(self, front: Launched) -> str:
        if front.exit is not None:
            return printable(_ENDED.format(how=condition(front)))
        if self.has_focus_within:
            return _LEAVING if self.size.width > len(_LEAVING) + 4 else _LEAVING_SHORT
        return printable(f"{front.pid} {condition(front, self._states.get(front.number, ''))}")

    def _draw_line(self, front: Launched | None) -> None:
        line = self.query_one("#full-screen-line", Static)
        if front is None or not self.screen.has_class("-full-screen"):
            return
        left = tab(front, self._states.get(front.number, ""))
        right = _FULL if front.exit is None else _FULL_ENDED
        gap = self.app.size.width - cell_len(left) - cell_len(right)
        line.update(Content(f"{left}{' ' * max(1, gap)}{right}"))

    @on(ChildTerminal.BellChanged)
    def _bell_changed(self, message: ChildTerminal.BellChanged) -> None:
        message.stop()
        self.show_launches()

    @on(ChildTerminal.SearchWanted)
    def _begin_search(self, message: ChildTerminal.SearchWanted) -> None:
        message.stop()
        self.query_one(SearchRow).open()

    @on(SearchLine.Wanted)
    def _search(self, message: SearchLine.Wanted) -> None:
        message.stop()
        terminal = self._front_terminal
        if terminal is not None and message.text and not terminal.search(message.text, message.older):
            self.notify(
                f"No {'older' if message.older else 'newer'} line has {printable(message.text)}",
                timeout=2,
                markup=False,
            )

    @on(SearchLine.Left)
    def _end_search(self, message: SearchLine.Left) -> None:
        message.stop()
        self.query_one(SearchRow).close()
        if self._front_terminal is not None:
            self._front_terminal.focus()

    @property
    def _front_terminal(self) -> ChildTerminal | None:
        shown = self._switcher.visible_content
        return shown if isinstance(shown, ChildTerminal) else None

    def on_descendant_focus(self, _event: events.DescendantFocus) -> None:
        """The keys are the program's now: say how to get them back."""
        self.show_launches()

    def on_descendant_blur(self, _event: events.DescendantBlur) -> None:
        """The keys are ours again."""
        self.call_after_refresh(self.show_launches)

    def on_resize(self) -> None:
        """Fit what is said to the room."""
        self.show_launches()
