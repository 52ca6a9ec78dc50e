"""Running commands as a user without privileges, though Python or the working tree lie below a closed /root.

Another user cannot start an interpreter below a directory of mode 700. In a mount namespace of its own the
command sees each such directory replaced by an open, empty one that holds only what Python needs of it.
Run as a program, this file does so, drops every privilege and executes its arguments.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

NOBODY = 65534

_CLONE_NEWNS = 0x20000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000


def _closed(path: Path) -> Path | None:
    """Find the topmost directory on the way to ``path`` that others may not pass."""
    return next((up for up in reversed(path.parents) if not up.stat().st_mode & 0o001), None)


def _call(name: str, *arguments: object) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _open_the_way() -> None:
    _call("unshare", _CLONE_NEWNS)
    _call("mount", b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None)
    needed = {Path(sys.prefix), Path(sys.base_prefix), Path(__file__).parents[1]}
    hidden = {path: closed for path in sorted(needed) if (closed := _closed(path)) is not None}
    kept = {path: os.open(path, os.O_PATH | os.O_CLOEXEC) for path in hidden}
    for closed in sorted(set(hidden.values())):
        _call("mount", b"none", os.fsencode(closed), b"tmpfs", ctypes.c_ulong(0), b"mode=755")
    for path, fd in kept.items():
        path.mkdir(parents=True, exist_ok=True)
        if not os.path.samestat(path.stat(), os.stat(fd)):  # one of them may lie within another
            source = f"/proc/self/fd/{fd}".encode()
            _call("mount", source, os.fsencode(path), None, ctypes.c_ulong(_MS_BIND | _MS_REC), None)


def _main(command: list[str]) -> None:
    _open_the_way()
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    os.execvp(command[0], command)


class Runner:
    """Runs commands as nobody; started by root."""

    def command(self, *command: str) -> list[str]:
        """The argument vector that runs ``command`` as nobody; Python's programs are this environment's."""
        program = Path(sys.executable).with_name(command[0])
        words = (str(program), *command[1:]) if program.exists() else command
        return [sys.executable, __file__, *words]

    def environment(self) -> dict[str, str]:
        """Our environment, without what points at files of another user."""
        return {**os.environ, "HOME": "/", "PYTHONDONTWRITEBYTECODE": "1"}

    def __call__(self, *command: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run ``command`` as nobody to its end, with no stdin and what it says captured."""
        return subprocess.run(
            self.command(*command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env=self.environment(),
        )


if __name__ == "__main__":
    _main(sys.argv[1:])
