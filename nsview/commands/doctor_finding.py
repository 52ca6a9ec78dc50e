"""A finding of ``nsview doctor``: what a probe answers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum

SUDO = "run with sudo"
GRANT = "have the container or service that we run in grant the capabilities"


class State(StrEnum):
    """How much of a thing works here."""

    OK = "ok"
    LIMITED = "limited"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe found: ``detail`` in plain words, ``remedy`` what a person can do about it."""

    state: State
    detail: str
    remedy: str | None = None


def more_privileges() -> str:
    """Say how to get the privileges we lack."""
    return GRANT if os.geteuid() == 0 else SUDO
