"""Trials: doing a thing for real, in a throw-away process, to learn whether this machine allows it."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import signal
import struct
from collections.abc import Callable
from dataclasses import dataclass

from nsview.commands import doctor_reading as reading
from spawner import _native
from spawner.namespaces import BY_NAME, NamespaceKind

Step = tuple[str, Callable[[], object]]
"""What is tried, in the words of an error message, and the call that tries it."""

NOBODY = 65534

_PR_SET_DUMPABLE = 4
_MNT_DETACH = 2
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_PRIVATE = 2, 4, 8, 0x4000, 0x40000

_SYSCALLS = {
    "x86_64": {"clone3": 435, "kcmp": 312, "landlock_create_ruleset": 444},
    "aarch64": {"clone3": 435, "kcmp": 272, "landlock_create_ruleset": 444},
}

# Not CDLL: the GIL must stay ours across clone3, for the child has no other thread that could hand it back.
_libc = ctypes.PyDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The first step that failed, and the kernel's errno."""

    step: str
    errno: int

    def __str__(self) -> str:
        """Word it as ``step: text (ERRNO)``."""
        return f"{self.step}: {os.strerror(self.errno)} ({errno.errorcode.get(self.errno, self.errno)})"


def attempt(*steps: Step) -> Refusal | None:
    """Run ``steps`` in order in a forked process, which ends after them; None when all of them succeeded."""
    reader, writer = os.pipe()
    try:
        pid = os.fork()
        if pid == 0:
            _child(steps, writer)
        os.close(writer)
        writer = -1
        os.waitpid(pid, 0)
        told = os.read(reader, 8)
    finally:
        os.close(reader)
        if writer >= 0:
            os.close(writer)
    if not told:  # killed before it could say anything: by a seccomp filter, most likely
        return Refusal(steps[0][0], errno.EPERM)
    index, number = struct.unpack("ii", told)
    return None if index < 0 else Refusal(steps[index][0], number)


def _child(steps: tuple[Step, ...], writer: int) -> None:
    try:
        for index, (_, action) in enumerate(steps):
            try:
                action()
            except OSError as error:
                os.write(writer, struct.pack("ii", index, error.errno or 0))
                return
        os.write(writer, struct.pack("ii", -1, 0))
    finally:
        os._exit(0)


def within(*steps: Step) -> Callable[[], None]:
    """Make an action of running ``steps`` in a further process, as entering a pid namespace takes."""

    def action() -> None:
        if (refusal := attempt(*steps)) is not None:
            raise OSError(refusal.errno, str(refusal))

    return action


def syscall(name: str, *arguments: int | ctypes.c_void_p) -> int:
    """Make a system call by name; OSError with its errno, ENOSYS where its number is not known to us."""
    number = _SYSCALLS.get(platform.machine(), {}).get(name)
    if number is None:
        raise OSError(errno.ENOSYS, f"the number of {name} on {platform.machine()} is not known")
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in arguments]
    return _checked(int(_libc.syscall(ctypes.c_long(number), *words)))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def unshare(mask: int) -> Callable[[], int]:
    """Make an action of unshare(2)."""
    return lambda: _checked(_libc.unshare(ctypes.c_int(mask)))


def mount(source: str, target: str, kind: str, flags: int) -> Callable[[], int]:
    """Make an action of mount(2)."""
    paths = (source.encode(), target.encode(), kind.encode())
    return lambda: _checked(_libc.mount(*paths, ctypes.c_ulong(flags), None))


def _new(kind: NamespaceKind) -> tuple[Step, ...]:
    """Create a namespace of ``kind`` and read back that it is another one than ours."""
    if kind.name == "pid":
        first = within(("reading our pid", lambda: _expect(os.getpid() == 1)))
        read_back: Step = ("being process 1 in it", first)
    else:
        link = "/proc/self/ns/" + ("time_for_children" if kind.name == "time" else kind.proc)
        ours = os.stat(link).st_ino
        read_back = (f"reading {link}", lambda: _expect(os.stat(link).st_ino != ours))
    return (f"unshare({kind.flag_name})", unshare(kind.flag)), read_back


def _expect(truth: bool) -> None:
    if not truth:
        raise OSError(errno.EOPNOTSUPP, "the kernel said yes, but nothing changed")


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _as_root_of_new_user(uid: int, gid: int) -> tuple[Step, ...]:
    return (
        *_new(BY_NAME["user"]),
        ("denying setgroups", lambda: _write("/proc/self/setgroups", "deny")),
        ("writing uid_map", lambda: _write("/proc/self/uid_map", f"0 {uid} 1")),
        ("writing gid_map", lambda: _write("/proc/self/gid_map", f"0 {gid} 1")),
    )


def create(kind: NamespaceKind) -> Refusal | None:
    """Create a namespace of ``kind`` with the privileges we have."""
    try:
        return attempt(*_new(kind))
    except FileNotFoundError:
        return Refusal(f"/proc/self/ns/{kind.proc}", errno.EINVAL)


def create_inside_user_namespace(kind: NamespaceKind) -> Refusal | None:
    """Create a namespace of ``kind`` as root of a new user namespace."""
    return attempt(*_as_root_of_new_user(os.geteuid(), os.getegid()), *_new(kind))


def create_user_namespace_unprivileged() -> Refusal | None:
    """As a process without privileges: a user namespace, its maps, and a mount namespace of its own.

    The last step is where AppArmor answers on machines that restrict unprivileged user namespaces: the first
    one succeeds there.
    """
    uid, gid = (NOBODY, NOBODY) if os.geteuid() == 0 else (os.geteuid(), os.getegid())

    def drop() -> None:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            # Having changed ids we are not dumpable, and files of /proc/self belong to root.
            _checked(_libc.prctl(ctypes.c_int(_PR_SET_DUMPABLE), ctypes.c_ulong(1), 0, 0, 0))

    return attempt(("dropping privileges", drop), *_as_root_of_new_user(uid, gid), *_new(BY_NAME["mount"]))


