"""How a child ended, as wait(2) tells it."""

from __future__ import annotations

import resource
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Exit:
    """How a child ended: ``code`` if it exited, ``signal`` if one killed it (``core``: and it dumped core).

    All None where the kernel told only that it ended. ``rusage`` is its own, as getrusage(2) has it, and None
    where it was not ours to reap. ``executed`` is false where a signal ended it inside execve, before the new
    program began (PF_FORKNOEXEC of the zombie).
    """

    code: int | None
    signal: int | None
    core: bool
    rusage: resource.struct_rusage | None
    executed: bool = True

    @property
    def status(self) -> int | None:
        """As a shell has it: the exit code, or 128 + the signal."""
        return 128 + self.signal if self.signal is not None else self.code
