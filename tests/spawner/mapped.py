"""Ids for tests: a range of ids that is nobody's here, and files of subordinate ids of our own making."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from apart import NEWNS, call, mount
from running import shell

from spawner import IDMapping, Spec

MS_BIND = 0x1000
FIRST, COUNT = 100000, 65536
RANGE = (IDMapping(0, FIRST, COUNT),)
USER = frozenset({"user"})


def in_range(script: str, **fields: object) -> Spec:
    """A shell in a new user namespace whose ids are a range of ours."""
    return shell(script, **{"namespaces": USER, "uid_mappings": RANGE, "gid_mappings": RANGE, **fields})


def with_subids(directory: Path, text: str) -> None:
    """Have these lines in /etc/subuid and /etc/subgid; for a process of its own, which leaves the machine's mounts."""
    call("unshare", NEWNS)
    mount("none", "/", None, 0x4000 | 1 << 18)
    file = directory / "subids"
    file.write_text(text)
    for name in ("/etc/subuid", "/etc/subgid"):
        if not os.path.exists(name):
            raise FileNotFoundError(f"{name}: apt install uidmap")
        mount(str(file), name, None, MS_BIND)


def numbers(text: str) -> list[list[int]]:
    """The lines of a map."""
    return [[int(word) for word in line.split()] for line in text.splitlines()]


def as_somebody(become: Callable[[], None], action: Callable[[], object]) -> Callable[[], object]:
    """``action``, by whoever ``become`` makes of us."""

    def run() -> object:
        become()
        return action()

    return run
