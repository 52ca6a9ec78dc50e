"""The lines of an id map, from what unshare(1)'s options say: single ids, ranges, blocks of /etc/subuid."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator, Sequence

from nsview.commands.options.option import refuse
from spawner import IDMapping

_FILES = {"user": "/etc/subuid", "group": "/etc/subgid"}
_EVERY_ID = IDMapping(0, 0, 2**32 - 1)


def maps_of(kind: str, single: IDMapping | None, asked: Sequence[IDMapping | str]) -> tuple[IDMapping, ...]:
    """The map of ``kind`` (user, group): ``single`` first, the ranges around it. Raises SpecError."""
    found = [] if single is None else [single]
    for what in asked:
        for line in (what,) if isinstance(what, IDMapping) else _named(kind, what):
            found += [line] if single is None else around(line, single)
    return tuple(found)


def around(line: IDMapping, single: IDMapping) -> Iterator[IDMapping]:
    """``line`` without the two ids of ``single``: those behind move up, as unshare(1) has it."""
    inside, outside, left = line.container_id, line.host_id, line.size
    end = inside + left, outside + left
    while inside < end[0] and outside < end[1]:
        if inside == single.container_id:
            inside += 1
            continue
        if outside == single.host_id:
            outside += 1
            continue
        until_inside = single.container_id if single.container_id > inside else end[0]
        until_outside = single.host_id if single.host_id > outside else end[1]
        size = min(until_inside - inside, until_outside - outside, end[0] - inside, end[1] - outside)
        yield IDMapping(inside, outside, size)
        inside, outside = inside + size, outside + size


def _named(kind: str, word: str) -> Iterator[IDMapping]:
    if word == "all":
        yield _EVERY_ID
        return
    blocks = _blocks(kind)
    if not blocks:
        refuse(
            f"{_FILES[kind]} gives your user no block of {kind} ids",
            f"add a line such as {_me()[0]}:100000:65536 to it (usermod(8) --add-sub{kind[0]}ids)",
        )
    if word == "auto":
        yield IDMapping(0, *blocks[0])
    else:
        yield from (IDMapping(first, first, size) for first, size in blocks)


def _blocks(kind: str) -> list[tuple[int, int]]:
    """Our blocks as (first id, how many), subuid(5)."""
    try:
        with open(_FILES[kind], encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return []
    mine = _me()
    rows = [line.split(":") for line in lines]
    return [
        (int(row[1]), int(row[2])) for row in rows if len(row) == 3 and row[0] in mine and (row[1] + row[2]).isdigit()
    ]


def _me() -> tuple[str, ...]:
    """The words by which a line of the file may mean us: name and number."""
    uid = os.geteuid()
    try:
        return pwd.getpwuid(uid).pw_name, str(uid)
    except KeyError:
        return (str(uid),)
