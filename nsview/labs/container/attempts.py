"""Attempts to get out of a container, each made by a process of its own, which tells the kernel's answer."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import signal
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from spawner import _native

DONE = "done"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way to try. ``answers``: the errnos that the container is to give; ``ability`` as in nsview.host.abilities.

    ``layer`` is what stops it first, ``why`` how.
    """

    key: str
    done: str
    tries: Callable[[int], object]
    answers: tuple[str, ...]
    layer: str
    why: str
    ability: str = ""
    privileged: bool = False
    """Whether it takes root to do it outside."""


def _call(name: str, *arguments: object) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), name)


def _signal(outer: int) -> None:
    os.kill(outer, 0)


def _debug(outer: int) -> None:
    _call("ptrace", 0x4206, outer, None, None)  # PTRACE_SEIZE; detached by our end


def _root_of(outer: int) -> None:
    os.stat(f"/proc/{outer}/root/")


def _mount(_: int) -> None:
    _call("unshare", 0x20000)
    _call("mount", b"none", b"/", None, ctypes.c_ulong(0x44000), None)
    _call("mount", b"none", b"/tmp", b"tmpfs", ctypes.c_ulong(0), None)


def _limits(_: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    _native.call(_native.SYSCALLS["prlimit64"], 0, resource.RLIMIT_NOFILE, _pair(hard + 1), 0)


def _pair(value: int) -> bytes:
    return value.to_bytes(8, "little") * 2


def _hostname(_: int) -> None:
    name = os.uname().nodename.encode()
    _call("sethostname", name, len(name))


def _user_namespace(_: int) -> None:
    _call("unshare", 0x10000000)


def _proc_sys(_: int) -> None:
    os.close(os.open("/proc/sys/vm/swappiness", os.O_WRONLY))


def _write_usr(_: int) -> None:
    os.close(os.open("/usr", os.O_TMPFILE | os.O_WRONLY))


def _device(_: int) -> None:
    path = f"/tmp/nsview-lab-{os.getpid()}"
    os.mknod(path, 0o20600, os.makedev(1, 3))
    os.unlink(path)


def _raw(_: int) -> None:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()


def _chroot(_: int) -> None:
    """The first call of the classic way out: without it there is no second."""
    os.chroot("/tmp")


_BPF = {"x86_64": 321, "aarch64": 280}


def _bpf(_: int) -> None:
    """Ask for a map of no kind: who may call it is told that its arguments are wrong (kernel/bpf/syscall.c)."""
    try:
        _call("syscall", ctypes.c_long(_BPF[os.uname().machine]), ctypes.c_long(0), None, ctypes.c_long(0))
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise


def _namespaces_of(outer: int) -> None:
    """Enter the network of a process outside."""
    fd = os.open(f"/proc/{outer}/ns/net", os.O_RDONLY)
    _call("setns", fd, 0)


def _network(_: int) -> None:
    """Have the kernel look for a way to another machine; nothing is sent (udp(7))."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.connect(("192.0.2.77", 9))


def _own_name(_: int) -> None:
    os.close(os.open("/proc/self/comm", os.O_WRONLY))


def _files(_: int) -> None:
    """Open more at a time than the container's limit."""
    opened: list[int] = []
    try:
        while len(opened) < 200:
            opened.append(os.open("/", os.O_PATH))
    finally:
        for fd in opened:
            os.close(fd)


def _tasks(_: int) -> None:
    """Have more children at a time than the container's limit; each waits to be killed."""
    made: list[int] = []
    try:
        while len(made) < 40:
            pid = os.fork()
            if pid == 0:
                signal.pause()
                os._exit(0)
            made.append(pid)
    finally:
        for pid in made:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _memory(_: int) -> None:
    held = bytearray(96 << 20)
    for at in range(0, len(held), 4096):
        held[at] = 1


ATTEMPTS: tuple[Attempt, ...] = (
    Attempt(
        "signal",
        "kill(2) a process outside",
        _signal,
        ("ESRCH",),
        "pid namespace",
        "it has no number inside",
        "signal any process",
    ),
    Attempt(
        "see",
        "look through /proc/PID/root of it",
        _root_of,
        ("ENOENT",),
        "pid namespace",
        "the procfs inside shows its own pid namespace alone",
        "see the machine's processes",
    ),
    Attempt(
        "debug",
        "ptrace(2) it",
        _debug,
        ("ESRCH",),
        "pid namespace",
        "it has no number inside; the filter lets ptrace pass",
        "debug any process",
    ),
    Attempt(
        "enter",
        "setns(2) into its network",
        _namespaces_of,
        ("ENOENT",),
        "pid namespace",
        "the procfs inside has no file of it",
        "",
        True,
    ),
    Attempt(
        "network",
        "reach another machine",
        _network,
        ("ENETUNREACH",),
        "network namespace",
        "a network of its own has lo and no route",
        "reach other machines",
        True,
    ),
    Attempt(
        "mount",
        "mount(2) a tmpfs",
        _mount,
        ("EPERM", "ENOSYS"),
        "seccomp",
        "the filter refuses unshare and mount; so would the lack of CAP_SYS_ADMIN",
        "mount file systems",
        True,
    ),
    Attempt(
        "hostname",
        "sethostname(2)",
        _hostname,
        ("EPERM", "ENOSYS"),
        "seccomp",
        "the filter refuses it; so would the lack of CAP_SYS_ADMIN",
        "change the host name",
        True,
    ),
    Attempt(
        "user-namespace",
        "unshare(CLONE_NEWUSER)",
        _user_namespace,
        ("EPERM", "ENOSYS"),
        "seccomp",
        "the filter refuses it: it takes no privilege",
        "create user namespaces",
        True,
    ),
    Attempt("bpf", "bpf(2)", _bpf, ("EPERM", "ENOSYS"), "seccomp", "the filter refuses it", "", True),
    Attempt(
        "proc-sys",
        "open /proc/sys/vm/swappiness to write",
        _proc_sys,
        ("EROFS", "EACCES"),
        "mounts",
        "/proc/sys is covered by a read-only copy",
        "write to /proc/sys",
        True,
    ),
    Attempt("usr", "make a file in /usr", _write_usr, ("EROFS", "EACCES"), "mounts", "it is bound read-only", "", True),
    Attempt(
        "own-name",
        "open /proc/self/comm to write",
        _own_name,
        ("EACCES",),
        "landlock",
        "its rules let it read below /, and write below /tmp and /dev alone",
    ),
    Attempt(
        "device",
        "mknod(2) of a device",
        _device,
        ("EPERM", "EACCES"),
        "capabilities",
        "CAP_MKNOD counts in the machine's user namespace alone",
        "make device files",
        True,
    ),
    Attempt(
        "raw-socket",
        "open a raw socket",
        _raw,
        ("EPERM",),
        "capabilities",
        "it lacks CAP_NET_RAW",
        "open raw sockets",
        True,
    ),
    Attempt(
        "chroot",
        "chroot(2), to climb out of it",
        _chroot,
        ("EPERM", "ENOSYS"),
        "capabilities",
        "it lacks CAP_SYS_CHROOT",
        "",
        True,
    ),
    Attempt(
        "hard-limit",
        "raise RLIMIT_NOFILE's hard limit",
        _limits,
        ("EPERM",),
        "capabilities",
        "it lacks CAP_SYS_RESOURCE over the machine",
        "raise hard limits",
        True,
    ),
    Attempt("files", "open 200 files", _files, ("EMFILE",), "rlimit", "RLIMIT_NOFILE"),
    Attempt("tasks", "make 40 children", _tasks, ("EAGAIN",), "cgroup", "pids.max of its control group"),
    Attempt(
        "memory",
        "use 96 MiB",
        _memory,
        ("SIGKILL",),
        "cgroup",
        "the group's limit: the kernel kills for want of memory",
    ),
)
"""What reaches farthest first; what the limits of a group stop comes last."""


def attempted(attempt: Attempt, outer: int) -> str:
    """Try it in a child of our own: DONE, the errno's name, or that of the signal that ended it."""
    pid = os.fork()
    if pid == 0:
        status = 255
        try:
            attempt.tries(outer)
            status = 0
        except OSError as error:
            status = error.errno or 255
        finally:
            os._exit(status)
    _, how = os.waitpid(pid, 0)
    if os.WIFSIGNALED(how):
        return signal.Signals(os.WTERMSIG(how)).name
    code = os.WEXITSTATUS(how)
    return DONE if code == 0 else errno.errorcode.get(code, f"status {code}")


def tell_all(keys: Iterable[str], outer: int) -> int:
    """Wait for a line on standard input, try those named, and tell by JSON on standard output."""
    os.write(1, b"ready\n")
    os.read(0, 1)
    wanted = frozenset(keys)
    found = {attempt.key: attempted(attempt, outer) for attempt in ATTEMPTS if attempt.key in wanted}
    os.write(1, json.dumps(found).encode() + b"\n")
    return 0
