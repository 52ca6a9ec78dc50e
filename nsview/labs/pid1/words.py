"""How to word what became of signals. What ought to, is in spawner.first_process. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from spawner.first_process import Effect
from spawner.signals import signal_name


def worded(actions: Mapping[int, str]) -> str:
    """Say what came of each signal, the same together."""
    parts = []
    for action in Effect:
        numbers = [number for number in sorted(actions) if actions[number] == action]
        if numbers:
            every = len(numbers) == len(actions) and len(numbers) > 2
            parts.append(f"{action}: " + (f"all {len(numbers)}" if every else names(numbers)))
    return "; ".join(parts)


def names(numbers: Iterable[int]) -> str:
    """Name signals without SIG."""
    return " ".join(signal_name(number).removeprefix("SIG") for number in numbers) or "none"


def acting(actions: Mapping[int, str]) -> int:
    """How many of them ended it or stopped it."""
    return sum(what != Effect.WENT_ON for what in actions.values())
