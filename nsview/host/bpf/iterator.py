"""The loaded task iterator: one descriptor, read for each snapshot."""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from importlib.resources import files

from nsview.host import _scan
from nsview.host.layout import HEADER, RECORD
from nsview.host.text import printable

LIBRARY = "libbpf.so.1"
OBJECT = "tasks.bpf.o"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no task iterator here, in words that go on after "BPF:", and what a person can do about it."""

    reason: str
    remedy: str | None = None

    def __str__(self) -> str:
        """Word it for a person."""
        return self.reason + (f" ({self.remedy})" if self.remedy else "")


class RefusedError(OSError):
    """The task iterator was asked for and cannot be had; ``refusal`` says why."""

    def __init__(self, refusal: Refusal) -> None:
        """Take the reason."""
        super().__init__(errno.EOPNOTSUPP, f"no snapshot by BPF: {refusal}")
        self.refusal = refusal


class Iterator:
    """A task iterator that the kernel has accepted; ``link`` is the descriptor of its BPF link.

    Close it, or leave it to the end of the process. Each object remembers the CPU times that it told, which never run
    backwards; two readers of one link may divide them differently.
    """

    def __init__(self, link: int) -> None:
        """Read by the link."""
        self.link = link
        self._told = b""

    @classmethod
    def load(cls, library: str = LIBRARY) -> Iterator:
        """Let the kernel check and take the program (some 40 ms); RefusedError when it does not."""
        program = files(__package__).joinpath(OBJECT).read_bytes()
        try:
            iterator = cls(_scan.load(library, program))
        except ImportError as error:
            words = printable(error.args[1])
            raise RefusedError(Refusal(f"libbpf cannot be loaded: {words}", "apt install libbpf1")) from None
        except OSError as error:
            raise RefusedError(_refusal(error.args[0], error.args[1])) from None
        try:
            hidden = iterator._hidden()
        except BaseException:
            iterator.close()
            raise
        if hidden:
            iterator.close()
            raise RefusedError(Refusal(f"the kernel hides processes from BPF that are in /proc: {sorted(hidden)[:5]}"))
        return iterator

    def read(self) -> bytes:
        """Return the packed records of all processes (layout.py); OSError when the kernel does not give them."""
        packed, self._told = _scan.tasks(self.link, self._told)
        return packed

    def _hidden(self) -> set[int]:
        """Find pids that are in /proc and never come from the kernel's iterator."""
        missing = {int(name) for name in os.listdir("/proc") if name.isdecimal()} - _starts(self.read()).keys()
        if not missing:
            return missing
        # Born or ended meanwhile, most likely: the same process before and after is neither.
        before, seen, after = _starts(_scan.scan(pids=missing)), _starts(self.read()), _starts(_scan.scan(pids=missing))
        return {pid for pid in before.keys() & after.keys() - seen.keys() if before[pid] == after[pid]}

    def close(self) -> None:
        """Give the program back to the kernel."""
        os.close(self.link)


def _starts(packed: bytes) -> dict[int, int]:
    """When each process of a packed snapshot began, by pid."""
    return {fields[1]: fields[12] for fields in RECORD.iter_unpack(packed[HEADER.size :])}


_FIELD = re.compile(rb"failed to resolve CO-RE relocation <\w+> \[\d+\] ([\w ]+?)(?:___\w+)?((?:\.\w+|\[\d+\])+) ")
_HELPER = re.compile(rb"(?:unknown|invalid) func \w+#\d+\n")


def _refusal(number: int, words: bytes) -> Refusal:
    """Word what libbpf and the kernel said when they did not take the program."""
    if number == errno.EPERM:
        return Refusal("the kernel does not let us load programs", "see lockdown, seccomp and security modules")
    if missing := _FIELD.search(words):
        field = printable(missing[1] + missing[2])
        return Refusal(f"this kernel keeps its processes otherwise than we know: it has no {field}")
    if _HELPER.search(words):
        return Refusal("this kernel is too old: it lacks a call that the program makes", "use a kernel from 5.17 on")
    return Refusal(f"the kernel does not take the program: {os.strerror(number)}")
