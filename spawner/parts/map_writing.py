"""How the parent writes an id map of its child: into /proc, or through shadow's set-user-id programs."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from spawner import idmap, procfs
from spawner.errors import LaunchError
from spawner.plan import Held

NO_HELPER = (
    "only CAP_SETUID and CAP_SETGID write such a map, or shadow's newuidmap and newgidmap, which are not installed"
)


@dataclass(frozen=True, slots=True)
class Writing:
    """One file of a child's user namespace, to be written once and in one write(2).

    ``helper`` is the program that writes it (newuidmap(1), newgidmap(1)) where we may not.
    """

    file: str
    text: str
    helper: str | None

    def __str__(self) -> str:
        words = self.text.split()
        shown = " ".join(words[:12]) + (f" … ({len(words) // 3} lines)" if len(words) > 12 else "")
        if self.helper is not None:
            return f"{self.helper} PID {shown}"
        return f"write {shown} to its {self.file}"

    def __call__(self, held: Held) -> None:
        """Write, and read back. Raises OSError or LaunchError."""
        pid = procfs.number(held.pidfd)
        path = f"/proc/{pid}/{self.file}"
        if self.helper is not None:
            self._run(pid)
        else:
            self._write(path)
        found = Path(path).read_text()
        if self._normal(found) != self._normal(self.text):
            shown = "; ".join(" ".join(line.split()) for line in found.splitlines()) or "nothing"
            raise LaunchError(f"read back {self.file}", path=path, cause=f"the kernel says: {shown}")

    def _normal(self, raw: str) -> object:
        """As the kernel sorts it: the lines of a long map come back in another order (sort_idmaps())."""
        if self.file == "setgroups":
            return raw.strip()
        return sorted((line.container_id, line.host_id, line.size) for line in idmap.parse(raw))

    def _write(self, path: str) -> None:
        raw = self.text.encode()
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, raw)
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from None
        finally:
            os.close(fd)

    def _run(self, pid: int) -> None:
        assert self.helper is not None
        program = shutil.which(self.helper)
        if program is None:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), self.helper)
        words = [program, str(pid), *self.text.split()]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
        if done.returncode:
            said = " ".join(done.stderr.split()) or f"status {done.returncode}"
            file = "/etc/subuid" if self.file == "uid_map" else "/etc/subgid"
            raise LaunchError(
                f"write {self.file}",
                errno=errno.EPERM,
                path=f"/proc/{pid}/{self.file}",
                cause=f"a process may map only its own effective id itself; for other ids {said}",
                remedy=f"map your own id (-r, -c), or ids that {file} gives you",
            )
