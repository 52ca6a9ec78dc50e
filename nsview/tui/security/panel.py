"""The security pane: what the process under the cursor could still do, and why."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from nsview.host.difference import DiffRow
from nsview.host.model import Identity
from nsview.host.text import printable
from nsview.tui.collecting.collector import Frame
from nsview.tui.desk import Desk
from nsview.tui.diff.whole_value import WholeValue, whole
from nsview.tui.security.lines import explained, lines_of, texts_of
from nsview.tui.security.list import SecurityList
from nsview.tui.security.reading import Picture, SecurityReader, Subject
from nsview.tui.seen import is_seen

NOBODY = "Put the cursor on a process to see what it could still do."
_MOST_ANCESTORS = 64


class SecurityPanel(Vertical):
    """Says of the process under the cursor what it could still do, while the pane is on the screen."""

    HELP = """
    # Security: what it could still do

    Each statement is judged by the kernel's rules for the process under the cursor: `yes`, `no`, or `?` where the
    kernel does not tell. What counts is which capability it has **over the user namespace that owns** what it would
    act on: all capabilities of a user namespace of its own are not those of root. `▼` has been lost beside its
    parent, `▲` gained. Below the statements: the facts they come from; `≠` is other than its parent's.

    A `yes` says that no rule of privilege forbids it. A seccomp filter or a security module may still: what those
    hold the kernel does not tell, so with one of them a `yes` becomes `?`.

    | key | does |
    |---|---|
    | `Enter` `w` | all of a line: the whole set, the parent's value, where it is read |
    | `d` | only what is other than its parent's, or all |
    | `y` | copy what is listed |
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "toggle_only_changes", "Only ≠", id="security.only-changes", tooltip="what its parent has not"),
        Binding("y", "copy", "Copy", show=False, id="security.copy"),
    ]

    DEFAULT_CSS = """
    SecurityPanel {
        background: $surface;
        & > #security-summary { height: auto; max-height: 3; }
        & > #security-why { height: 4; border-top: solid $panel; color: $foreground; }
        &.-short > #security-summary { max-height: 2; }
        &.-short > #security-why { height: 3; }
        &.-tall > #security-why { height: 6; }
    }
    """

    def __init__(self, desk: Desk, *, id: str | None = None, classes: str | None = None) -> None:
        """Begin with the sentence that says what to do."""
        super().__init__(id=id, classes=classes)
        self.only_changes = False
        """Whether what is as its parent has it is left out."""
        self.picture: Picture | None = None
        """What was read last of the process under the cursor."""
        self._desk = desk
        self._reader = SecurityReader(self)
        self._process: Identity | None = None

    def compose(self) -> ComposeResult:
        """The sentence about its capabilities, the list, and the lines about the one under the cursor."""
        yield Static(id="security-summary", markup=False)
        yield SecurityList(self._desk.ordinals)
        yield Static(id="security-why", markup=False)

    def on_mount(self) -> None:
        """Begin to follow the cursor of the tree."""
        self._reader.start()
        self._desk.on_process.subscribe(self, self._look_at)
        self._desk.on_frame.subscribe(self, self._again)
        self._desk.on_launch.subscribe(self, lambda _launched: self._ask())
        self._look_at(self._desk.process)
        self._draw()

    def on_unmount(self) -> None:
        """End the thread."""
        self._reader.stop()

    def on_show(self) -> None:
        """Read at once what was not read while nobody saw it."""
        self._ask()

    def on_descendant_focus(self) -> None:
        """Do the same: where the layout was asked for in between, nobody is told that he is shown."""
        self._ask()

    def on_resize(self) -> None:
        """Give the lines about a row as much room as there is to spare."""
        self.set_class(self.size.height < 16, "-short")
        self.set_class(self.size.height >= 24, "-tall")

    def _look_at(self, identity: Identity | None) -> None:
        if identity != self._process:
            self._process, self.picture = identity, None
            self._draw()
        self._ask()

    def _again(self, _frame: Frame) -> None:
        self._ask()

    def _ask(self) -> None:
        """Have it read, unless nobody would see that."""
        if self._process is None or not is_seen(self):
            return
        self._reader.ask(Subject(self._process, self._parent_of(self._process), self._landlock(self._process)))

    def _parent_of(self, identity: Identity) -> Identity | None:
        frame = self._desk.frame
        parent = None if frame is None else frame.rows.parent_of(identity)
        return self._desk.me if parent is None and self._desk.launches.of(identity) is not None else parent

    def _landlock(self, identity: Identity) -> bool | None:
        """Landlock is inherited for good: it holds all that comes from a launch of ours that asked for it."""
        at: Identity | None = identity
        for _ in range(_MOST_ANCESTORS):
            if at is None:
                return None
            launched = self._desk.launches.of(at)
            if launched is not None:
                return True if launched.spec.landlock is not None else None
            at = None if self._desk.frame is None else self._desk.frame.rows.parent_of(at)
        return None

    def on_security_reader_looked(self, message: SecurityReader.Looked) -> None:
        """Show what was read."""
        message.stop()
        picture = self._reader.take()
        if picture is None:
            return
        if picture.found is None and self.picture is not None and self.picture.found is not None:
            self._draw(gone=True)  # what was known of it stays
        else:
            self.picture = picture
            self._draw()

    def _draw(self, gone: bool = False) -> None:
        picture = self.picture
        note = NOBODY if self._process is None else "Reading it from the kernel…"
        summary = ""
        if picture is not None:
            note = (
                "It has ended, or is gone."
                if picture.found is None
                else "Nothing is other than its parent's: d shows all."
            )
            summary = (
                f"{picture.subject.process[0]}{' ✝ gone' if gone else ''}: {picture.summary}" if picture.found else ""
            )
        self.query_one("#security-summary", Static).update(Content(printable(summary)))
        self.query_one(SecurityList).show(lines_of(picture, self.only_changes), note)

    def on_security_list_line_highlighted(self, event: SecurityList.LineHighlighted) -> None:
        """Say why the line under the cursor is as it is."""
        event.stop()
        landlock = None if self.picture is None else self.picture.subject.landlock
        self.query_one("#security-why", Static).update(explained(event.line, landlock))

    def on_security_list_whole(self, event: SecurityList.Whole) -> None:
        """Open a view of all of the line."""
        event.stop()
        if isinstance(event.line, DiffRow):
            parent = None if self.picture is None else self.picture.subject.parent
            own = "the process" if self._process is None else str(self._process[0])
            text = whole(event.line, ("its parent" if parent is None else f"its parent {parent[0]}", own))
        else:
            landlock = None if self.picture is None else self.picture.subject.landlock
            text = Content.assemble((f"{event.line.finding.ability.name}\n\n", "bold"), explained(event.line, landlock))
        self.app.push_screen(WholeValue(text))

    def action_toggle_only_changes(self) -> None:
        """Show only what is other than its parent's, or all."""
        self.only_changes = not self.only_changes
        self._draw()

    def action_copy(self) -> None:
        """Copy what is listed to the clipboard."""
        lines = self.query_one(SecurityList).lines
        who = "" if self._process is None else f"process {self._process[0]}\n"
        self.app.copy_to_clipboard(f"{who}{texts_of(lines)}\n")
        self.notify("Copied: what is listed, with tabs between the columns.")
