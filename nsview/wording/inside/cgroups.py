"""What a cgroup namespace shows, worded: its root in each hierarchy, and the groups below it."""

from __future__ import annotations

from collections.abc import Iterable

from nsview.host.cgroups.hierarchies import hierarchies
from nsview.host.cgroups.namespace import roots_of
from nsview.host.cgroups.tree import read_tree
from nsview.host.content.entered import NotEnteredError
from nsview.host.text import printable
from nsview.wording.groups import TREE_COLUMNS, group_object, tree_rows
from nsview.wording.inside.section import NOT_OPENED, Inside, Section, because
from nsview.wording.table import Column, show

ROOT_COLUMNS = (Column("HIERARCHY", gives=True), Column("ROOT", gives=True), Column("DIRECTORY", gives=True, rank=1))


def cgroup_inside(fd: int | None, members: Iterable[int], others: Iterable[int] = ()) -> Inside:
    """Read the roots and the groups below of the cgroup namespace of a descriptor.

    ``members`` and ``others`` are pids: the root is told by whoever is at or below it.
    """
    why = NOT_OPENED if fd is None else None
    roots: dict[str, str | None] = {}
    if fd is not None:
        try:
            roots = roots_of(fd, dict.fromkeys((*members, *others)))
        except NotEnteredError as error:
            why = error.reason
    known = hierarchies()
    directories = {each.key: None if (root := roots.get(each.key)) is None else each.directory(root) for each in known}
    rows = [
        (
            printable(each.label),
            show(None if (root := roots.get(each.key)) is None else printable(root)),
            show(None if (directory := directories[each.key]) is None else printable(directory)),
        )
        for each in known
    ]
    tree = read_tree(known, "/", roots={key: root for key, root in roots.items() if root is not None})
    document: dict[str, object] = {
        "roots": {printable(key): None if root is None else printable(root) for key, root in roots.items()} or None,
        "groups": None if tree is None else [group_object(depth, group) for depth, group in tree.walk()],
        "unknown_because": why,
    }
    sections = [Section("roots", ROOT_COLUMNS, rows, because(why))]
    if tree is not None:
        sections.append(Section("groups, as from inside", TREE_COLUMNS, tree_rows(tree)))
    return Inside(tuple(sections), document)
