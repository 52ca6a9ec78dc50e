"""As much of generic netlink as taskstats needs: attributes, and one question with its answer.

Sources: include/uapi/linux/netlink.h, genetlink.h; Documentation/userspace-api/netlink/intro.rst.
"""

from __future__ import annotations

import errno
import itertools
import os
import select
import socket
import struct
import sys
from collections.abc import Iterator

PATIENCE = 0.5
"""Seconds in which the kernel must answer; where it does, it does so within the sending."""

_HEADER = struct.Struct("=IHHII")
_FAMILY = struct.Struct("=BBH")
_ATTRIBUTE = struct.Struct("=HH")
_NLMSG_ERROR, _NLM_F_REQUEST, _NLM_F_ACK = 2, 1, 4
_NETLINK_GENERIC = 16
_CONTROLLER, _GETFAMILY, _FAMILY_ID, _FAMILY_NAME = 0x10, 3, 1, 2
_NESTED = 0x8000
BODY = _HEADER.size + _FAMILY.size
"""Where a message's attributes begin."""


def open_socket() -> socket.socket:
    """Return a socket of generic netlink that does not block."""
    generic = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, _NETLINK_GENERIC)
    generic.bind((0, 0))
    return generic


def attribute(kind: int, payload: bytes) -> bytes:
    """Return a packed attribute."""
    size = _ATTRIBUTE.size + len(payload)
    return _ATTRIBUTE.pack(size, kind) + payload + b"\0" * (-size % 4)


def attributes(packed: bytes, at: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield the attributes from offset ``at`` on as (kind, payload)."""
    while at + _ATTRIBUTE.size <= len(packed):
        size, kind = _ATTRIBUTE.unpack_from(packed, at)
        if size < _ATTRIBUTE.size:
            return
        yield kind & ~_NESTED, packed[at + _ATTRIBUTE.size : at + size]
        at += (size + 3) & ~3


def family(generic: socket.socket, name: str) -> int:
    """Return the number of a family; OSError (ENOENT) where the kernel does not have it."""
    answer = ask(generic, _CONTROLLER, _GETFAMILY, attribute(_FAMILY_NAME, name.encode() + b"\0"))
    return int.from_bytes(dict(attributes(answer, BODY))[_FAMILY_ID][:2], sys.byteorder)


def ask(generic: socket.socket, number: int, command: int, packed: bytes, ack: bool = False) -> bytes:
    """Send a command to family ``number`` and return the answer, or with ``ack`` b"" once it is done.

    Raises OSError with the kernel's errno; TimeoutError where nothing comes.
    """
    sequence = tell(generic, number, command, packed, ack)
    while True:
        answer, sender = _receive(generic)
        _, kind, _, answers, _ = _HEADER.unpack_from(answer)
        if sender[0] != 0 or answers != sequence:
            continue
        if kind != _NLMSG_ERROR:
            return answer
        (error,) = struct.unpack_from("=i", answer, _HEADER.size)
        if error:
            raise OSError(-error, os.strerror(-error))
        if ack:
            return b""


def tell(generic: socket.socket, number: int, command: int, packed: bytes, ack: bool = False) -> int:
    """Send a command to family ``number``; return what the answer will be numbered by."""
    body = _FAMILY.pack(command, 1, 0) + packed
    flags = _NLM_F_REQUEST | (_NLM_F_ACK if ack else 0)
    sequence = next(_sequence) & 0x7FFFFFFF
    generic.send(_HEADER.pack(_HEADER.size + len(body), number, flags, sequence, 0) + body)
    return sequence


def _receive(generic: socket.socket) -> tuple[bytes, tuple[int, int]]:
    poller = select.poll()
    poller.register(generic, select.POLLIN)
    if not poller.poll(PATIENCE * 1000):
        raise TimeoutError(errno.ETIMEDOUT, "the kernel does not answer")
    return generic.recvfrom(65536)


_sequence = itertools.count(1)
