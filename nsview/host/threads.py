"""The threads of a process: /proc/PID/task, and where a thread's namespaces are not its process's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from nsview.host.attribute import Attribute
from nsview.host.facts import LINKS
from nsview.host.process import PinnedProcess
from nsview.host.snapshot import TICKS_PER_SECOND
from nsview.host.text import printable
from nsview.host.units import microseconds_text

_TICK_NS = 1_000_000_000 // TICKS_PER_SECOND


@dataclass(frozen=True, slots=True)
class Thread:
    """One thread; None is unknown.

    ``inner_tids`` are its numbers from the reader's pid namespace down to its own. ``cpu_ns`` is exact,
    ``wait_ns`` is the time ready to run but without a CPU. ``last_cpu`` is where it ran last. ``namespaces``
    are the inodes of those that are not its process's (setns(2) and unshare(2) move one thread alone), by the
    name of the link in /proc/PID/ns.
    """

    tid: int
    comm: str
    state: str
    inner_tids: tuple[int, ...] | None
    cpu_ns: int | None
    wait_ns: int | None
    last_cpu: int
    namespaces: Mapping[str, int]


Threads = Mapping[int, Thread]
"""By tid, in their order."""


def threads_of(process: PinnedProcess) -> Threads | None:
    """Read the threads; None when the process is gone. One that ends meanwhile is left out."""
    names = process.names("task")
    if not names:
        return None
    own = {link: process.link(f"ns/{link}") for link in LINKS}
    found = (_read(process, tid, own) for tid in sorted(int(name) for name in names))
    return {thread.tid: thread for thread in found if thread is not None}


def _read(process: PinnedProcess, tid: int, own: Mapping[str, str | None]) -> Thread | None:
    stat = process.read(f"task/{tid}/stat")
    if not stat:
        return None
    name, _, rest = stat.partition(b" (")[2].rpartition(b") ")  # the name may hold ") " too
    fields = rest.split()
    schedule = (process.read(f"task/{tid}/schedstat") or b"").split()
    ran, waited = (int(schedule[0]), int(schedule[1])) if len(schedule) == 3 else (None, None)
    if ran is None:
        ran = (int(fields[11]) + int(fields[12])) * _TICK_NS
    return Thread(
        tid,
        printable(name),
        printable(fields[0]),
        _inner(process.read(f"task/{tid}/status")),
        ran,
        waited,
        int(fields[36]),
        dict(_elsewhere(process, tid, own)),
    )


def _inner(status: bytes | None) -> tuple[int, ...] | None:
    for line in (status or b"").split(b"\n"):  # a name may hold carriage returns
        if line.startswith(b"NSpid:"):
            return tuple(int(word) for word in line.split()[1:])
    return None


def _elsewhere(process: PinnedProcess, tid: int, own: Mapping[str, str | None]) -> Iterator[tuple[str, int]]:
    for link, of_process in own.items():
        text = process.link(f"task/{tid}/ns/{link}")
        if text is not None and of_process is not None and text != of_process:
            yield link, int(text[text.index("[") + 1 : -1])


def words(thread: Thread) -> str:
    """Word one thread on a line."""
    parts = [thread.state, thread.comm, f"cpu {microseconds_text(thread.cpu_ns)}" if thread.cpu_ns is not None else ""]
    parts.append(f"on {thread.last_cpu}")
    if thread.inner_tids is not None and len(thread.inner_tids) > 1:
        parts.append("tid " + "/".join(map(str, thread.inner_tids)))
    parts += [f"{link.partition('_')[0]}:[{inode}]" for link, inode in thread.namespaces.items()]
    return " ".join(part for part in parts if part)


def _states(threads: Threads) -> str:
    counts = Counter(thread.state for thread in threads.values())
    return " ".join(f"{count} {state}" for state, count in counts.most_common())


SUMMARY: tuple[Attribute[Threads], ...] = (
    Attribute(
        "states",
        _states,
        "/proc/PID/task/*/stat",
        "as many threads in the same states: R runs, S and D wait, T is stopped, Z has ended",
        "more or fewer threads, or in other states: R runs, S and D wait, T is stopped, Z has ended",
        value=lambda threads: Counter(thread.state for thread in threads.values()),
    ),
    Attribute(
        "in other namespaces",
        lambda threads: str(sum(bool(thread.namespaces) for thread in threads.values())),
        "/proc/PID/task/*/ns",
        "no more threads of one have left their process's namespaces",
        "setns(2) and unshare(2) move the calling thread alone",
    ),
)


def attributes(one: Threads | None, two: Threads | None) -> Iterator[Attribute[Threads]]:
    """Yield the summary, and when ``one`` is ``two`` each thread: threads of two processes are never the same."""
    yield from SUMMARY
    if one is two:
        for tid in one or ():
            yield Attribute(f"thread {tid}", _one(tid), "/proc/PID/task/TID", "the same thread", "another thread")


def _one(tid: int) -> Callable[[Threads], str | None]:
    return lambda threads: words(threads[tid]) if tid in threads else None
