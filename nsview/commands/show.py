"""``nsview show``: all that is known of one process, a line per attribute.

JSON (docs/json.md), version 1: {"version", "pid", "start_time", "rows": [{"section", "attribute", "value",
"source"}], "details": {section: {…}}}. null is unknown.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, fields
from typing import Any

from nsview.commands.listing import Column, show, write
from nsview.commands.process_argument import FORMS, process_argument, section_names
from nsview.host import capable, grouped, networked
from nsview.host.capabilities import names_of, words
from nsview.host.cgroups.columns import value_json
from nsview.host.content.mounts import MountTable
from nsview.host.description import Description, Row, describe
from nsview.host.difference import ALL
from nsview.host.facts import CAPABILITY_SETS
from nsview.host.process import ORDINARY, PinnedProcess, ProcessGoneError
from nsview.host.signals import names_of as signal_names
from nsview.host.text import printable
from spawner.namespaces import KINDS

_SECTIONS = tuple(name for name in ALL if name != "sharing")
"""Sharing takes two."""
_KINDS = {name: kind.proc for kind in KINDS for name in (kind.name, kind.proc)}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "show",
        help="all that is known of one process",
        description="Show one process: ids, namespaces, capabilities, limits, threads, open files, usage and more.",
        epilog=f"? cannot be told. A process is {FORMS}. Sections: {', '.join(_SECTIONS)}.",
    )
    parser.add_argument("process", type=process_argument, metavar="PID", help="the process")
    parser.add_argument(
        "--section",
        type=section_names(_SECTIONS),
        action="extend",
        default=[],
        metavar="NAME[,NAME…]",
        help="show only these",
    )
    parser.add_argument(
        "--in",
        dest="namespaces",
        type=_namespace,
        action="append",
        default=[],
        metavar="TYPE=PID|FILE",
        help="show, in place of the sections, which capabilities it has in the namespace TYPE of process PID, or in "
        "the one bound to FILE",
    )
    parser.add_argument("--sources", action="store_true", help="show the file or call each value was read from")
    parser.add_argument("--no-header", dest="header", action="store_false", help="leave out the line of titles")
    parser.add_argument("--json", action="store_true", help="print JSON, version 1")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the process; 2 when it, or a namespace asked for, is not there."""
    try:
        with PinnedProcess(*args.process) as process:
            if args.namespaces:
                rows, details = _in_namespaces(process, args.namespaces), {}
            else:
                description = describe(process, args.section or _SECTIONS)
                rows, details = tuple(description.rows()), _details(description)
    except ProcessGoneError as error:
        return _refuse(str(error))
    except _NoNamespaceError as error:
        return _refuse(str(error))
    if args.json:
        document = {"version": 1, "pid": process.pid, "start_time": process.start_time}
        json.dump({**document, "rows": [asdict(row) for row in rows], "details": details}, sys.stdout, indent=1)
        sys.stdout.write("\n")
        return 0
    columns = [
        Column("SECTION"),
        Column("ATTRIBUTE", spills=40),
        Column("VALUE", gives=True, spills=60),
        Column("SOURCE", gives=True),
    ]
    write(columns[: None if args.sources else 3], _lines(rows, args.sources), args.header)
    return 0


def _refuse(sentence: str) -> int:
    print(f"nsview show: {printable(sentence)}", file=sys.stderr)
    return 2


def _lines(rows: tuple[Row, ...], sources: bool) -> Iterator[tuple[str, ...]]:
    for row in rows:
        line = (row.section, row.attribute, show(row.value))
        yield (*line, row.source) if sources else line


class _NoNamespaceError(ValueError):
    """There is no such namespace, or we may not open it."""


def _namespace(text: str) -> str:
    """Read ``TYPE=PID`` or a path; return the path."""
    kind, equals, pid = text.partition("=")
    if equals and kind in _KINDS:
        if pid.isdecimal() and pid.isascii() and int(pid):
            return f"/proc/{pid}/ns/{_KINDS[kind]}"
        raise argparse.ArgumentTypeError(f"{pid!r} is not a pid; give {kind}=PID, or the path of a namespace")
    if "/" in text:
        return text
    known = ", ".join(kind.proc for kind in KINDS)
    raise argparse.ArgumentTypeError(f"{text!r} is neither TYPE=PID, with a TYPE of {known}, nor a path")


