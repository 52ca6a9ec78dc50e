"""The mounts of a mount namespace beside those of another, worded: a tree with what came, what went, what is otherwise.

The other one is that of the process its leader was born of, for what a launch is about; where there is none, the
machine's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from nsview.host.cells import initial_reference
from nsview.host.content.mount_difference import MountDifference, difference
from nsview.host.content.mount_info import Mount
from nsview.host.content.mount_table import MountTable
from nsview.host.namespaces.namespace import MOUNT, Namespace
from nsview.host.snapshot import ProcessRecord
from nsview.host.text import printable
from nsview.host.tree import true_parent
from nsview.wording.inside.mounts import ReadMounts, also_in, mount_object, reach_notes, read_mounts, source_text
from nsview.wording.inside.reading import READERS, Asked, Reader
from nsview.wording.inside.section import Inside, Lead, Section, because
from nsview.wording.table import Column

COLUMNS = (
    Column("±"),
    Column("MOUNT POINT", gives=True),
    Column("TYPE"),
    Column("PROPAGATION", gives=True, rank=1),
    Column("SOURCE", gives=True, rank=2),
    Column("HIDDEN BY", right=True, rank=4),
    Column("ALSO IN", gives=True, rank=5),
    Column("OPTIONS", gives=True, rank=3),
    Column("ID", right=True, rank=6),
)
_PASSING_ON = frozenset(("shared", "master", "propagate_from", "unbindable"))


@dataclass(frozen=True, slots=True)
class Beside:
    """What is compared with: ``name`` is its words; ``mounts`` in the kernel's order. ``inode`` is its namespace's."""

    inode: int
    name: str
    mounts: tuple[Mount, ...]


@dataclass(frozen=True, slots=True)
class Marks:
    """``came`` and ``otherwise`` are ids of mounts, ``went`` those that are not there any more. Pure."""

    came: frozenset[int] = frozenset()
    otherwise: frozenset[int] = frozenset()
    passing_on: int = 0
    went: tuple[Mount, ...] = field(default=())


def marks_of(found: MountDifference) -> Marks:
    """Sort a difference; mounts that merely pass on otherwise what happens below them are counted alone. Pure."""
    otherwise = frozenset(change.after.id for change in found.changed if not _PASSING_ON.issuperset(change.what))
    came = frozenset(mount.id for mount in found.added)
    return Marks(came, otherwise, len(found.changed) - len(otherwise), found.removed)


def read(asked: Asked) -> Inside:
    """Read the mounts of the namespace that is asked for, and of the one to compare with."""
    with asked.opener.opened(asked.namespace) as fd, asked.opener.member(asked.namespace) as process:
        mounts = read_mounts(fd, process, asked.snapshot)
    return worded(mounts, beside(asked.namespace, asked.snapshot.records, mounts.tables))


def beside(
    namespace: Namespace, records: Mapping[int, ProcessRecord], tables: Mapping[int, MountTable]
) -> Beside | None:
    """Choose whom a namespace is compared with; None when that cannot be read, or there is no other. Pure."""
    leader = None if namespace.leader is None else records.get(namespace.leader)
    parent = None if leader is None else true_parent(leader, records)
    for process, why in ((parent, "parent of its leader"), (initial_reference(records), "the machine's own")):
        inode = None if process is None else process.namespace(MOUNT.name)
        if process is not None and inode is not None and inode != namespace.inode and inode in tables:
            name = f"mnt:[{inode}] of {process.pid} {process.comm}, {why}"
            return Beside(inode, name, tuple(tables[inode].mounts.values()))
    return None


def worded(mounts: ReadMounts, other: Beside | None) -> Inside:
    """Word the mounts as a tree, with marks for what differs from the other."""
    table = mounts.table
    if table is None:
        return Inside((Section("mounts", COLUMNS, (), because(mounts.why)),), {"unknown_because": mounts.why})
    marks = Marks() if other is None else marks_of(difference(other.mounts, tuple(table.mounts.values())))
    rows = tuple(_rows(table, mounts, marks))
    sections = [
        Section(
            "mounts",
            COLUMNS,
            tuple(cells for cells, _ in rows),
            (*_summary(other, marks), *reach_notes(mounts)),
            tuple(lead for _, lead in rows),
        )
    ]
    if marks.went:
        gone = [_cells("-", mount, 0, None, []) for mount in marks.went]
        sections.append(Section("mounts that are there alone", COLUMNS, gone))
    return Inside(sections, {"mounts": [mount_object(mount, table) for mount in table.mounts.values()]})


def _summary(other: Beside | None, marks: Marks) -> tuple[str, ...]:
    if other is None:
        return ()
    differing = f"{len(marks.came)} more, {len(marks.went)} fewer, {len(marks.otherwise)} otherwise"
    passing = f", {marks.passing_on} pass on otherwise" if marks.passing_on else ""
    return (f"beside {printable(other.name)}:", differing + passing)


def _rows(table: MountTable, mounts: ReadMounts, marks: Marks) -> Iterator[tuple[tuple[str, ...], Lead | None]]:
    for depth, mount in table.walk():
        elsewhere = also_in(mount, mounts.inode, mounts.groups)
        mark = "+" if mount.id in marks.came else "~" if mount.id in marks.otherwise else " "
        lead = Lead("namespace", elsewhere[0], printable(mount.point)) if elsewhere else None
        yield _cells(mark, mount, depth, table.covers.get(mount.id), elsewhere), lead


def _cells(mark: str, mount: Mount, depth: int, over: int | None, elsewhere: list[int]) -> tuple[str, ...]:
    return (
        mark,
        "  " * depth + printable(mount.point),
        printable(mount.fs_type),
        propagation(mount),
        source_text(mount),
        "" if over is None else str(over),
        " ".join(map(str, elsewhere)),
        printable(",".join(mount.options)),
        str(mount.id),
    )


def propagation(mount: Mount) -> str:
    """Word the propagation as mountinfo does, ``shared:7 master:3``; ``private`` for neither."""
    groups = (("shared", mount.shared), ("master", mount.master))
    said = [f"{name}:{number}" for name, number in groups if number is not None]
    return " ".join([*said, *(["unbindable"] if mount.unbindable else [])]) or "private"


SCREEN_READERS: Mapping[str, Reader] = {**READERS, "mount": read}
"""READERS, but for mounts: on a screen they stand beside others."""
