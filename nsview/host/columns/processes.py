"""The columns of processes: one table that ``ps``, ``tree``, their filters, sorting, JSON and the UI read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

from nsview.host.cells import HEADING, cells
from nsview.host.columns import process_files as files
from nsview.host.columns.column import DEAR, READ, Column
from nsview.host.columns.kinds import (
    BYTES,
    CAPABILITIES,
    COUNT,
    DURATION,
    FLAG,
    MASK,
    MOMENT,
    NAMESPACE,
    NUMBER,
    PERCENT,
    PIDS,
    RATE,
    STATE,
    TEXT,
    USER,
    WORD,
    Kind,
)
from nsview.host.columns.process_row import TICK_NS, ProcessRow
from nsview.host.columns.terminals import terminal_name
from nsview.host.columns.wording import read_inode
from nsview.host.model import Change, change
from nsview.host.process import PinnedProcess
from spawner.namespaces import KINDS

Value = Callable[[ProcessRow], Any]


def _cells(row: ProcessRow) -> str:
    """Word a process's namespaces as the eight cells against the reference of the list."""
    return cells(row.record, row.scene.referred(row))


def _same_namespaces(own: ProcessRow, wanted: ProcessRow | int) -> bool | None:
    """Compare with another process's, or tell whether it is in the namespace of an inode."""
    inodes = own.record.ns
    if isinstance(wanted, int):
        return wanted in inodes or (None if None in inodes else False)
    others = wanted.record.ns
    if inodes == others:
        return None if None in inodes else True
    pairs = zip(inodes, others, strict=True)
    differ = any(one != other for one, other in pairs if one is not None and other is not None)
    return False if differ else None


CELLS = Kind(
    "namespaces",
    "parent, init, self or a pid, whose namespaces are all the same; or an inode, for its members",
    "a text of eight cells",
    _cells,
    read_inode,
    _same_namespaces,
    _cells,
    order=_cells,
    ordered=False,
    refers=True,
    cased=True,
)
"""The value is the process itself: its cells are worked out only where they are shown."""


def _of(name: str) -> Value:
    """Take a field of the record."""
    return attrgetter(f"record.{name}")


def _asked(question: Callable[[PinnedProcess], Any]) -> Value:
    """Ask the process."""
    return lambda row: row.ask(question)


def _from(question: Callable[[PinnedProcess], Mapping[str, Any] | None], key: str, scale: int = 1) -> Value:
    """Ask the process for many things, and take one."""

    def value(row: ProcessRow) -> Any:
        found = row.ask(question)
        number = None if found is None else found.get(key)
        return None if number is None else number * scale

    return value


def _status(key: str, meaning: Callable[[str], Any] = int) -> Value:
    """Take a field of /proc/PID/status."""

    def value(row: ProcessRow) -> Any:
        fields = row.ask(files.status)
        text = None if fields is None else fields.get(key)
        return None if text is None else meaning(text)

    return value


def _second(text: str) -> int:
    """Take the effective one of real, effective, saved and file system id."""
    return int(text.split()[1])


def _mask(text: str) -> int:
    return int(text, 16)


def _change(part: Callable[[Change], Any]) -> Value:
    """Take a part of what it did since the snapshot before."""

    def value(row: ProcessRow) -> Any:
        return part(change(row.record, row.scene.earlier(row.record), row.scene.seconds))

    return value


def _cpu_time(row: ProcessRow) -> int:
    return (row.record.utime + row.record.stime) * TICK_NS


def _lifelong_cpu(row: ProcessRow) -> float | None:
    age = row.age_ns
    return 100 * _cpu_time(row) / age if age else None


def _pids(row: ProcessRow) -> tuple[int, ...] | None:
    """List its pids from our pid namespace to its own; the file is read only where there are more than two."""
    record = row.record
    if record.depth is None or record.inner_pid is None:
        return None
    if record.depth <= 1:
        return (record.pid, record.inner_pid)[: record.depth + 1]
    fields = row.ask(files.status)
    text = None if fields is None else fields.get("NSpid")
    return None if text is None else tuple(map(int, text.split()))


