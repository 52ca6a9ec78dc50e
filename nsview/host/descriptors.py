"""The open files of a process: /proc/PID/fd and fdinfo, each with its kind, flags and offset."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from nsview.host.attribute import Attribute
from nsview.host.content.sockets import Socket, parse_unix, read_network_sockets
from nsview.host.process import PinnedProcess
from nsview.host.text import printable


@dataclass(frozen=True, slots=True)
class Descriptor:
    """One open file; None is unknown.

    ``kind`` is one of the type of file (``file``, ``directory``, ``character device``, ``block device``,
    ``pipe``, ``socket``, ``symbolic link``), of what it stands for (``namespace``, ``memfd``), or the
    kernel's own name of it (``eventfd``, ``eventpoll``, ``pidfd``, ``io_uring``, …). ``target`` is what the
    link says and ``flags`` are open(2)'s, both safe to print. ``detail`` is what only this kind has, such as
    the count of an eventfd, the process of a pidfd, the protocol, state and addresses of a socket.
    """

    number: int
    kind: str | None
    target: str | None
    flags: tuple[str, ...] | None
    offset: int | None
    detail: str | None


Descriptors = Mapping[int, Descriptor]
"""By number, in their order."""

_ANONYMOUS = re.compile(r"anon_inode:\[?([^\]]*)\]?$")
_NAMED = re.compile(r"(\w+):\[\d+\]$")
_MEMFD = re.compile(r"/memfd:.*\(deleted\)$", re.DOTALL)
_TYPES = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
    stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFLNK: "symbolic link",
}
_ACCESS = ("O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE")
_LARGE_FILE = 0o100000
_FLAGS = tuple(
    (getattr(os, name), name)
    for name in (
        "O_CLOEXEC", "O_APPEND", "O_NONBLOCK", "O_SYNC", "O_DSYNC", "O_ASYNC", "O_DIRECT", "O_DIRECTORY", "O_NOFOLLOW",
        "O_NOATIME", "O_PATH", "O_TMPFILE", "O_NOCTTY", "O_CREAT", "O_EXCL", "O_TRUNC",
    )
)  # fmt: skip


def descriptors_of(process: PinnedProcess) -> Descriptors | None:
    """Read the open files; None when we may not look or it is gone. One closed meanwhile is left out."""
    names = process.names("fd")
    if names is None:
        return None
    sockets = _Sockets(process)
    found = (_read(process, number, sockets) for number in sorted(int(name) for name in names))
    return {descriptor.number: descriptor for descriptor in found if descriptor is not None}


def _read(process: PinnedProcess, number: int, sockets: _Sockets) -> Descriptor | None:
    target = process.link(f"fd/{number}")
    info = process.read(f"fdinfo/{number}")
    if target is None and info is None:
        return None
    kind = None if target is None else _kind(process, number, target)
    fields = _fields(info)
    flags = None if "flags" not in fields else flag_names(int(fields["flags"][0], 8))
    offset = None if "pos" not in fields else int(fields["pos"][0])
    if kind == "socket" and target is not None:
        detail = sockets.words(_inode(target)) or _protocol(process, number)
    else:
        detail = _detail(fields)
    return Descriptor(number, kind, None if target is None else printable(target), flags, offset, detail)


def _kind(process: PinnedProcess, number: int, target: str) -> str | None:
    if anonymous := _ANONYMOUS.match(target):
        return printable(anonymous[1])
    if named := _NAMED.match(target):
        return named[1] if named[1] in ("pipe", "socket") else "namespace"
    if _MEMFD.match(target):
        return "memfd"
    status = process.stat(f"fd/{number}")
    return None if status is None else _TYPES.get(stat.S_IFMT(status.st_mode))


def flag_names(flags: int) -> tuple[str, ...]:
    """Name open(2)'s flags, the mode of access first; what has no name is a number in octal. Pure.

    O_LARGEFILE is left out: on 64-bit machines the kernel sets it everywhere.
    """
    names = [_ACCESS[flags & os.O_ACCMODE]]
    rest = flags & ~os.O_ACCMODE & ~_LARGE_FILE
    for bits, name in sorted(_FLAGS, reverse=True):  # those of several bits first: O_SYNC contains O_DSYNC
        if bits and rest & bits == bits:
            names.append(name)
            rest &= ~bits
    return (*names, f"0{rest:o}") if rest else tuple(names)


def _fields(info: bytes | None) -> dict[str, list[str]]:
    """Read lines of ``key: value``; a key may come again (epoll, inotify)."""
    found: dict[str, list[str]] = {}
    for line in (info or b"").decode("utf-8", "backslashreplace").split("\n"):
        key, colon, value = line.partition(":")
        if colon:
            found.setdefault(key.strip(), []).append(value.strip())
        elif key.startswith(("inotify ", "fanotify ")):
            found.setdefault(key.split()[0], []).append(key)
    return found


def _detail(fields: Mapping[str, list[str]]) -> str | None:
    """Word what proc_pid_fdinfo(5) tells of one kind alone."""
    if "eventfd-count" in fields:
        return f"count {int(fields['eventfd-count'][0], 16)}"
    if "Pid" in fields:
        pid = int(fields["Pid"][0])
        return f"of process {pid}" if pid > 0 else "its process was reaped" if pid < 0 else "its process is elsewhere"
    for key, what in (("tfd", "descriptors"), ("inotify wd", "watches"), ("inotify", "watches")):
        if key in fields:
            return f"{len(fields[key])} {what}"
    return None


class _Sockets:
    """The sockets of the network namespace of a process, read when the first is asked for."""

    def __init__(self, process: PinnedProcess) -> None:
        self._process = process

    def words(self, inode: int) -> str | None:
        """Word the socket; None when it is not there: it is of another namespace, or of a kind not listed."""
        socket = self._by_inode.get(inode)
        return None if socket is None else socket_words(socket)

    @cached_property
    def _by_inode(self) -> Mapping[int, Socket]:
        network = read_network_sockets(lambda name: self._process.read(f"net/{name}"))
        unix = self._process.read("net/unix")
        return {socket.inode: socket for socket in (*(network or ()), *(parse_unix(unix) if unix else ()))}


def socket_words(socket: Socket) -> str:
    """Word a socket: ``tcp listen 0.0.0.0:80``, ``unix stream established /run/x``. Pure."""
    parts = [socket.protocol, *(() if socket.type is None else (socket.type,))]
    parts += [] if socket.state is None else [socket.state]
    if socket.address is not None:
        parts.append(_address(socket.address, socket.port))
    if socket.peer_address is not None and socket.peer_port:
        parts.append(f"to {_address(socket.peer_address, socket.peer_port)}")
    parts += [] if socket.path is None else [socket.path]
    return " ".join(parts)


def _address(address: str, port: int | None) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _inode(target: str) -> int:
    return int(target[target.index("[") + 1 : -1])


def _protocol(process: PinnedProcess, number: int) -> str | None:
    """Return the name of a socket's protocol, as ``TCP`` or ``UNIX-STREAM`` (net/socket.c: sockfs_xattr_get())."""
    name = process.attribute(f"fd/{number}", "system.sockprotoname")
    return None if name is None else printable(name.rstrip(b"\0"))


