"""Seccomp filters."""

from __future__ import annotations

from collections.abc import Iterator

from spawner.cause import Cause
from spawner.draft import Draft
from spawner.errors import Problem
from spawner.spec import Spec


def privileged_filters(draft: Draft) -> None:
    """Without no_new_privs: while CAP_SYS_ADMIN is there."""


def filters(draft: Draft) -> None:
    """With no_new_privs: as the last thing before execve."""


def problems(spec: Spec, asked: frozenset[str]) -> Iterator[Problem]:
    """What is wrong with this part of a Spec that asks for these new namespaces."""
    yield from ()


CAUSES: tuple[Cause, ...] = ()
