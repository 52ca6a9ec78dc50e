"""The facts of one process that a comparison needs, read once through a pinned descriptor."""

from __future__ import annotations

from dataclasses import dataclass

from nsview.host.content.uts import UtsNames, names_of
from nsview.host.process import PinnedProcess, ProcessGoneError
from nsview.host.sampling import sample_pinned
from nsview.host.taskstats import TaskStats
from nsview.host.text import printable
from nsview.host.usage import Usage
from spawner.namespaces import KINDS

LINKS = (*(kind.proc for kind in KINDS), "pid_for_children", "time_for_children")


@dataclass(frozen=True, slots=True)
class Facts:
    """One process; None is unknown. Capability sets are bit masks, offsets nanoseconds, mounts (mount
    point, source, file system).
    """

    pid: int
    start_time: int
    comm: str | None
    command: str | None
    exe: str | None
    ppid: int | None
    inner_pids: tuple[int, ...] | None
    session: int | None
    group: int | None
    uids: tuple[int, ...] | None
    gids: tuple[int, ...] | None
    groups: tuple[int, ...] | None
    uid_map: str | None
    gid_map: str | None
    setgroups: str | None
    capabilities: dict[str, int | None]
    no_new_privs: int | None
    seccomp: int | None
    seccomp_filters: int | None
    namespaces: dict[str, int | None]
    root: str | None
    root_file: tuple[int, int] | None
    cwd: str | None
    umask: str | None
    mounts: frozenset[tuple[str, str, str]] | None
    names: UtsNames | None
    offsets: dict[str, int] | None
    cgroups: tuple[str, ...] | None
    usage: Usage | None


CAPABILITY_SETS = {
    "CapPrm": "permitted",
    "CapEff": "effective",
    "CapInh": "inheritable",
    "CapBnd": "bounding",
    "CapAmb": "ambient",
}
"""The keys of /proc/PID/status and capabilities(7)'s names of the sets."""


def read_facts(process: PinnedProcess, stats: TaskStats | None = None, *, with_usage: bool = True) -> Facts:
    """Read everything; ProcessGoneError when the process ended before its state could be read.

    ``stats`` is asked for the usage of threads that have ended. ``with_usage``: or leave out usage, which costs
    the more to read the more memory the process has.
    """
    status = process.status()
    stat = process.stat_fields()
    if status is None or stat is None:
        raise ProcessGoneError(process.pid, process.start_time)
    root = process.stat("root")
    return Facts(
        pid=process.pid,
        start_time=process.start_time,
        comm=_line(process.read("comm")),
        command=_command(process.read("cmdline")),
        exe=_shown(process.link("exe")),
        ppid=int(stat[1]),
        inner_pids=_numbers(status.get("NSpid")),
        session=int(stat[3]),
        group=int(stat[2]),
        uids=_numbers(status.get("Uid")),
        gids=_numbers(status.get("Gid")),
        groups=_numbers(status.get("Groups")),
        uid_map=_map(process.read("uid_map")),
        gid_map=_map(process.read("gid_map")),
        setgroups=_line(process.read("setgroups")),
        capabilities={key: _mask(status.get(key)) for key in CAPABILITY_SETS},
        no_new_privs=_number(status.get("NoNewPrivs")),
        seccomp=_number(status.get("Seccomp")),
        seccomp_filters=_number(status.get("Seccomp_filters")),
        namespaces={name: process.namespace(name) for name in LINKS},
        root=_shown(process.link("root")),
        root_file=None if root is None else (root.st_dev, root.st_ino),
        cwd=_shown(process.link("cwd")),
        umask=status.get("Umask"),
        mounts=_mounts(process.read("mountinfo")),
        names=names_of(process),
        offsets=_offsets(process.read("timens_offsets")),
        cgroups=_cgroups(process.read("cgroup")),
        usage=sample_pinned(process, stats) if with_usage else None,
    )


def _line(text: bytes | None) -> str | None:
    return None if text is None else printable(text.removesuffix(b"\n"))


def _shown(text: str | None) -> str | None:
    return None if text is None else printable(text)


def _command(text: bytes | None) -> str | None:
    return None if not text else printable(text.rstrip(b"\0").replace(b"\0", b" "))


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def _numbers(text: str | None) -> tuple[int, ...] | None:
    return None if text is None else tuple(int(word) for word in text.split())


def _mask(text: str | None) -> int | None:
    return None if text is None else int(text, 16)


def _map(text: bytes | None) -> str | None:
    """Word a map as ``0→100000 ×65536``, extents by commas; an empty file is a user namespace without a map
    yet.
    """
    if text is None:
        return None
    extents = (line.split() for line in text.decode("ascii").splitlines())
    return ", ".join(f"{inside}→{outside} ×{size}" for inside, outside, size in extents) or "none yet"


def _mounts(text: bytes | None) -> frozenset[tuple[str, str, str]] | None:
    """Read proc_pid_mountinfo(5); the fields after the lone hyphen are file system and source."""
    if text is None:
        return None
    mounts = set()
    # Not splitlines(): the kernel escapes newlines in paths, but no carriage returns (fs/proc_namespace.c: mangle()).
    for line in filter(None, text.split(b"\n")):
        words = line.split(b" ")
        rest = words[words.index(b"-") + 1 :]
        mounts.add((printable(words[4]), printable(rest[1]), printable(rest[0])))
    return frozenset(mounts)


def _offsets(text: bytes | None) -> dict[str, int] | None:
    """Read /proc/PID/timens_offsets (time_namespaces(7)): nanoseconds by clock; its nanoseconds field only
    adds.
    """
    if not text:
        return None
    rows = (line.split() for line in text.decode("ascii").splitlines())
    return {clock: int(seconds) * 1_000_000_000 + int(nanoseconds) for clock, seconds, nanoseconds in rows}


def _cgroups(text: bytes | None) -> tuple[str, ...] | None:
    """Keep every hierarchy of proc_pid_cgroup(5) as ``controllers:path``; the controllers of version 2 are
    empty.
    """
    if text is None:
        return None
    return tuple(printable(line.split(b":", 1)[1]) for line in text.split(b"\n") if line)
