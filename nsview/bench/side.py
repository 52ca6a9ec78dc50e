"""A process that does something as often as it is told, and tells how long each time took."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Sequence

from nsview.bench.row import FailedError

_END, _FAILED = ".\n", "! "
_MOST = 4000
"""Bytes of what it said on stderr that are told."""


class Side:
    """Told by lines on its stdin, answers on its stdout; ends when its stdin does, so when we are killed too.

    An answer of "! " and a reason is a failure after which it can still be told to do something else.
    In a process group of its own: a ctrl+c is for us, who then let it finish what it is about and end.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._name = os.path.basename(command[0])
        self._said = os.memfd_create("stderr", os.MFD_CLOEXEC)
        fcntl.fcntl(self._said, fcntl.F_SETFL, os.O_APPEND)
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, text=True, process_group=0
            )
        except BaseException:
            os.close(self._said)
            raise

    def times(self, words: str, count: int) -> list[float]:
        """Return nanoseconds of each of ``count`` times; raises FailedError with what it said when it failed."""
        answer = self.ask(f"{words} {count}".strip()).split()
        if len(answer) != count:
            raise self._failed()
        return [float(word) for word in answer]

    def look(self, words: str) -> dict[str, str]:
        """Let it launch something that looks around: what was found, by name. It ends its answer by a dot."""
        found: dict[str, str] = {}
        line = self.ask(f"{words} 0")
        while line != _END:
            name, _, value = line.strip().partition(" ")
            found[name] = value
            line = self._line()
        return found

    def ask(self, line: str) -> str:
        """Return the first line that answers a line."""
        assert self._process.stdin is not None
        if self._process.stdin.closed:
            raise self._failed()
        os.truncate(self._said, 0)  # what it says belongs to this question
        try:
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._failed() from None
        return self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        if not answer:
            raise self._failed()
        if answer.startswith(_FAILED):
            raise FailedError(self._told(answer.removeprefix(_FAILED).strip()))
        return answer

    def _failed(self) -> FailedError:
        self._end()
        return FailedError(self._told(f"{self._name} ended with {self._process.returncode}"))

    def _told(self, ended: str) -> str:
        said = os.pread(self._said, _MOST, 0).decode(errors="replace").strip()
        return f"{ended}: {said}" if said else ended

    def close(self) -> None:
        """Let it end."""
        self._end()
        os.close(self._said)

    def _end(self) -> None:
        # communicate() passes over a pipe that nobody reads any more
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.communicate()
