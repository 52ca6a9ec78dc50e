"""A process whose every name is hostile: comm, argv, program, directories, mount points, control group, user."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

RAW = "x\n\r\t\x1b[2J\x1b]0;title\x07\u202eevil\u2066\x9b31m\x7f \ue000".encode() + b"\xff\xfe\xc3"
"""Newlines, escape sequences (also of one byte), a bell, marks that reverse writing, and what is no UTF-8."""
GROUP = b"nsview-" + RAW.replace(b"\n", b"")  # which the kernel allows in no group's name
LONG = b"y" * 10_000 + RAW
USER = "ev\x1b[31m\u202eil"


@dataclass(frozen=True, slots=True)
class Hostile:
    """The process, and the file of users among whom it has a hostile name (None: without root)."""

    pid: int
    users: Path | None

    def nsview(self, *words: str) -> bytes:
        """Run a command where users have hostile names; return what it writes. It is to succeed."""
        command = [sys.executable, "-m", "nsview", *words]
        if self.users is not None:
            command = ["unshare", "--mount", "sh", "-c", _AMONG, str(self.users), *command]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        assert done.returncode == 0, done
        return done.stdout


_AMONG = 'mount --bind "$0" /etc/passwd && exec "$@"'
_MOUNTED = 'mount -t tmpfs "$0" "$0" && exec "$@"'
_WAITING = b"echo ready; read forever"


@contextmanager
def hostile_process(directory: Path, as_root: bool) -> Iterator[Hostile]:
    """Start it in a directory of the test's own; as root also with a mount, a control group and a user."""
    home = os.path.join(os.fsencode(directory), RAW)
    program, mount = os.path.join(home, RAW), os.path.join(home, b"m" + RAW)
    os.makedirs(mount)
    shutil.copy(os.path.realpath("/bin/sh"), program)
    command = [program, b"-c", _WAITING, RAW, LONG]
    if as_root:
        command = [b"unshare", b"--mount", b"sh", b"-c", _MOUNTED.encode(), mount, *command]
    users = None
    with ExitStack() as stack:
        if as_root:
            users = directory / "passwd"
            users.write_text(f"{USER}:x:{os.geteuid()}:0:root:/root:/bin/sh\n")
            group = os.path.join(_own_group(), GROUP)
            os.mkdir(group)
            stack.callback(os.rmdir, group)
        process = stack.enter_context(
            subprocess.Popen(command, cwd=home, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        )
        stack.callback(process.kill)
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        if as_root:
            Path(os.fsdecode(group), "cgroup.procs").write_text(str(process.pid))
        yield Hostile(process.pid, users)


def _own_group() -> bytes:
    """The directory of our own group of version 2."""
    for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
        words = line.split(b" ")
        if words[words.index(b"-") + 1] == b"cgroup2":
            lines = Path("/proc/self/cgroup").read_bytes().splitlines()
            own = next(line.removeprefix(b"0::") for line in lines if line.startswith(b"0::"))
            return words[4] + own.rstrip(b"/")
    raise AssertionError("there is no cgroup2 mount")
