"""Limits and the share of the machine: rlimits, priorities, processors."""

from __future__ import annotations

from collections.abc import Iterator

from spawner.cause import Cause
from spawner.draft import Draft
from spawner.errors import Problem
from spawner.spec import Spec


def oom_score(draft: Draft) -> None:
    """Before anything that could make /proc/self read-only to us."""


def scheduling(draft: Draft) -> None:
    """Nice, processors, scheduler, I/O priority, personality."""


def rlimits(draft: Draft) -> None:
    """Resource limits."""


def problems(spec: Spec, asked: frozenset[str]) -> Iterator[Problem]:
    """What is wrong with this part of a Spec that asks for these new namespaces."""
    yield from ()


CAUSES: tuple[Cause, ...] = ()
