"""A row of the table from (step, errno) to a sentence a person can act on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from spawner.plan import Plan


@dataclass(frozen=True, slots=True)
class Cause:
    """A likely cause: ``steps`` are labels (a leading ``*`` matches any beginning), ``when`` narrows it further."""

    steps: tuple[str, ...]
    errno: int
    cause: str
    remedy: str
    when: Callable[[Plan, str | None], bool] | None = None
