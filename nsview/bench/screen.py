"""A program of a whole screen in a pty of its own, as a person would run it: first paint, a key's answer, CPU time."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping
from pathlib import Path

from nsview.bench.stop import Stop

LINES, COLUMNS = 40, 120
_QUIET = 0.03
"""Seconds of silence before a key is pressed."""
DEADLINE = 60.0
_PATIENCE = 0.2
"""Seconds between two looks whether an end was asked for."""
_NS = 1e9
_ESCAPES = re.compile(rb"\x1b\[[0-9;?<>=]*[ -/]*[@-~]")
_LAST = 300
"""Characters of what a program wrote last that are told when it fails."""


class Screen:
    """A program in a pty of 120 by 40 and a session of its own; a context manager that ends it.

    What it takes too long to do raises TimeoutError, with the last of what it wrote.
    """

    def __init__(self, command: list[str], env: Mapping[str, str], stop: Stop) -> None:
        self._command, self._stop = command, stop
        self._wrote = b""
        self._master, slave = pty.openpty()
        try:
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
            self._started = time.perf_counter()
            self._process = subprocess.Popen(
                command, stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True
            )
        except BaseException:
            os.close(self._master)
            raise
        finally:
            os.close(slave)

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        end = time.perf_counter() + DEADLINE
        # What it still writes as it ends must not fill the pty: it would wait for us.
        while self._process.poll() is None:
            self._read(0.05)
            if time.perf_counter() > end:
                self._process.send_signal(signal.SIGKILL)
        os.close(self._master)

    def first_paint(self, names: re.Pattern[bytes]) -> float:
        """Return nanoseconds from the start until one of the names of processes was written."""
        seen = b""
        while not names.search(seen):
            self._in_time(self._started, "never showed a process")
            seen = seen[-4096:] + self.heard(_PATIENCE)
        return (time.perf_counter() - self._started) * _NS

    def settle(self, seconds: float) -> float:
        """Read what it writes for so long; return how long that was, in seconds."""
        began = time.perf_counter()
        while (left := began + seconds - time.perf_counter()) > 0:
            self.heard(min(left, _PATIENCE))
        return time.perf_counter() - began

    def key(self, key: bytes) -> float:
        """Press a key when the program has been silent for a while: nanoseconds until it began to write its answer."""
        began = time.perf_counter()
        while self.heard(_QUIET):
            self._in_time(began, "was never silent")
        began = time.perf_counter()
        self.write(key)
        while not self.heard(_PATIENCE):
            self._in_time(began, "did not answer a key")
        return (time.perf_counter() - began) * _NS

    def write(self, keys: bytes) -> None:
        """Type keys."""
        os.write(self._master, keys)

    @property
    def pid(self) -> int:
        """The program's process."""
        return self._process.pid

    def cpu(self) -> int:
        """Return nanoseconds of CPU time used so far by the program, and by what it waited for.

        Its own from its clock (clock_getcpuclockid(3)), that of its children in ticks (proc_pid_stat(5)).
        """
        pid = self._process.pid
        own = time.clock_gettime_ns(~pid << 3 | 2)
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(") ")[2].split()
        return own + (int(fields[13]) + int(fields[14])) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")

    def _in_time(self, began: float, what: str) -> None:
        if self._process.poll() is not None:
            self._read(0)  # what it wrote before
            what = f"ended with {self._process.returncode}"
        elif time.perf_counter() - began < DEADLINE:
            return
        last = " ".join(_ESCAPES.sub(b" ", self._wrote).decode(errors="replace").split())
        raise TimeoutError(f"{os.path.basename(self._command[0])} {what}; its last words: {last[-_LAST:] or 'none'}")

    def heard(self, seconds: float) -> bytes:
        """Return what it writes next, no bytes when it is silent for so many seconds; unless we are asked to end."""
        self._stop.check()
        return self._read(seconds)

    def _read(self, seconds: float) -> bytes:
        if not select.select([self._master], [], [], max(0.0, seconds))[0]:
            return b""
        try:
            text = os.read(self._master, 65536)
        except OSError:  # EIO: it has closed its side
            return b""
        self._wrote = (self._wrote + text)[-4096:]
        return text
