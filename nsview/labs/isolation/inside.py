"""Who acts: it makes the system calls that it is asked to make on its standard input, and says what they answered.

Run as a program, alone, in a child's namespaces; the stand-in for the host acts by the same table. A question is a line
of JSON, [name, argument…]; the answer is {"answer": …}, or where the kernel refused {"errno", "call", "said"}: the
number, which call, and the whole as text.
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import TypeVar

_Kept = TypeVar("_Kept")
_MS_BIND, _MS_SHARED = 0x1000, 1 << 20
_IPC_CREAT, _IPC_EXCL = 0o1000, 0o2000
_SO_NETNS_COOKIE = 71
_kept: list[object] = []
"""Sockets and mappings that are there as long as this process."""


def _call(name: str, *arguments: object) -> int:
    answer: int = getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments)
    if answer == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), name)
    return answer


def _asked(call: Callable[[], object]) -> str:
    try:
        call()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "done"


def _last(kind: type[_Kept]) -> _Kept:
    return next(each for each in reversed(_kept) if isinstance(each, kind))


def pid() -> int:
    """Its pid as it sees it."""
    return os.getpid()


def namespaces() -> dict[str, int]:
    """The inode of each of its namespaces by the links of /proc/PID/ns."""
    return {link: os.stat(f"/proc/self/ns/{link}").st_ino for link in os.listdir("/proc/self/ns")}


# ---- mounts and files ----


def mount_tmpfs(path: str, source: str) -> None:
    """Mount a tmpfs there, whose source has this name."""
    _call("mount", source.encode(), path.encode(), b"tmpfs", ctypes.c_ulong(0), None)


def make_shared(path: str) -> None:
    """Make the directory a mount of its own, below which mounts are passed on to copies (mount_namespaces(7))."""
    _call("mount", path.encode(), path.encode(), None, ctypes.c_ulong(_MS_BIND), None)
    _call("mount", b"none", path.encode(), None, ctypes.c_ulong(_MS_SHARED), None)


def mounted(source: str) -> bool:
    """Whether its table of mounts has a tmpfs of this source."""
    with open("/proc/self/mountinfo") as table:
        return any(f" - tmpfs {source} " in line for line in table)


def write(path: str, text: str) -> None:
    """Write a file."""
    with open(path, "w") as file:
        file.write(text)


def read(path: str) -> str | None:
    """What a file holds; None where there is none."""
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:
        return None


def owner(path: str) -> int:
    """To whom a file belongs, as numbered here."""
    return os.stat(path).st_uid


def is_directory(path: str) -> bool:
    """Whether it can be opened as a directory."""
    return _asked(lambda: os.close(os.open(path, os.O_DIRECTORY))) == "done"


# ---- sockets ----


def bind_abstract(name: str) -> str:
    """Bind a Unix socket to a name of the abstract kind: "done" or the errno's name."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    _kept.append(made)
    return _asked(lambda: made.bind(f"\0{name}"))


def listen(path: str) -> None:
    """Listen on a Unix socket named by a path."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    _kept.append(made)
    made.bind(path)
    made.listen()


def connect(path: str) -> str:
    """Connect to one: "done" or the errno's name."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    _kept.append(made)
    return _asked(lambda: made.connect(path))


def bind_port(port: int) -> str:
    """Bind a TCP socket to a port of every address: "done" or the errno's name."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    _kept.append(made)
    return _asked(lambda: made.bind(("", port)))


def free_port() -> int:
    """Bind a TCP socket to a port that is free; which."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    _kept.append(made)
    made.bind(("", 0))
    port: int = made.getsockname()[1]
    return port


def hand_over() -> int:
    """Accept on the last socket and send an open one; the cookie of the network namespace that this one is in."""
    with _last(socket.socket).accept()[0] as connection, _open() as sent:
        socket.send_fds(connection, [b"."], [sent.fileno()])
        return _cookie(sent)


