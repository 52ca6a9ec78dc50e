"""What of the facts on a process is shown and compared: how each is worded, where it is read, and the reasons."""

from __future__ import annotations

from collections.abc import Callable

from nsview.host.attribute import Attribute
from nsview.host.facts import Facts
from nsview.host.users import user_name


def _ids(ids: tuple[int, ...] | None, name: Callable[[int], str]) -> str | None:
    """Show real, effective, saved and file-system id as one while they are equal."""
    if ids is None:
        return None
    return name(ids[0]) if len(set(ids)) == 1 else " ".join(name(one) for one in ids)


def _user(uid: int) -> str:
    return f"{uid} ({user_name(uid)})"


def _inner(facts: Facts) -> str | None:
    return None if not facts.inner_pids else "/".join(str(pid) for pid in facts.inner_pids)


def _flag(value: int | None) -> str | None:
    return None if value is None else "yes" if value else "no"


def _seccomp(facts: Facts) -> str | None:
    if facts.seccomp is None:
        return None
    mode = {0: "off", 1: "strict", 2: "filter"}.get(facts.seccomp, str(facts.seccomp))
    return f"{mode} ({facts.seccomp_filters})" if facts.seccomp == 2 and facts.seccomp_filters else mode


def _mount_count(facts: Facts) -> str | None:
    return None if facts.mounts is None else f"{len(facts.mounts)}"


def _mount_delta(one: Facts, two: Facts) -> str | None:
    if one.mounts is None or two.mounts is None:
        return None
    return f"+{len(two.mounts - one.mounts)} −{len(one.mounts - two.mounts)}"


def _offset(clock: str) -> Callable[[Facts], str | None]:
    def text(facts: Facts) -> str | None:
        if facts.offsets is None or clock not in facts.offsets:
            return None
        seconds, rest = divmod(abs(facts.offsets[clock]), 1_000_000_000)
        fraction = f".{rest:09d}".rstrip("0") if rest else ""
        return f"{'−' if facts.offsets[clock] < 0 else ''}{seconds}{fraction} s"

    return text


def _cgroup(facts: Facts) -> str | None:
    """Show one path where all hierarchies agree, else each with its controllers."""
    if facts.cgroups is None:
        return None
    paths = [line.split(":", 1)[1] for line in facts.cgroups]
    if len(set(paths)) == 1:
        return paths[0]
    unified = [path for line, path in zip(facts.cgroups, paths, strict=True) if line.startswith(":")]
    others = [line for line, path in zip(facts.cgroups, paths, strict=True) if not line.startswith(":") and path != "/"]
    return " ".join(unified + others)


IDENTITY: tuple[Attribute[Facts], ...] = (
    Attribute(
        "pid",
        lambda f: str(f.pid),
        "the number asked for",
        "one and the same process",
        "as numbered in the pid namespace of the reader",
    ),
    Attribute(
        "pid inside",
        _inner,
        "/proc/PID/status NSpid",
        "the same pids at every level",
        "its number in each pid namespace, from the reader's down to its own",
    ),
    Attribute(
        "parent",
        lambda f: str(f.ppid) if f.ppid else "none",
        "/proc/PID/stat ppid",
        "children of one parent",
        "who made it, or who adopted it since",
    ),
    Attribute(
        "name",
        lambda f: f.comm,
        "/proc/PID/comm",
        "the name is inherited until execve or prctl sets another",
        "execve or prctl(PR_SET_NAME) gave it another name",
    ),
    Attribute(
        "command",
        lambda f: f.command,
        "/proc/PID/cmdline",
        "the arguments are memory, copied at birth",
        "execve put new arguments into its memory",
    ),
    Attribute(
        "program",
        lambda f: f.exe,
        "/proc/PID/exe",
        "it runs its parent's program: no execve since birth, or of the same file",
        "execve put another program in place",
    ),
    Attribute(
        "session",
        lambda f: str(f.session),
        "/proc/PID/stat session",
        "the same session: one controlling terminal",
        "setsid(2) gave it a session of its own",
    ),
    Attribute(
        "process group",
        lambda f: str(f.group),
        "/proc/PID/stat pgrp",
        "one job: the terminal's signals reach both",
        "another job: the terminal's signals reach one of them",
    ),
)

