"""What nsview's view of the host says from within an environment, as one JSON object: test_environments runs it there.

It makes a process between two looks and tells what looks, search, events and model say of it; then it runs commands.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from contextlib import redirect_stderr, redirect_stdout

from nsview import cli
from nsview.host.events.source import open_events
from nsview.host.model import Interval
from nsview.host.namespaces import search
from nsview.host.process import PinnedProcess
from nsview.host.sampling import sample_pinned
from nsview.host.snapshot import take
from spawner.namespaces import KINDS

COMMANDS = (
    "ps",
    "ps --json",
    "ps --args -o +exe,cgroup,container,caps,fds,pss,read --sort=-rss",
    "ps --interval 0.01 -o pid,cpu,faults,switches user=nobody",
    "tree",
    "tree --namespaces --json",
    "ns",
    "ns --json",
    "ns net --tree owner",
    "show self --json",
    "diff self --json",
    "diff self --all",
    "snapshot",
    "snapshot --namespaces",
    "cgroups",
    "doctor",
)


def _links(pid: int | str) -> list[int | None]:
    """The slow way: readlink(2) of each, None where it is refused or there is none."""
    links: list[int | None] = []
    for kind in KINDS:
        try:
            links.append(int(os.readlink(f"/proc/{pid}/ns/{kind.proc}").split("[")[1][:-1]))
        except (FileNotFoundError, PermissionError):
            links.append(None)
    return links


def _listed() -> list[int]:
    return sorted(int(name) for name in os.listdir("/proc") if name.isdecimal())


def _said(line: str) -> dict[str, object]:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = cli.main(line.split())
    return {"status": status, "out": out.getvalue(), "err": err.getvalue()}


def main() -> None:
    """Look around and tell."""
    events, refused = open_events(interval=0.01)
    before = take()
    child = os.fork()
    if child == 0:
        signal.pause()
    between = take()
    os.kill(child, signal.SIGTERM)
    os.waitpid(child, 0)
    listed, links = _listed(), {pid: _links(pid) for pid in _listed()}
    after = take()
    listed_after, links_after = _listed(), {pid: _links(pid) for pid in after.records}
    told = events.read(timeout=0) if refused is None else None
    events.close()
    identity = between.records[child].identity
    birth = Interval(before, between, told).births.get(identity)
    death = Interval(between, after, told).deaths.get(identity)
    discovery = search(after)
    own = after.records[os.getpid()]
    with PinnedProcess(os.getpid()) as process:
        usage = sample_pinned(process)
    json.dump(
        {
            "pid": own.pid,
            "always_listed": sorted({*listed} & {*listed_after}),
            "ever_listed": sorted({*listed} | {*listed_after}),
            "pids": [*after.records],
            "young": [pid for pid, record in after.records.items() if record.start_time >= own.start_time],
            "producer": str(after.producer),
            "own": own._asdict(),
            "links": _links("self"),
            "namespaces": {pid: record.ns for pid, record in after.records.items() if not record.is_exiting},
            "readlink": {pid: found for pid, found in links.items() if links_after.get(pid) == found},
            "born": birth is not None,
            "parent_at_birth": None if birth is None else birth.parent,
            "died": death is not None,
            "exit_code": None if death is None else death.exit_code,
            "refused": None if refused is None else str(refused),
            "found": [*discovery.namespaces],
            "complete": discovery.is_complete,
            "cpu_ns": None if usage is None else usage.cpu_ns,
            "errors": [str(error) for error in after.errors],
            "commands": {line: _said(line) for line in COMMANDS},
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
