"""Options for the system the program sees: its names, clocks, root, mounts and directory."""

from __future__ import annotations

import argparse
from typing import Any

from nsview.options import words
from nsview.options.option import Option
from spawner import Spec

TITLE = "system"

_PROPAGATIONS = ("private", "slave", "shared", "unchanged")

OPTIONS: tuple[Option, ...] = (
    Option(("--hostname",), "host name in a new uts namespace", {"metavar": "NAME"}),
    Option(("--domainname",), "NIS domain name in a new uts namespace", {"metavar": "NAME"}),
    Option(("--monotonic",), "add to the monotonic clock (with -T)", {"metavar": "SECONDS", "type": words.seconds}),
    Option(("--boottime",), "add to the boot-time clock (with -T)", {"metavar": "SECONDS", "type": words.seconds}),
    Option(
        ("--propagation",),
        "of mounts in a new mount namespace: private (as it is without this), slave, shared, unchanged",
        {"type": words.one_of(_PROPAGATIONS, "propagation"), "metavar": "KIND"},
    ),
    Option(
        ("--mount-proc",),
        "mount a fresh procfs (a new mount namespace is implied); [=DIR], /proc without it",
        {"nargs": "?", "const": "/proc", "metavar": "DIR"},
    ),
    Option(
        ("-R", "--root"), "the root directory (a new mount namespace is implied), by pivot_root(2)", {"metavar": "DIR"}
    ),
    Option(("-w", "--wd"), "working directory of the program", {"metavar": "DIR"}),
)


def fields(asked: argparse.Namespace, base: Spec) -> dict[str, Any]:
    """What these options make of a Spec."""
    plain = {
        "hostname": asked.hostname,
        "domainname": asked.domainname,
        "rootfs_propagation": asked.propagation,
        "mount_proc": asked.mount_proc,
        "rootfs": asked.root,
        "cwd": asked.wd,
    }
    made = {name: value for name, value in plain.items() if value is not None}
    offsets = dict(base.time_offsets)
    for clock in ("monotonic", "boottime"):
        if (offset := getattr(asked, clock)) is not None:
            offsets[clock] = offset
    implied = {"mount"} if asked.mount_proc or asked.root is not None else set()
    return {**made, "time_offsets": tuple(offsets.items()), "namespaces": base.namespaces | implied}
