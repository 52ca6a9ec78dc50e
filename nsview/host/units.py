"""Amounts as a person reads them; an unknown amount stays None."""

from __future__ import annotations


def bytes_text(amount: int) -> str:
    """Return ``amount`` bytes in at most five characters, in binary units: ``1023``, ``1.2M``."""
    size = float(amount)
    for unit in ("", "K", "M", "G", "T"):
        if abs(size) < 1000 or (unit == "" and abs(size) < 1024):
            return f"{size:.0f}{unit}" if unit == "" or abs(size) >= 9.95 else f"{size:.1f}{unit}"
        size /= 1024
    return f"{size:.0f}P" if abs(size) >= 9.95 else f"{size:.1f}P"


def count_text(amount: int) -> str:
    """Return ``amount`` with thin groups of three digits: ``12 345``."""
    return f"{amount:,}".replace(",", " ")


def microseconds_text(nanoseconds: int) -> str:
    """Return a time as whole microseconds: ``1 204 113 µs``."""
    return f"{count_text(round(nanoseconds / 1000))} µs"


def signed(text: str) -> str:
    """Put a sign before a difference: ``+12K``, ``−3``."""
    return f"−{text[1:]}" if text.startswith("-") else f"+{text}"
