"""Why a launch failed, worded from what the status page and the kernel say."""

from __future__ import annotations

import errno
import os
import signal
from contextlib import suppress

from spawner import _native
from spawner.causes import explain
from spawner.ending import WALL, killed_by
from spawner.errors import LaunchError
from spawner.image import PASSED_OVER, Image
from spawner.plan import Plan
from spawner.signals import signal_name


def refused(plan: Plan, label: str, index: int | None, number: int, path: str | None = None) -> LaunchError:
    """The error of a system call, with its likely cause."""
    cause, remedy = explain(plan, label, number, path)
    return LaunchError(label, index=index, errno=number, path=path, cause=cause, remedy=remedy)


def failed_at(plan: Plan, image: Image, index: int) -> LaunchError:
    """The error of the step that ended the plan."""
    step = plan.steps[index]
    result = image.record(index)[2]
    if result >= 0:
        return LaunchError(step.label, index=index, cause="this process has died meanwhile")
    if step.syscall == "execve":
        return _not_executed(plan, image, index, -result)
    return refused(plan, step.label, index, -result, step.path)


def _not_executed(plan: Plan, image: Image, index: int, number: int) -> LaunchError:
    """As execvp(3) has it: one candidate that may not be executed outweighs all that are not there."""
    searched = [i for i, step in enumerate(plan.steps[: index + 1]) if step.syscall == "execve"]
    path = plan.steps[index].path
    if len(searched) > 1 and number in (errno.ENOENT, errno.ENOTDIR):
        path = os.path.basename(path or "")
        for candidate in searched:
            if image.record(candidate)[2] == -errno.EACCES:
                index, number, path = candidate, errno.EACCES, plan.steps[candidate].path
                break
    return refused(plan, "execve", index, number, path)


def died_at(plan: Plan, index: int, pidfd: int, *, out_of_memory: bool) -> LaunchError:
    """The error of a child that was ended before execve, at step ``index``; it is there to be waited for."""
    answer = None
    with suppress(ChildProcessError):  # not ours to wait for (CLONE_PARENT): how it ended stays unknown
        answer = _native.waitid(pidfd, os.WEXITED | os.WNOWAIT | WALL)
    before = "its callable was entered" if plan.entry else "execve"
    how = f"the child ended before {before}"
    number = killed_by(plan, answer)
    if number is not None:
        how = f"the child was killed by {signal_name(number)} before {before}"
        if number == signal.SIGSYS and plan.filters_before(index):
            how = f"the seccomp filter forbids {plan.steps[index].syscall}, and killed the child before execve"
        if out_of_memory:
            how += ", because it needs more memory than its cgroup may have"
    return LaunchError(plan.steps[index].label, index=index, cause=how)


def standing_before(plan: Plan, image: Image) -> int:
    """The step that the child is in, or stands before if it has made the one it began last."""
    current = image.current
    if image.record(current)[1] == 0:
        return current
    rest = range(current + 1, len(plan.steps))
    return next((i for i in rest if image.record(i)[2] != PASSED_OVER), current)
