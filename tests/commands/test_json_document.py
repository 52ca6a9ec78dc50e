"""Every key that a command writes in JSON is in docs/json.md, under that command's heading."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from listed import json_of

from nsview.host.columns import DEAR
from nsview.host.columns.processes import PROCESS_COLUMNS

DOCUMENT = Path(__file__).parents[2] / "docs" / "json.md"
ALL = ",".join(column.name for column in PROCESS_COLUMNS if column.cost < DEAR)
BY_NAME = {"columns", "namespaces", "differs", "values", "sources", "directories", "details", "numbers", "spec"}
"""Keys whose objects have names for keys that are said elsewhere: columns, kinds, facts, hierarchies, fields."""


def section(command: str) -> str:
    text = DOCUMENT.read_text()
    _, found, rest = text.partition(f"\n## nsview {command}\n")
    assert found, f"docs/json.md says nothing of {command}"
    return rest.partition("\n## nsview ")[0]


def keys(value: object) -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from keys(one)
    elif isinstance(value, dict):
        for key, inside in value.items():
            yield key
            if key not in BY_NAME:
                yield from keys(inside)


def said(key: str, text: str) -> bool:
    return re.search(rf'["`]{re.escape(key)}["`]', text) is not None


@pytest.mark.parametrize(
    ("command", "words", "also"),
    [
        ("ps", ("-o", ALL), ""),
        ("tree", ("-o", ALL, "pid={pid}"), "ps"),
        ("ns", (), ""),
        ("cgroups", (), ""),
        ("show", ("{pid}",), ""),
        ("diff", ("{pid}",), ""),
        ("advise", (), ""),
        ("advise", ("own-pids", "own-clock", "fast"), ""),
        ("lab", (), ""),
        ("lab", ("mechanisms",), ""),
        ("bench", ("--list",), ""),
        ("bench", ("spawn", "--samples", "1"), ""),
        ("snapshot", (), ""),
    ],
)
def test_every_key_is_documented(command, words, also):
    text = section(command) + (section(also) if also else "")
    document = json_of(command, *(word.format(pid=os.getpid()) for word in words))
    found = set(keys(document))
    assert len(found) > 3
    assert "version" in found
    assert sorted(key for key in found if not said(key, text)) == []


def test_every_kind_of_namespace_and_of_column_is_documented():
    text = section("ps")
    (process,) = json_of("ps", f"pid={os.getpid()}")["processes"]
    assert [kind for kind in process["namespaces"] if not said(kind, text)] == []
    assert [column.kind.name for column in PROCESS_COLUMNS if not said(column.kind.name, text)] == []


def test_every_column_has_a_value_of_its_kind():
    (process,) = json_of("ps", f"pid={os.getpid()}", "-o", ALL)["processes"]
    types = {
        "number": int, "count": int, "rate": float, "percent": float, "mask": int, "bytes": int, "duration": int,
        "moment": int, "text": str, "word": str, "state": str, "user": int, "flag": bool, "pids": list,
        "capabilities": list, "namespace": int, "namespaces": str,
    }  # fmt: skip
    for column in PROCESS_COLUMNS:
        value = process["columns"].get(column.name)
        assert value is None or isinstance(value, types[column.kind.name]), column.name
