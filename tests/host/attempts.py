"""A process tries for real what it may be able to do: each ability of nsview.host.abilities, by its name.

Each attempt is one that changes nothing where it succeeds, or is made in a child of its own.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import socket
import struct
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress

from children import call

REFUSED = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.ENETUNREACH, errno.ESRCH, errno.EROFS, errno.EINVAL}


class Others:
    """Whom the attempts are made on: a process of another user, one of root's, a file of another user."""

    def __init__(self, stranger: int, kin: int, file: str, setuid: str) -> None:
        self.stranger, self.kin, self.file, self.setuid = stranger, kin, file, setuid


_NUMBERS = {"x86_64": {"finit_module": 313, "reboot": 169}, "aarch64": {"finit_module": 273, "reboot": 142}}


def _syscall(name: str, *arguments: object) -> int:
    return call("syscall", _NUMBERS[os.uname().machine][name], *arguments)


def _mount(_: Others) -> None:
    with tempfile.TemporaryDirectory() as place:
        call("mount", b"none", place.encode(), b"tmpfs", 0, None)
        call("umount2", place.encode(), 0)


def _modules(_: Others) -> None:
    with suppress_errno(errno.EBADF):
        _syscall("finit_module", -1, b"", 0)


def _reboot(_: Others) -> None:
    """Without the magic numbers it does nothing but say that it would be allowed to (kernel/reboot.c)."""
    try:
        _syscall("reboot", 0, 0, 0, 0)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise


def _see(others: Others) -> None:
    if not os.path.exists(f"/proc/{others.stranger}/stat"):
        raise OSError(errno.ESRCH, "not to be seen")
    with open("/proc/2/comm") as file:
        assert file.read() == "kthreadd\n"


def _signal_stranger(others: Others) -> None:
    os.kill(others.stranger, 0)


def _signal_kin(others: Others) -> None:
    os.kill(others.kin, 0)


def _debug(others: Others) -> None:
    """PTRACE_SEIZE, then PTRACE_DETACH by our end."""
    call("ptrace", 0x4206, others.stranger, None, None)


def _hostname(_: Others) -> None:
    name = os.uname().nodename.encode()
    call("sethostname", name, len(name))


class _Timex(ctypes.Structure):
    _fields_ = (("modes", ctypes.c_uint), ("rest", ctypes.c_char * 204))


def _clock(_: Others) -> None:
    """Set the length of a tick to what it is."""
    now = _Timex()
    call("adjtimex", ctypes.byref(now))
    now.modes = 0x4000
    call("adjtimex", ctypes.byref(now))


def _network(_: Others) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.connect(("192.0.2.77", 9))


def _configure(_: Others) -> None:
    """Set the flags of lo to what they are (netdevice(7))."""
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        asked = struct.pack("16sH22x", b"lo", 0)
        found = fcntl.ioctl(one, 0x8913, asked)
        fcntl.ioctl(one, 0x8914, found)


def _raw(_: Others) -> None:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()


def _limits(_: Others) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard + 1))
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _nice(_: Others) -> None:
    os.setpriority(os.PRIO_PROCESS, 0, -1)


def _root(others: Others) -> None:
    """Ask a set-user-ID copy of id(1) who it is; nobody who is root needs it."""
    if os.geteuid() == 0 and os.stat(others.setuid).st_uid == 0 and _maps_machine_root():
        return
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(writing, 1)
        with suppress(OSError):
            os.execv(others.setuid, ["id", "-u"])
        os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    if said.strip() != "0" or not _maps_machine_root():
        raise OSError(errno.EPERM, said)


def _maps_machine_root() -> bool:
    with open("/proc/self/uid_map") as file:
        return any(int(line.split()[1]) == 0 for line in file)


def _other_user(others: Others) -> None:
    """The next uid of our map, whichever it is."""
    with open("/proc/self/uid_map") as file:
        mapped = [
            uid for line in file for first, _, count in [map(int, line.split())] for uid in (first, first + count - 1)
        ]
    wanted = next((uid for uid in (*mapped, 2000) if uid != os.getuid() and uid != 0xFFFFFFFE), 2000)
    os.setresuid(wanted, wanted, wanted)


def _user_namespace(_: Others) -> None:
    call("unshare", 0x10000000)


def _proc_sys(_: Others) -> None:
    os.close(os.open("/proc/sys/vm/swappiness", os.O_WRONLY))


def _file(others: Others) -> None:
    os.close(os.open(others.file, os.O_RDONLY))


def _device(_: Others) -> None:
    with tempfile.TemporaryDirectory() as place:
        os.mknod(f"{place}/null", 0o20600, os.makedev(1, 3))


class suppress_errno:  # noqa: N801
    """Let this one error of the kernel pass: it comes after the question of privilege."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        return isinstance(error, OSError) and error.errno == self._number


ATTEMPTS: dict[str, Callable[[Others], object]] = {
    "mount file systems": _mount,
    "load kernel modules": _modules,
    "reboot the machine": _reboot,
    "see the machine's processes": _see,
    "signal any process": _signal_stranger,
    "signal its user's processes": _signal_kin,
    "debug any process": _debug,
    "change the host name": _hostname,
    "change the clock": _clock,
    "reach other machines": _network,
    "configure its network": _configure,
    "open raw sockets": _raw,
    "raise hard limits": _limits,
    "raise its priority": _nice,
    "become root by set-user-ID": _root,
    "become another user": _other_user,
    "create user namespaces": _user_namespace,
    "write to /proc/sys": _proc_sys,
    "read any file": _file,
    "make device files": _device,
}


def leave(effective: int, permitted: int) -> None:
    """Keep of the permitted capabilities these, and of those some effective (capset(2), version 3)."""
    with open("/proc/thread-self/status") as file:
        status = dict(line.split(":\t", 1) for line in file if ":\t" in line)
    sets = (int(status["CapPrm"], 16) & effective, int(status["CapPrm"], 16) & permitted, int(status["CapInh"], 16))
    words = [struct.pack("=III", *(mask >> at & 0xFFFFFFFF for mask in sets)) for at in (0, 32)]
    header = ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0))
    call("capset", header, ctypes.create_string_buffer(b"".join(words), 24))


_EVERY = (1 << 64) - 1


def attempted(name: str, others: Others) -> bool:
    """Try it in a child of our own; tell whether the kernel let it."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        answer = b""
        try:
            leave(_EVERY, _EVERY)  # what is permitted it can make effective at any time
            ATTEMPTS[name](others)
            answer = b"y"
        except OSError as error:
            answer = b"n" if error.errno in REFUSED else f"{name}: {error}".encode()
        except ValueError as error:  # what resource.setrlimit says for EPERM
            answer = b"n" if "not allowed" in str(error) else f"{name}: {error}".encode()
        finally:  # whatever happens, it must not run on as a second pytest
            os.write(writing, answer or traceback.format_exc().encode())
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    assert said in (b"y", b"n"), said
    return said == b"y"


def try_all(others: Others, leaves: tuple[int, int] | None = None) -> int:
    """Wait to be looked at (a line on standard input), then try everything and tell by JSON on standard output."""
    sys.stderr = os.fdopen(2, "w", closefd=False)  # pytest has put another in its place
    if leaves is not None:
        leave(*leaves)
    os.write(1, b"ready\n")
    os.read(0, 1)
    found = {name: attempted(name, others) for name in ATTEMPTS}
    os.write(1, json.dumps(found).encode() + b"\n")
    return 0
