"""The parts of a launch: what is known to be wrong with a Spec, and why a step fails, is asked of each of them.

Their steps are in another order, which :mod:`spawner.sections` has.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from spawner.cause import Cause
from spawner.errors import Problem
from spawner.parts import (
    cgroup,
    credentials,
    files,
    ids,
    joining,
    keeping,
    landlock,
    life,
    limits,
    network,
    seccomp,
    security,
)
from spawner.spec import Spec


class Part(Protocol):
    """A module of :mod:`spawner.parts`."""

    CAUSES: tuple[Cause, ...]

    def problems(self, spec: Spec, asked: frozenset[str]) -> Iterable[Problem]:
        """What the part has against a Spec that is well-formed in itself; ``asked`` are its new namespaces."""
        ...


PARTS: tuple[Part, ...] = (
    joining,
    keeping,
    ids,
    credentials,
    files,
    limits,
    cgroup,
    seccomp,
    security,
    landlock,
    network,
    life,
)
"""Where two know a cause for a step, the first is told."""
