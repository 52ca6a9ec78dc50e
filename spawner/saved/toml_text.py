"""Plain values as TOML 1.0 (toml.io/en/v1.0.0), which the standard library can only read."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any


def toml(table: Mapping[str, Any]) -> str:
    """The text of a table of str, int, float, bool, lists and tables: values first, then tables, in their order."""
    return "\n".join(_lines(table)) + "\n"


def _lines(table: Mapping[str, Any]) -> Iterator[str]:
    for key, value in table.items():
        if not _sections(value):
            yield f"{_key(key)} = {_value(value)}"
    for key, value in table.items():
        for section in _sections(value):
            yield ""
            yield f"[[{_key(key)}]]" if isinstance(value, list) else f"[{_key(key)}]"
            for name, item in section.items():
                yield f"{_key(name)} = {_value(item)}"


def _sections(value: Any) -> list[Mapping[str, Any]]:
    """The tables that get a heading of their own."""
    if isinstance(value, dict):
        return [value]
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return value
    return []


def _key(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else _quoted(text)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_key(key)} = {_value(item)}' for key, item in value.items())}}}"
    return str(int(value))


_LINES = re.compile(r"[^\x00-\x08\x0b-\x1f\x7f]*\n[^\x00-\x08\x0b-\x1f\x7f]*")


def _text(text: str) -> str:
    """Some lines as they are, between three apostrophes; anything else in quotation marks."""
    if _LINES.fullmatch(text) and "'''" not in text and not text.endswith("'"):
        return f"'''\n{text}'''"
    return _quoted(text)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
