"""What ``ps`` and ``tree`` have in common: the options, the processes they look at, and a process as JSON."""

from __future__ import annotations

import argparse
import pwd
from collections.abc import Sequence
from dataclasses import dataclass

from nsview.commands.column_choice import ChoiceError, columns_of, filter_of, sort_keys
from nsview.commands.seconds import DAY, seconds
from nsview.commands.source_options import add_source_options, source_of
from nsview.host import cells
from nsview.host.columns import Column
from nsview.host.columns.process_row import ProcessRow, Scene, refer
from nsview.host.columns.processes import NEEDS_TWO_LOOKS, PROCESS_COLUMNS
from nsview.host.filter import Filter
from nsview.host.users import user_name
from spawner.namespaces import KINDS

INTERVAL = 1.0
"""Seconds between two looks, where rates are asked for and no interval is given."""

LEGEND = """The column mnpUuiCT has a letter for each namespace that differs from the reference: m mount, n
network, p pid, U user, u uts, i ipc, C cgroup, T time; · is the same, ? cannot be told. FILTER is in the language of
docs/filter.md: 'user=root rss>10M', 'ns.net!=init', 'not (cpu<5 or /python/)'."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options ask for: columns, order, filter; ``chosen``: the columns were named."""

    columns: Sequence[Column[ProcessRow]]
    keys: Sequence[tuple[Column[ProcessRow], bool]]
    filter: Filter[ProcessRow]
    chosen: bool

    @property
    def needs_two_looks(self) -> bool:
        """True where a rate is shown, sorted by or asked for."""
        shown = {column.name for column in self.columns} | {column.name for column, _ in self.keys}
        return not NEEDS_TWO_LOOKS.isdisjoint(shown | self.filter.columns)


def add_process_options(parser: argparse.ArgumentParser) -> None:
    """Add the options beside those of every list."""
    parser.add_argument(
        "--reference",
        type=_reference,
        default="parent",
        metavar="parent|init|self|PID",
        help="compare namespaces with this (default: parent)",
    )
    parser.add_argument("-p", "--pids", type=_pids, metavar="PID,…", help="only these processes")
    parser.add_argument("--namespace", type=int, metavar="INODE", help="only members of this namespace")
    parser.add_argument("--user", type=_user, metavar="NAME|UID", help="only this user's")
    add_source_options(parser)
    parser.set_defaults(command=parser.prog.split()[-1])
    parser.add_argument("--args", action="store_true", help="show command lines in place of names")
    parser.add_argument(
        "--interval",
        type=seconds(DAY, "no time in seconds, as 0.5, of a day at most"),
        metavar="SECONDS",
        help=f"look twice, this long apart, for {', '.join(sorted(NEEDS_TWO_LOOKS))} (default: {INTERVAL:g})",
    )


def asked_of(args: argparse.Namespace, usual: Sequence[str]) -> Asked:
    """Read the choices; ChoiceError."""
    if args.args:
        usual = ["command" if name == "comm" else name for name in usual]
    columns = columns_of(args.columns, usual, PROCESS_COLUMNS)
    keys = sort_keys(args.sort, PROCESS_COLUMNS)
    return Asked(columns, keys, filter_of(args.filter, PROCESS_COLUMNS, refer), bool(args.columns))


def look(args: argparse.Namespace, asked: Asked) -> Scene:
    """Take the snapshot, or two where rates are asked for; ChoiceError when who is referred to is not there."""
    interval = INTERVAL if args.interval is None else args.interval
    scene = source_of(args, args.command).scene(args.reference, interval if asked.needs_two_looks else None)
    for who in (args.reference, *sorted(asked.filter.references)):
        if who.isdecimal() and int(who) not in scene.records:
            raise ChoiceError(f"no process {who} to compare with")
    if args.namespace is not None and not any(args.namespace in record.ns for record in scene.records.values()):
        raise ChoiceError(f"no process is in a namespace {args.namespace}; see 'nsview ns'")
    return scene


def wanted(scene: Scene, args: argparse.Namespace, asked: Asked) -> list[ProcessRow]:
    """Return the processes that the options and the filter leave, by pid; cheap tests come first."""
    rows = scene.rows()
    if args.pids is not None:
        rows = [row for row in rows if row.record.pid in args.pids]
    if args.namespace is not None:
        rows = [row for row in rows if args.namespace in row.record.ns]
    if args.user is not None:
        rows = [row for row in rows if row.record.uid == args.user]
    return rows if asked.filter.is_empty else asked.filter.select(rows)


def narrows(args: argparse.Namespace, asked: Asked) -> bool:
    """Tell whether any option leaves out processes."""
    return not asked.filter.is_empty or (args.pids, args.namespace, args.user) != (None, None, None)


def object_of(row: ProcessRow, asked: Asked) -> dict[str, object]:
    """Return a process as JSON has it (docs/json.md); chosen columns are added by their names."""
    record, scene = row.record, row.scene
    told = {cells.UNKNOWN: None, cells.SAME: False}
    column = cells.cells(record, scene.referred(row))
    process: dict[str, object] = {
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
    if asked.chosen:
        process["columns"] = {column.name: column.json(row) for column in asked.columns}
    return process


def _reference(text: str) -> str:
    if text in ("parent", "init", "self") or (text.isascii() and text.isdecimal() and int(text[:19]) > 0):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is neither parent, init, self nor a pid")


def _user(text: str) -> int:
    if text.isascii() and text.isdecimal():
        return int(text[:19])
    try:
        return pwd.getpwnam(text).pw_uid
    except (KeyError, ValueError):  # ValueError: a name that cannot be
        raise argparse.ArgumentTypeError(f"there is no user {text!r}") from None


def _pids(text: str) -> frozenset[int]:
    words = text.split(",")
    if not all(word.isascii() and word.isdecimal() and len(word) < 19 for word in words):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of pids, as 1,4711")
    return frozenset(map(int, words))
