"""The programs that nsview is measured beside: where they are, what package has them, and how one is run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

from nsview.bench.row import FailedError, UnavailableError
from nsview.bench.stop import Stop

_TAIL = 2000
"""Characters of what a program said on stderr that are told."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A program by the name it has in PATH, and Debian's package of it."""

    program: str
    package: str

    @property
    def path(self) -> str | None:
        """Where it is; also where only root's PATH leads."""
        return shutil.which(self.program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin")

    def needed(self) -> str:
        """Return where it is; raises UnavailableError."""
        if (path := self.path) is None:
            raise UnavailableError(f"{self.program} is not installed (apt install {self.package})")
        return path

    @property
    def version(self) -> str | None:
        """The first line it prints about its version, None when it is not there or does not say."""
        return None if (path := self.path) is None else _version(path)


@cache
def _version(path: str) -> str | None:
    try:
        done = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=10,
            check=False,
            process_group=0,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return next((line.strip() for line in done.stdout.splitlines() if line.strip()), None)


PEERS: dict[str, Peer] = {
    peer.program: peer
    for peer in (
        Peer("cc", "gcc"),
        Peer("unshare", "util-linux"),
        Peer("lsns", "util-linux"),
        Peer("ps", "procps"),
        Peer("bwrap", "bubblewrap"),
        Peer("runc", "runc"),
        Peer("crun", "crun"),
        Peer("htop", "htop"),
        Peer("btop", "btop"),
    )
}


class Program:
    """Runs a program again and again, in a process group of its own, each time to its end.

    It is started by os.posix_spawn(), the cheapest way there is, from one thread. ``well``: statuses that are no
    failure. ``slow``: it is ended when we are asked to end; others are waited for, since they leave things when killed.
    """

    def __init__(self, stop: Stop, *, well: Iterable[int] = (0,), slow: bool = False) -> None:
        self._stop, self._well, self._slow = stop, frozenset(well), slow
        self._said = os.memfd_create("stderr", os.MFD_CLOEXEC)

    def close(self) -> None:
        """Forget what it said."""
        os.close(self._said)

    def run(self, words: list[str], out: int | None = None, before: Callable[[], object] | None = None) -> float:
        """Return the nanoseconds that it took; its standard output goes to ``out`` or nowhere.

        Raises FailedError with what it said on stderr when it ended otherwise than well.
        """
        os.truncate(self._said, 0)
        os.lseek(self._said, 0, os.SEEK_SET)
        if before is not None:
            before()
        where = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0) if out is None else (os.POSIX_SPAWN_DUP2, out, 1)
        files = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), where, (os.POSIX_SPAWN_DUP2, self._said, 2)]
        start = time.perf_counter_ns()
        pid = os.posix_spawn(words[0], words, os.environ, file_actions=files, setpgroup=0)
        if self._slow:
            with self._stop.hurrying(lambda: _end(pid)):
                _, status = os.waitpid(pid, 0)
        else:
            _, status = os.waitpid(pid, 0)
        taken = time.perf_counter_ns() - start
        code = os.waitstatus_to_exitcode(status)
        if code not in self._well:
            self._stop.check()  # it ended because we were asked to
            raise FailedError(_failure(words[0], code, self._read()))
        return taken

    def output(self, words: list[str], before: Callable[[], object] | None = None) -> str:
        """Run it once and return what it printed."""
        out = os.memfd_create("stdout", os.MFD_CLOEXEC)
        with open(out, "rb") as printed:
            self.run(words, out, before)
            printed.seek(0)
            return printed.read().decode(errors="replace")

    def _read(self) -> str:
        size = os.fstat(self._said).st_size
        return os.pread(self._said, _TAIL, max(0, size - _TAIL)).decode(errors="replace")


def _end(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGTERM)


def _failure(program: str, code: int, said: str) -> str:
    ended = f"ended with {code}" if code >= 0 else f"was killed by {signal.Signals(-code).name}"
    return f"{os.path.basename(program)} {ended}" + (f": {said.strip()}" if said.strip() else " and said nothing")
