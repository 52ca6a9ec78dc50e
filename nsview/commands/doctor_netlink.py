"""Trials over netlink: does the kernel tell us of process events, and of one process's exact usage?

Sources: linux/netlink.h, linux/connector.h, linux/cn_proc.h, linux/genetlink.h, linux/taskstats.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator

PATIENCE = 1.0
"""Seconds in which an answer must come; both answers take well under a millisecond where they come at all."""

_NETLINK_CONNECTOR, _NETLINK_GENERIC = 11, 16
_NLMSG_ERROR, _NLMSG_DONE, _NLM_F_REQUEST = 2, 3, 1
_HEADER = struct.Struct("=IHHII")
_CN_IDX_PROC, _CN_VAL_PROC = 1, 1
_CN = struct.Struct("=IIIIHH")
_LISTEN, _IGNORE = 1, 2
_EVENT = struct.Struct("=IIQII")
_EVENT_EXIT = 0x80000000
_GENL = struct.Struct("=BBH")
_CTRL_FAMILY, _CTRL_GETFAMILY, _CTRL_FAMILY_ID, _CTRL_FAMILY_NAME = 0x10, 3, 1, 2
_TASKSTATS_GET, _TASKSTATS_TGID = 1, 2
_ATTRIBUTE = struct.Struct("=HH")


def _message(kind: int, payload: bytes) -> bytes:
    return _HEADER.pack(_HEADER.size + len(payload), kind, _NLM_F_REQUEST, 0, 0) + payload


def receive_an_exit() -> None:
    """Listen to the proc connector until it tells of a child's exit; OSError where it does not."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_CONNECTOR) as connector:
        connector.settimeout(PATIENCE)
        connector.bind((0, _CN_IDX_PROC))
        _tell_connector(connector, _LISTEN)
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        try:
            while not _is_exit(connector.recv(4096), pid):
                pass
        finally:
            os.waitpid(pid, 0)
            _tell_connector(connector, _IGNORE)


def _tell_connector(connector: socket.socket, operation: int) -> None:
    word = struct.pack("=I", operation)
    connector.send(_message(_NLMSG_DONE, _CN.pack(_CN_IDX_PROC, _CN_VAL_PROC, 0, 0, len(word), 0) + word))


def _is_exit(datagram: bytes, pid: int) -> bool:
    start = _HEADER.size + _CN.size
    if len(datagram) < start + _EVENT.size:
        return False
    what, _, _, process, _ = _EVENT.unpack_from(datagram, start)
    return bool(what == _EVENT_EXIT and process == pid)


def query_taskstats() -> None:
    """Ask taskstats for the usage of our own thread group; OSError where it does not answer."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_GENERIC) as generic:
        generic.settimeout(PATIENCE)
        generic.bind((0, 0))
        name = _attribute(_CTRL_FAMILY_NAME, b"TASKSTATS\0")
        family = dict(_ask(generic, _CTRL_FAMILY, _CTRL_GETFAMILY, name)).get(_CTRL_FAMILY_ID)
        if family is None:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        (number,) = struct.unpack("=H", family)
        group = _attribute(_TASKSTATS_TGID, struct.pack("=I", os.getpid()))
        dict(_ask(generic, number, _TASKSTATS_GET, group))


def _ask(generic: socket.socket, family: int, command: int, attribute: bytes) -> Iterator[tuple[int, bytes]]:
    """Send one request and yield the attributes of the answer as (type, payload)."""
    generic.send(_message(family, _GENL.pack(command, 1, 0) + attribute))
    answer = generic.recv(65536)
    length, kind, _, _, _ = _HEADER.unpack_from(answer)
    if kind == _NLMSG_ERROR:
        (number,) = struct.unpack_from("=i", answer, _HEADER.size)
        raise OSError(-number, os.strerror(-number))
    at = _HEADER.size + _GENL.size
    while at + _ATTRIBUTE.size <= length:
        size, number = _ATTRIBUTE.unpack_from(answer, at)
        if size < _ATTRIBUTE.size:
            return
        yield number, answer[at + _ATTRIBUTE.size : at + size]
        at += size + 3 & ~3


def _attribute(kind: int, payload: bytes) -> bytes:
    size = _ATTRIBUTE.size + len(payload)
    return _ATTRIBUTE.pack(size, kind) + payload + b"\0" * (-size % 4)
