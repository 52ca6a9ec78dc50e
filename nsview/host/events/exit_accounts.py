"""What every task has used, told by taskstats when it ends: for processes too short to be looked at.

Sources: Documentation/accounting/taskstats.rst; kernel/taskstats.c: taskstats_exit(), which runs early in do_exit(),
so what an exit itself costs is not in it. It sends before the proc connector tells of the same exit.
"""

from __future__ import annotations

import socket
import sys
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path

from nsview.host.events.event import Event
from nsview.host.events.generic_netlink import BODY, ask, attribute, attributes, family, open_socket, tell
from nsview.host.events.proc_events import name
from nsview.host.taskstats_record import ACCOUNT_OF_GROUP, FIELDS, reader, version_of

_REGISTER_CPUMASK, _DEREGISTER_CPUMASK = 3, 4
_CMD_GET = 1
_PID, _TGID, _STATS, _OF_TASK, _OF_GROUP = 1, 2, 3, 4, 5


@dataclass(frozen=True, slots=True)
class Account:
    """What one task had used when it ended; with ``last`` the whole process's. None is unknown."""

    tid: int
    comm: str
    exit_code: int
    last: bool | None
    cpu_ns: int | None
    cpu_most_ns: int | None
    utime_us: int | None
    stime_us: int | None


class Accounts:
    """Those that were told and not yet taken, by task, the oldest first."""

    def __init__(self) -> None:
        """Begin with none."""
        self._waiting: dict[int, deque[Account]] = {}

    def add(self, account: Account) -> None:
        """Keep an account until its exit is told."""
        self._waiting.setdefault(account.tid, deque()).append(account)

    def clear(self) -> None:
        """Forget all: after a loss nobody knows which exits they belong to."""
        self._waiting.clear()

    def __len__(self) -> int:
        """How many wait for their exits."""
        return sum(map(len, self._waiting.values()))

    def complete(self, event: Event) -> Event:
        """Return an exit with what was told of its task; as it is where nothing was."""
        queue = self._waiting.get(event.tid)
        if queue is None:
            return event
        account = queue.popleft()
        if not queue:
            del self._waiting[event.tid]
        # The kernel fills in the status of a process's first task alone (kernel/tsacct.c: bacct_add_tsk()).
        if account.exit_code not in (event.exit_code, 0):
            return event
        return replace(
            event,
            comm=account.comm,
            last=account.last,
            cpu_ns=account.cpu_ns,
            cpu_most_ns=account.cpu_most_ns,
            utime_us=account.utime_us,
            stime_us=account.stime_us,
        )


class Subscription:
    """A socket on which the kernel tells an account at each exit on any CPU. close() it.

    Raises OSError where it does not: EPERM without CAP_NET_ADMIN, EINVAL in a child user or pid namespace, ENOENT
    without taskstats. Not to be used in a child network namespace: the kernel does not refuse it, but sends to
    whoever has the same port in the first one (send_cpu_listeners()).
    """

    def __init__(self, buffer: int) -> None:
        """Subscribe; ``buffer`` bytes may wait."""
        self.socket = open_socket()
        try:
            enlarge(self.socket, buffer)
            self._family = family(self.socket, "TASKSTATS")
            ask(self.socket, self._family, _CMD_GET, _cpus(_REGISTER_CPUMASK), ack=True)
        except BaseException:
            self.socket.close()
            raise

    def close(self) -> None:
        """Unsubscribe: else the kernel goes on sending to our port, whosever it is next."""
        try:
            # Not waited for: it is done within the sending, and the answer may not fit into a full queue.
            tell(self.socket, self._family, _CMD_GET, _cpus(_DEREGISTER_CPUMASK))
        finally:
            self.socket.close()


def _cpus(command: int) -> bytes:
    cpus = Path("/sys/devices/system/cpu/possible").read_bytes().strip()
    return attribute(command, cpus + b"\0")


def enlarge(netlink: socket.socket, buffer: int) -> None:
    """Let ``buffer`` bytes wait on a socket, or as many as net.core.rmem_max has without CAP_NET_ADMIN."""
    try:
        netlink.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, buffer)
    except PermissionError:
        netlink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)


def account(datagram: bytes) -> Account | None:
    """Return the account of a datagram of the kernel's; None for another, or a version that cannot be read."""
    told = dict(attributes(datagram, BODY))
    if _OF_TASK not in told:
        return None
    of_task = dict(attributes(told[_OF_TASK]))
    task = _read(of_task[_STATS])
    if task is None:
        return None
    code, flag, runs, waited, noted, comm, elapsed, user, system = task
    # The scheduler notes what ran at ticks and switches, of a short life perhaps nothing. What a parent waits for
    # between noting its child's start and waking it is in the time elapsed: it is a bound, not a measure.
    most = elapsed * 1000 - waited if runs else None
    tid = int.from_bytes(of_task[_PID][:4], sys.byteorder)
    last: bool | None = None
    if version_of(of_task[_STATS]) >= FIELDS["ac_tgid"].since:
        last = bool(flag & ACCOUNT_OF_GROUP)
    if _OF_GROUP in told:
        # Only sent for the last of several, and not all kernels sum up more than what the scheduler counts.
        group = _read(dict(attributes(told[_OF_GROUP]))[_STATS])
        if group is None:
            return None
        noted, most, last = group[4], None, True
        user, system = (group[7], group[8]) if group[7] or group[8] else (None, None)
    return Account(tid, name(comm), code, last, noted or None, most, user, system)


_read = reader(
    "ac_exitcode",
    "ac_flag",
    "cpu_count",
    "cpu_delay_total",
    "cpu_run_virtual_total",
    "ac_comm",
    "ac_etime",
    "ac_utime",
    "ac_stime",
)
_SO_RCVBUFFORCE = 33  # include/uapi/asm-generic/socket.h
