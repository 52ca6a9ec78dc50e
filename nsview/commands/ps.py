"""``nsview ps``: processes as a tree, with the eight cells of where their namespaces differ.

JSON, version 1: {"version", "reference", "processes": [{"pid", "ppid", "start_time" (clock ticks), "state",
"uid", "user", "rss" (bytes), "threads", "comm", "namespaces": {name: inode}, "pid_for_children",
"time_for_children", "differs": {name: true, false}}]}. null is unknown.
"""

from __future__ import annotations

import argparse
import json
import os
import pwd
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping

from nsview.commands.listing import Column, show, write
from nsview.host import cells
from nsview.host.process import PinnedProcess, ProcessGoneError
from nsview.host.snapshot import ProcessRecord, take
from nsview.host.text import printable
from nsview.host.tree import ProcessTree
from nsview.host.units import bytes_text
from nsview.host.users import user_name
from spawner.namespaces import KINDS

Reference = Callable[[ProcessRecord], ProcessRecord | None]
Records = Mapping[int, ProcessRecord]

COLUMNS = (
    Column("PID", right=True),
    Column("USER"),
    Column("S"),
    Column("RSS", right=True),
    Column("THR", right=True),
    Column(cells.HEADING),
    Column("COMMAND", gives=True),
)

_LEGEND = """The column mnpUuiCT has a letter for each namespace that differs from the reference: m mount, n
network, p pid, U user, u uts, i ipc, C cgroup, T time; · is the same, ? cannot be told."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("ps", help="processes and their namespaces", epilog=_LEGEND)
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--tree", action="store_true", default=True, help="children below their parents (default)")
    shape.add_argument("--flat", dest="tree", action="store_false", help="one after another, by pid")
    parser.add_argument(
        "--reference",
        type=_reference,
        default="parent",
        metavar="parent|init|self|PID",
        help="compare namespaces with this (default: parent)",
    )
    parser.add_argument("--namespace", type=int, metavar="INODE", help="only members of this namespace")
    parser.add_argument("--user", type=_user, metavar="NAME|UID", help="only this user's")
    parser.add_argument("--args", action="store_true", help="show command lines in place of names")
    parser.add_argument("--no-header", dest="header", action="store_false", help="leave out the line of titles")
    parser.add_argument("--json", action="store_true", help="print JSON, version 1")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the processes; 2 when the reference or the namespace is not there."""
    records = take().records
    if isinstance(args.reference, int) and args.reference not in records:
        return _refuse(f"no process {args.reference} to compare with")
    shown = {pid: record for pid, record in records.items() if _wanted(record, args)}
    if args.namespace is not None and not any(args.namespace in record.ns for record in records.values()):
        return _refuse(f"no process is in a namespace {args.namespace}; see 'nsview ns'")
    reference = _chosen(args.reference, records)
    if args.json:
        _write_json(shown.values(), reference, str(args.reference))
    else:
        write(COLUMNS, _rows(shown, reference, args), args.header)
    return 0


def _refuse(sentence: str) -> int:
    print(f"nsview ps: {sentence}", file=sys.stderr)
    return 2


def _reference(text: str) -> str | int:
    if text in ("parent", "init", "self"):
        return text
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is neither parent, init, self nor a pid")


def _user(text: str) -> int:
    if text.isdecimal():
        return int(text)
    try:
        return pwd.getpwnam(text).pw_uid
    except KeyError:
        raise argparse.ArgumentTypeError(f"there is no user {text!r}") from None


def _wanted(record: ProcessRecord, args: argparse.Namespace) -> bool:
    if args.namespace is not None and args.namespace not in record.ns:
        return False
    return args.user is None or record.uid == args.user


def _chosen(choice: str | int, records: Records) -> Reference:
    if choice == "parent":
        return lambda record: cells.parent_reference(record, records)
    if choice == "init":
        fixed = cells.initial_reference(records)
    else:
        fixed = records.get(os.getpid() if choice == "self" else int(choice))
    return lambda record: fixed


def _rows(shown: Records, reference: Reference, args: argparse.Namespace) -> Iterator[tuple[str, ...]]:
    if args.tree:
        drawn = ((row.record, row.branches) for row in ProcessTree(shown).walk())
    else:
        drawn = ((record, "") for record in shown.values())
    for record, branches in drawn:
        yield (
            str(record.pid),
            show(None if record.uid is None else user_name(record.uid)),
            record.state,
            bytes_text(record.rss),
            str(record.threads),
            cells.cells(record, reference(record)),
            branches + (_command_line(record) if args.args else record.comm),
        )


def _command_line(record: ProcessRecord) -> str:
    """Read its arguments; the name in brackets where it has none (kernel threads, zombies) or has ended."""
    try:
        with PinnedProcess(record.pid, record.start_time) as process:
            words = process.read("cmdline")
    except ProcessGoneError:
        words = None
    return printable(words.rstrip(b"\0").replace(b"\0", b" ")) if words else f"[{record.comm}]"


def _write_json(shown: Iterable[ProcessRecord], reference: Reference, name: str) -> None:
    processes = [_object(record, reference(record)) for record in shown]
    json.dump({"version": 1, "reference": name, "processes": processes}, sys.stdout, indent=1)
    sys.stdout.write("\n")


def _object(record: ProcessRecord, reference: ProcessRecord | None) -> dict[str, object]:
    told = {cells.UNKNOWN: None, cells.SAME: False}
    column = cells.cells(record, reference)
    return {
        "pid": record.pid,
        "ppid": record.ppid,
        "start_time": record.start_time,
        "state": record.state,
        "uid": record.uid,
        "user": None if record.uid is None else user_name(record.uid),
        "rss": record.rss,
        "threads": record.threads,
        "comm": record.comm,
        "namespaces": {kind.name: inode for kind, inode in zip(KINDS, record.ns, strict=True)},
        "pid_for_children": record.pid_for_children,
        "time_for_children": record.time_for_children,
        "differs": {kind.name: told.get(cell, True) for kind, cell in zip(KINDS, column, strict=True)},
    }
