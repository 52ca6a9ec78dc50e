"""Landlock: which paths may be used."""

from __future__ import annotations

from collections.abc import Iterator

from spawner.cause import Cause
from spawner.draft import Draft
from spawner.errors import Problem
from spawner.spec import Spec


def restrict(draft: Draft) -> None:
    """Make the ruleset and put it into force."""


def problems(spec: Spec, asked: frozenset[str]) -> Iterator[Problem]:
    """What is wrong with this part of a Spec that asks for these new namespaces."""
    yield from ()


CAUSES: tuple[Cause, ...] = ()
