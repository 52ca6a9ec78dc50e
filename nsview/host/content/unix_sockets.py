"""The unix(7) sockets of the network namespace that the calling thread is in, as the kernel dumps them.

sock_diag(7), linux/unix_diag.h. Read here and not through pyroute2, which drops the NULs that tell an abstract name
from a path.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator

from nsview.host.content.sockets import STATES, TYPES, Socket
from nsview.host.text import printable

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST, _NLM_F_DUMP = 0x001, 0x300
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_SHOW = 0x01 | 0x02 | 0x04 | 0x10
"""UDIAG_SHOW_NAME, VFS, PEER, RQLEN."""
_NAME, _VFS, _PEER, _RQLEN = 0, 1, 2, 4

_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBHIIIQ")
_MESSAGE = struct.Struct("=BBBBIQ")
_ATTRIBUTE = struct.Struct("=HH")
_ALL_STATES = 0xFFFFFFFF
_ANY_COOKIE = 0xFFFFFFFFFFFFFFFF


def read_here() -> tuple[Socket, ...]:
    """Return the sockets; OSError (ENOENT) from a kernel without the dump."""
    request = _REQUEST.pack(socket.AF_UNIX, 0, 0, _ALL_STATES, 0, _SHOW, _ANY_COOKIE)
    header = _HEADER.pack(
        _HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST | _NLM_F_DUMP, 1, 0
    )  # fmt: skip
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG) as netlink:
        netlink.sendall(header + request)
        return tuple(decoded(payload) for payload in _payloads(netlink))


def _payloads(netlink: socket.socket) -> Iterator[memoryview]:
    while True:
        packet = memoryview(netlink.recv(1 << 16))
        while packet:
            length, kind, _, _, _ = _HEADER.unpack_from(packet)
            if kind == _NLMSG_DONE:
                return
            if kind == _NLMSG_ERROR:
                number = -struct.unpack_from("=i", packet, _HEADER.size)[0]
                raise OSError(number, os.strerror(number), "sock_diag")
            yield packet[_HEADER.size : length]
            packet = packet[(length + 3) & ~3 :]


def decoded(payload: memoryview) -> Socket:
    """Return the socket of a message (struct unix_diag_msg). Pure."""
    _, kind, state, _, inode, _ = _MESSAGE.unpack_from(payload)
    attributes = dict(_attributes(payload[_MESSAGE.size :]))
    name = attributes.get(_NAME)
    abstract = name is not None and _VFS not in attributes
    waiting, sending = struct.unpack("=II", attributes[_RQLEN]) if _RQLEN in attributes else (None, None)
    return Socket(
        "unix",
        inode,
        STATES[state] if state < len(STATES) else str(state),
        type=TYPES.get(kind, str(kind)),
        path=None if name is None else f"@{printable(name[1:])}" if abstract else printable(name.rstrip(b"\0")),
        abstract=abstract,
        peer=struct.unpack("=I", attributes[_PEER])[0] if _PEER in attributes else None,
        receive_queue=waiting,
        send_queue=sending,
    )


def _attributes(rest: memoryview) -> Iterator[tuple[int, bytes]]:
    while len(rest) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(rest)
        yield kind, bytes(rest[_ATTRIBUTE.size : length])
        rest = rest[(length + 3) & ~3 :]
