"""A new network namespace: lo, and a veth pair to the host."""

from __future__ import annotations

import os
from collections.abc import Iterator

from spawner.cause import Cause
from spawner.draft import Draft
from spawner.errors import Problem
from spawner.plan import Named, Packed
from spawner.spec import Spec

_SIOCSIFFLAGS = Named(0x8914, "SIOCSIFFLAGS")
_IFF_UP = 0x1 | 0x40


def loopback(draft: Draft) -> None:
    """Set lo up."""
    if "network" not in draft.asked or not draft.spec.loopback:
        return
    kind = Named(2 | os.O_CLOEXEC, "SOCK_DGRAM|SOCK_CLOEXEC")
    request = Packed("=16sh14x8x", (b"lo", _IFF_UP), '{"lo", IFF_UP|IFF_RUNNING}')
    fd = draft.add("socket for lo", "socket", Named(2, "AF_INET"), kind, 0, phase="network")
    draft.add(
        "lo up",
        "ioctl",
        fd,
        _SIOCSIFFLAGS,
        request,
        phase="network",
        why="a new network namespace has lo down",
    )
    draft.add("close socket", "close", fd, phase="network")


def veth(draft: Draft) -> None:
    """Let the parent connect the new network namespace to the host."""


def problems(spec: Spec, asked: frozenset[str]) -> Iterator[Problem]:
    """What is wrong with this part of a Spec that asks for these new namespaces."""
    yield from ()


CAUSES: tuple[Cause, ...] = ()
