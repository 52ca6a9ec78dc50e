"""Signals by name."""

from __future__ import annotations

import signal

_NAMED = frozenset(signal.Signals)


def signal_name(number: int) -> str:
    """Name a signal as kill(1) does: SIGTERM, SIGRTMIN+3; ``signal 33`` for one of glibc's own, which has no name."""
    if number in _NAMED:
        return signal.Signals(number).name
    beyond = number - signal.SIGRTMIN
    return f"SIGRTMIN+{beyond}" if 0 < beyond <= signal.SIGRTMAX - signal.SIGRTMIN else f"signal {number}"
