"""The proc connector's messages: asking for events, and reading them. Pure.

Sources: include/uapi/linux/cn_proc.h, include/uapi/linux/connector.h, drivers/connector/cn_proc.c.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from nsview.host.events.event import Event

CN_IDX_PROC, CN_VAL_PROC = 1, 1
LISTEN, IGNORE = 1, 2
BITS: Mapping[str, int] = {
    "fork": 0x1,
    "exec": 0x2,
    "uid": 0x4,
    "gid": 0x40,
    "sid": 0x80,
    "ptrace": 0x100,
    "comm": 0x200,
    "coredump": 0x40000000,
    "exit": 0x80000000,
}
"""enum proc_cn_event. Bit 0 of none of them is the answer to a request."""

_NETLINK = struct.Struct("=IHHII")
_CONNECTOR = struct.Struct("=IIIIHH")
_NLMSG_DONE = 3
_LONGEST = struct.Struct("=16xIIIIHHIIQIIIIII")
_COMM = struct.Struct("=60x16s")


class Message(NamedTuple):
    """One message: the number it has among those of its ``cpu``, and the event, or the answer to ``ack - 1``."""

    cpu: int
    number: int
    event: Event | None
    when_ns: int
    ack: int | None = None
    error: int = 0


def request(operation: int, ack: int, what: Iterable[str] | None = None) -> bytes:
    """Return a request to LISTEN or IGNORE; its answer carries ``ack + 1``.

    With ``what`` only those events are asked for (kernel 6.6). An older kernel does not know such a request and
    leaves it without an effect; a newer one answers only if nothing is left out.
    """
    word = struct.pack("=I", operation)
    if what is not None:
        word += struct.pack("=I", sum(BITS[name] for name in set(what)))
    body = _CONNECTOR.pack(CN_IDX_PROC, CN_VAL_PROC, 0, ack, len(word), 0) + word
    return _NETLINK.pack(_NETLINK.size + len(body), _NLMSG_DONE, 0, 0, 0) + body


def is_whole(datagram: bytes) -> bool:
    """Tell whether a datagram is as long as all of the proc connector's."""
    return len(datagram) >= _LONGEST.size


def message(datagram: bytes) -> Message | None:
    """Return what a datagram of the kernel's says; None for one that is not of the proc connector."""
    if not is_whole(datagram):
        return None
    index, value, number, ack, _, _, bit, cpu, when, a, b, c, d, e, f = _LONGEST.unpack_from(datagram)
    if (index, value) != (CN_IDX_PROC, CN_VAL_PROC):
        return None
    if bit == 0:
        return Message(cpu, number, None, when, ack, a)
    return Message(cpu, number, _event(datagram, when, bit, (a, b, c, d, e, f)), when)


def _event(datagram: bytes, when: int, bit: int, f: tuple[int, int, int, int, int, int]) -> Event | None:
    what = _WHAT.get(bit)
    if what == "fork":
        return Event(when, what, f[3], f[2], f[1] or None, f[0] or None)
    if what == "exit":
        # 0 is "no parent any more": it has been reaped already (proc_exit_connector(): pid_alive()).
        return Event(when, what, f[1], f[0], f[5] or None, f[4] or None, f[2], _signed(f[3]))
    if what in ("exec", "sid"):
        return Event(when, what, f[1], f[0])
    if what == "comm":
        return Event(when, what, f[1], f[0], comm=name(_COMM.unpack_from(datagram)[0]))
    if what == "uid":
        return Event(when, what, f[1], f[0], ruid=f[2], euid=f[3])
    if what == "gid":
        return Event(when, what, f[1], f[0], rgid=f[2], egid=f[3])
    if what == "ptrace":
        return Event(when, what, f[1], f[0], tracer=f[3])
    if what == "coredump":
        return Event(when, what, f[1], f[0], f[3] or None, f[2] or None)
    return None


def name(raw: bytes) -> str:
    """Return a task's name of a C array."""
    return os.fsdecode(raw.partition(b"\0")[0])


def _signed(number: int) -> int:
    return number - (1 << 32) if number >> 31 else number


_WHAT = {bit: name for name, bit in BITS.items()}
