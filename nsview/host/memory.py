"""The memory of a process by what it is for, its peaks, and its place before the OOM killer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nsview.host.attribute import Attribute
from nsview.host.process import PinnedProcess
from nsview.host.units import bytes_text, signed


@dataclass(frozen=True, slots=True)
class Memory:
    """Sizes in bytes by the field of proc_pid_status(5); a kernel thread has none. None is unknown."""

    sizes: Mapping[str, int]
    oom_score: int | None
    oom_score_adj: int | None


def memory_of(process: PinnedProcess) -> Memory | None:
    """Read it; None when the process is gone."""
    status = process.status()
    if status is None:
        return None
    sizes = {
        key: int(text.split()[0]) * 1024
        for key, text in status.items()
        if text.endswith(" kB") and text.split()[0].isdigit()
    }
    return Memory(sizes, _number(process.read("oom_score")), _number(process.read("oom_score_adj")))


def _number(text: bytes | None) -> int | None:
    return int(text) if text else None


def _size(key: str, name: str, why_different: str) -> Attribute[Memory]:
    def delta(one: Memory, two: Memory) -> str:
        return signed(bytes_text(two.sizes[key] - one.sizes[key]))

    return Attribute(
        name,
        lambda memory: bytes_text(memory.sizes[key]) if key in memory.sizes else None,
        f"/proc/PID/status {key}",
        "as much",
        why_different,
        delta,
        value=lambda memory: memory.sizes.get(key),
    )


def _score(name: str, get: Callable[[Memory], int | None], same: str, different: str) -> Attribute[Memory]:
    def text(memory: Memory) -> str | None:
        value = get(memory)
        return None if value is None else str(value).replace("-", "−")

    return Attribute(name, text, f"/proc/PID/{name.replace(' ', '_')}", same, different)


ATTRIBUTES: tuple[Attribute[Memory], ...] = (
    _size("VmPeak", "peak address space", "the most it ever had mapped"),
    _size("VmSize", "address space", "all it has mapped, used or not"),
    _size("VmHWM", "peak rss", "the most it ever had in RAM"),
    _size("RssAnon", "anonymous", "heap, stacks and private copies in RAM"),
    _size("RssFile", "of files", "pages of files in RAM, programs and libraries too"),
    _size("RssShmem", "shared memory", "System V and POSIX shared memory, tmpfs and memfd in RAM"),
    _size("VmLck", "locked", "kept from swap by mlock(2)"),
    _size("VmPin", "pinned", "kept in place for devices"),
    _size("VmData", "data", "private writable memory that it has mapped"),
    _size("VmStk", "stack", "the stack of its main thread"),
    _size("VmExe", "code", "the text of its program"),
    _size("VmLib", "libraries", "the text of its libraries"),
    _size("VmPTE", "page tables", "what the kernel keeps to map it"),
    _size("HugetlbPages", "huge pages", "of hugetlbfs, not part of rss"),
    _score("oom score", lambda memory: memory.oom_score, "alike", "when memory runs out the highest is killed first"),
    _score(
        "oom score adj",
        lambda memory: memory.oom_score_adj,
        "inherited at birth",
        "set since: −1000 is never killed, 1000 always first",
    ),
)
