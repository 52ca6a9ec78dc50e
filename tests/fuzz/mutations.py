"""Nonsense by chance: values, structures and texts, and valid ones with something changed. All from one Random."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

CHARACTERS = "aZ0_-=./,:[]{}\"'\\#\n\t \0\x7f\u00e9\u2028\ud800\udc80\U0001f600"
NUMBERS = (0, 1, -1, 7, 8, 64, 65, 255, 4095, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, -(2**63), 2**64, 10**30)
SYNTAX = (
    "[", "]", "[[", "]]", "{", "}", '"', "'", '"""', "'''", "=", ",", ":", "#", "\\u", "\\ud800", "\n", "\r", "null",
    "true", "nan", "-inf", "1e999", "0x", "1979-05-27", "07:32:00", "9" * 5000, "[" * 3000, '{"a":' * 3000,
)  # fmt: skip


def text(random: Random, most: int = 8) -> str:
    """A few characters that mean something somewhere."""
    return "".join(random.choices(CHARACTERS, k=random.randint(0, most)))


def scalar(random: Random, words: Sequence[str]) -> Any:
    """A value that is not a list or a table; ``words`` are those which the format knows."""
    match random.randrange(8):
        case 0 | 1:
            return random.choice(words)
        case 2:
            return random.choice(NUMBERS)
        case 3:
            return random.random() * random.choice(NUMBERS)
        case 4:
            return random.choice((True, False, None))
        case 5:
            return random.choice((float("inf"), float("-inf"), float("nan")))
        case _:
            return text(random)


def structure(random: Random, words: Sequence[str], depth: int = 3) -> Any:
    """A value of any kind."""
    match random.randrange(4) if depth else 0:
        case 1:
            return [structure(random, words, depth - 1) for _ in range(random.randrange(4))]
        case 2:
            keys = [random.choice(words) if random.random() < 0.8 else text(random) for _ in range(random.randrange(4))]
            return {key: structure(random, words, depth - 1) for key in keys}
        case _:
            return scalar(random, words)


def changed(random: Random, value: Any, words: Sequence[str]) -> Any:
    """``value`` with one thing in it changed."""
    if isinstance(value, dict) and value and random.random() < 0.85:
        found = dict(value)
        key = random.choice(list(found))
        match random.randrange(6):
            case 0:
                del found[key]
            case 1:
                found[random.choice(words)] = structure(random, words)
            case 2:
                found[f"{key}{random.choice('sx_')}"] = found.pop(key)
            case _:
                found[key] = changed(random, found[key], words)
        return found
    if isinstance(value, list) and value and random.random() < 0.85:
        items = list(value)
        place = random.randrange(len(items))
        match random.randrange(4):
            case 0:
                del items[place]
            case 1:
                items.insert(place, structure(random, words))
            case _:
                items[place] = changed(random, items[place], words)
        return items
    return structure(random, words)


def garbled(random: Random, source: str) -> str:
    """A text with some of it cut out, doubled, moved or replaced."""
    for _ in range(random.randint(1, 4)):
        first = random.randint(0, len(source))
        last = min(len(source), first + random.randint(0, 12))
        match random.randrange(5):
            case 0:
                source = source[:first] + source[last:]
            case 1:
                source = source[:last] + source[first:]
            case 2:
                source = source[:first] + random.choice(SYNTAX) + source[last:]
            case 3:
                source = source[:first]
            case _:
                source = source[:first] + text(random) + source[last:]
    return source
