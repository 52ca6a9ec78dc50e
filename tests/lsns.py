"""What lsns(8) says, of the whole machine or of some processes alone."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
from collections.abc import Callable, Collection
from typing import Any

from leftovers import until

DEADLINE = 60.0
CLONE_NEWNS = 0x00020000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000

_libc = ctypes.CDLL(None, use_errno=True)


def listed(*columns: str, pids: Collection[int] | None = None) -> list[dict[str, Any]]:
    """The rows, with these columns (names of lsns in lower case are their keys).

    With ``pids`` it finds these alone in /proc. Else it fails when any process vanishes at the wrong moment, so it is
    asked until it does not.
    """
    prepare = None if pids is None else lambda: _leave_in_proc(pids)

    def ask() -> str:
        return _asked(["lsns", "--json", "--output", ",".join(columns)], prepare)

    text = until(ask, DEADLINE)
    assert text, "lsns fails; its words are above"
    rows: list[dict[str, Any]] = json.loads(text)["namespaces"]
    return rows


def _asked(command: list[str], prepare: Callable[[], None] | None) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, preexec_fn=prepare)
    return done.stdout if done.returncode == 0 else ""


def _leave_in_proc(pids: Collection[int]) -> None:
    """Enter a mount namespace whose /proc has these processes and nothing else."""
    if _libc.unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "unshare")
    _mount("none", "/", None, MS_REC | MS_PRIVATE)
    _mount("room", "/mnt", "tmpfs", 0)
    os.mkdir("/mnt/proc")
    _mount("/proc", "/mnt/proc", None, MS_BIND)
    _mount("room", "/proc", "tmpfs", 0)
    for pid in pids:
        os.mkdir(f"/proc/{pid}")
        _mount(f"/mnt/proc/{pid}", f"/proc/{pid}", None, MS_BIND)


def _mount(source: str, target: str, kind: str | None, flags: int) -> None:
    if _libc.mount(source.encode(), target.encode(), kind.encode() if kind else None, flags, None):
        raise OSError(ctypes.get_errno(), f"mount {source} {target}")
