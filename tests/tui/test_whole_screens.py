"""The whole screen at its three sizes, on a made-up machine: header, panes, footer, and what is in front."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from types import SimpleNamespace

import pytest
from golden import comes_to_golden
from leftovers import Census
from machine import in_namespaces, record, snapshot
from screen import SIZES, until
from textual.pilot import Pilot

from nsview.tui.app import NsviewApp
from nsview.tui.collecting.collector import Collector
from nsview.tui.processes.table import ProcTable

BOX = in_namespaces(m=21, n=22, p=23, U=24, u=25, i=26, C=27)
MACHINE = (
    record(2, 0, "kthreadd", flags=0x200000, rss=0),
    record(300, 1, "sshd", rss=9 << 20),
    record(310, 300, "bash", rss=4 << 20),
    record(400, 1, "containerd", rss=48 << 20, threads=11),
    record(410, 400, "sh", rss=1 << 20, ns=BOX, inner_pid=1, depth=2, uid=100000),
    record(420, 410, "worker", rss=2 << 20, ns=BOX, inner_pid=7, depth=2, uid=100000),
)


@asynccontextmanager
async def showing(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch, read_only: bool = False
) -> AsyncIterator[tuple[NsviewApp, Pilot[None]]]:
    """Run the app on the made-up machine, its clock and cost standing still, until its processes are on the screen."""
    for name in os.environ.keys() - {
        "HOME",
        "PATH",
        "XDG_CONFIG_HOME",
        "XDG_STATE_HOME",
    }:  # the plan says how many variables there are
        monkeypatch.delenv(name)
    picture = snapshot(*MACHINE, at=100.0)
    monkeypatch.setattr("nsview.tui.desk.Collector", partial(Collector, snapshot=lambda _pids: picture))
    still = SimpleNamespace(process_time=lambda: 0.0, monotonic=lambda: 0.0)
    monkeypatch.setattr("nsview.tui.header.time", still)
    monkeypatch.setattr(
        "nsview.tui.header.os", SimpleNamespace(uname=lambda: SimpleNamespace(nodename="host1"), getpid=lambda: 1)
    )
    app = NsviewApp(read_only=read_only)
    async with app.run_test(size=size) as pilot:
        app._to_select = None
        table = app.query_one(ProcTable)
        await until(lambda: len(table.rows) == len(MACHINE))  # and pid 1, but for the kernel's thread
        table.select((410, 410))
        yield app, pilot
        await app.end_launches()
        await pilot.pause()


@pytest.mark.needs("root")
@pytest.mark.parametrize("size", SIZES)
async def test_the_first_screen(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch, nothing_left: Census) -> None:
    async with showing(size, monkeypatch) as (app, _pilot):
        await comes_to_golden(app, "whole-tree")


@pytest.mark.needs("root")
@pytest.mark.parametrize("size", SIZES)
async def test_the_screen_of_one_who_only_looks(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch, nothing_left: Census
) -> None:
    async with showing(size, monkeypatch, read_only=True) as (app, _pilot):
        await comes_to_golden(app, "whole-read-only")
