"""Namespaces in JSON."""

from __future__ import annotations

from collections.abc import Iterable

from nsview.host.columns import Column
from nsview.host.columns.namespaces import NamespaceRow
from nsview.host.namespaces import BindMount, StepReport
from nsview.host.text import printable
from nsview.host.users import user_name


def object_of(row: NamespaceRow, columns: Iterable[Column[NamespaceRow]] = ()) -> dict[str, object]:
    """Return a namespace as docs/json.md has it, with ``columns`` by name if there are any."""
    namespace, leader = row.namespace, row.leader
    kept = namespace.keepers
    chosen = {column.name: column.json(row) for column in columns}
    return {
        "inode": namespace.inode,
        "type": namespace.kind.name,
        "processes": len(namespace.members),
        "leader": namespace.leader,
        "user": None if leader is None or leader.uid is None else user_name(leader.uid),
        "command": None if leader is None else leader.comm,
        "parent": namespace.parent,
        "owner": namespace.owner,
        "owner_uid": namespace.owner_uid,
        "members": namespace.members,
        "awaited_by": namespace.awaited_by,
        "id": namespace.id,
        "name": namespace.name,
        "depth": namespace.depth,
        "hidden": namespace.is_hidden,
        "held_by": namespace.held_by,
        "keepers": {
            "tasks": [task._asdict() for task in kept.tasks],
            "awaiting_tasks": [task._asdict() for task in kept.awaiting_tasks],
            "descriptors": [descriptor._asdict() for descriptor in kept.descriptors],
            "sockets": [descriptor._asdict() for descriptor in kept.sockets],
            "bind_mounts": [_mount(mount) for mount in kept.bind_mounts],
            "children": kept.children,
            "owned": kept.owned,
        },
        **({"columns": chosen} if chosen else {}),
    }


def _mount(mount: BindMount) -> dict[str, object]:
    return {"mount_namespace": mount.mount_namespace, "path": printable(mount.path)}


def step_object(step: StepReport) -> dict[str, object]:
    """Return how far one step of the search came."""
    return {
        "step": step.name,
        "what": step.what,
        "looked": step.looked,
        "unread": step.unread,
        "errno": step.errno or None,
        "took_ns": step.took_ns or None,
    }
