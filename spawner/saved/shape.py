"""Between a Spec's values and what TOML and JSON have: led by the types of its dataclasses, nothing said twice."""

from __future__ import annotations

import base64
import binascii
import re
import types
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from spawner.errors import Problem, SpecError

_BASE64 = "base64"


class SpecFileError(SpecError):
    """A text that is no Spec: ``place`` says where, as ``mounts[3].size``; empty where it is the text as a whole."""

    def __init__(self, place: str, message: str, remedy: str = "", file: str = "") -> None:
        where = ": ".join(filter(None, (file, place)))
        super().__init__((Problem(f"{where}: {message}" if where else message, remedy),))
        self.place = place
        self.message = message
        self.remedy = remedy
        self.file = file

    def within(self, file: str) -> SpecFileError:
        """The same, of this file."""
        return SpecFileError(self.place, self.message, self.remedy, file)


# ---- from values ----


def plain_of(value: Any, shape: Any, place: str) -> Any:
    """``value``, of type ``shape``, as dict, list, str, int, float and bool; None only by itself."""
    shape = _without_none(shape)
    if value is None:
        return None
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return _text_out(value, place)
    if isinstance(value, bytes):
        return _bytes_out(value)
    if is_dataclass(value):
        named = {"type": _word(type(value))} if _is_choice(shape) else {}
        return {**named, **_fields_out(value, place)}
    if isinstance(value, frozenset):
        return [plain_of(item, get_args(shape)[0], place) for item in sorted(value)]
    if isinstance(value, tuple):
        return _tuple_out(value, shape, place)
    return value


def _fields_out(value: Any, place: str) -> dict[str, Any]:
    found = {}
    for field, shape in _fields_of(cast(Any, type(value))).values():
        item = getattr(value, field.name)
        if item is not None and (_required(field) or item != _default(field)):
            found[field.name] = plain_of(item, shape, _below(place, field.name))
    return found


def _tuple_out(value: tuple[Any, ...], shape: Any, place: str) -> Any:
    items = get_args(shape)
    if items[-1] is not Ellipsis:
        return [plain_of(item, part, f"{place}[{i}]") for i, (item, part) in enumerate(zip(value, items, strict=True))]
    pair = _pair(shape)
    if pair is not None and _names_once(value):
        return {name: plain_of(item, pair, _below(place, name)) for name, item in value}
    return [plain_of(item, items[0], f"{place}[{i}]") for i, item in enumerate(value)]


def _names_once(pairs: tuple[Any, ...]) -> bool:
    """Whether a table can hold these pairs."""
    names = [name for name, _ in pairs]
    return len(set(names)) == len(names) and all(_is_unicode(name) for name in names)


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _text_out(text: str, place: str) -> Any:
    """The text; the bytes it stands for where it is a path, say, that is not UTF-8 (PEP 383)."""
    if _is_unicode(text):
        return text
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        data = b""
    if data.decode("utf-8", "surrogateescape") != text:
        raise SpecFileError(place, f"{text!r:.80} cannot be encoded", "leave the odd characters out")
    return {_BASE64: base64.b64encode(data).decode()}


def _bytes_out(data: bytes) -> Any:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {_BASE64: base64.b64encode(data).decode()}


# ---- to values ----


def value_of(plain: Any, shape: Any, place: str, *, partial: bool = False) -> Any:
    """The value of type ``shape`` that ``plain`` stands for. Raises SpecFileError.

    ``partial``: of a dataclass, the fields given as a dict.
    """
    if plain is None and _takes_none(shape):
        return None
    shape = _without_none(shape)
    if _is_choice(shape):
        return _chosen(plain, shape, place)
    if is_dataclass(shape):
        return _fields_in(_table(plain, place), shape, place, partial=partial)
    if get_origin(shape) in (tuple, frozenset):
        return _several(plain, shape, place)
    if shape is str:
        return _text_in(plain, place)
    if shape is bytes:
        text = plain if isinstance(plain, str) else None
        return _utf8(text, place) if text is not None else _bytes_in(plain, place)
    if issubclass(shape, Enum):
        return _member(plain, shape, place)
    return _number(plain, shape, place)


def _fields_in(table: dict[str, Any], shape: Any, place: str, *, partial: bool) -> Any:
    known = _fields_of(shape)
    for name in table:
        if name not in known:
            raise SpecFileError(_below(place, name), f"unknown key{_close(name, known)}", _one_of(known))
    found = {}
    for name, (field, kind) in known.items():
        if name in table:
            if table[name] is None and not _required(field) and _default(field) is not None:
                continue  # null is no value: as if it were left out
            found[name] = value_of(table[name], kind, _below(place, name))
        elif _required(field) and not partial:
            if not _takes_none(kind):
                raise SpecFileError(_below(place, name), "missing", f"give {_article(kind)}")
            found[name] = None
    return found if partial else shape(**found)


def _chosen(plain: Any, shape: Any, place: str) -> Any:
    table = dict(_table(plain, place))
    words = {_word(member): member for member in get_args(shape)}
    word = table.pop("type", None)
    if not isinstance(word, str) or word not in words:
        missing = word is None
        message = "missing" if missing else f"there is no {word!r:.60}{_close(word, words)}"
        raise SpecFileError(_below(place, "type"), message, _one_of(words))
    return _fields_in(table, words[word], place, partial=False)