def mount_fresh_proc(*, user_namespace: bool) -> Refusal | None:
    """Mount a new /proc in a new pid namespace, as root of a new user namespace or as we are."""
    first = _as_root_of_new_user(os.geteuid(), os.getegid()) if user_namespace else ()
    return attempt(
        *first,
        ("unshare(CLONE_NEWNS|CLONE_NEWPID)", unshare(BY_NAME["mount"].flag | BY_NAME["pid"].flag)),
        ("making mounts private", mount("none", "/", "", _MS_REC | _MS_PRIVATE)),
        (
            "mounting it",
            within(("mount(proc)", mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC))),
        ),
    )


def raise_a_hard_limit() -> Refusal | None:
    """Lower a hard limit and raise it again: CAP_SYS_RESOURCE of a user namespace does not count (prlimit(2))."""
    core = resource.RLIMIT_CORE
    return attempt(
        ("lowering a limit", lambda: resource.setrlimit(core, (0, 0))),
        ("raising it", lambda: resource.setrlimit(core, (0, 1))),
    )


_CAPABILITIES = {"SETUID": 7, "SYS_ADMIN": 21}


def capable(name: str) -> bool:
    """Whether a capability is in effect for us."""
    return bool(int(reading.status("CapEff"), 16) >> _CAPABILITIES[name] & 1)


def both_ways(mask: int, *steps: Step) -> tuple[Refusal | None, Refusal | None]:
    """Run ``steps`` in new namespaces (their CLONE_NEW* bits): as we are, and as root of a new user namespace."""
    entered = (("unshare(2)", unshare(mask)), *(_PRIVATE if mask & BY_NAME["mount"].flag else ()), *steps)
    return attempt(*entered), attempt(*_as_root_of_new_user(os.geteuid(), os.getegid()), *entered)


_PRIVATE: tuple[Step, ...] = (("making mounts private", mount("none", "/", "", _MS_REC | _MS_PRIVATE)),)


def as_root_of_new_mounts() -> tuple[Step, ...]:
    """Become root of a new user namespace with a mount namespace of its own."""
    entered = ("unshare(CLONE_NEWNS)", unshare(BY_NAME["mount"].flag))
    return (*_as_root_of_new_user(os.geteuid(), os.getegid()), entered, *_PRIVATE)


def change_root() -> tuple[Step, ...]:
    """Make another file system the root, in a new mount namespace."""
    return (
        ("mounting a tmpfs", mount("none", "/proc", "tmpfs", 0)),
        ("entering it", lambda: os.chdir("/proc")),
        ("pivot_root(2)", lambda: _native.call(_native.SYSCALLS["pivot_root"], b".\0", b".\0")),
        ("leaving the old root", lambda: _checked(_libc.umount2(b".", ctypes.c_int(_MNT_DETACH)))),
        ("being in it", lambda: _expect(os.listdir("/") == [])),
    )


def mount_overlay() -> tuple[Step, ...]:
    """Mount an overlay over a tmpfs, in a new mount namespace, and write through it."""
    layers = b"lowerdir=lower,upperdir=upper,workdir=work"

    def directories() -> None:
        os.chdir("/proc")
        for name in ("lower", "upper", "work", "merged"):
            os.mkdir(name)

    def write() -> None:
        _write_new("merged/file")
        _expect(os.path.exists("upper/file"))

    return (
        ("mounting a tmpfs", mount("none", "/proc", "tmpfs", 0)),
        ("making directories", directories),
        ("mount(overlay)", lambda: _checked(_libc.mount(b"none", b"merged", b"overlay", ctypes.c_ulong(0), layers))),
        ("writing through it", write),
    )


def _write_new(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def outside_of_chroot() -> bool:
    """Whether our root is not that of our mount namespace: entering the namespace anew would change it.

    False also where that cannot be tried, which takes CAP_SYS_ADMIN and CAP_SYS_CHROOT (setns(2)).
    """

    def changes() -> None:
        before = _mount_and_inode("/")
        fd = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        _native.call(_native.SYSCALLS["setns"], fd, BY_NAME["mount"].flag)
        _expect(_mount_and_inode("/") == before)

    refusal = attempt(("entering our own mount namespace", changes))
    return refusal is not None and refusal.errno == errno.EOPNOTSUPP


def _mount_and_inode(path: str) -> tuple[str, int]:
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    seen = os.fstat(fd)
    with open(f"/proc/self/fdinfo/{fd}") as file:
        [line] = [line for line in file if line.startswith("mnt_id:")]
    os.close(fd)
    return line, seen.st_ino


def clone3(flags: int, cgroup: int = 0) -> None:
    """Create a child that ends at once, by clone3(2) with ``flags``, and reap it; OSError when refused.

    The structure is clone_args of linux/sched.h (11 words of 64 bits, 88 bytes); no stack is given, so the
    child goes on where we are, as after fork(2).
    """
    pidfd = ctypes.c_int(-1)
    words = struct.pack("11Q", flags, ctypes.addressof(pidfd), 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, cgroup)
    buffer = ctypes.create_string_buffer(words, len(words))
    pid = syscall("clone3", ctypes.c_void_p(ctypes.addressof(buffer)), len(words))
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    if pidfd.value >= 0:
        os.close(pidfd.value)
