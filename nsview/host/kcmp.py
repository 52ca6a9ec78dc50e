"""Do two processes share a kernel object? kcmp(2) tells for memory, open files, handlers and more."""

from __future__ import annotations

import errno

from nsview.host import _kcmp
from nsview.host.process import ORDINARY, PinnedProcess
from nsview.host.snapshot import PF_EXITING, PF_KTHREAD

RESOURCES = {"VM": 1, "FILES": 2, "FS": 3, "SIGHAND": 4, "IO": 5, "SYSVSEM": 6}
"""The kernel's types, linux/kcmp.h; each is what the clone flag of the same name shares."""

_KTHREADD = 2
_RELEASED_AT_EXIT = frozenset(("VM", "FILES", "FS", "IO", "SYSVSEM"))
_NOT_TOLD = ORDINARY | {errno.ENOSYS}


def compare(
    first: int, second: int, first_start: int | None = None, second_start: int | None = None
) -> dict[str, bool | None]:
    """Say for each of RESOURCES whether the two processes share it; None when that cannot be told.

    kcmp compares pointers, and two NULL pointers are equal: most processes have neither an I/O context nor
    a list of semaphore adjustments, kernel threads have no memory, zombies have next to nothing. Such an
    "equal" is no evidence of sharing, so the answer is None. None too where ptrace access is refused
    (ptrace(2), PTRACE_MODE_READ_REALCREDS) or the kernel has no kcmp. Start times (clock ticks) guard
    against reused pids.

    Raises ProcessGoneError when either process is not there.
    """
    with PinnedProcess(first, first_start) as one, PinnedProcess(second, second_start) as other:
        answers = {name: _equal(first, second, kind) for name, kind in RESOURCES.items()}
        for name in ("IO", "SYSVSEM"):
            if answers[name]:
                answers[name] = _is_real(first, name)
        if answers["VM"] and _KERNEL_THREAD in (_kind(one), _kind(other)):
            answers["VM"] = None
        gone = not (one.is_there() and other.is_there())
        dead = _DEAD in (_kind(one), _kind(other))
    if gone:
        return dict.fromkeys(RESOURCES)
    return {name: None if dead and name in _RELEASED_AT_EXIT else answer for name, answer in answers.items()}


_DEAD, _KERNEL_THREAD, _LIVING = "dead", "kernel thread", "living"


def _kind(process: PinnedProcess) -> str:
    fields = process.stat_fields()
    if fields is None or int(fields[6]) & PF_EXITING:
        return _DEAD
    return _KERNEL_THREAD if int(fields[6]) & PF_KTHREAD else _LIVING


def _equal(first: int, second: int, kind: int) -> bool | None:
    try:
        return _kcmp.kcmp(first, second, kind) == 0
    except OSError as error:
        if error.errno in _NOT_TOLD:
            return None
        raise


def _is_real(pid: int, name: str) -> bool | None:
    """Return True when the process has such an object at all; None when "equal" meant "both have none".

    kthreadd shares neither with any process and as a rule has neither. Only where it cannot be seen, or
    differs, is it worth the cost to make fresh processes, which certainly have none, and compare with
    those.
    """
    if _equal(pid, _KTHREADD, RESOURCES[name]) and _is_kthreadd():
        return None
    try:
        io, sysvsem = _kcmp.has_none(pid)
    except OSError as error:
        if error.errno == errno.EAGAIN:  # RLIMIT_NPROC, pids.max: no fresh process, no evidence
            return None
        raise
    return True if (io if name == "IO" else sysvsem) is False else None


def _is_kthreadd() -> bool:
    try:
        with PinnedProcess(_KTHREADD) as process:
            return _kind(process) == _KERNEL_THREAD
    except LookupError:
        return False
