"""What this kernel and this process bring to a launch: probed, never guessed from a version."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from functools import lru_cache

from spawner import _native


@dataclass(frozen=True, slots=True)
class Facts:
    """What compile_spec must know of the caller beside the Spec.

    ``clone3_errno`` is 0 where clone3(2) can be called, else ENOSYS or a filter's errno; ``caught`` has bit
    N-1 set where this process handles signal N; ``program`` is where the search along PATH will end, if that
    could be looked up beforehand.
    """

    clone3_errno: int = 0
    caught: int = 0
    program: str | None = None


@lru_cache(maxsize=1)
def clone3_errno() -> int:
    """0 where clone3(2) exists and is let through; it answers EINVAL to nonsense then."""
    answer = _native.probe_clone3()
    return 0 if answer == errno.EINVAL else answer


def facts(candidates: tuple[str, ...] = (), *, handlers: bool = True) -> Facts:
    """The facts of this process, now; ``candidates`` are the files where the program may be.

    ``handlers``: whether the signals we handle matter; asking for all of them takes 64 system calls.
    """
    caught = _native.dispositions()[0] if handlers else 0
    program = next((path for path in candidates if os.path.isfile(path) and os.access(path, os.X_OK)), None)
    return Facts(clone3_errno=clone3_errno(), caught=caught, program=program)
