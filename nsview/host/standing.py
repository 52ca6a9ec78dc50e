"""What decides about what a process may still do: credentials, owners of its namespaces, mounts, limits, filters."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass

from nsview.host import limits
from nsview.host.capable import Credentials, Lineage, UserNamespace, credentials_of, last_capability, owner_of
from nsview.host.content.mount_info import Mount, parse
from nsview.host.content.user import Extent, parse_map
from nsview.host.facts import CAPABILITY_SETS
from nsview.host.process import PinnedProcess, ProcessGoneError
from nsview.host.security import security_of
from nsview.host.snapshot import PF_EXITING, PF_KTHREAD
from spawner.namespaces import KINDS

INITIAL_USER = 0xEFFFFFFD
_FIXED = {
    "ipc": 0xEFFFFFFF,
    "uts": 0xEFFFFFFE,
    "user": INITIAL_USER,
    "pid": 0xEFFFFFFC,
    "cgroup": 0xEFFFFFFB,
    "time": 0xEFFFFFFA,
}
"""The inodes of the machine's own namespaces (include/linux/proc_ns.h); the others' are those of kthreadd."""
_KTHREADD = 2

MACHINE = Lineage((UserNamespace(INITIAL_USER, 0),), True)
"""The machine's own user namespace, as the owner of what is nobody else's."""

_SETUID_PROGRAMS = ("usr/bin/su", "usr/bin/sudo", "usr/bin/passwd", "usr/bin/mount", "bin/su", "bin/mount")


@dataclass(frozen=True, slots=True)
class Standing:
    """One process; None is unknown. Sets of capabilities are bit masks.

    ``sets`` by the keys of /proc/PID/status; ``uids``: real, effective, saved and of the file system. ``owners``:
    the user namespaces that own its namespaces, by the name of the link in /proc/PID/ns; ``initial``: whether a
    namespace is the machine's own. ``euid`` and the maps are as we see them, which is as the machine does where
    ``seen_from_initial``. ``shows_machine``: its /proc has the machine's processes. ``setuid_program``: a program
    that belongs to root and has the set-user-ID bit, "" where none was found. ``routes``: whether its network has
    a way to others. ``has_modules``: whether this kernel loads any. ``sysctl``: settings that decide, by their path.
    """

    credentials: Credentials
    uids: tuple[int, ...] | None
    last: int
    sets: Mapping[str, int | None]
    no_new_privs: int | None
    kernel_thread: bool
    seccomp: int | None
    seccomp_filters: int | None
    label: str | None
    dumpable: bool | None
    owners: Mapping[str, Lineage | None]
    initial: Mapping[str, bool | None]
    seen_from_initial: bool
    uid_map: tuple[Extent, ...] | None
    limits: limits.Limits | None
    chrooted: bool | None
    mounts: tuple[Mount, ...] | None
    shows_machine: bool | None
    setuid_program: str | None
    routes: bool | None
    has_modules: bool
    sysctl: Mapping[str, int | None]

    @property
    def permitted(self) -> int | None:
        """What it may make effective by itself."""
        return self.sets["CapPrm"]

    @property
    def bounding(self) -> int | None:
        """The most that execve can ever give it."""
        return self.sets["CapBnd"]

    @property
    def in_initial_user(self) -> bool | None:
        """Whether its user namespace is the machine's."""
        return self.initial["user"]

    @property
    def is_machine_root(self) -> bool | None:
        """Whether its effective user is uid 0 of the machine; None where we see other numbers than the machine."""
        return self.credentials.euid == 0 if self.seen_from_initial and self.credentials.euid is not None else None

    @property
    def is_root_inside(self) -> bool | None:
        """Whether its effective user is uid 0 of its own user namespace."""
        if self.uid_map is None or self.credentials.euid is None:
            return None
        root = next((extent for extent in self.uid_map if extent.inside == 0), None)
        return root is not None and root.outside == self.credentials.euid


def standing_of(process: PinnedProcess) -> Standing | None:
    """Read it; None when the process is gone, or is ending, or a zombie, which can do nothing any more."""
    status = process.status()
    if status is None:
        return None
    credentials = credentials_of(process)
    mounts = _mounts(process)
    security = security_of(process)
    root = process.link("root")
    found = Standing(
        credentials=credentials,
        uids=tuple(map(int, status["Uid"].split())) if "Uid" in status else None,
        last=last_capability(),
        sets={key: _mask(status, key) for key in CAPABILITY_SETS},
        no_new_privs=_number(status, "NoNewPrivs"),
        kernel_thread=bool((_flags(process.read("stat")) or 0) & PF_KTHREAD),
        seccomp=_number(status, "Seccomp"),
        seccomp_filters=_number(status, "Seccomp_filters"),
        label=None if security is None else security.label,
        dumpable=_dumpable(process, credentials),
        owners={kind.proc: _owner(process, kind.proc) for kind in KINDS},
        initial=_initial(process),
        seen_from_initial=os.stat("/proc/self/ns/user").st_ino == INITIAL_USER,
        uid_map=parse_map(process.read("uid_map")),
        limits=limits.limits_of(process),
        chrooted=None if root is None else root != "/",
        mounts=mounts,
        shows_machine=_shows_machine(process, mounts),
        setuid_program=_setuid_program(process, mounts),
        routes=_routes(process),
        has_modules=os.path.exists("/proc/modules"),
        sysctl={path: _sysctl(path) for path in _SYSCTLS},
    )
    return found if _lives(process) else None  # what ends gives its namespaces back before it is a zombie


