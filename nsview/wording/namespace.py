"""A namespace in words: what it is, what keeps it alive, and the processes inside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from nsview.host.columns.namespaces import NONE, NamespaceRow, maker_text, owner_of, parent_of
from nsview.host.namespaces import Namespace, StepReport
from nsview.host.snapshot import ProcessRecord
from nsview.host.text import printable
from nsview.host.users import user_name
from nsview.wording.inside.section import Lead, Section
from nsview.wording.table import Column, show

MEMBER_COLUMNS = (
    Column("PID", right=True),
    Column("PPID", right=True, rank=2),
    Column("USER", rank=1),
    Column("COMMAND", gives=True),
)
KEEPER_COLUMNS = (Column("HELD-BY"), Column("WHO", gives=True), Column("COMMAND", gives=True))
MOST_KEEPERS = 40
"""Of each way, so that a window has room for the rest; JSON has them all."""

Records = Mapping[int, ProcessRecord]


def facts_of(row: NamespaceRow) -> list[tuple[str, str]]:
    """Return what a namespace is, by name."""
    namespace = row.namespace
    return [
        ("inode", str(namespace.inode)),
        ("id", show(namespace.id)),
        ("type", f"{namespace.kind.name} ({namespace.kind.flag_name}): {namespace.kind.isolates}"),
        ("name", namespace.name or "-"),
        ("leader", "-" if namespace.leader is None else str(namespace.leader)),
        ("parent", _inode(parent_of(namespace))),
        ("owner", _inode(owner_of(namespace))),
        ("owner uid", show(maker_text(namespace))),
        ("held by", ", ".join(namespace.held_by) or "?"),
        ("awaited by", " ".join(map(str, namespace.awaited_by)) or "-"),
        ("processes", str(len(namespace.members))),
    ]


def _inode(value: int | None) -> str:
    return "-" if value == NONE else show(value)


def members(pids: Iterable[int], records: Records) -> Section:
    """List processes; each row leads to one."""
    there = [records[pid] for pid in pids]
    rows = [
        (str(one.pid), str(one.ppid), show(None if one.uid is None else user_name(one.uid)), one.comm) for one in there
    ]
    return Section("", MEMBER_COLUMNS, rows, leads=[Lead("process", one.pid) for one in there])


def keepers(namespace: Namespace, records: Records) -> Section:
    """List what beside the processes inside keeps it alive; rows lead to the processes and namespaces that do."""
    kept = namespace.keepers

    def comm(pid: int) -> str:
        return show(records[pid].comm if pid in records else None)

    def by_thread(word: str, rows: Sequence[tuple[int, ...]], who: Callable[[tuple[int, ...]], str]) -> list[_Keeper]:
        return [((word, who(row), comm(row[0])), Lead("process", row[0])) for row in rows]

    tables: tuple[list[_Keeper], ...] = (
        by_thread("task", kept.tasks, lambda row: f"thread {row[1]} of {row[0]}"),
        [(("next", f"children of {pid}", comm(pid)), Lead("process", pid)) for pid in namespace.awaited_by],
        by_thread("next", kept.awaiting_tasks, lambda row: f"children of thread {row[1]} of {row[0]}"),
        by_thread("fd", kept.descriptors, lambda row: f"fd {row[2]} of {_owner(row)}"),
        by_thread("sock", kept.sockets, lambda row: f"socket, fd {row[2]} of {_owner(row)}"),
        [
            (
                ("mount", f"{printable(mount.path)} in mnt:[{mount.mount_namespace}]", ""),
                Lead("namespace", mount.mount_namespace, printable(mount.path)),
            )
            for mount in kept.bind_mounts
        ],
        [(("child", str(inode), ""), Lead("namespace", inode)) for inode in kept.children],
        [(("owns", f"{len(kept.owned)} namespaces", ""), None)] if kept.owned else [],
    )
    found: list[_Keeper] = []
    for table in tables:
        found += table[:MOST_KEEPERS]
        if len(table) > MOST_KEEPERS:
            found.append(((table[0][0][0], f"… {len(table) - MOST_KEEPERS} more", ""), None))
    return Section("", KEEPER_COLUMNS, [words for words, _ in found], leads=[lead for _, lead in found])


_Keeper = tuple[tuple[str, str, str], Lead | None]


def _owner(row: tuple[int, ...]) -> str:
    pid, tid, _ = row
    return str(pid) if pid == tid else f"thread {tid} of {pid}"


def unread_text(steps: Iterable[StepReport] | None) -> str | None:
    """Say what could not be looked into, so that something may be missing; None when nothing."""
    missing = [f"{step.unread} of {step.looked} {step.what} ({step.name})" for step in steps or () if step.unread]
    if not missing:
        return None
    return f"not all could be looked into, so some may be missing: {', '.join(missing)}"
