"""Which system calls of a launch are refused here: each is made, to no effect, in a throw-away process.

The arguments are such that the kernel finds fault with them before it asks for a privilege, or where it asks first, the
process is root of a new user and mount namespace. So EPERM or ENOSYS is a filter's word, or an older kernel's.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass

from nsview.commands import doctor_reading as reading
from nsview.commands import doctor_trials as trials
from nsview.commands.doctor_finding import Finding, State
from spawner import _native

_UNKNOWN_BITS = 0x7FFF_0000
_CLONE_VM = 0x100


@dataclass(frozen=True, slots=True)
class Call:
    """A system call: ``why`` a launch makes it, and whether the kernel asks for a privilege before all else."""

    name: str
    args: tuple[int | bytes | None, ...]
    why: str
    privileged: bool = False


CALLS: tuple[Call, ...] = (
    Call("clone3", (None, 0), "makes the child"),
    Call("unshare", (_CLONE_VM | _UNKNOWN_BITS,), "fork+unshare, time namespaces"),
    Call("setns", (-1, 0), "joins namespaces"),
    Call("pidfd_open", (-1, 0), "watches the child"),
    Call("close_range", (1, 0, 0), "closes descriptors"),
    Call("execveat", (-1, None, None, None, _UNKNOWN_BITS), "runs a program by its descriptor"),
    Call("mount", (None, None, None, 0, None), "mounts"),
    Call("umount2", (None, _UNKNOWN_BITS), "leaves the old root"),
    Call("mount_setattr", (-1, None, _UNKNOWN_BITS, None, 0), "read-only mounts with all below them"),
    Call("open_tree", (-1, None, _UNKNOWN_BITS), "bind mounts without a moment in which they can be seen"),
    Call("move_mount", (-1, None, -1, None, _UNKNOWN_BITS), "puts them in place", privileged=True),
    Call("fsopen", (None, _UNKNOWN_BITS), "new file systems", privileged=True),
    Call("pivot_root", (None, None), "a root of its own", privileged=True),
    Call("prctl", (_UNKNOWN_BITS, 0, 0, 0, 0), "death signal, no_new_privs, capabilities"),
    Call("seccomp", (_UNKNOWN_BITS, 0, None), "filters"),
    Call("landlock_create_ruleset", (None, 0, _UNKNOWN_BITS), "landlock"),
)
"""What a launch may need that a container's filter, or an older kernel, is known to refuse."""

_REFUSED = (errno.EPERM, errno.ENOSYS, errno.EACCES)


def refused() -> tuple[dict[str, int], tuple[str, ...]]:
    """(errno by the name of each call that is refused, names of those that cannot be tried here)."""
    steps = trials.as_root_of_new_mounts() if not trials.capable("SYS_ADMIN") else ()
    open_ones = [call for call in CALLS if not call.privileged]
    found = dict(_refusals(open_ones, ()))
    privileged = [call for call in CALLS if call.privileged]
    if trials.attempt(*steps) is not None:
        return found, tuple(call.name for call in privileged)
    found.update(_refusals(privileged, steps))
    return found, ()


def _refusals(calls: list[Call], before: tuple[trials.Step, ...]) -> Iterator[tuple[str, int]]:
    for call in calls:
        refusal = trials.attempt(*before, (call.name, lambda call=call: _make(call)))  # type: ignore[misc]
        if refusal is not None:
            yield call.name, refusal.errno


def _make(call: Call) -> None:
    try:
        _native.call(_native.SYSCALLS[call.name], *call.args)
    except OSError as error:
        if error.errno in _REFUSED:
            raise


def system_calls() -> Finding:
    """Make each call that a launch may need, to no effect."""
    found, untried = refused()
    said = [f"{name} ({errno.errorcode[number]}: {_why(name)})" for name, number in found.items()]
    beside = f"; not to be tried here: {' '.join(untried)}" if untried else ""
    if not said:
        return Finding(State.OK, f"all {len(CALLS) - len(untried)} that a launch may make are let through{beside}")
    filtered = reading.status("Seccomp") == "2"
    who = "a seccomp filter set on us, or the kernel, refuses" if filtered else "this kernel refuses"
    remedy = "have the container's seccomp profile allow them" if filtered else "use a newer kernel"
    return Finding(State.LIMITED, f"{who} {', '.join(said)}{beside}", remedy)


def _why(name: str) -> str:
    return next(call.why for call in CALLS if call.name == name)