IDS: tuple[Attribute[Facts], ...] = (
    Attribute(
        "uid",
        lambda f: _ids(f.uids, _user),
        "/proc/PID/status Uid",
        "the same user, seen from the reader's user namespace",
        "another user, seen from the reader's user namespace",
        value=lambda f: f.uids,
    ),
    Attribute(
        "gid",
        lambda f: _ids(f.gids, str),
        "/proc/PID/status Gid",
        "the same group",
        "another group",
        value=lambda f: f.gids,
    ),
    Attribute(
        "groups",
        lambda f: None if f.groups is None else " ".join(map(str, f.groups)) or "none",
        "/proc/PID/status Groups",
        "the same supplementary groups",
        "setgroups(2) changed the list",
    ),
    Attribute(
        "uid map",
        lambda f: f.uid_map,
        "/proc/PID/uid_map",
        "user ids mean the same to both",
        "its uids are translated: first inside, then outside",
    ),
    Attribute(
        "gid map",
        lambda f: f.gid_map,
        "/proc/PID/gid_map",
        "group ids mean the same to both",
        "its gids are translated: first inside, then outside",
    ),
    Attribute(
        "setgroups",
        lambda f: f.setgroups,
        "/proc/PID/setgroups",
        "the same rule for setgroups(2)",
        "deny keeps an unprivileged gid map from shedding a group that only forbids",
    ),
)

LIMITS_OF_PRIVILEGE: tuple[Attribute[Facts], ...] = (
    Attribute(
        "no new privileges",
        lambda f: _flag(f.no_new_privs),
        "/proc/PID/status NoNewPrivs",
        "the bit is inherited and never cleared",
        "execve can no longer raise privileges by set-user-ID or file capabilities",
    ),
    Attribute(
        "seccomp",
        _seccomp,
        "/proc/PID/status Seccomp",
        "the same kind of system call filter",
        "its system calls are filtered differently",
    ),
)

FILES: tuple[Attribute[Facts], ...] = (
    Attribute(
        "root",
        lambda f: f.root,
        "/proc/PID/root",
        "paths start at the same directory",
        "chroot(2) or pivot_root(2) gave it another root",
        value=lambda f: f.root_file,
    ),
    Attribute(
        "cwd",
        lambda f: f.cwd,
        "/proc/PID/cwd",
        "the same directory: it is inherited at birth",
        "chdir(2), by it or by the other",
    ),
    Attribute("umask", lambda f: f.umask, "/proc/PID/status Umask", "inherited at birth", "umask(2) changed it"),
    Attribute(
        "mounts",
        _mount_count,
        "/proc/PID/mountinfo",
        "the same mounts are seen",
        "mounts made or removed in one mount namespace, or seen from another root",
        _mount_delta,
        value=lambda f: f.mounts,
    ),
)

SYSTEM: tuple[Attribute[Facts], ...] = (
    Attribute(
        "host name",
        lambda f: f.names.hostname if f.names else None,
        "uname(2) in its uts namespace",
        "the same host name",
        "set in its own uts namespace; the other's is unchanged",
    ),
    Attribute(
        "domain name",
        lambda f: f.names.domainname or "none" if f.names else None,
        "/proc/sys/kernel/domainname in its uts namespace",
        "the same domain name",
        "set in its own uts namespace; the other's is unchanged",
    ),
    Attribute(
        "monotonic offset",
        _offset("monotonic"),
        "/proc/PID/timens_offsets",
        "CLOCK_MONOTONIC shows the same time",
        "CLOCK_MONOTONIC is shifted for its time namespace",
    ),
    Attribute(
        "boot-time offset",
        _offset("boottime"),
        "/proc/PID/timens_offsets",
        "CLOCK_BOOTTIME, and so uptime, shows the same",
        "CLOCK_BOOTTIME, and so uptime, is shifted for its time namespace",
    ),
    Attribute(
        "cgroup",
        _cgroup,
        "/proc/PID/cgroup",
        "the same limits and accounts",
        "other limits and accounts apply",
        value=lambda f: f.cgroups,
    ),
)
