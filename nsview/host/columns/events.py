"""The columns of events: what filters of ``nsview events`` compare, and its JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nsview.host.columns.column import Column
from nsview.host.columns.kinds import COUNT, DURATION, FLAG, MOMENT, NUMBER, TEXT, USER, WORD
from nsview.host.events.story import Told


def _of(name: str) -> Callable[[Told], Any]:
    return lambda told: getattr(told.event, name)


def _whose(told: Told, name: str) -> int | None:
    return None if told.event.what == "lost" else getattr(told.event, name)


EVENT_COLUMNS: tuple[Column[Told], ...] = (
    Column("time", "TIME", MOMENT, lambda told: told.when_ns, "when it happened"),
    Column("what", "WHAT", WORD, _of("what"), "fork, exec, exit, comm, uid, gid, sid, ptrace, coredump, lost"),
    Column("pid", "PID", NUMBER, lambda told: _whose(told, "pid"), "the process; at a fork the child"),
    Column("tid", "TID", NUMBER, lambda told: _whose(told, "tid"), "the thread", aliases=("thread",)),
    Column("comm", "COMMAND", TEXT, lambda told: told.comm, "what the process is called", main=True),
    Column("parent", "PARENT", NUMBER, _of("parent"), "the parent, of a fork or an exit", aliases=("ppid",)),
    Column("parent.comm", "PARENT", TEXT, lambda told: told.parent_comm, "what the parent is called"),
    Column("status", "STATUS", NUMBER, lambda told: told.status, "what an exit returned", aliases=("exit",)),
    Column("signal", "SIGNAL", WORD, lambda told: told.signal, "the signal that ended it, as SIGKILL"),
    Column("lasted", "LASTED", DURATION, lambda told: told.lasted_ns, "how long it lived, at its end"),
    Column("cpu", "CPU", DURATION, _of("cpu_ns"), "CPU time of its life, at least", aliases=("cpu.least",)),
    Column("cpu.most", "CPU", DURATION, _of("cpu_most_ns"), "CPU time of its life, at most"),
    Column("uid", "USER", USER, _of("euid"), "the new effective user", aliases=("user",)),
    Column("gid", "GROUP", NUMBER, _of("egid"), "the new effective group"),
    Column("count", "COUNT", COUNT, _of("count"), "how many events were lost"),
    Column("process", "PROCESS", FLAG, lambda told: told.is_of_process, "concerns the process, not one thread alone"),
    Column("words", "WHAT HAPPENED", TEXT, lambda told: told.words, "what happened, in words", main=True),
)
