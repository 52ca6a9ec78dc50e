"""Do two processes share a kernel object? kcmp(2) tells for memory, open files, handlers and more."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from itertools import product

from nsview.host import _kcmp
from nsview.host.process import ORDINARY, PinnedProcess
from nsview.host.snapshot import PF_EXITING, PF_KTHREAD

RESOURCES = {"VM": 1, "FILES": 2, "FS": 3, "SIGHAND": 4, "IO": 5, "SYSVSEM": 6}
"""The kernel's types, linux/kcmp.h; each is what the clone flag of the same name shares."""

_FILE = 0
"""KCMP_FILE: two descriptors of one open file (open(2): open file description)."""
_KTHREADD = 2
_RELEASED_AT_EXIT = frozenset(("VM", "FILES", "FS", "IO", "SYSVSEM"))
_NOT_TOLD = ORDINARY | {errno.ENOSYS, errno.EBADF}
"""EBADF: a descriptor that was closed meanwhile."""


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
        answers = {name: _equal(one.leader, other.leader, kind) for name, kind in RESOURCES.items()}
        for name in ("IO", "SYSVSEM"):
            if answers[name]:
                answers[name] = _is_real(one.leader, name)
        if answers["VM"] and _KERNEL_THREAD in (_kind(one), _kind(other)):
            answers["VM"] = None
        gone = not (one.was_asked() and other.was_asked())
        dead = _DEAD in (_kind(one), _kind(other))
    if gone:
        return dict.fromkeys(RESOURCES)
    return {name: None if dead and name in _RELEASED_AT_EXIT else answer for name, answer in answers.items()}


def common_files(
    first: PinnedProcess, second: PinnedProcess, targets: tuple[Mapping[int, str], Mapping[int, str]]
) -> tuple[tuple[int, int], ...] | None:
    """Return the pairs of descriptors, the first's and the second's, that are one open file.

    ``targets`` are what the links of their descriptors say: only those that say the same can be one. Copies
    within a process are told too. None when it cannot be told.
    """
    one, two = targets
    pairs = []
    for number, other in _candidates(one, two):
        same = _equal(first.leader, second.leader, _FILE, number, other)
        if same is None and _equal(first.leader, second.leader, RESOURCES["FILES"]) is None:
            return None  # not this descriptor was closed meanwhile, but nothing is told
        if same:
            pairs.append((number, other))
    return tuple(sorted(pairs)) if first.was_asked() and second.was_asked() else None


def _candidates(one: Mapping[int, str], two: Mapping[int, str]) -> Iterator[tuple[int, int]]:
    """Yield what is worth asking: equal numbers first of all, then every pair, while those are few."""
    by_target: dict[str, tuple[list[int], list[int]]] = {}
    for side, targets in enumerate((one, two)):
        for number in sorted(targets):
            by_target.setdefault(targets[number], ([], []))[side].append(number)
    for mine, its in by_target.values():
        if len(mine) * len(its) <= _MOST_PAIRS:
            yield from product(mine, its)
        else:
            yield from ((number, number) for number in sorted({*mine} & {*its}))


_MOST_PAIRS = 4096

_DEAD, _KERNEL_THREAD, _LIVING = "dead", "kernel thread", "living"


def _kind(process: PinnedProcess) -> str:
    text = process.read(f"task/{process.leader}/stat")
    if not text:
        return _DEAD
    fields = text[text.rindex(b")") + 2 :].split()
    if int(fields[6]) & PF_EXITING:
        return _DEAD
    return _KERNEL_THREAD if int(fields[6]) & PF_KTHREAD else _LIVING


def _equal(first: int, second: int, kind: int, first_index: int = 0, second_index: int = 0) -> bool | None:
    try:
        return _kcmp.kcmp(first, second, kind, first_index, second_index) == 0
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
