"""The namespace inspector: every namespace of the machine as a list or a tree, and what is inside each."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import ContentSwitcher

from nsview.host.columns.column import by_name
from nsview.host.columns.namespaces import NAMESPACE_COLUMNS, NamespaceRow
from nsview.host.filter import Filter, parse
from nsview.host.model import Identity
from nsview.host.namespaces import Namespace
from nsview.host.snapshot import ProcessRecord
from nsview.host.text import printable
from nsview.tui.desk import Compare, Desk, GoTo
from nsview.tui.namespaces import titles
from nsview.tui.namespaces.about import reference
from nsview.tui.namespaces.arranging import View
from nsview.tui.namespaces.detail import Detail
from nsview.tui.namespaces.detail_list import DetailList
from nsview.tui.namespaces.keys import BINDINGS, HELP
from nsview.tui.namespaces.kind_bar import KindBar
from nsview.tui.namespaces.list import NamespaceList
from nsview.tui.namespaces.marking import Marks, marked, pair
from nsview.tui.namespaces.places import InList, Inside, Linked, Way
from nsview.tui.namespaces.reader import NamespaceReader, Picture, Sources, Wish
from nsview.tui.processes.filter_line import FilterLine
from nsview.tui.processes.table import ProcTable
from nsview.wording.namespace import unread_text
from spawner.namespaces import BY_LETTER, NamespaceKind

_COLUMNS = by_name(NAMESPACE_COLUMNS)


class NamespacePanel(Vertical):
    """Two faces: the list, and the detail of one namespace, by default of the process under the tree's cursor.

    Nothing is read while the pane is not to be seen.
    """

    HELP = HELP

    BINDINGS: ClassVar[list[BindingType]] = [*BINDINGS]

    DEFAULT_CSS = """
    NamespacePanel {
        background: $surface;
        & > #ns-faces { height: 1fr; }
    }
    """

    def __init__(self, desk: Desk, sources: Sources | None = None, *, id: str | None = None) -> None:
        """``sources`` tell of namespaces; None: the machine."""
        super().__init__(id=id)
        self._desk = desk
        self.reader = NamespaceReader(self, sources)
        self.way = Way()
        self.view = View()
        self.picture: Picture | None = None
        self._unfolded: frozenset[str] = frozenset()
        self._seeking: str | None = None
        self._told = False
        self._marks: Marks = ()
        self._record: ProcessRecord | None = None
        self._told_of: int | None = None
        self._heading = "Namespaces"

    # Life.

    def compose(self) -> ComposeResult:
        """The kinds, the list or the detail, and the filter."""
        yield KindBar()
        with ContentSwitcher(initial="ns-detail", id="ns-faces"):
            yield NamespaceList(self._desk.ordinals, id="ns-list")
            yield DetailList(id="ns-detail")
        yield FilterLine(_parsed, _COLUMNS, "held=mount nprocs>3 uid=root name")

    def on_mount(self) -> None:
        """Start reading with the frames."""
        self._heading = str(self.border_title or self._heading)
        self.reader.start()
        self._desk.on_frame.subscribe(self, lambda _frame: self._look())
        self._desk.on_process.subscribe(self, lambda _process: self._follow())
        self._draw()

    def on_unmount(self) -> None:
        """End the threads."""
        self.reader.stop()

    def on_resize(self) -> None:
        """Wrap notes anew."""
        self._want()

    def on_show(self) -> None:
        """Read what was not read while it was hidden."""
        self._look()

    def _look(self) -> None:
        if not self.is_on_screen or self._desk.frame is None:
            return
        self._follow()
        self.reader.look(self._desk.frame.snapshot)
        self._entitle()

    def _follow(self) -> None:
        """Take the process under the cursor, as it was last seen."""
        process, frame = self._desk.process, self._desk.frame
        self._record = None if process is None or frame is None else frame.rows.record_of(process)
        if self.is_on_screen and isinstance(self.way.here, Linked):
            self._want()

    # What is shown.

    @property
    def subject(self) -> int | None:
        """The inode of the namespace that is told of; None in the list, or where it cannot be known."""
        match self.way.here:
            case Inside(inode):
                return inode
            case Linked(letter):
                return None if self._record is None else self._record.namespace(BY_LETTER[letter].name)
            case _:
                return None

    def _want(self) -> None:
        """Ask for what is to be shown here, and show what there is of it."""
        room = self.query_one(DetailList).line_width - 2
        self.reader.want(Wish(self.view, self.subject, self._unfolded, room))
        self._draw()

    def _go(self, way: Way) -> None:
        if way != self.way:
            self.way, self._unfolded, self._seeking = way, frozenset(), None
            self._want()
            self._focus_face()

    @on(NamespaceReader.Arrived)
    def _arrived(self, message: NamespaceReader.Arrived) -> None:
        message.stop()
        picture = self.reader.take()
        if picture is None:
            return
        self.picture = picture
        self._draw()
        self._tell_unread()

    @on(NamespaceReader.Working)
    def _working(self, message: NamespaceReader.Working) -> None:
        message.stop()
        self._entitle()

    @on(NamespaceReader.Failed)
    def _failed(self, message: NamespaceReader.Failed) -> None:
        message.stop()
        self.notify(printable(str(message)), severity="error", markup=False)

    def _draw(self) -> None:
        in_list = isinstance(self.way.here, InList)
        faces = self.query_one("#ns-faces", ContentSwitcher)
        faces.current = "ns-list" if in_list else "ns-detail"
        if in_list:
            self._draw_list()
        else:
            self._draw_detail()
        self._draw_kinds()
        self._entitle()

    def _draw_list(self) -> None:
        picture = self.picture
        if picture is not None and picture.wish.view == self.view:
            note = titles.NO_MATCH if self.view.wanted else titles.NONE_OF_THIS_KIND
            self.query_one(NamespaceList).show(picture.lines, note)

    def _draw_detail(self) -> None:
        subject, namespace = self.subject, self.namespace
        widget, marks = self.query_one(DetailList), frozenset(self._marks)
        same = subject == self._told_of
        if subject is None or self.picture is None or namespace is None:
            if subject is not None and self.picture is not None and self.picture.wish.subject != subject:
                if same:
                    return  # it is only asked for anew
                note = titles.READING
            else:
                note = self._why_nothing(subject)
            widget.show(titles.unknown_title(self._kind, subject), Detail(), note, marks, same)
        else:
            here = namespace.inode in self.picture.found
            title = titles.title(namespace, self._desk.ordinals, here, self.picture.unknown)
            widget.show(title, self.picture.detail, titles.READING, marks, same)
            if self._seeking is not None and (widget.seek(self._seeking) or self.picture.content):
                self._seeking = None
        self._told_of = subject

    @property
    def namespace(self) -> Namespace | None:
        """The namespace that is told of, once something is known of it."""
        picture, subject = self.picture, self.subject
        return None if picture is None or subject is None or picture.wish.subject != subject else picture.namespace

    def _why_nothing(self, subject: int | None) -> str:
        if subject is not None:
            return titles.NOT_FOUND if self.picture is not None else titles.READING
        return titles.NOBODY if self._record is None else titles.NOT_TO_BE_KNOWN

    @property
    def _kind(self) -> NamespaceKind | None:
        """The kind that is shown."""
        match self.way.here:
            case Linked(letter):
                return BY_LETTER[letter]
            case Inside():
                return None if self.namespace is None else self.namespace.kind
            case _:
                return self.view.kind

    def _draw_kinds(self) -> None:
        bar, kind = self.query_one(KindBar), self._kind
        chosen = titles.ALL if kind is None else kind.letter
        if isinstance(self.way.here, Linked):
            bar.show(titles.own_tabs(self._record, self._desk.ordinals), chosen)
        else:
            bar.show(titles.machine_tabs(None if self.picture is None else self.picture.counts), chosen)

    def _entitle(self) -> None:
        """Say in the border what is shown, and how old the search is."""
        searched = None if self.picture is None else self.picture.searched
        words = titles.place_words(self.way.here, self.view, self._record)
        self.border_title = Content(f"{self._heading} {words}".rstrip())
        self.border_subtitle = Content(titles.search_words(searched, self.reader.searching, self.reader.age()))

    def _tell_unread(self) -> None:
        """Say once what a search could not look into, when a person asked for it."""
        searched = None if self.picture is None else self.picture.searched
        if self._told and searched is not None and not self.reader.searching:
            self._told = False
            unread = unread_text(searched.discovery.steps)
            found = f"{len(searched.discovery.namespaces)} namespaces in {searched.took:.1f} s"
            self.notify(found if unread is None else f"{found}; {unread}", markup=False)

    # Actions.

    def _focus_face(self) -> None:
        """Give the keys to the face that is shown now, if the other one had them."""
        focused = self.screen.focused
        if isinstance(focused, (NamespaceList, DetailList)) and self in focused.ancestors:
            self.focus_face()

    def focus_face(self) -> None:
        """Give the keys to what is shown."""
        face = NamespaceList if isinstance(self.way.here, InList) else DetailList
        self.screen.set_focus(self.query_one(face))

    def link(self) -> None:
        """Show the namespaces of the process under the tree's cursor."""
        if not isinstance(self.way.here, Linked):
            self._go(self.way.to(Linked(self._letter)))

    @property
    def _letter(self) -> str:
        kind = self._kind
        return "m" if kind is None else kind.letter

    def action_link(self) -> None:
        """Follow the tree's cursor, or show the list."""
        if isinstance(self.way.here, Linked):
            self._go(Way((InList(),)))
        else:
            self.link()

    @on(KindBar.Chosen)
    def _kind_clicked(self, message: KindBar.Chosen) -> None:
        message.stop()
        self.action_kind(message.letter)

    def action_kind(self, letter: str) -> None:
        """Tell of this kind: of the process that is followed, else in the list."""
        if isinstance(self.way.here, Linked) and letter != titles.ALL:
            self._go(self.way.instead(Linked(letter)))
            return
        self.view = self.view.only(None if letter == titles.ALL else letter)
        if isinstance(self.way.here, InList):
            self._want()
        else:
            self._go(Way((InList(),)))

    def action_shape(self) -> None:
        """Show the list flat, as the tree of parents, or of owners."""
        if isinstance(self.way.here, InList):
            self.view = self.view.next_shape()
            self._want()
        else:
            self._go(Way((InList(),)))

    def action_back(self) -> None:
        """Go back: out of a namespace, in the list out of the filter, then out of the kind."""
        if not isinstance(self.way.here, InList):
            self._go(self.way.back())
        elif self.view.wanted is not None:
            self.query_one(FilterLine).fill("")
        elif self.view.letter is not None:
            self.action_kind(titles.ALL)

    def action_search(self) -> None:
        """Search the whole machine now."""
        self._told = True
        self.reader.search_now()
        self._entitle()

    @on(NamespaceList.Opened)
    def _opened(self, message: NamespaceList.Opened) -> None:
        message.stop()
        self._go(self.way.to(Inside(message.inode)))

    @on(DetailList.Unfolded)
    def _unfold(self, message: DetailList.Unfolded) -> None:
        message.stop()
        self._unfolded |= {message.title}
        self._want()

    @on(DetailList.Followed)
    def _followed(self, message: DetailList.Followed) -> None:
        message.stop()
        lead = message.lead
        if lead.to == "process":
            identity = self._identity(lead.number)
            if identity is None:
                self.notify(f"Process {lead.number} is gone.", severity="warning")
            else:
                self.post_message(GoTo(identity, "tree"))
        elif lead.number == self.subject:
            if lead.named is not None:
                self.query_one(DetailList).seek(lead.named)
        else:
            self._go(self.way.to(Inside(lead.number)))
            self._seeking = lead.named

    def _identity(self, pid: int) -> Identity | None:
        record = None if self.picture is None else self.picture.snapshot.records.get(pid)
        return None if record is None else record.identity

    def _under_cursor(self) -> Identity | None:
        """The process that the row under the cursor leads to: in the list, its leader."""
        if isinstance(self.way.here, InList):
            namespace = self.query_one(NamespaceList).namespace
            return None if namespace is None or namespace.leader is None else self._identity(namespace.leader)
        lead = self.query_one(DetailList).lead
        return None if lead is None or lead.to != "process" else self._identity(lead.number)

    def action_mark(self) -> None:
        """Mark the process under the cursor, or take its mark away."""
        process = self._under_cursor()
        if process is None:
            self.notify("Put the cursor on a process inside to mark it.", severity="warning")
            return
        self._marks = marked(self._marks, process)
        if isinstance(self.way.here, InList):
            self.notify(f"Marked: {' and '.join(str(pid) for pid, _ in self._marks) or 'nobody'}")
        self._draw()

    def action_compare(self) -> None:
        """Compare the two marked, the one marked with the one under the cursor, or that with its parent."""
        records = {} if self.picture is None else self.picture.snapshot.records
        both = pair(self._marks, self._under_cursor(), records)
        if both is None:
            self.notify("Put the cursor on a process inside, or mark two with the space bar.", severity="warning")
            return
        self._marks = ()
        self.post_message(Compare(*both))
        self._draw()

    def action_members(self) -> None:
        """Show in the tree the processes of this namespace alone."""
        namespace = self.namespace
        if isinstance(self.way.here, InList):
            namespace = self.query_one(NamespaceList).namespace
        if namespace is None:
            self.notify("There is no namespace here.", severity="warning")
        elif not namespace.members:
            self.notify(f"No process is in {reference(namespace)}.", severity="warning")
        else:
            self._show_in_tree(f"ns.{namespace.kind.proc}={namespace.inode}")

    def _show_in_tree(self, text: str) -> None:
        table = self.app.query_one(ProcTable)
        table.post_message(ProcTable.FilterWanted(text))
        self.app.call_next(self.app.run_action, "pane('tree')")

    # The filter.

    def action_filter(self) -> None:
        """Type a filter for the list."""
        if not isinstance(self.way.here, InList):
            self._go(Way((InList(),)))
        self.query_one(FilterLine).open()

    @on(FilterLine.Filtered)
    def _filtered(self, message: FilterLine.Filtered) -> None:
        message.stop()
        self.view = self.view.those(message.wanted)
        self._want()

    @on(FilterLine.Left)
    def _left_filter(self, message: FilterLine.Left) -> None:
        message.stop()
        self.focus_face()


def _parsed(text: str) -> Filter[NamespaceRow] | None:
    """Read a filter of namespaces, None for one that asks nothing."""
    found = parse(text, NAMESPACE_COLUMNS)
    return None if found.is_empty else found
