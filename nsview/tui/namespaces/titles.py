"""The words around what the inspector shows: title of a namespace, tabs of kinds, the border's two lines. Pure."""

from __future__ import annotations

from collections import Counter

from nsview.host.namespaces import Namespace
from nsview.host.snapshot import ProcessRecord
from nsview.host.text import printable
from nsview.tui.hues import Ordinals
from nsview.tui.namespaces.about import reference
from nsview.tui.namespaces.arranging import Shape, View
from nsview.tui.namespaces.kind_bar import Tab
from nsview.tui.namespaces.list import numbered
from nsview.tui.namespaces.places import InList, Linked, Place
from nsview.tui.namespaces.reader import Searched
from spawner.namespaces import KINDS, NamespaceKind

ALL = "a"
"""The letter that stands for every kind."""

_INITIAL = 1
"""The number of the machine's own namespace of each kind (nsview.tui.hues)."""

NOBODY = "Put the tree's cursor on a process to see its namespaces. Esc: the list of all."
NOT_TO_BE_KNOWN = "The kernel does not let us know: root sees more, and what has ended is in no namespace."
NOT_FOUND = "Not found: it has ended, or only a search (R) finds it."
READING = "Reading…"
NO_MATCH = "Nothing matches the filter: Esc takes it away."
NONE_OF_THIS_KIND = "There is none of this kind."


def title(namespace: Namespace, ordinals: Ordinals, here: bool, unknown: int = 0) -> str:
    """Word which namespace it is, how it is numbered and called, and how many are inside; or that it is gone.

    ``unknown`` processes may be inside as well.
    """
    if not here:
        return f"{reference(namespace)} ✝ gone"
    count = len(namespace.members)
    inside = f"{count or 'no'} process{'' if count == 1 else 'es'}"
    called = "" if namespace.name is None else f" {namespace.name}"
    perhaps = f", {unknown} unknown" if unknown else ""
    return f"{reference(namespace)} {numbered(ordinals, namespace)}{called} · {inside}{perhaps}"


def unknown_title(kind: NamespaceKind | None, inode: int | None) -> str:
    """Word the same of one of which nothing is known yet."""
    return "" if kind is None else f"{kind.proc}:[{'?' if inode is None else inode}]"


def own_tabs(record: ProcessRecord | None, ordinals: Ordinals) -> tuple[Tab, ...]:
    """Return a process's eight namespaces; the machine's own are faint."""
    return tuple(_own_tab(record, at, kind, ordinals) for at, kind in enumerate(KINDS))


def _own_tab(record: ProcessRecord | None, at: int, kind: NamespaceKind, ordinals: Ordinals) -> Tab:
    """Mark with ``*`` where its next children go elsewhere."""
    inode = None if record is None else record.ns[at]
    if record is None or inode is None:
        return Tab(kind.letter, f"{kind.letter}?", faint=True)
    children = {"pid": record.pid_for_children, "time": record.time_for_children}.get(kind.name, inode)
    number = ordinals.number(at, inode)
    elsewhere = "" if children in (None, inode) else "*"
    return Tab(kind.letter, f"{kind.letter}{number}{elsewhere}", faint=number == _INITIAL and not elsewhere)


def machine_tabs(amounts: Counter[str] | None) -> tuple[Tab, ...]:
    """Return all kinds, each with how many there are of it on the machine; those of which there is one are faint."""
    if amounts is None:
        return Tab(ALL, "all"), *(Tab(kind.letter, kind.letter, faint=True) for kind in KINDS)
    each = ((kind.letter, amounts[kind.letter]) for kind in KINDS)
    return Tab(ALL, f"all {amounts.total()}"), *(Tab(letter, f"{letter} {n}", faint=n < 2) for letter, n in each)


def place_words(place: Place, view: View, record: ProcessRecord | None) -> str:
    """Word where the inspector is: whose namespaces, or how the list is arranged."""
    match place:
        case Linked():
            return "" if record is None else f"of {record.pid} {printable(record.comm)}"
        case InList():
            shape = [] if view.shape is Shape.FLAT else [view.shape.value]
            wanted = [] if view.wanted is None else [f"/ {printable(str(view.wanted))}"]
            return " ".join(f"· {words}" for words in (*shape, *wanted))
        case _:
            return "· Esc: back"


def search_words(searched: Searched | None, searching: bool, age: float | None) -> str:
    """Word how old the search is, in seconds, and whether it could look everywhere."""
    if searching:
        return "searching the machine…"
    if searched is None or age is None:
        return ""
    some = "" if searched.discovery.is_complete else ", not all"
    return f"searched {age:.0f} s ago{some}"
