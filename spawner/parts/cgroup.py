"""A control group for the child: made and removed by the parent, entered by the child."""

from __future__ import annotations

from collections.abc import Iterator

from spawner.cause import Cause
from spawner.draft import Draft
from spawner.errors import Problem
from spawner.spec import Spec


def enter(draft: Draft) -> None:
    """The child goes into the groups that were made for it."""


def problems(spec: Spec, asked: frozenset[str]) -> Iterator[Problem]:
    """What is wrong with this part of a Spec that asks for these new namespaces."""
    yield from ()


CAUSES: tuple[Cause, ...] = ()
