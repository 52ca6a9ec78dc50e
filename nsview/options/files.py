"""Options for files: what is mounted and made in the root, in the order given, spelt as in bwrap(1)."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from nsview.options import words
from nsview.options.option import Option, in_order, refuse
from spawner import Spec
from spawner.oci import (
    Bind,
    Chmod,
    Dev,
    Dir,
    File,
    FileOperation,
    Mqueue,
    Overlay,
    Proc,
    RemountReadOnly,
    Symlink,
    Tmpfs,
)

TITLE = (
    "files, in the order given (any of these implies a mount namespace and, without -R, a root of its own, empty "
    "at first; SRC is a path outside, DEST one inside)"
)


@dataclass(slots=True)
class _Before:
    """What was said for the next operation alone, and the descriptors read so far."""

    perms: int | None = None
    size: int | None = None
    sources: tuple[str, ...] = ()
    read: set[int] = field(default_factory=set)

    def mode(self, otherwise: int) -> int:
        return otherwise if self.perms is None else self.perms


_Make = Callable[..., FileOperation]


@dataclass(frozen=True, slots=True)
class _Row:
    """An operation: its values, what it does, how it is made, and which options may come before it."""

    metavars: tuple[str, ...]
    does: str
    make: _Make
    takes: tuple[str, ...] = ()


def _bind(**how: bool) -> _Make:
    return lambda _, source, destination: Bind(source=source, destination=destination, **how)


def _file(mode: int, **how: bool) -> _Make:
    def make(before: _Before, descriptor: str, destination: str) -> FileOperation:
        content = _content(before, descriptor, destination)
        return File(destination=destination, content=content, mode=before.mode(mode), **how)

    return make


def _content(before: _Before, text: str, destination: str) -> bytes:
    """All that can be read from the descriptor, which can be done once."""
    fd = words.descriptor(text)
    if fd in before.read:
        refuse(f"descriptor {fd}, the content of {destination}, has been read by an option before", "give another")
    before.read.add(fd)
    try:
        return read_all(fd)
    except OSError as error:
        refuse(f"descriptor {fd}, the content of {destination}: {error.strerror}", "open it for reading, as in 5<FILE")


def read_all(fd: int) -> bytes:
    """Everything that can be read from a descriptor. Raises OSError."""
    parts = []
    while part := os.read(fd, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def _overlay(least: int, *, read_only: bool = False) -> _Make:
    def make(before: _Before, *paths: str) -> FileOperation:
        if len(before.sources) < least:
            refuse(f"an overlay on {paths[-1]} of too few directories", f"give --overlay-src {least} times before it")
        upper, work = paths[:2] if len(paths) == 3 else (None, None)
        return Overlay(destination=paths[-1], lower=before.sources, upper=upper, work=work, read_only=read_only)

    return make


_SRC_DEST = ("SRC", "DEST")
_TRY = ", unless there is no SRC"
_PERMS = ("--perms",)
_LOWER = ("--overlay-src",)

_OPERATIONS: dict[str, _Row] = {
    "--bind": _Row(_SRC_DEST, "SRC at DEST, without its devices", _bind()),
    "--bind-try": _Row(_SRC_DEST, "--bind" + _TRY, _bind(optional=True)),
    "--ro-bind": _Row(_SRC_DEST, "SRC read-only at DEST", _bind(read_only=True)),
    "--ro-bind-try": _Row(_SRC_DEST, "--ro-bind" + _TRY, _bind(read_only=True, optional=True)),
    "--dev-bind": _Row(_SRC_DEST, "SRC at DEST with its devices", _bind(devices=True)),
    "--dev-bind-try": _Row(_SRC_DEST, "--dev-bind" + _TRY, _bind(devices=True, optional=True)),
    "--tmpfs": _Row(
        ("DEST",),
        "an empty tmpfs",
        lambda before, path: Tmpfs(destination=path, size=before.size, mode=before.mode(0o755)),
        ("--perms", "--size"),
    ),
    "--proc": _Row(("DEST",), "a procfs of the pid namespace", lambda _, path: Proc(destination=path)),
    "--dev": _Row(("DEST",), "a new /dev with the usual devices", lambda _, path: Dev(destination=path)),
    "--mqueue": _Row(("DEST",), "the message queues of the ipc namespace", lambda _, path: Mqueue(destination=path)),
    "--dir": _Row(
        ("DEST",), "a directory", lambda before, path: Dir(destination=path, mode=before.mode(0o755)), _PERMS
    ),
    "--file": _Row(("FD", "DEST"), "a file of what descriptor FD has", _file(0o666), _PERMS),
    "--bind-data": _Row(("FD", "DEST"), "such a file mounted on DEST", _file(0o600, bound=True), _PERMS),
    "--ro-bind-data": _Row(("FD", "DEST"), "the same, read-only", _file(0o600, bound=True, read_only=True), _PERMS),
    "--symlink": _Row(
        ("TARGET", "DEST"),
        "a symbolic link to TARGET",
        lambda _, target, path: Symlink(target=target, destination=path),
    ),
    "--chmod": _Row(
        ("OCTAL", "PATH"),
        "another mode for what is there",
        lambda _, mode, path: Chmod(destination=path, mode=words.octal(mode)),
    ),
    "--remount-ro": _Row(
        ("DEST",), "make a mount read-only, not those below it", lambda _, path: RemountReadOnly(destination=path)
    ),
    "--overlay": _Row(("RWSRC", "WORKDIR", "DEST"), "an overlay written to RWSRC", _overlay(1), _LOWER),
    "--tmp-overlay": _Row(("DEST",), "an overlay whose changes end with it", _overlay(1), _LOWER),
    "--ro-overlay": _Row(("DEST",), "a read-only overlay", _overlay(2, read_only=True), _LOWER),
}

_MODIFIERS = {
    "--perms": ("OCTAL", "mode of what the next option makes"),
    "--size": ("BYTES", "size of the next --tmpfs (K, M, G for 1024 and so on)"),
    "--overlay-src": ("SRC", "a directory of the next overlay, the lowest first; repeatable"),
}

OPTIONS: tuple[Option, ...] = (
    *(Option((name,), does, in_order("files", metavar)) for name, (metavar, does) in _MODIFIERS.items()),
    *(Option((name,), row.does, in_order("files", *row.metavars)) for name, row in _OPERATIONS.items()),
)


def operations(noted: Sequence[Sequence[str]]) -> tuple[FileOperation, ...]:
    """The operations that options and their values, in this order, ask for. Raises SpecError."""
    found: list[FileOperation] = []
    before = _Before()
    said: list[str] = []
    for option, *values in noted:
        try:
            if option in _MODIFIERS:
                _modify(before, option, values[0])
                said.append(option)
                continue
            row = _OPERATIONS[option]
            _suits(said, row.takes, option)
            found.append(row.make(before, *values))
        except words.Refused as error:
            refuse(f"argument {option}: {error}")
        said = []
        before = _Before(read=before.read)
    _suits(said, (), None)
    return tuple(found)


def _modify(before: _Before, option: str, value: str) -> None:
    if option == "--overlay-src":
        before.sources = (*before.sources, value)
        return
    name = option.removeprefix("--")
    if getattr(before, name) is not None:
        refuse(f"{option} is given twice for the same option", "give it once before each option it is for")
    setattr(before, name, words.octal(value) if option == "--perms" else words.some_bytes(value))


def _suits(said: Sequence[str], takes: Sequence[str], option: str | None) -> None:
    for modifier in said:
        if modifier not in takes:
            meant = ", ".join(name for name, row in _OPERATIONS.items() if modifier in row.takes)
            after = "nothing" if option is None else option
            refuse(f"{modifier} is for the option right after it, which is {after}", f"it goes before {meant}")


def fields(asked: argparse.Namespace, base: Spec) -> dict[str, Any]:
    """What these options make of a Spec."""
    if not asked.files:
        return {}
    return {
        "mounts": (*base.mounts, *operations(asked.files)),
        "namespaces": base.namespaces | {"mount"},
    }
