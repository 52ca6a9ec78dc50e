"""The diff panel: how a child differs from its parent, or any process from another, row by row, and why."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from nsview.host.difference import MORE, SECTIONS, DiffRow
from nsview.host.model import Identity
from nsview.host.snapshot import Snapshot
from nsview.host.text import printable
from nsview.tui.collecting.collector import Frame
from nsview.tui.desk import Desk
from nsview.tui.diff.comparer import Comparer, Comparison, Order
from nsview.tui.diff.grid import DiffGrid
from nsview.tui.diff.lines import (
    ABOUT,
    FOLDED_AT_FIRST,
    SHARING,
    TREND,
    Heading,
    Line,
    counted,
    lines_of,
    name_of,
    shown,
    texts_of,
)
from nsview.tui.diff.mark import Mark, Usages, mark, since
from nsview.tui.diff.pair import Pair
from nsview.tui.diff.subtree import Subtrees, subtree_rows
from nsview.tui.diff.trail import Look, Trail, Trend, io_rate, look
from nsview.tui.diff.whole_value import WholeValue, whole
from nsview.tui.launching.wording import launch_ending
from nsview.tui.seen import is_seen

NOTHING_TO_COMPARE = "Put the cursor on a process to see how it differs from its parent, or launch one."


class DiffPanel(Vertical):
    """Compares two processes while it is shown; the line under the cursor says why.

    :meth:`compare` names the two. :meth:`expect`, :meth:`show`, :meth:`keep` and :meth:`clear` say what is drawn:
    that they are being read, what was read, that one of them is gone, that there is nothing to compare.
    """

    HELP = """
    # Parent and child

    What the child has of its own and what it shares with its parent. `≠` marks what differs, `?` what the
    kernel does not let us know; a namespace has the number that the tree gives it, `#1` is the machine's own.
    Below: why the row under the cursor is as it is, and the file or call it was read from.

    | key | does |
    |---|---|
    | `Enter` | fold or unfold a section; on a row, all of its value (`w` too) |
    | `←` `→` | fold, unfold; from a row to its heading |
    | `d` | only what differs, or all |
    | `b` | set a mark: counters then show what was added since, `*` marks other values; again takes it away |
    | `s` | use of the processes themselves, or summed over all their descendants (`S` while a child is held) |
    | `v` | the other way round |
    | `y` | copy what is listed |
    | `Esc` | let a pair go that was chosen by hand |

    Two processes of your choice: tag both in the tree (`Space`), or mark one (`m`) and put the cursor on the
    other, then press `D`; they stay until you let them go.
    Sections at the end cost more to read, and are read while they are unfolded.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "toggle_only_differences", "Only ≠", id="diff.only-differences", tooltip="only what differs"),
        Binding("b", "mark", "Mark", show=False, id="diff.mark", tooltip="what is added from now on"),
        Binding("s", "subtrees_unless_held", "Subtrees", show=False, id="diff.subtrees"),
        Binding("S", "subtrees", "Subtrees", show=False, id="diff.subtrees-always"),
        Binding("v", "swap", "Swap", show=False, id="diff.swap", tooltip="the other way round"),
        Binding("y", "copy", "Copy", show=False, id="diff.copy"),
        Binding("escape", "release", "Let go", show=False, id="diff.release"),
    ]

    DEFAULT_CSS = """
    DiffPanel {
        background: $surface;
        & > #diff-title { height: 1; text-style: bold; text-wrap: nowrap; text-overflow: ellipsis; }
        & > #diff-why { height: 4; border-top: solid $panel; color: $foreground; }
        &.-short > #diff-why { height: 3; }
        &.-tall > #diff-why { height: 6; }
    }
    """

    class Released(Message):
        """A person lets go of the two that were chosen by hand: compare by the cursor again."""

    def __init__(self, desk: Desk, *, id: str | None = None, classes: str | None = None) -> None:
        """Begin with the sentence that says what to do."""
        super().__init__(id=id, classes=classes)
        self.only_differences = False
        """Whether rows known to be the same are left out."""
        self.held = False
        """Whether the two were chosen by hand, so that the cursor does not choose others."""
        self.subtrees = False
        """Whether usage is summed over descendants."""
        self.pair: Pair | None = None
        """The two that are compared."""
        self._desk = desk
        self._comparer = Comparer(self)
        self._folded = set(FOLDED_AT_FIRST)
        self._note = NOTHING_TO_COMPARE
        self._snapshots: tuple[Snapshot, Snapshot | None] | None = None
        self._begin(None)

    def _begin(self, names: tuple[str, str] | None) -> None:
        """Forget what was known of the last two."""
        self._names = names
        self._ended = ""
        self._rows: tuple[DiffRow, ...] = ()
        self._usages: Usages = (None, None)
        self._summed: Subtrees | None = None
        self._mark: Mark | None = None
        self._trail, self._summed_trail = Trail(), Trail()

    def compose(self) -> ComposeResult:
        """Title, grid, and the lines about the row under the cursor."""
        yield Static(id="diff-title", markup=False)
        yield DiffGrid(self._desk.ordinals, self._fold)
        yield Static(id="diff-why", markup=False)

    def on_mount(self) -> None:
        """Begin to follow the machine."""
        self._comparer.start()
        self._desk.on_frame.subscribe(self, self._looked)
        self._desk.on_launch.subscribe(self, lambda _launched: self._ask())
        self._draw()

    def on_unmount(self) -> None:
        """End the thread."""
        self._comparer.stop()

    def on_show(self) -> None:
        """Read at once what was not read while nobody saw it."""
        self._ask()

    def on_descendant_focus(self) -> None:
        """Do the same: where the layout was asked for in between, nobody is told that he is shown."""
        self._ask()

    def on_resize(self) -> None:
        """Give the lines about a row as much room as there is to spare."""
        self.set_class(self.size.height < 14, "-short")
        self.set_class(self.size.height >= 22, "-tall")

    # What is compared.

    @property
    def looks(self) -> int:
        """How often the two were looked at since they were chosen, as far as that is kept."""
        return len(self._trail)

    def compare(self, pair: Pair | None, names: tuple[str, str], held: bool = False) -> None:
        """Compare these two from now on, named as ``4701 sh``; ``held``: until a person lets go of them."""
        if pair != self.pair:
            self.pair = pair
            self.expect(*names)
        if held != self.held:
            self.held = held
            self._draw_title()
        self._ask()

    def expect(self, parent: str, child: str) -> None:
        """Name the two to be compared, as ``4701 sh``, while nothing is known of them yet."""
        self._begin((printable(parent), printable(child)))
        self._note = "Reading both from the kernel…"
        self._update()

    def show(self, rows: Sequence[DiffRow]) -> None:
        """Show the rows of the two named last."""
        self._rows, self._ended = tuple(rows), ""
        self._note = "Nothing is known of these two."
        self._update()

    def keep(self, how: str) -> None:
        """Keep the last values and say how the one that is gone ended, as ``exited 3``."""
        self._ended = printable(how)
        if not self._rows:
            self._note = f"Nothing was read before the end: {self._ended}."
        self._update()

    def clear(self, note: str = NOTHING_TO_COMPARE) -> None:
        """Show nothing but a sentence that says what to do."""
        self.pair, self.held = None, False
        self._comparer.ask(None)
        self._begin(None)
        self._note = printable(note)
        self._update()

    def _ask(self) -> None:
        """Have the two read, unless nobody would see it."""
        if self.pair is None or not is_seen(self):
            return
        wanted = frozenset((*SECTIONS, *(section for section in MORE if section not in self._folded)))
        machine = None
        if self.subtrees and self._snapshots is not None:
            machine = (*self._snapshots, None if self._mark is None else self._mark.machine)
        self._comparer.ask(Order(self.pair, wanted, machine))

    def _looked(self, frame: Frame) -> None:
        """Take a new snapshot: note what the two did, and have them read anew."""
        if self._snapshots is not None and frame.snapshot is self._snapshots[0]:
            return  # the same picture, arranged otherwise
        history = frame.rows.history
        self._snapshots = (frame.snapshot, None if history is None else history.before)
        if self.pair is None:
            return
        self._trail.note(self._look_at(frame, self.pair.parent), self._look_at(frame, self.pair.child))
        if self.subtrees and is_seen(self):
            self._summed_trail.note(None, None)
        self._ask()

    @staticmethod
    def _look_at(frame: Frame, identity: Identity) -> Look | None:
        record, history = frame.snapshot.records.get(identity[0]), frame.rows.history
        if record is None or record.identity != identity or history is None:
            return None
        return look(history.change(record), record.rss)

    def on_comparer_compared(self, message: Comparer.Compared) -> None:
        """Show what was read."""
        message.stop()
        found = self._comparer.take()
        if found is None:
            return
        if found.rows is not None:
            self._take(found)
        elif found.missing is not None:
            launched = self._desk.launches.of(found.missing)
            self.keep("gone" if launched is None or launched.exit is None else launch_ending(launched))

    def _take(self, found: Comparison) -> None:
        if self._usages[0] != found.usages[0] or self._usages[1] != found.usages[1]:
            one, two = (io_rate(*sides) for sides in zip(self._usages, found.usages, strict=True))
            self._trail.note_io(one, two)
        self._usages = found.usages
        if found.subtrees is not None:
            self._summed = found.subtrees
            self._summed_trail.complete(*found.subtrees.looks)
        assert found.rows is not None
        self.show(found.rows)

    # What is drawn.

    @property
    def title(self) -> str:
        """Who is compared with whom, and how."""
        if self._names is None:
            return "Diff"
        parent, child = self._names
        parts = [f"Diff {parent} → {child}"]
        if self._ended:
            parts.append(f"✝ {self._ended}")
        if self.held:
            parts.append("held, Esc lets go")
        if self._mark is not None:
            parts.append(f"Δ since {self._mark.at}")
        if self.subtrees:
            parts.append("Σ subtrees")
        return "  ".join(parts)

    def lines(self) -> tuple[Line, ...]:
        """Return what there is to draw, by what a person wants to see of it."""
        rows, notes = self._rows, {}
        if self.subtrees and self._summed is not None:
            rows = (*(row for row in rows if row.section != "usage"), *subtree_rows(self._summed))
            notes["usage"] = "self and all descendants"
        elif self._mark is not None:
            found = since(self._mark.usages, self._usages, frozenset(row.section for row in rows))
            kept = (row for row in rows if row.section not in ("usage", "delays"))
            rows = (*kept, *found)
        if self._mark is not None:
            notes["usage"] = f"{notes.get('usage', 'added')} since {self._mark.at}"
        trail = self._summed_trail if self.subtrees else self._trail
        notes[TREND] = f"{len(trail)} looks" + (", of the subtrees" if self.subtrees else "")
        return lines_of(rows, self.only_differences, self._folded, trail.lines() if len(trail) else (), notes)

    def _update(self) -> None:
        if self.is_mounted:
            self._draw()

    def _draw_title(self) -> None:
        if self.is_mounted:
            self.query_one("#diff-title", Static).update(self.title)

    def _draw(self) -> None:
        lines = self.lines()
        note = self._note if not self._rows else "Nothing differs. Press d to see all that was compared."
        self._draw_title()
        self.query_one(DiffGrid).show(lines, note, self._changed(lines))

    def _changed(self, lines: Sequence[Line]) -> frozenset[tuple[str, str]]:
        """Return the names of rows that are other than at the mark; counters say so themselves."""
        if self._mark is None:
            return frozenset()
        found = (line for line in lines if isinstance(line, DiffRow) and line.section not in ("usage", "delays"))
        return frozenset((row.section, row.attribute) for row in found if self._mark.changed(row))

    def on_diff_grid_line_highlighted(self, event: DiffGrid.LineHighlighted) -> None:
        """Say why the line under the cursor is as it is."""
        event.stop()
        self.query_one("#diff-why", Static).update(self._explained(event.line))

    def _explained(self, line: Line | None) -> Content:
        match line:
            case DiffRow():
                then = None if self._mark is None else self._mark.values.get((line.section, line.attribute))
                told = explanation(line)
                if then is not None and name_of(line) in self._changed((line,)):
                    told += Content(f"\nat the mark: {shown(then[0])} → {shown(then[1])}")
                return told
            case Trend():
                one, two = line.newest()
                return Content.assemble(
                    (f"{line.measure.name}: {line.measure.why}", "bold"),
                    f"\nnow {one} → {two}; both drawn on one scale\n",
                    (line.measure.source, "dim"),
                )
            case Heading():
                return Content.assemble((f"{line.section}: {ABOUT[line.section]}", "bold"), f"\n{counted(line)}")
        return Content("")

    # Keys.

    def _fold(self, section: str, folded: bool) -> None:
        """Fold or unfold a section; what was not read yet is read now."""
        if folded:
            self._folded.add(section)
            if section in MORE:  # it is not kept up to date from here on
                self._rows = tuple(row for row in self._rows if row.section != section)
        else:
            self._folded.discard(section)
            self._ask()
        self._update()

    def on_diff_grid_whole(self, event: DiffGrid.Whole) -> None:
        """Open a view of all of the row."""
        event.stop()
        names = self._names or ("parent", "child")
        self.app.push_screen(WholeValue(whole(event.line, names)))

    def action_toggle_only_differences(self) -> None:
        """Show only rows that differ, or all."""
        self.only_differences = not self.only_differences
        self._update()

    def action_mark(self) -> None:
        """Set the mark, from which on counters count; or take it away."""
        if self._mark is not None:
            self._mark = None
        elif self._rows:
            machine = None if self._snapshots is None else self._snapshots[0]
            self._mark = mark(time.strftime("%H:%M:%S"), self._usages, self._rows, machine)
        else:
            self.notify("Nothing was read yet that a mark could be set on.", severity="warning")
        self._summed = None
        self._ask()
        self._update()

    def action_subtrees(self) -> None:
        """Sum up usage over descendants, or not."""
        self.subtrees = not self.subtrees
        self._summed = None
        self._ask()
        self._update()

    def action_subtrees_unless_held(self) -> None:
        """Do the same: the key is that of the debugger while a launch is held."""
        self.action_subtrees()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave ``s`` to a held child, and Escape to others when there is nothing to let go."""
        if action == "subtrees_unless_held":
            front = self._desk.launches.front
            return front is None or front.held is None
        if action == "release":
            return self.held
        return True

    def action_swap(self) -> None:
        """Compare the other way round."""
        if self.pair is None or self._names is None:
            return
        self.pair = self.pair.swapped
        self._names = (self._names[1], self._names[0])
        self._usages = (self._usages[1], self._usages[0])
        self._mark = None if self._mark is None else self._mark.swapped
        self._trail.swap()
        self._summed_trail.swap()
        self._summed = None
        self._rows = ()
        self._note = "Reading both from the kernel…"
        self._ask()
        self._update()

    def action_copy(self) -> None:
        """Copy what is listed to the clipboard."""
        self.app.copy_to_clipboard(f"{self.title}\n{texts_of(self.query_one(DiffGrid).lines)}\n")
        self.notify("Copied: what is listed, with tabs between the columns.")

    def action_release(self) -> None:
        """Let go of two that were chosen by hand."""
        self.held = False
        self._draw_title()
        self.post_message(self.Released())


def explanation(row: DiffRow) -> Content:
    """Word what a row means, its values in full, and where they were read."""
    both = shown(row.parent)
    if row.section == "sharing":
        both = SHARING[row.same]
    elif row.parent != row.child:
        both += f" → {shown(row.child)}"
    if row.delta:
        both += f" ({printable(row.delta)})"
    return Content.assemble((f"{row.attribute}: {row.why}", "bold"), "\n", both, "\n", (row.source, "dim"))