def _several(plain: Any, shape: Any, place: str) -> Any:
    items = get_args(shape)
    pair = _pair(shape)
    if pair is not None and isinstance(plain, dict):
        return tuple((_text_in(name, place), value_of(item, pair, _below(place, name))) for name, item in plain.items())
    if not isinstance(plain, list):
        wanted = "a table or a list of pairs" if pair is not None else "a list"
        raise SpecFileError(place, f"expected {wanted}, not {_kind(plain)}")
    if get_origin(shape) is frozenset:
        return frozenset(value_of(item, items[0], f"{place}[{i}]") for i, item in enumerate(plain))
    if items[-1] is Ellipsis:
        return tuple(value_of(item, items[0], f"{place}[{i}]") for i, item in enumerate(plain))
    if len(plain) != len(items):
        raise SpecFileError(place, f"expected {len(items)} values, not {len(plain)}")
    return tuple(value_of(item, kind, f"{place}[{i}]") for i, (item, kind) in enumerate(zip(plain, items, strict=True)))


def _text_in(plain: Any, place: str) -> str:
    if isinstance(plain, dict):
        return _bytes_in(plain, place).decode("utf-8", "surrogateescape")
    if not isinstance(plain, str):
        raise SpecFileError(place, f"expected a text, not {_kind(plain)}")
    _utf8(plain, place)
    return plain


def _utf8(text: str, place: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:  # JSON can say "\ud800"
        raise SpecFileError(place, "half of a surrogate pair is no text", "say bytes as {base64 = …}") from None


def _bytes_in(plain: Any, place: str) -> bytes:
    if not isinstance(plain, dict):
        raise SpecFileError(place, f"expected a text or {{base64 = …}}, not {_kind(plain)}")
    text = plain.get(_BASE64)
    if set(plain) != {_BASE64} or not isinstance(text, str):
        raise SpecFileError(place, "expected a text or {base64 = …}, not another table")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SpecFileError(_below(place, _BASE64), f"no base64: {error}") from None


def _member(plain: Any, shape: type[Enum], place: str) -> Enum:
    words = [str(member.value) for member in shape]
    if not isinstance(plain, str) or plain not in words:
        word = f"{plain!r:.60}{_close(plain, words)}" if isinstance(plain, str) else _kind(plain)
        raise SpecFileError(place, f"there is no {word}", _one_of(words))
    return shape(plain)


def _number(plain: Any, shape: Any, place: str) -> Any:
    wanted = (int, float) if shape is float else (shape,)
    if not isinstance(plain, wanted) or (isinstance(plain, bool) and shape is not bool):
        raise SpecFileError(place, f"expected {_article(shape)}, not {_kind(plain)}")
    try:
        return shape(plain)
    except OverflowError:
        raise SpecFileError(place, "too large for a number with a fraction") from None


def _table(plain: Any, place: str) -> dict[str, Any]:
    if not isinstance(plain, dict):
        raise SpecFileError(place, f"expected a table, not {_kind(plain)}")
    return plain


# ---- types ----


@cache
def _fields_of(shape: Any) -> dict[str, tuple[Field[Any], Any]]:
    hints = get_type_hints(shape)
    return {field.name: (field, hints[field.name]) for field in fields(shape)}


def _members(shape: Any) -> tuple[Any, ...]:
    return get_args(shape) if get_origin(shape) in (Union, types.UnionType) else (shape,)


def _takes_none(shape: Any) -> bool:
    return type(None) in _members(shape)


def _without_none(shape: Any) -> Any:
    members = [member for member in _members(shape) if member is not type(None)]
    return members[0] if len(members) == 1 else shape


def _is_choice(shape: Any) -> bool:
    return len(_members(shape)) > 1


def _pair(shape: Any) -> Any:
    """The type of the values where ``shape`` is a tuple of (name, value) pairs, which a table can say; else None."""
    items = get_args(shape)
    if get_origin(shape) is tuple and len(items) == 2 and items[1] is Ellipsis and get_origin(items[0]) is tuple:
        inner = get_args(items[0])
        if len(inner) == 2 and inner[0] is str:
            return inner[1]
    return None


def _required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


# ---- words ----


def _word(shape: type) -> str:
    """A class's name as a key: RemountReadOnly is remount_read_only."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", shape.__name__).lower()


def _below(place: str, name: str) -> str:
    name = name if re.fullmatch(r"[A-Za-z0-9_-]{1,60}", name) else f"{name!r:.60}"
    return f"{place}.{name}" if place else name


def _close(word: object, known: Any) -> str:
    from difflib import get_close_matches  # only for people who mistyped

    found = get_close_matches(str(word)[:60], list(known), n=3)
    return f"; did you mean {' or '.join(found)}?" if found else ""


def _one_of(words: Any) -> str:
    return f"use one of {', '.join(words)}"


_ARTICLES: tuple[tuple[Any, str], ...] = (
    (bool, "true or false"),
    (int, "an integer"),
    (float, "a number"),
    (str, "a text"),
    (bytes, "a text"),
)


def _article(shape: Any) -> str:
    return next((words for kind, words in _ARTICLES if _without_none(shape) is kind), "a value")


def _kind(plain: Any) -> str:
    names: Iterator[str] = (
        words for kind, words in (*_ARTICLES, (list, "a list"), (dict, "a table")) if type(plain) is kind
    )
    return "null" if plain is None else next(names, "a date or a time")
