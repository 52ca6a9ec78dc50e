"""Launch and look: what a child says on its pipes, and plans that use everything."""

from __future__ import annotations

import os
import select
from dataclasses import replace

from spawner import IDMapping, Mechanism, Plan, Spec, Stdio, TimeOffset, launch

EVERY_KIND = frozenset({"mount", "network", "pid", "user", "uts", "ipc", "cgroup", "time"})

EVERYTHING = Spec(
    args=("/bin/true",),
    env=(("PATH", "/usr/bin:/bin"),),
    cwd="/",
    namespaces=EVERY_KIND,
    uid_mappings=(IDMapping(0, os.geteuid()),),
    gid_mappings=(IDMapping(0, os.getegid()),),
    hostname="demo",
    domainname="example",
    time_offsets=(("monotonic", TimeOffset(1000)), ("boottime", TimeOffset(86400))),
    mount_proc="/proc",
    stdio=Stdio.PTY,
    pdeathsig=9,
)
"""A plan with every kind of step."""

PLANNING = (Mechanism.CLONE3, Mechanism.CLONE, Mechanism.FORK_UNSHARE)
"""The mechanisms that can make namespaces."""


def shell(script: str, **fields: object) -> Spec:
    """A Spec that runs a script in sh with its output on pipes."""
    return replace(Spec(args=("/bin/sh", "-c", script), stdio=Stdio.PIPE), **fields)  # type: ignore[arg-type]


def read_all(fd: int) -> str:
    """Read a pipe to its end."""
    parts = []
    while part := os.read(fd, 65536):
        parts.append(part)
    return b"".join(parts).decode()


def output(what: Spec | Plan) -> str:
    """What a child on pipes wrote to its standard output; AssertionError if it failed."""
    with launch(what) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.close_stream("stdin")
        text = read_all(child.stdout)
        errors = read_all(child.stderr)
        ended = child.wait()
    assert ended is not None
    assert ended.status == 0, f"status {ended.status}: {errors}"
    return text


def ended(pidfd: int) -> bool:
    """Whether the process of a pidfd has ended."""
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(0))
