"""A namespace in a recording: its relations, its names, and what beside processes keeps it alive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nsview.host.namespaces import BindMount, Descriptor, Keepers, Namespace, Task
from nsview.host.text import printable
from spawner.namespaces import BY_NAME

MOST_KEEPERS = 128
"""Of each way to keep it alive, so that a line stays readable; the rest is left out."""

_NUMBERS = ("parent", "owner", "owner_uid", "id", "depth")
_TUPLES: Mapping[str, type[Task] | type[Descriptor] | None] = {
    "tasks": Task,
    "awaiting_tasks": Task,
    "descriptors": Descriptor,
    "sockets": Descriptor,
    "children": None,
    "owned": None,
}


def to_object(namespace: Namespace) -> dict[str, object]:
    """Return a JSON object; the processes inside and those who await it are in the sample."""
    keepers = namespace.keepers
    held: dict[str, object] = {}
    for name in (*_TUPLES, "bind_mounts"):
        if found := getattr(keepers, name):
            held[name] = found[:MOST_KEEPERS]
    return {
        "type": namespace.kind.name,
        "inode": namespace.inode,
        **{name: getattr(namespace, name) for name in _NUMBERS},
        "name": namespace.name,
        "keepers": held,
    }


def from_object(found: Any) -> Namespace:
    """Return the namespace of a JSON object, without members; ValueError when it is none."""
    if not isinstance(found, dict) or not isinstance(found.get("type"), str) or found["type"] not in BY_NAME:
        raise ValueError("a namespace of no type")
    if not _is_number(found.get("inode")):
        raise ValueError("a namespace without an inode")
    numbers = {name: _checked(name, found.get(name), _is_number) for name in _NUMBERS}
    name = _checked("name", found.get("name"), lambda value: isinstance(value, str) and len(value) < 8192)
    held = found.get("keepers", {})
    if not isinstance(held, dict):
        raise ValueError("a namespace's keepers are nothing they can be")
    values: dict[str, Any] = {name: _tuples(name, held.get(name, []), kind) for name, kind in _TUPLES.items()}
    values["bind_mounts"] = _bind_mounts(held.get("bind_mounts", []))
    keepers = Keepers(**values)
    shown = None if name is None else printable(name)
    return Namespace(BY_NAME[found["type"]], found["inode"], (), **numbers, keepers=keepers, name=shown)


def _is_number(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 64


def _checked(name: str, value: Any, check: Callable[[object], bool]) -> Any:
    if value is None or check(value):
        return value
    raise ValueError(f"a namespace's {name} is nothing it can be")


def _rows(name: str, found: object) -> list[Any]:
    if isinstance(found, list) and len(found) <= MOST_KEEPERS:
        return found
    raise ValueError(f"a namespace's {name} are nothing they can be")


def _tuples(name: str, found: object, kind: type[Task] | type[Descriptor] | None) -> tuple[object, ...]:
    rows = _rows(name, found)
    if kind is None:
        if all(map(_is_number, rows)):
            return tuple(rows)
    elif all(isinstance(row, list) and len(row) == len(kind._fields) and all(map(_is_number, row)) for row in rows):
        return tuple(kind._make(row) for row in rows)
    raise ValueError(f"a namespace's {name} are nothing they can be")


def _bind_mounts(found: object) -> tuple[BindMount, ...]:
    rows = _rows("bind_mounts", found)
    if all(isinstance(row, list) and len(row) == 2 and _is_number(row[0]) and isinstance(row[1], str) for row in rows):
        return tuple(BindMount._make(row) for row in rows)
    raise ValueError("a namespace's bind_mounts are nothing they can be")
