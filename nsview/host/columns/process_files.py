"""What columns ask of a process beside its record: each question is one or two files of /proc/PID."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache

from nsview.host.process import PinnedProcess
from nsview.host.text import printable

PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")


def status(process: PinnedProcess) -> Mapping[str, str] | None:
    """Read proc_pid_status(5)."""
    return process.status()


def io(process: PinnedProcess) -> Mapping[str, int] | None:
    """Read proc_pid_io(5): bytes and calls by key."""
    return _keyed(process.read("io"))


def memory(process: PinnedProcess) -> Mapping[str, int] | None:
    """Read /proc/PID/smaps_rollup: kilobytes by key; the kernel walks every page for it."""
    return _keyed(process.read("smaps_rollup"))


def size(process: PinnedProcess) -> int | None:
    """Read the virtual size in bytes (proc_pid_statm(5))."""
    text = process.read("statm")
    return int(text.split()[0]) * PAGE_SIZE if text else None


def nice(process: PinnedProcess) -> int | None:
    """Read the nice value (proc_pid_stat(5))."""
    fields = process.stat_fields()
    return None if fields is None else int(fields[16])


def wait(process: PinnedProcess) -> int | None:
    """Read how long the main thread was ready and waited for a CPU, in nanoseconds (/proc/PID/schedstat)."""
    words = (process.read("schedstat") or b"").split()
    return int(words[1]) if len(words) == 3 else None


def descriptors(process: PinnedProcess) -> int | None:
    """Count the open descriptors."""
    names = process.names("fd")
    return None if names is None else len(names)


def oom_score(process: PinnedProcess) -> int | None:
    """Read how likely the kernel kills it when memory runs out (proc_pid_oom_score(5))."""
    text = process.read("oom_score")
    return int(text) if text else None


def exe(process: PinnedProcess) -> str | None:
    """Read which program it runs."""
    return _shown(process.link("exe"))


def cwd(process: PinnedProcess) -> str | None:
    """Read its working directory."""
    return _shown(process.link("cwd"))


def root(process: PinnedProcess) -> str | None:
    """Read its root directory."""
    return _shown(process.link("root"))


def cgroup(process: PinnedProcess) -> str | None:
    """Word its control groups: one path where all hierarchies agree, else each that is not the root."""
    text = process.read("cgroup")
    return None if not text else groups_of(text)


@lru_cache(maxsize=4096)
def groups_of(text: bytes) -> str:
    """Word the lines of proc_pid_cgroup(5): the root alone, a path, or ``controllers:path …``."""
    lines = [line.split(b":", 2)[1:] for line in _lines(text)]
    paths = {path for _, path in lines}
    if len(paths) <= 1:
        return printable(b"".join(paths))
    below = [(names, path) for names, path in lines if path != b"/"]
    if len({path for _, path in below}) == 1:
        return printable(below[0][1])
    return " ".join(printable(names + b":" + path) for names, path in below)


def _lines(text: bytes) -> list[bytes]:
    """Split at newlines alone, which the kernel has in no group's name: other ends of lines are part of one."""
    return [line for line in text.split(b"\n") if line.count(b":") >= 2]


def container(process: PinnedProcess) -> str | None:
    """Name the container, or else the unit of systemd, that its control groups' paths speak of; ``-`` if none."""
    text = process.read("cgroup")
    return None if not text else _container_of(text)


@lru_cache(maxsize=4096)
def _container_of(text: bytes) -> str:
    from nsview.host.containers import container_of  # only for who asks

    told = container_of([os.fsdecode(line.split(b":", 2)[2]) for line in _lines(text)])
    return "-" if told is None else printable(told.name)


def _shown(text: str | None) -> str | None:
    return None if text is None else printable(text)


def _keyed(text: bytes | None) -> Mapping[str, int] | None:
    """Read lines of ``Key: number``; others are passed over. A zombie's files are empty: unknown."""
    if not text:
        return None
    found = {}
    for line in text.splitlines():
        key, colon, rest = line.partition(b":")
        words = rest.split()
        if colon and words and words[0].isdigit():
            found[key.decode("ascii", "replace")] = int(words[0])
    return found