def _in_namespaces(process: PinnedProcess, paths: list[str]) -> tuple[Row, ...]:
    return tuple(_in_namespace(process, path) for path in paths)


def _in_namespace(process: PinnedProcess, path: str) -> Row:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise _NoNamespaceError(f"no namespace at {path}: {error.strerror}") from None
    try:
        answer = capable.capabilities_in(process, fd)
        shown = words(answer.mask, capable.last_capability())
        return Row("capabilities", f"in {printable(path)}", shown, answer.rule.value)
    except OSError as error:
        if error.errno in ORDINARY:
            raise
        raise _NoNamespaceError(f"{path} is not a namespace") from None
    finally:
        os.close(fd)


Converter = Callable[[Any], object]


def _plain(value: Any) -> object:
    """Turn values by name or number, or a value of fields, into what JSON has."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    return asdict(value) if hasattr(type(value), "__dataclass_fields__") else value


def _signals(value: Any) -> object:
    masks = ("pending", "shared_pending", "blocked", "ignored", "caught")
    found = {field.name: getattr(value, field.name) for field in fields(value)}
    return {key: signal_names(it) if key in masks and it is not None else it for key, it in found.items()}


def _capabilities(value: capable.Own) -> object:
    return {
        link: {"capabilities": None if it.mask is None else names_of(it.mask), "rule": it.rule.name.lower()}
        for link, it in value.items()
    }


def _mounts(value: MountTable) -> object:
    return [
        {
            "mount_point": printable(mount.point),
            "root": printable(mount.root),
            "type": printable(mount.fs_type),
            "source": printable(mount.source),
            "options": [printable(option) for option in mount.options],
            "propagation": mount.propagation,
        }
        for mount in value.mounts.values()
    ]


def _cgroups(value: grouped.Grouped) -> object:
    return {name: {"value": value_json(held.value), "group": held.group} for name, held in value.items()}


def _network(value: Any) -> object:
    found = {one.name: one.value(value) for one in networked.ATTRIBUTES if one.value is not None}
    return {name: sorted(names) if isinstance(names, frozenset) else None for name, names in found.items()}


def _listed(value: Mapping[int, Any]) -> object:
    return [_plain(one) for one in value.values()]


_CONVERTERS: Mapping[str, Converter] = {
    "signals": _signals,
    "capabilities": _capabilities,
    "cgroups": _cgroups,
    "network": _network,
    "mounts": _mounts,
    "threads": _listed,
    "descriptors": _listed,
}
"""Of sections whose JSON is not simply their fields."""


def _details(description: Description) -> dict[str, Any]:
    """Return the values themselves of the sections that were asked for."""
    found: dict[str, Any] = {}
    for name, value in description.details.items():
        found[name] = None if value is None else _CONVERTERS.get(name, _plain)(value)
    for section, names in _OF_FACTS.items():
        if section in description.wanted:
            found[section] = {name: _fact(getattr(description.facts, name)) for name in names}
    if "ids" in found:
        sets = {CAPABILITY_SETS[key]: mask for key, mask in description.facts.capabilities.items()}
        found["ids"] |= {name: None if mask is None else names_of(mask) for name, mask in sets.items()}
    if "usage" in description.wanted:
        found["usage"] = None if description.facts.usage is None else asdict(description.facts.usage)
    return found


def _fact(value: Any) -> object:
    return value._asdict() if hasattr(value, "_asdict") else value


_OF_FACTS: Mapping[str, tuple[str, ...]] = {
    "identity": ("pid", "start_time", "ppid", "inner_pids", "comm", "command", "exe", "session", "group"),
    "namespaces": ("namespaces",),
    "ids": (
        "uids", "gids", "groups", "uid_map", "gid_map", "setgroups", "no_new_privs", "seccomp", "seccomp_filters",
    ),
    "files": ("root", "cwd", "umask"),
    "system": ("names", "offsets", "cgroups"),
}  # fmt: skip
"""Section, and the fields of Facts that are its JSON."""
