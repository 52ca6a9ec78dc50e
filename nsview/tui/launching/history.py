"""The launches of this and earlier sessions: a line of JSON for each in a file, to be picked from and repeated."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nsview import places
from nsview.tui.launching.form import Form, Ids
from nsview.tui.launching.sections import ROWS
from spawner import Mechanism, Spec, SpecError
from spawner.namespaces import BY_NAME
from spawner.saved.file import dump, load

KEPT = 200
"""Launches offered, the newest of those in the file."""

LONGEST = 256 << 10
"""Bytes of a line; a longer launch is not kept."""

_LARGEST = 4 << 20
"""Bytes after which the file is written anew, with the newest launches in half of that."""


class TooLongError(ValueError):
    """A launch that is too long to be kept."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One launch: when, in seconds since 1970, and what the panel said."""

    when: float
    form: Form


@dataclass(frozen=True, slots=True)
class History:
    """The launches found, each form once, the newest first; ``notice``: what could not be read, else empty."""

    entries: tuple[Entry, ...] = ()
    notice: str = ""


def path() -> Path:
    """The file."""
    return places.state_directory() / "launches.jsonl"


def line_of(entry: Entry) -> bytes:
    """A line of the file. Raises TooLongError."""
    form = entry.form
    plain = {
        "when": entry.when,
        "command": form.command,
        "namespaces": sorted(form.namespaces),
        "clone_flags": form.clone_flags,
        "ids": form.ids.name,
        "via": form.via.value,
        "hold": form.hold,
        "fields": dict(form.fields),
        "kept": [name for name, _ in form.kept],
        "spec": dump(Spec(args=("kept",), **dict(form.kept)), "json") if form.kept else "",
    }
    line = json.dumps(plain).encode() + b"\n"
    if len(line) > LONGEST:
        raise TooLongError(f"the launch is too long for the history: {len(line)} bytes")
    return line


def entry_of(line: bytes) -> Entry:
    """The launch of a line. Raises ValueError for anything but what line_of() writes."""
    try:
        plain = json.loads(line)
        _expect(plain, dict)
        fields = _expect(plain["fields"], dict)
        form = Form(
            command=_expect(plain["command"], str),
            namespaces=frozenset(BY_NAME[name].name for name in _expect(plain["namespaces"], list)),
            clone_flags=_expect(plain["clone_flags"], int),
            ids=Ids[plain["ids"]],
            via=Mechanism(plain["via"]),
            hold=_expect(plain["hold"], bool),
            kept=_kept(_expect(plain["kept"], list), _expect(plain["spec"], str)),
        )
        for key in ROWS:
            if key in fields:
                form = form.put(key, _expect(fields.pop(key), str))
        if fields:
            raise ValueError(f"there is no row {next(iter(fields))!r}")
        return Entry(float(_expect(plain["when"], (int, float))), form)
    except (KeyError, TypeError, AttributeError, RecursionError, OverflowError, SpecError) as error:
        raise ValueError(f"no launch: {error}") from error


def _kept(names: list[Any], text: str) -> tuple[tuple[str, Any], ...]:
    if not names:
        return ()
    spec = load(text, "json")
    return tuple((name, getattr(spec, name)) for name in names)


def _expect(value: Any, kinds: type | tuple[type, ...]) -> Any:
    if not isinstance(value, kinds):
        raise TypeError(f"{value!r:.40} is something else")
    return value


def read() -> History:
    """Read the file; what is broken in it is left out and told in one notice."""
    try:
        lines = _lines()
    except FileNotFoundError:
        return History()
    except OSError as error:
        return History(notice=f"the history cannot be read: {path()}: {error.strerror}")
    found: dict[Form, Entry] = {}
    broken = 0
    for line in lines:
        try:
            entry = entry_of(line)
        except ValueError:
            broken += 1
            continue
        found.pop(entry.form, None)
        found[entry.form] = entry
    entries = tuple(reversed(found.values()))[:KEPT]
    notice = f"left out of the history: {broken} lines of {path()} that are no launches" if broken else ""
    return History(entries, notice)


def _lines() -> list[bytes]:
    content = places.read(path(), _LARGEST)
    lines = content.split(b"\n")
    if len(content) == _LARGEST:
        del lines[0]  # the rest of one that begins before
    return [line for line in lines if line.strip()]


def record(form: Form) -> None:
    """Add a launch, now. Raises OSError and TooLongError."""
    places.append(path(), line_of(Entry(time.time(), form)))
    if _size() > _LARGEST:
        newest = b"".join(line + b"\n" for line in _lines()[-KEPT:])
        if (excess := len(newest) - _LARGEST // 2) > 0:
            newest = newest[newest.index(b"\n", excess) + 1 :]
        places.write(path(), newest)


def _size() -> int:
    with places.as_invoker():
        return path().stat().st_size
