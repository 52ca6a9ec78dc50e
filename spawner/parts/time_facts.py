"""What a new time namespace makes matter of the kernel: whether execve enters it.

Since Linux 6.2 a process goes over to the time namespace of its children when execve gives it a memory of its own
(exec_task_namespaces() in kernel/nsproxy.c). Before, execve changed nothing, and a clone that would share memory across
time namespaces was refused (copy_process() in kernel/fork.c): that refusal can be asked for.
"""

from __future__ import annotations

import errno
import time
from dataclasses import replace
from functools import lru_cache
from signal import SIGCHLD

from spawner import mechanism as ways
from spawner.birth import Birth
from spawner.errors import LaunchError
from spawner.flags import BY_NAME, format_mask
from spawner.kernel import Facts
from spawner.plan import Named, Plan, Step
from spawner.spec import Mechanism, Spec, Stdio
from spawner.stdio import Streams

_NEWUSER = BY_NAME["CLONE_NEWUSER"].bit
_CAP_SYS_ADMIN = 21
_NO_ADDRESS = 1


def with_time(spec: Spec, given: Facts) -> Facts:
    """Add to the facts what a new time namespace makes matter, where one is asked for."""
    if "time" not in spec.namespaces and not spec.clone_flags & ways.NEWTIME:  # others may be unknown, as yet unchecked
        return given
    return replace(given, time_at_execve=entered_at_execve(ways.may(given, _CAP_SYS_ADMIN)))


@lru_cache(maxsize=2)
def entered_at_execve(privileged: bool) -> bool:
    """Ask the kernel, once: a child that never gets as far as execve makes a time namespace and tries to clone.

    The clone cannot succeed, for the pidfd's address is none: EFAULT, where it is not refused before. Where there can
    be no time namespace at all the answer is true, and a launch into one will say why it fails.
    """
    space = ways.NEWTIME | (0 if privileged else _NEWUSER)
    shared = ways.VM | ways.PIDFD
    steps = (
        Step("unshare time", "unshare", (Named(space, format_mask(space)),), "time"),
        Step(
            "clone", "clone", (Named(shared | SIGCHLD, f"{format_mask(shared)}|SIGCHLD"), 0, _NO_ADDRESS, 0, 0), "time"
        ),
    )
    plan = Plan(
        mechanism=Mechanism.CLONE,
        why="a question to the kernel",
        clone_flags=ways.VM | ways.VFORK | ways.PIDFD,
        flags_text=format_mask(ways.VM | ways.VFORK | ways.PIDFD),
        exit_signal=SIGCHLD,
        steps=steps,
        asked=frozenset(),
        stdio=Stdio.INHERIT,
        window=(0, 0),
        pdeathsig=None,
    )
    birth = Birth(plan, Streams(), origin_ns=time.monotonic_ns())
    try:
        birth.begin(mask=0, hold_at=None, inject=None)
    except LaunchError as error:
        return error.step == "unshare time" or error.errno != errno.EINVAL
    finally:
        birth.discard()
    raise AssertionError("clone wrote a pidfd to an address that is none")
