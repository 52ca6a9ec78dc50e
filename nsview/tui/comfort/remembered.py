"""What the UI remembers from one start to the next: theme, and how the panes were arranged.

A file that cannot be read, or holds what this version does not know, is as none: nothing depends on it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nsview.places import read, state_directory, write

FILE = "ui.json"
LARGEST = 1 << 20
VERSION = 1


def load() -> dict[str, Any]:
    """Return what was remembered, by name; empty where there is nothing that can be read. Raises OSError."""
    try:
        raw = read(state_directory() / FILE, LARGEST)
    except FileNotFoundError:
        return {}
    try:
        found = json.loads(raw)
    except ValueError:
        return {}
    if not isinstance(found, dict) or found.get("version") != VERSION:
        return {}
    return found


def save(values: Mapping[str, Any]) -> None:
    """Remember these, in place of all that was. Raises OSError."""
    write(state_directory() / FILE, json.dumps({"version": VERSION, **values}, indent=1).encode() + b"\n")
