"""Capabilities and no_new_privs."""

from __future__ import annotations

from collections.abc import Iterator

from spawner.cause import Cause
from spawner.draft import Draft
from spawner.errors import Problem
from spawner.spec import Spec


def bounding_set(draft: Draft) -> None:
    """Drop from the bounding set, while CAP_SETPCAP is there."""


def no_new_privs(draft: Draft) -> None:
    """PR_SET_NO_NEW_PRIVS."""


def capabilities(draft: Draft) -> None:
    """The four other sets."""


def problems(spec: Spec, asked: frozenset[str]) -> Iterator[Problem]:
    """What is wrong with this part of a Spec that asks for these new namespaces."""
    yield from ()


CAUSES: tuple[Cause, ...] = ()