def taken_over() -> list[int]:
    """Receive it on the last socket: its cookie, and that of a socket made here."""
    _, (fd,), _, _ = socket.recv_fds(_last(socket.socket), 1, 1)
    with socket.socket(fileno=fd) as taken, _open() as own:
        return [_cookie(taken), _cookie(own)]


def _open() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def _cookie(made: socket.socket) -> int:
    return int.from_bytes(made.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8), sys.byteorder)


# ---- processes and ids ----


def kill(pid: int, number: int) -> str:
    """Send a signal, or with 0 ask whether one could: "done" or the errno's name."""
    return _asked(lambda: os.kill(pid, number))


def block(number: int) -> None:
    """Block a signal, so that it waits."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [number])


def pending(number: int) -> bool:
    """Whether it waits (sigpending(2))."""
    return number in signal.sigpending()


def euid() -> int:
    """Who it is."""
    return os.geteuid()


def euid_of(pid: int) -> int:
    """Who another is, as numbered here (proc_pid_status(5))."""
    with open(f"/proc/{pid}/status") as status:
        return int(status.read().partition("\nUid:")[2].split()[1])


# ---- the rest ----


def set_hostname(name: str) -> None:
    """Change the host name."""
    socket.sethostname(name)


def try_hostname(name: str) -> str:
    """The same: "done" or the errno's name."""
    return _asked(lambda: socket.sethostname(name))


def capabilities() -> int:
    """Its effective capabilities (proc_pid_status(5))."""
    with open("/proc/self/status") as status:
        return int(status.read().partition("\nCapEff:")[2].split()[0], 16)


def hostname() -> str:
    """The host name (uname(2))."""
    return os.uname().nodename


def kernel() -> list[str]:
    """What uname(2) tells of the kernel."""
    told = os.uname()
    return [told.release, told.version, told.machine]


def make_segment(key: int) -> None:
    """Make a segment of System V shared memory."""
    _call("shmget", ctypes.c_int(key), ctypes.c_size_t(4096), 0o600 | _IPC_CREAT | _IPC_EXCL)


def find_segment(key: int) -> str:
    """Look for one: "done" or the errno's name."""
    return _asked(lambda: _call("shmget", ctypes.c_int(key), ctypes.c_size_t(0), 0))


def map_file(path: str) -> None:
    """Map one page of a file with MAP_SHARED, which is made that long."""
    with open(path, "a+b") as file:
        file.truncate(mmap.PAGESIZE)
        _kept.append(mmap.mmap(file.fileno(), mmap.PAGESIZE, flags=mmap.MAP_SHARED))


def store(text: str) -> None:
    """Write to the last mapping's memory."""
    _last(mmap.mmap)[: len(text)] = text.encode()


def load(length: int) -> str:
    """What stands at the beginning of the last mapping's memory."""
    return _last(mmap.mmap)[:length].decode("latin-1")


def cgroup() -> str:
    """Its groups as it sees them (proc_pid_cgroup(5))."""
    with open("/proc/self/cgroup") as file:
        return file.read()


def clock(name: str) -> int:
    """A clock, in nanoseconds."""
    return time.clock_gettime_ns(getattr(time, name))


ACTS: dict[str, Callable[..., object]] = {
    act.__name__: act
    for act in (
        *(pid, namespaces, euid, euid_of, kill, block, pending),
        *(mount_tmpfs, make_shared, mounted, write, read, owner, is_directory, cgroup),
        *(bind_abstract, listen, connect, free_port, bind_port, hand_over, taken_over),
        *(set_hostname, try_hostname, capabilities, hostname, kernel, clock),
        *(make_segment, find_segment, map_file, store, load),
    )
}


def answer(act: Callable[..., object], arguments: list[object]) -> dict[str, object]:
    """What an act came to."""
    try:
        return {"answer": act(*arguments)}
    except OSError as error:
        return {"errno": error.errno, "call": error.filename or act.__name__, "said": str(error)}


def serve(acts: dict[str, Callable[..., object]]) -> None:
    """Answer until standard input ends."""
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(answer(acts[name], arguments)), flush=True)


if __name__ == "__main__":
    serve(ACTS)