def _lives(process: PinnedProcess) -> bool:
    flags = _flags(process.read(f"task/{process.leader}/stat"))
    return flags is not None and not flags & PF_EXITING


def _flags(text: bytes | None) -> int | None:
    """Return the flags of a stat file: field 9 of proc_pid_stat(5)."""
    return int(text[text.rindex(b")") + 2 :].split()[6]) if text else None


_SYSCTLS = (
    "kernel/modules_disabled",
    "kernel/unprivileged_userns_clone",
    "kernel/apparmor_restrict_unprivileged_userns",
    "kernel/yama/ptrace_scope",
    "user/max_user_namespaces",
)


def _mask(status: Mapping[str, str], key: str) -> int | None:
    return int(status[key], 16) if key in status else None


def _number(status: Mapping[str, str], key: str) -> int | None:
    return int(status[key]) if key in status else None


def _owner(process: PinnedProcess, link: str) -> Lineage | None:
    fd = process.open(f"ns/{link}")
    if fd is None:
        return None
    try:
        return owner_of(fd)
    finally:
        os.close(fd)


def _initial(process: PinnedProcess) -> dict[str, bool | None]:
    found: dict[str, bool | None] = {}
    for kind in KINDS:
        own, known = process.namespace(kind.proc), _FIXED.get(kind.proc) or _of_kthreadd(kind.proc)
        found[kind.proc] = None if own is None or known is None else own == known
    return found


def _of_kthreadd(link: str) -> int | None:
    try:
        with PinnedProcess(_KTHREADD) as process:
            flags = _flags(process.read("stat"))
            return process.namespace(link) if flags is not None and flags & PF_KTHREAD else None
    except ProcessGoneError:
        return None


def _dumpable(process: PinnedProcess, credentials: Credentials) -> bool | None:
    """Files of /proc/PID belong to root where a process is not dumpable (fs/proc/base.c: task_dump_owner())."""
    seen = process.stat("status")
    if seen is None or credentials.euid in (None, 0):
        return None
    return seen.st_uid == credentials.euid


def _mounts(process: PinnedProcess) -> tuple[Mount, ...] | None:
    text = process.read("mountinfo")
    return None if text is None else parse(text)


def mount_of(mounts: tuple[Mount, ...], path: str) -> Mount | None:
    """Return the mount that a path is on: the deepest, of several at one place the last."""
    found = None
    for mount in mounts:
        above = path == mount.point or path.startswith(mount.point.rstrip("/") + "/")
        if above and (found is None or len(mount.point) >= len(found.point)):
            found = mount
    return found


def _shows_machine(process: PinnedProcess, mounts: tuple[Mount, ...] | None) -> bool | None:
    """Look for kthreadd in its /proc: none but the machine's own has kernel threads."""
    at = None if mounts is None else mount_of(mounts, "/proc")
    if mounts is None:
        return None
    if at is None or at.point != "/proc" or at.fs_type != "proc":
        return False
    if any(option.startswith("hidepid=") and option != "hidepid=off" for option in at.super_options):
        return None
    if process.stat("root/proc") is None:
        return None
    flags = _flags(process.read(f"root/proc/{_KTHREADD}/stat"))
    return flags is not None and bool(flags & PF_KTHREAD)


def _setuid_program(process: PinnedProcess, mounts: tuple[Mount, ...] | None) -> str | None:
    """Find one of those that most machines have, where its mount does not forbid it."""
    if mounts is None or process.stat("root") is None:
        return None
    for name in _SETUID_PROGRAMS:
        seen, at = process.stat(f"root/{name}"), mount_of(mounts, f"/{name}")
        if seen is None or at is None or "nosuid" in at.options:
            continue
        if stat.S_ISREG(seen.st_mode) and seen.st_mode & stat.S_ISUID and seen.st_uid == 0:
            return f"/{name}"
    return ""


def _routes(process: PinnedProcess) -> bool | None:
    """Tell whether there is a route that leaves the machine's loopback (proc_pid_net(5))."""
    four, six = process.read("net/route"), process.read("net/ipv6_route")
    if four is None and six is None:
        return None
    lines = (four or b"").split(b"\n")[1:] + (six or b"").split(b"\n")
    names = [words[0] if len(words) == 11 else words[-1] for line in lines if (words := line.split())]
    return any(name != b"lo" for name in names)


def _sysctl(path: str) -> int | None:
    try:
        with open(f"/proc/sys/{path}", "rb") as file:
            return int(file.read())
    except (FileNotFoundError, PermissionError):
        return None
