"""What can go wrong with a launch, as exceptions with fields."""

from __future__ import annotations

import errno as errno_names
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason why a Spec cannot be launched: what is wrong, what to do, and the kernel's errno if it is its.

    ``rule`` is the name of the rule or danger in the tables (spawner.rules, spawner.dangers), or of a way's limit
    (spawner.mechanism), where there is one.
    """

    message: str
    remedy: str = ""
    errno: int | None = None
    rule: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.message}; {self.remedy}" if self.remedy else self.message


class SpecError(ValueError):
    """A Spec that cannot become a plan. ``problems`` holds every reason, not only the first."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


class LaunchError(OSError):
    """A launch that failed, after which nothing of it is left.

    ``step`` is the label of the step that failed and ``index`` its place in the plan (None: the call that
    makes the child, or the parent's part); ``errno`` is None where no system call failed (a child that was
    killed, say); ``path`` is the file concerned; ``cause`` and ``remedy`` are for people and may be empty.
    """

    def __init__(
        self,
        step: str,
        *,
        index: int | None = None,
        errno: int | None = None,
        path: str | None = None,
        cause: str = "",
        remedy: str = "",
    ) -> None:
        super().__init__(errno, step)
        self.step = step
        self.index = index
        self.errno = errno
        self.path = path
        self.cause = cause
        self.remedy = remedy

    @property
    def errno_name(self) -> str:
        """The errno as its symbol, such as EPERM; empty where there is none."""
        return "" if self.errno is None else errno_names.errorcode.get(self.errno, str(self.errno))

    def __str__(self) -> str:
        head = self.step if self.path is None else f"{self.step} {self.path}"
        parts = [part for part in (self.errno_name, self.cause, self.remedy) if part]
        return f"{head}: {'; '.join(parts)}" if parts else head
