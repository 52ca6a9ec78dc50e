"""New roots to look into: just enough of this machine for sh, beside what a test puts there."""

from __future__ import annotations

import subprocess
from pathlib import Path

from running import shell

from spawner import Spec
from spawner.oci import Bind, FileOperation, Symlink

LINKS = ("bin", "lib", "lib64", "sbin")

USR: tuple[FileOperation, ...] = (
    Bind(source="/usr", destination="/usr", read_only=True),
    *(Symlink(target=f"usr/{name}", destination=f"/{name}") for name in LINKS),
)
"""The programs of this machine, of which Debian has all below /usr."""

USR_BY_BWRAP = (
    *("--ro-bind", "/usr", "/usr"),
    *(word for name in LINKS for word in ("--symlink", f"usr/{name}", f"/{name}")),
)
"""The same for bwrap(1)."""

LISTING = (
    r"find / \( -path /usr -o -path /proc -o -path /dev/pts \) -prune -o -printf '%p %y %m %s %l\n' | grep -v '^/ ' "
    r"| sed -E 's/ d ([0-9]+) [0-9]+ / d \1 /' | sort"
)
"""A script that lists what is in the new root: path, type, mode, size of what is no directory, target of a link."""


def room(script: str, *mounts: FileOperation, **fields: object) -> Spec:
    """A Spec that runs a script in sh in a root made of /usr and ``mounts``."""
    return shell(script, **{"namespaces": frozenset({"mount", "pid"}), "mounts": (*USR, *mounts), **fields})


def by_bwrap(script: str, *options: str, usr: bool = True) -> str:
    """What a script says in the root that bwrap(1) makes of /usr and ``options``; AssertionError if it fails."""
    command = ["bwrap", "--unshare-pid", *(USR_BY_BWRAP if usr else ()), *options, "/bin/sh", "-c", script]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def skeleton(root: Path) -> Path:
    """Make a directory that can be a root once /usr is bound on its empty usr."""
    for name in ("usr", "proc", "tmp", "etc", "dev"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in LINKS:
        (root / name).symlink_to(f"usr/{name}")
    return root


def entries(directory: Path) -> dict[str, tuple[int, int, int]]:
    """All that is below a directory of the host, with what a launch must not change."""
    found = {}
    for path in sorted(directory.rglob("*")):
        seen = path.lstat()
        found[str(path.relative_to(directory))] = (seen.st_mode, seen.st_ino, seen.st_mtime_ns)
    return found
