"""A Spec as a file: read from and written to TOML or JSON, exactly, with every mistake named by its place."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from spawner.saved.shape import SpecFileError, plain_of, value_of
from spawner.saved.toml_text import toml
from spawner.spec import Spec

VERSION = 1
_LARGEST_FILE = 16 << 20
FORMATS = ("toml", "json")


def load(source: Path | str, form: str | None = None) -> Spec:
    """The Spec of a file (a Path) or a text (a str).

    ``form`` is ``toml`` or ``json``; without it, a file's is told by its name's end, a text's by its first
    character. Raises SpecFileError for whatever is wrong with it.
    """
    found = _fields(source, form)
    if "args" not in found:
        raise SpecFileError("args", "missing", 'say which program to run: args = ["PROGRAM"]')
    return Spec(**found)


def read_fields(path: str) -> dict[str, Any]:
    """The fields that a file sets, which need not say which program to run. Raises SpecFileError."""
    return _fields(Path(path), None)


def dump(spec: Spec, form: str = "toml") -> str:
    """The text from which load() makes this Spec again; what is as by default is left out.

    Raises SpecFileError for what no file can hold: text that is neither Unicode nor a path's bytes.
    """
    plain = {"version": VERSION, **plain_of(spec, Spec, "")}
    try:
        return toml(plain) if form == "toml" else json.dumps(plain, indent=2) + "\n"
    except ValueError as error:  # an int of thousands of digits
        raise SpecFileError("", str(error)) from None


def format_of(path: str | os.PathLike[str]) -> str:
    """``json`` for a file called NAME.json, else ``toml``."""
    return "json" if os.fspath(path).lower().endswith(".json") else "toml"


def _fields(source: Path | str, form: str | None) -> dict[str, Any]:
    if isinstance(source, Path):
        try:
            return _parsed(_text(source), form or format_of(source))
        except SpecFileError as error:
            raise error.within(str(source)) from None
    return _parsed(source, form or ("json" if source.lstrip()[:1] == "{" else "toml"))


def _text(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SpecFileError("", reason, "name a Spec in TOML or JSON that you may read") from None
    if len(content) > _LARGEST_FILE:
        raise SpecFileError("", f"larger than {_LARGEST_FILE >> 20} MiB", "that is no Spec")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise SpecFileError("", f"byte {error.start} is not UTF-8", "a Spec is text") from None


def _parsed(text: str, form: str) -> dict[str, Any]:
    if form not in FORMATS:
        raise ValueError(f"there is no format {form!r}: use one of {', '.join(FORMATS)}")
    try:
        plain = _PARSERS[form](text)
    except SpecFileError:
        raise
    except ValueError as error:  # TOMLDecodeError, JSONDecodeError, an int of thousands of digits
        raise SpecFileError("", f"no {form.upper()}: {error}", "see docs/options.md") from None
    except RecursionError:
        raise SpecFileError("", "nested too deeply", "that is no Spec") from None
    if not isinstance(plain, dict):
        raise SpecFileError("", "no table of a Spec's fields", "see docs/options.md")
    version = plain.pop("version", VERSION)
    if version is True or version != VERSION:
        raise SpecFileError("version", f"this program reads version {VERSION}, not {version!r:.40}", "save it anew")
    found = value_of(plain, Spec, "", partial=True)
    assert isinstance(found, dict)
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(name for name, _ in pairs if [key for key, _ in pairs].count(name) > 1)
        raise SpecFileError("", f"the key {twice!r} is there twice in one object", "leave one of them out")
    return found


_PARSERS: dict[str, Callable[[str], Any]] = {
    "toml": tomllib.loads,
    "json": lambda text: json.loads(text, object_pairs_hook=_once),
}

assert "version" not in {field.name for field in fields(Spec)}
