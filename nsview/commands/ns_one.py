"""The head of ``nsview ns INODE``: what the namespace is, what keeps it alive, and the processes inside."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

from nsview.commands.listing import Column, show, write
from nsview.commands.ns_words import unread_text
from nsview.host.columns.namespaces import NONE, NamespaceRow, maker_text, owner_of, parent_of
from nsview.host.namespaces import Namespace, StepReport
from nsview.host.snapshot import ProcessRecord
from nsview.host.text import printable
from nsview.host.users import user_name

MEMBER_COLUMNS = (
    Column("PID", right=True),
    Column("PPID", right=True),
    Column("USER"),
    Column("COMMAND", gives=True),
)
KEEPER_COLUMNS = (Column("HELD-BY"), Column("WHO", gives=True), Column("COMMAND", gives=True))
MOST_KEEPERS = 40
"""Of each way, so that a window has room for the rest; JSON has them all."""

Records = Mapping[int, ProcessRecord]


def write_one(row: NamespaceRow, records: Records, steps: Iterable[StepReport] | None, header: bool) -> None:
    """Print it."""
    namespace = row.namespace
    facts = [
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
    if (unread := unread_text(steps)) is not None:
        facts.append(("search", unread))
    write((Column(""), Column("", gives=True)), facts, header=False)
    if keepers := list(_keepers(namespace, records)):
        sys.stdout.write("\n")
        write(KEEPER_COLUMNS, keepers, header)
    sys.stdout.write("\n")
    write(MEMBER_COLUMNS, _members(namespace.members, records), header)


def _inode(value: int | None) -> str:
    return "-" if value == NONE else show(value)


def _members(pids: Iterable[int], records: Records) -> Iterable[tuple[str, ...]]:
    for record in (records[pid] for pid in pids):
        user = show(None if record.uid is None else user_name(record.uid))
        yield str(record.pid), str(record.ppid), user, record.comm


def _keepers(namespace: Namespace, records: Records) -> Iterable[tuple[str, str, str]]:
    """Yield what beside the processes inside keeps it alive, a line each."""
    kept = namespace.keepers

    def comm(pid: int) -> str:
        return show(records[pid].comm if pid in records else None)

    def by_thread(
        rows: Sequence[tuple[int, ...]], word: str, who: Callable[[tuple[int, ...]], str]
    ) -> list[tuple[str, str, str]]:
        return [(word, who(row), comm(row[0])) for row in rows]

    tables = (
        by_thread(kept.tasks, "task", lambda row: f"thread {row[1]} of {row[0]}"),
        [("next", f"children of {pid}", comm(pid)) for pid in namespace.awaited_by],
        by_thread(kept.awaiting_tasks, "next", lambda row: f"children of thread {row[1]} of {row[0]}"),
        by_thread(kept.descriptors, "fd", lambda row: f"fd {row[2]} of {_owner(row)}"),
        by_thread(kept.sockets, "sock", lambda row: f"socket, fd {row[2]} of {_owner(row)}"),
        [("mount", f"{printable(mount.path)} in mnt:[{mount.mount_namespace}]", "") for mount in kept.bind_mounts],
        [("child", str(inode), "") for inode in kept.children],
        [("owns", f"{len(kept.owned)} namespaces", "")] if kept.owned else [],
    )
    for table in tables:
        yield from table[:MOST_KEEPERS]
        if len(table) > MOST_KEEPERS:
            yield table[0][0], f"… {len(table) - MOST_KEEPERS} more", ""


def _owner(row: tuple[int, ...]) -> str:
    pid, tid, _ = row
    return str(pid) if pid == tid else f"thread {tid} of {pid}"
