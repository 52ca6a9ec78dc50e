"""A real terminal for tests: a tmux server of one's own, driven by keys and read as text."""

from __future__ import annotations

import os
import re
import select
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from leftovers import until

DEADLINE = 20.0
"""Seconds after which a screen awaited is held not to come."""


class Tmux:
    """One program in one window of a private tmux server; a context manager that ends the server.

    The pane stays when the program ends, so its last screen can be looked at.
    """

    def __init__(
        self, command: Sequence[str], columns: int = 120, rows: int = 40, env: dict[str, str] | None = None
    ) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="nsview-tmux-")
        self._socket = Path(self._directory.name, "socket")
        self._status = Path(self._directory.name, "status")
        self._command = command
        self._size = (columns, rows)
        self._env = {name: value for name, value in os.environ.items() if name not in ("TMUX", "NO_COLOR")}
        self._env |= {"LANG": "C.UTF-8"} | (env or {})

    def __enter__(self) -> Tmux:
        columns, rows = map(str, self._size)
        config = Path(self._directory.name, "tmux.conf")
        config.write_text("set -s escape-time 0\nset -g remain-on-exit on\nset -g status off\n")
        # tmux itself forgets the exit status now and then, if the terminal closes first.
        noting = ("sh", "-c", 'status=$1; shift; "$@"; echo $? > "$status"', "sh", str(self._status), *self._command)
        self._run("-f", str(config), "new-session", "-d", "-x", columns, "-y", rows, shlex.join(noting))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        server = int(self._run("display-message", "-p", "#{pid}"))
        pidfd = os.pidfd_open(server)
        try:
            self._run("kill-server")
            # The server lets go of its panes' processes as it ends.
            assert until(lambda: _ended(pidfd), DEADLINE), "the tmux server did not end"
        finally:
            os.close(pidfd)
            self._directory.cleanup()

    def keys(self, *names: str) -> None:
        """Press keys by tmux's names of them: ``Enter``, ``F5``, ``C-]``, ``u``."""
        self._run("send-keys", *names)

    def type(self, text: str) -> None:
        """Type text as it is."""
        self._run("send-keys", "-l", text)

    def paste(self, text: str) -> None:
        """Paste text, bracketed if the program asked for that."""
        self._run("set-buffer", text)
        self._run("paste-buffer", "-p")

    def click(self, x: int, y: int) -> None:
        """Click with the left button, as a terminal reports it (xterm's SGR encoding); the first cell is 0, 0."""
        self._report(0, x, y, "M")
        self._report(0, x, y, "m")

    def wheel(self, x: int, y: int, *, up: bool) -> None:
        """Turn the wheel by one notch."""
        self._report(64 if up else 65, x, y, "M")

    def _report(self, button: int, x: int, y: int, end: str) -> None:
        report = f"\x1b[<{button};{x + 1};{y + 1}{end}".encode()
        self._run("send-keys", "-H", *(f"{byte:02x}" for byte in report))

    def resize(self, columns: int, rows: int) -> None:
        """Change the size of the window."""
        self._run("resize-window", "-x", str(columns), "-y", str(rows))

    def screen(self, escapes: bool = False) -> str:
        """Return what the terminal shows; ``escapes``: with its colours."""
        return self._run("capture-pane", "-p", *(["-e"] if escapes else []))

    def wait_for(self, *wanted: str | Callable[[str], object]) -> str:
        """Return the first screen on which every text is (a regular expression, or a predicate that holds)."""

        def there() -> str | None:
            screen = self.screen()
            return screen if all(_on(screen, one) for one in wanted) else None

        found = until(there, DEADLINE)
        assert found is not None, f"never on one screen: {wanted}; the last screen:\n{self.screen()}"
        return found

    @property
    def pid(self) -> int:
        """The program's process id."""
        shell = self._run("display-message", "-p", "#{pane_pid}").strip()
        return int(Path("/proc", shell, "task", shell, "children").read_text())

    def wait_for_end(self) -> int:
        """Wait for the program to end, and return its exit status as a shell has it."""
        ended = until(lambda: self._status.exists() and self._status.read_text(), DEADLINE)
        assert ended, f"the program did not end; its screen:\n{self.screen()}"
        return int(ended)

    def _run(self, *args: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", str(self._socket), *args], env=self._env, capture_output=True, text=True, check=True
        )
        return done.stdout


def _on(screen: str, wanted: str | Callable[[str], object]) -> bool:
    return bool(wanted(screen)) if callable(wanted) else re.search(wanted, screen, re.MULTILINE) is not None


def _ended(pidfd: int) -> bool:
    return bool(select.select([pidfd], [], [], 0)[0])
