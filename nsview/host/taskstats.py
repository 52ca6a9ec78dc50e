"""The kernel's accounts of a process or a thread, asked of taskstats: ended threads are in them too."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import TracebackType

from nsview.host.events.generic_netlink import BODY, ask, attribute, attributes, family, open_socket
from nsview.host.taskstats_record import reader

_GET = 1
_ASK_TASK, _ASK_GROUP = 1, 2
_STATS, _OF_TASK, _OF_GROUP = 3, 4, 5
"""TASKSTATS_CMD_GET, its attributes, and those of the answer: linux/taskstats.h."""

_UNKNOWN = frozenset((errno.EPERM, errno.EACCES, errno.ESRCH, errno.EOPNOTSUPP, errno.EINVAL))
_UNAVAILABLE = _UNKNOWN | {errno.ENOENT, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT}

DELAYS = ("blkio", "swapin", "freepages", "thrashing", "compact", "wpcopy", "irq")
"""The delays by the struct's names that the kernel counts only when told to; it always does for the CPU."""

_read_always = reader("cpu_delay_total", "cpu_run_virtual_total", "nvcsw", "nivcsw")
_read_delay = {name: reader(f"{name}_delay_total") for name in DELAYS}


@dataclass(frozen=True, slots=True)
class Accounts:
    """What the kernel has accounted for; times in nanoseconds. None is unknown.

    ``cpu_ns`` is exact, ``wait_ns`` is the time ready to run but without a CPU; ``delays`` is what else was
    waited for: block I/O, swapping in, reclaim and compaction of memory, thrashing, copies on write, and
    interrupts on its time. (The struct's split into user and system time is what timer ticks happened to
    hit: less true than that of proc_pid_stat(5), which is scaled to the exact time.)
    """

    cpu_ns: int
    wait_ns: int
    voluntary: int
    involuntary: int
    delays: Mapping[str, int | None]


def accounts(packed: bytes, delays_known: bool) -> Accounts | None:
    """Read a packed struct taskstats; None where its version is not read. Pure.

    A task that was born while delay accounting was off is never accounted for (kernel/delayacct.c:
    delayacct_tsk_init()) and has zeros all its life. So zeros are told only when ``delays_known``: it has
    been on since boot; when one of them is not zero, all are told.
    """
    always = _read_always(packed)
    if always is None:
        return None
    delays = {name: None if (found := read(packed)) is None else found[0] for name, read in _read_delay.items()}
    if not delays_known and not any(delays.values()):
        delays = dict.fromkeys(DELAYS)
    wait_ns, cpu_ns, voluntary, involuntary = always
    return Accounts(cpu_ns, wait_ns, voluntary, involuntary, delays)


class TaskStats:
    """A netlink socket that asks taskstats; one for many questions, used by one thread at a time.

    It needs CAP_NET_ADMIN in the initial user namespace; without that, and where the kernel has no
    taskstats, ``why_not`` is the errno and all answers are None. Use as a context manager.
    """

    def __init__(self) -> None:
        """Open it; nothing is raised for what this machine does not allow."""
        self.why_not: int | None = None
        self._family = 0
        self._delays_known = _delays_since_boot()
        self._socket: socket.socket | None = None
        try:
            self._socket = open_socket()
            self._family = family(self._socket, "TASKSTATS")
        except OSError as error:
            self.close()
            if error.errno not in _UNAVAILABLE:
                raise
            self.why_not = error.errno

    def __enter__(self) -> TaskStats:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the socket; all answers are None from now on."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def of_group(self, pid: int) -> Accounts | None:
        """Return the accounts of a whole process, its ended threads too; None when gone or not allowed.

        A zombie's are zeros, for only what lives or had siblings is summed (fill_stats_for_tgid()).
        """
        return self._accounts(_ASK_GROUP, pid)

    def of_task(self, tid: int) -> Accounts | None:
        """Return the accounts of one thread; None when it is gone or not allowed."""
        return self._accounts(_ASK_TASK, tid)

    def _accounts(self, what: int, number: int) -> Accounts | None:
        if self._socket is None:
            return None
        try:
            answer = ask(self._socket, self._family, _GET, attribute(what, struct.pack("=I", number)))
        except OSError as error:
            if error.errno not in _UNKNOWN:
                raise
            if error.errno != errno.ESRCH:
                self.why_not = error.errno
            return None
        group = dict(attributes(answer, BODY))
        stats = dict(attributes(group.get(_OF_TASK) or group.get(_OF_GROUP) or b"")).get(_STATS)
        return None if stats is None else accounts(stats, self._delays_known)


def _delays_since_boot() -> bool:
    """Tell whether delay accounting was switched on by the kernel's command line (delayacct) and still is."""
    if b"delayacct" not in _command_line():
        return False
    try:
        with open("/proc/sys/kernel/task_delayacct", "rb") as switch:
            return switch.read().strip() == b"1"
    except FileNotFoundError:  # a kernel without that switch: what the command line says holds
        return True
    except PermissionError:
        return False


@cache
def _command_line() -> tuple[bytes, ...]:
    try:
        with open("/proc/cmdline", "rb") as file:
            return tuple(file.read().split())
    except (FileNotFoundError, PermissionError):
        return ()