def _uss(row: ProcessRow) -> int | None:
    found = row.ask(files.memory)
    private = [] if found is None else [found[key] for key in _PRIVATE if key in found]
    return sum(private) * 1024 if private else None


_PRIVATE = ("Private_Clean", "Private_Dirty", "Private_Hugetlb")
_SECCOMP = {0: "off", 1: "strict", 2: "filter"}


def _namespace(index: int) -> Value:
    return lambda row: row.record.ns[index]


PROCESS_COLUMNS: tuple[Column[ProcessRow], ...] = (
    Column("pid", "PID", NUMBER, _of("pid"), "its number in our pid namespace"),
    Column("pids", "PIDS", PIDS, _pids, "its number in every pid namespace, from ours to its own"),
    Column("depth", "DEPTH", NUMBER, _of("depth"), "pid namespaces below ours that it is in"),
    Column("ppid", "PPID", NUMBER, _of("ppid"), "its parent's pid"),
    Column("user", "USER", USER, _of("uid"), "its effective user"),
    Column("uid", "UID", NUMBER, _of("uid"), "its effective user's number"),
    Column("gid", "GID", NUMBER, _status("Gid", _second), "its effective group's number", READ),
    Column("state", "S", STATE, _of("state"), "what it does: R runs, S sleeps, D waits for a disk, Z is dead …"),
    Column(
        "cpu",
        "%CPU",
        PERCENT,
        _change(lambda change: change.cpu),
        "percent of one CPU since the look before (--interval)",
        aliases=("cpu%",),
    ),
    Column("cpu.life", "%LIFE", PERCENT, _lifelong_cpu, "percent of one CPU since its start, as ps shows it"),
    Column("time", "TIME", DURATION, _cpu_time, "CPU time of all its threads"),
    Column("wait", "WAIT", DURATION, _asked(files.wait), "its main thread was ready, but waited for a CPU", READ),
    Column("nice", "NI", NUMBER, _asked(files.nice), "how willingly it lets others run", READ),
    Column("rss", "RSS", BYTES, _of("rss"), "memory in RAM, shared pages counted in full"),
    Column(
        "mem",
        "%MEM",
        PERCENT,
        lambda row: 100 * row.record.rss / row.scene.memory,
        "rss in percent of the machine's memory",
        aliases=("mem%",),
    ),
    Column("vsz", "VSZ", BYTES, _asked(files.size), "addresses it may use", READ),
    Column("pss", "PSS", BYTES, _from(files.memory, "Pss", 1024), "memory, each shared page divided", DEAR),
    Column("uss", "USS", BYTES, _uss, "memory that would be free without it", DEAR),
    Column("swap", "SWAP", BYTES, _from(files.memory, "Swap", 1024), "memory that was moved to disk", DEAR),
    Column("oom", "OOM", NUMBER, _asked(files.oom_score), "how soon it is killed when memory runs out", READ),
    Column("threads", "THR", NUMBER, _of("threads"), "its threads"),
    Column("fds", "FDS", NUMBER, _asked(files.descriptors), "its open descriptors", READ),
    Column("minflt", "MINFLT", COUNT, _of("minflt"), "page faults that needed no disk"),
    Column("majflt", "MAJFLT", COUNT, _of("majflt"), "page faults that waited for a disk"),
    Column(
        "faults",
        "FLT/s",
        RATE,
        _change(lambda change: change.faults_per_second),
        "page faults a second since the look before (--interval)",
    ),
    Column("nvcsw", "NVCSW", COUNT, _of("voluntary"), "its main thread gave the CPU away"),
    Column("nivcsw", "NIVCSW", COUNT, _of("involuntary"), "the CPU was taken from its main thread"),
    Column(
        "switches",
        "CSW/s",
        RATE,
        _change(lambda change: change.switches_per_second),
        "context switches of its main thread a second since the look before (--interval)",
    ),
    Column("read", "READ", BYTES, _from(files.io, "read_bytes"), "bytes fetched from storage", READ),
    Column("written", "WRITTEN", BYTES, _from(files.io, "write_bytes"), "bytes sent to storage", READ),
    Column("rchar", "RCHAR", BYTES, _from(files.io, "rchar"), "bytes through read(2) and its like", READ),
    Column("wchar", "WCHAR", BYTES, _from(files.io, "wchar"), "bytes through write(2) and its like", READ),
    Column("pgrp", "PGRP", NUMBER, _of("pgrp"), "its process group"),
    Column("session", "SESSION", NUMBER, _of("session"), "its session"),
    Column("tty", "TTY", WORD, lambda row: terminal_name(row.record.tty), "its terminal; - is none"),
    Column("start", "STARTED", MOMENT, lambda row: row.scene.epoch_ns + row.start_ns, "when it was born"),
    Column("age", "AGE", DURATION, attrgetter("age_ns"), "how long ago it was born"),
    Column("kernel", "KERNEL", FLAG, _of("is_kernel_thread"), "whether it is a thread of the kernel's own"),
    Column("flags", "FLAGS", MASK, _of("flags"), "its PF_ flags (include/linux/sched.h)"),
    Column("comm", "COMMAND", TEXT, _of("comm"), "its name", main=True),
    Column("command", "ARGS", TEXT, attrgetter("command"), "its arguments", READ, True, ("args", "cmd")),
    Column("exe", "EXE", TEXT, _asked(files.exe), "the program it runs", READ),
    Column("cwd", "CWD", TEXT, _asked(files.cwd), "its working directory", READ),
    Column("root", "ROOT", TEXT, _asked(files.root), "its root directory", READ),
    Column("cgroup", "CGROUP", TEXT, _asked(files.cgroup), "its control groups", READ),
    Column(
        "container", "CONTAINER", TEXT, _asked(files.container), "its container or unit, by its control groups", READ
    ),
    Column("caps", "CAPS", CAPABILITIES, _status("CapEff", _mask), "its effective capabilities", READ),
    Column("caps.bnd", "CAPBND", CAPABILITIES, _status("CapBnd", _mask), "the most it may ever get by execve", READ),
    Column("caps.prm", "CAPPRM", CAPABILITIES, _status("CapPrm", _mask), "its permitted capabilities", READ),
    Column("caps.inh", "CAPINH", CAPABILITIES, _status("CapInh", _mask), "its inheritable capabilities", READ),
    Column("caps.amb", "CAPAMB", CAPABILITIES, _status("CapAmb", _mask), "its ambient capabilities", READ),
    Column(
        "seccomp",
        "SECCOMP",
        WORD,
        _status("Seccomp", lambda mode: _SECCOMP.get(int(mode), mode)),
        "whether its system calls are filtered: off, strict, filter",
        READ,
    ),
    Column(
        "nnp",
        "NNP",
        FLAG,
        _status("NoNewPrivs", lambda flag: flag != "0"),
        "whether execve can no longer raise its privileges (no_new_privs)",
        READ,
    ),
    Column(
        "ns", HEADING, CELLS, lambda row: row, "where its namespaces differ from the reference's: letters where they do"
    ),
    *(
        Column(
            f"ns.{kind.proc}",
            f"{kind.proc.upper()}NS",
            NAMESPACE,
            _namespace(index),
            f"its {kind.name} namespace",
            aliases=(kind.letter,) if kind.name == kind.proc else (kind.letter, f"ns.{kind.name}"),
        )
        for index, kind in enumerate(KINDS)
    ),
    Column("pid_for_children", "PIDCHLD", NAMESPACE, _of("pid_for_children"), "the pid namespace of its next children"),
    Column(
        "time_for_children", "TIMECHLD", NAMESPACE, _of("time_for_children"), "the time namespace of its next children"
    ),
)
"""All that there is to know of a process in a list, in the order of ``--columns help``."""

NEEDS_TWO_LOOKS = frozenset(("cpu", "faults", "switches"))
"""Columns that are unknown without an earlier snapshot."""
