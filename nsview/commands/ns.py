"""``nsview ns``: every namespace with its processes, parent and owner; or one of them with its members.

JSON, version 1: {"version", "namespaces": [{"inode", "type" (OCI name), "processes" (count), "leader",
"user", "command", "parent", "owner" (inodes), "owner_uid", "members": [pid], "awaited_by": [pid]}]}. null
is unknown, or for the parent: there is none.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping

from nsview.commands.listing import Column, show, write
from nsview.commands.ns_inside import inside, write_inside
from nsview.host.namespaces import Namespace, namespaces_of
from nsview.host.snapshot import ProcessRecord, take
from nsview.host.users import user_name
from spawner.namespaces import BY_LETTER, BY_NAME, BY_PROC, NamespaceKind

COLUMNS = (
    Column("NS", right=True),
    Column("TYPE"),
    Column("NPROCS", right=True),
    Column("PID", right=True),
    Column("USER"),
    Column("PARENT", right=True),
    Column("OWNER", right=True),
    Column("COMMAND", gives=True),
)

MEMBER_COLUMNS = (
    Column("PID", right=True),
    Column("PPID", right=True),
    Column("USER"),
    Column("COMMAND", gives=True),
)

_WORDS = {**BY_LETTER, **BY_PROC, **BY_NAME}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "ns",
        help="namespaces and their members",
        description="List namespaces, or show one with its members.",
        epilog="PID is the leader: the topmost process inside, the oldest where there are several.",
    )
    parser.add_argument(
        "which",
        nargs="?",
        type=_which,
        metavar="TYPE|INODE",
        help=f"one of {', '.join(BY_NAME)}; or an inode",
    )
    parser.add_argument("--no-header", dest="header", action="store_false", help="leave out the line of titles")
    parser.add_argument("--json", action="store_true", help="print JSON, version 1")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the namespaces; 2 when the one asked for is not there."""
    snapshot = take()
    found = namespaces_of(snapshot)
    wanted = list(found.values())
    if isinstance(args.which, NamespaceKind):
        wanted = [namespace for namespace in wanted if namespace.kind is args.which]
    elif args.which is not None:
        if args.which not in found:
            print(f"nsview ns: no process is in a namespace {args.which}; see 'nsview ns'", file=sys.stderr)
            return 2
        wanted = [found[args.which]]
    content = inside(wanted[0], snapshot, found) if isinstance(args.which, int) else None
    if args.json:
        objects = [_object(ns, snapshot.records) for ns in wanted]
        if content is not None:
            objects[0]["inside"] = content.document
        document = {"version": 1, "namespaces": objects}
        json.dump(document, sys.stdout, indent=1)
        sys.stdout.write("\n")
    elif isinstance(args.which, int):
        _write_one(wanted[0], snapshot.records, args.header)
        if content is not None:
            write_inside(content, args.header)
    else:
        write(COLUMNS, (_row(ns, snapshot.records) for ns in wanted), args.header)
    return 0


def _which(text: str) -> NamespaceKind | int:
    if text in _WORDS:
        return _WORDS[text]
    if text.isdecimal():
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is neither an inode nor one of {', '.join(BY_NAME)}")


def _row(namespace: Namespace, records: Mapping[int, ProcessRecord]) -> tuple[str, ...]:
    leader = None if namespace.leader is None else records[namespace.leader]
    return (
        str(namespace.inode),
        namespace.kind.proc,
        str(len(namespace.members)),
        "-" if leader is None else str(leader.pid),
        "-" if leader is None else _user(leader),
        _parent(namespace),
        _owner(namespace),
        _without_process(namespace) if leader is None else leader.comm,
    )


def _parent(namespace: Namespace) -> str:
    """Return the parent's inode, ``-`` where there is none to have."""
    return "-" if not namespace.has_parents or namespace.is_top else show(namespace.parent)


def _owner(namespace: Namespace) -> str:
    """Return the owning user namespace's inode; the initial user namespace has none above it."""
    return "-" if namespace.kind.name == "user" and namespace.is_top else show(namespace.owner)


def _user(record: ProcessRecord) -> str:
    return show(None if record.uid is None else user_name(record.uid))


def _without_process(namespace: Namespace) -> str:
    if namespace.awaited_by:
        return f"(for the next children of {', '.join(map(str, namespace.awaited_by))})"
    return "(no process; above others)"


def _write_one(namespace: Namespace, records: Mapping[int, ProcessRecord], header: bool) -> None:
    facts = [
        ("inode", str(namespace.inode)),
        ("type", f"{namespace.kind.name} ({namespace.kind.flag_name}): {namespace.kind.isolates}"),
        ("leader", "-" if namespace.leader is None else str(namespace.leader)),
        ("parent", _parent(namespace)),
        ("owner", _owner(namespace)),
        ("owner uid", show(namespace.owner_uid)),
        ("awaited by", " ".join(map(str, namespace.awaited_by)) or "-"),
        ("processes", str(len(namespace.members))),
    ]
    write((Column(""), Column("", gives=True)), facts, header=False)
    sys.stdout.write("\n")
    write(MEMBER_COLUMNS, _members(namespace.members, records), header)


def _members(pids: Iterable[int], records: Mapping[int, ProcessRecord]) -> Iterable[tuple[str, ...]]:
    for record in (records[pid] for pid in pids):
        yield str(record.pid), str(record.ppid), _user(record), record.comm


def _object(namespace: Namespace, records: Mapping[int, ProcessRecord]) -> dict[str, object]:
    leader = None if namespace.leader is None else records[namespace.leader]
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
    }
