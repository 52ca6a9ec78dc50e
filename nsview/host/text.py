"""Names that come from other processes, made safe to show: one line, no control of the terminal."""

from __future__ import annotations

import re
import unicodedata

_LONE_BYTE = re.compile("[\udc80-\udcff]")
_NARROW = re.compile("[ -~\u00a0-\u02ff\u2010-\u2027\u2500-\u259f\u25c6]*")
"""Texts of one column for each character, told at once: Latin, dashes and dots, the lines of trees."""


def printable(raw: bytes | str) -> str:
    r"""Return ``raw`` with all that a terminal would not print as a character escaped: ``\n``, ``\x1b``,
    ``\u202e``.

    Any process can name itself with newlines, escape sequences or marks that reverse the direction of writing
    (prctl(2) PR_SET_NAME, argv). Bytes that are not UTF-8 become ``\xNN``, as do the lone surrogates of
    os.fsdecode(). Backslashes stay as they are: the result is for eyes, not for parsing.
    """
    text = raw.decode("utf-8", "backslashreplace") if isinstance(raw, bytes) else raw
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    if _LONE_BYTE.match(char):
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")


def width(text: str) -> int:
    """Return the columns a printable text takes on a terminal (UAX #11; combining marks take none)."""
    if text.isascii() or _NARROW.fullmatch(text):
        return len(text)
    return sum(_columns(char) for char in text)


def cut(text: str, columns: int) -> str:
    """Return ``text`` if it fits, else as much of it as fits with ``…`` at the end."""
    if width(text) <= columns:
        return text
    kept, room = [], columns - 1
    for char in text:
        room -= _columns(char)
        if room < 0:
            break
        kept.append(char)
    return "".join(kept) + "…" if columns > 0 else ""


def _columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