def targets(descriptors: Descriptors) -> Mapping[int, str]:
    """Return what the links say, by number, of those that can be read. Pure."""
    return {number: it.target for number, it in descriptors.items() if it.target is not None}


def kinds(descriptors: Descriptors) -> Mapping[str, int]:
    """Count the kinds, the most frequent first. Pure."""
    return dict(Counter(descriptor.kind or "unknown" for descriptor in descriptors.values()).most_common())


def words(descriptor: Descriptor) -> str:
    """Word one open file on a line."""
    parts = [descriptor.target or "?"]
    if descriptor.detail is not None:
        parts.append(f"({descriptor.detail})")
    if descriptor.flags is not None:
        parts.append("|".join(descriptor.flags))
    if descriptor.kind == "file" and descriptor.offset is not None:
        parts.append(f"at {descriptor.offset}")
    return " ".join(parts)


_SOURCE = "/proc/PID/fd and fdinfo"


def attributes(one: Descriptors | None, two: Descriptors | None) -> Iterator[Attribute[Descriptors]]:
    """Yield a row for each kind that either has, and one for each number."""
    for kind in sorted({*kinds(one or {}), *kinds(two or {})}):
        yield Attribute(
            f"of kind {kind}",
            _count(kind),
            _SOURCE,
            "as many of them are open",
            "opened and closed since birth, or closed by execve (O_CLOEXEC)",
            _count_delta(kind),
        )
    for number in sorted({*(one or {}), *(two or {})}):
        yield Attribute(
            f"fd {number}",
            _one(number),
            _SOURCE,
            "the same is open: handed down at birth, or opened by both",
            "opened or closed by one of them, closed by execve (O_CLOEXEC), or at another place in it",
        )


def _count(kind: str) -> Callable[[Descriptors], str]:
    return lambda descriptors: str(kinds(descriptors).get(kind, 0))


def _count_delta(kind: str) -> Callable[[Descriptors, Descriptors], str]:
    def delta(one: Descriptors, two: Descriptors) -> str:
        change = kinds(two).get(kind, 0) - kinds(one).get(kind, 0)
        return f"+{change}" if change > 0 else f"−{-change}"

    return delta


def _one(number: int) -> Callable[[Descriptors], str]:
    return lambda descriptors: words(descriptors[number]) if number in descriptors else "closed"
