"""The inspector's keys, and the help that says what it shows."""

from __future__ import annotations

from textual.binding import Binding

from nsview.tui.namespaces import titles
from spawner.namespaces import KINDS

HELP = """
# Namespaces

Every namespace of the machine, and what is inside. The pane follows the tree's cursor: its first line has the
eight namespaces of that process by letter and number, as the column **mnpUuiCT** of the tree has them. Number 1 is
the machine's own; `*`: its next children will be in another. Below: who leads the namespace, from whom it comes,
who is inside, what else keeps it alive, and what there is in it. `Esc` leads to the list of all.

`→` marks a row that leads somewhere: `Enter` goes there, to a process in the tree, to a parent or owner, to the
far end of a veth; `Esc` comes back. `…` more rows: `Enter` shows them. In a mount namespace `+` is a mount that
its leader's parent does not have, `~` one that is another there.

HELD BY: `proc` processes, `task` single threads, `next` their next children, `fd` open descriptors, `sock` sockets
made in it, `mount` bind mounts, `child` and `owns` other namespaces. Those without a process only a search of the
whole machine finds; its age stands below, and *not all* where something could not be looked into.

Filters ask for any of it: `held=mount`, `nprocs>3`, `uid=root`, `owner=4026531837`, `name~web`, or any text.
"""

BINDINGS: tuple[Binding, ...] = (
    *(
        Binding(
            kind.letter,
            f"kind('{kind.letter}')",
            f"{kind.name.capitalize()} namespaces",
            show=False,
            id=f"namespaces.{kind.name}",
            tooltip=f"{kind.name} namespaces alone: {kind.isolates}",
        )
        for kind in KINDS
    ),
    Binding(
        titles.ALL, f"kind('{titles.ALL}')", "All kinds", show=False, id="namespaces.all", tooltip="the list of all"
    ),
    Binding("l", "link", "Link", id="namespaces.link", tooltip="follow the tree's cursor, or no more"),
    Binding(
        "t",
        "shape",
        "Tree",
        show=False,
        id="namespaces.tree",
        tooltip="the list flat, as the tree of parents, as the tree of owners",
    ),
    Binding("slash", "filter", "Filter", key_display="/", id="namespaces.filter", tooltip="filter the list"),
    Binding(
        "R",
        "search",
        "Search",
        show=False,
        id="namespaces.search",
        tooltip="search the machine now for namespaces that no process is in",
    ),
    Binding("space", "mark", "Mark", show=False, id="namespaces.mark", tooltip="mark a member, to compare it"),
    Binding(
        "c",
        "compare",
        "Compare",
        show=False,
        id="namespaces.compare",
        tooltip="compare a member with its parent, or with the one that is marked, or two that are",
    ),
    Binding(
        "f",
        "members",
        "Members",
        show=False,
        id="namespaces.members",
        tooltip="show in the tree the processes of this namespace alone",
    ),
    Binding(
        "escape",
        "back",
        "Back",
        show=False,
        id="namespaces.back",
        tooltip="back to where one was; in the list: without the filter, then all kinds",
    ),
)
