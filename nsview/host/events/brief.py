"""Leaving out, before it is decoded, what is told of lives so short that no snapshot has seen them. Pure.

Where a thousand processes a second are born and end, nearly all that is told is of such; who only asks how the
processes of its snapshots came and went need not pay for them.
"""

from __future__ import annotations

import struct
from collections.abc import Container, Iterable
from dataclasses import dataclass

from nsview.host.events.proc_events import BITS

_GLANCE = struct.Struct("=36xI4xQ4I")
"""Of a datagram of the proc connector (proc_events.py): which event, when, and the first four numbers it is about."""
_FORK, _EXIT, _EXEC = BITS["fork"], BITS["exit"], BITS["exec"]


@dataclass(frozen=True, slots=True)
class Known:
    """Whose lives are wanted whole: those of ``pids`` and ``others``, and all that go on at ``until_ns``."""

    pids: Container[int]
    others: Container[int]
    until_ns: int


def without_brief(datagrams: Iterable[bytes], known: Known) -> list[bytes]:
    """Return the datagrams but for those of processes that are not known, and whose birth and end are both among them.

    All else is left as it is, in its order: other events, and answers. Datagrams are whole ones of the proc connector.
    """
    kept: dict[int, bytes] = {}
    lives: dict[int, list[int]] = {}
    pids, others, until = known.pids, known.others, known.until_ns
    glance = _GLANCE.unpack_from
    for number, datagram in enumerate(datagrams):
        kept[number] = datagram
        bit, when, first, second, third, fourth = glance(datagram)
        if when > until:
            continue
        if bit == _FORK:
            if third == fourth and fourth not in pids and fourth not in others:
                lives[fourth] = [number]
        elif bit in (_EXEC, _EXIT):
            life = lives.get(second)
            if life is None:
                continue
            life.append(number)
            if bit == _EXIT and first == second:
                for one in lives.pop(second):
                    del kept[one]
    return [*kept.values()]
