"""The inspector in the app, on real namespaces made by the engine: what it shows is what the kernel and others say."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from dwellers import documents, kept
from golden import screen_text
from leftovers import Census
from lsns import listed
from screen import SIZES, until
from textual.pilot import Pilot

from nsview.host.model import Identity
from nsview.tui.acting.signals import start_time_of
from nsview.tui.app import NsviewApp
from nsview.tui.diff.grid import DiffGrid
from nsview.tui.launching.pickers import NamespacePicker
from nsview.tui.namespaces.detail_list import DetailList
from nsview.tui.namespaces.list import NamespaceList
from nsview.tui.namespaces.panel import NamespacePanel
from nsview.tui.namespaces.places import InList, Inside
from nsview.tui.processes.filter_line import FilterLine
from nsview.tui.processes.table import ProcTable
from spawner import IDMapping, Spec, Stdio, TimeOffset, launch
from spawner.namespaces import BY_NAME, BY_PROC

pytestmark = pytest.mark.needs("root")

WAITING = ("/bin/sh", "-c", "echo ready; read forever")


@contextmanager
def waiting(*namespaces: str, **fields: object) -> Iterator[int]:
    """The pid of a shell in new namespaces, by the engine, until we are done."""
    spec = Spec(args=WAITING, namespaces=frozenset(namespaces), stdio=Stdio.PIPE, **fields)  # type: ignore[arg-type]
    with launch(spec) as child:
        assert child.stdout is not None
        assert os.read(child.stdout, 16) == b"ready\n"
        yield child.pid
        child.close_stream("stdin")
        child.wait()


@asynccontextmanager
async def inspecting(size: tuple[int, int] = (80, 24)) -> AsyncIterator[tuple[NsviewApp, Pilot[None]]]:
    """Run the app with the inspector in front."""
    app = NsviewApp()
    async with app.run_test(size=size) as pilot:
        await until(lambda: len(app.query_one(ProcTable).rows) > 1)
        await pilot.press("3")
        await until(lambda: app.query_one(NamespacePanel).picture)
        try:
            yield app, pilot
        finally:
            await app.end_launches()
            await pilot.pause()


def identity_of(pid: int) -> Identity:
    return pid, start_time_of(pid)


def inode_of(pid: int, proc: str) -> int:
    return os.stat(f"/proc/{pid}/ns/{proc}").st_ino


async def look_at(app: NsviewApp, pid: int) -> None:
    """Put the tree's cursor on a process."""
    table, identity = app.query_one(ProcTable), identity_of(pid)
    app.collector.refresh_now()
    await until(lambda: table.rows.record_of(identity))
    table.select(identity)
    await until(lambda: app.desk.process == identity)


async def shown(app: NsviewApp, inode: int, *titles: str) -> dict[str, list[tuple[str, ...]]]:
    """Wait until the detail is of a namespace and has these sections; return all, by their titles."""
    widget = app.query_one(DetailList)

    def sections() -> dict[str, list[tuple[str, ...]]] | None:
        found = {table.section.title: [tuple(row) for row in table.section.rows] for table in widget.detail.tables}
        return found if f"[{inode}]" in widget.title and set(titles) <= found.keys() else None

    return await until(sections)


def line_of(app: NsviewApp, *words: str) -> str | None:
    return next((line for line in screen_text(app).splitlines() if all(word in line for word in words)), None)


async def cursor_to(app: NsviewApp, *words: str) -> None:
    """Put the detail's cursor on the row that has these words."""
    widget = app.query_one(DetailList)

    def row() -> int | None:
        rows = ((at, " ".join(widget.detail.cells(at))) for at in range(len(widget.detail.lines)))
        return next((at for at, text in rows if all(word in text for word in words)), None)

    await until(lambda: row() is not None)
    widget.move_cursor(row())


@pytest.mark.needs("lsns", "uts_namespace", "user_namespace", "pid_namespace")
@pytest.mark.parametrize("size", SIZES)
async def test_the_list_has_what_lsns_lists(size: tuple[int, int], nothing_left: Census) -> None:
    own = {"uts", "ipc", "network", "mount", "pid", "cgroup"}
    with waiting(*own) as pid:
        theirs = {row["ns"]: row for row in listed("ns", "type", "nprocs", "pid", pids=(pid,)) if row["pid"] == pid}
        assert {BY_PROC[row["type"]].name for row in theirs.values()} >= own
        async with inspecting(size) as (app, pilot):
            await pilot.press("escape")
            lines = app.query_one(NamespaceList)
            app.collector.refresh_now()
            await until(lambda: theirs.keys() <= {line.row.namespace.inode for line in lines.lines})
            ours = {line.row.namespace.inode: line.row.namespace for line in lines.lines}
            for inode, row in theirs.items():
                kind = BY_PROC[row["type"]]
                assert ours[inode].kind is kind
                if kind.name in own:
                    assert (ours[inode].leader, ours[inode].members) == (row["pid"], (pid,))
                    assert row["nprocs"] == 1


@pytest.mark.needs("uts_namespace", "time_namespace")
async def test_names_and_offsets_are_those_the_child_was_given(nothing_left: Census) -> None:
    offsets = (("monotonic", TimeOffset(-5)), ("boottime", TimeOffset(86400)))
    with waiting("uts", "time", hostname="demo", domainname="example", time_offsets=offsets) as pid:
        async with inspecting() as (app, pilot):
            await look_at(app, pid)
            await pilot.press("u")
            found = await shown(app, inode_of(pid, "uts"), "names")
            assert found["names"] == [("host name", "demo"), ("domain name", "example")]
            assert found["processes inside"] == [(str(pid), str(os.getpid()), "root", "sh")]
            await pilot.press("T")
            found = await shown(app, inode_of(pid, "time"), "offsets of the clocks")
            assert found["offsets of the clocks"] == [("monotonic", "-5 s"), ("boottime", "+86400 s")]


@pytest.mark.needs("user_namespace")
async def test_maps_are_those_of_the_kernel_and_say_who_root_is_outside(nothing_left: Census) -> None:
    maps = (IDMapping(0, 100000, 1000),)
    with waiting("user", "uts", uid_mappings=maps, gid_mappings=maps) as pid:
        inside, outside, count = Path(f"/proc/{pid}/uid_map").read_text().split()
        async with inspecting() as (app, pilot):
            await look_at(app, pid)
            await pilot.press("U")
            found = await shown(app, inode_of(pid, "user"), "id maps", "root")
            assert ("uid", inside, outside, count) in found["id maps"]
            assert ("uid 0 inside is", "100000 outside") in found["root"]
            await pilot.press("u")
            await shown(app, inode_of(pid, "uts"))
            await cursor_to(app, "owner", f"user:[{inode_of(pid, 'user')}]")
            await pilot.press("enter")
            found = await shown(app, inode_of(pid, "user"), "kept alive by")
            assert ("owns", "1 namespaces", "") in found["kept alive by"]


@pytest.mark.needs("ip", "nsenter", "network_namespace")
async def test_a_veth_leads_to_the_link_at_its_other_end(nothing_left: Census) -> None:
    command = [sys.executable, "-m", "nsview", "run", "--veth", "10.231.7.1/30,10.231.7.2/30", "--"]
    script = "echo $$; read forever"
    words = [*command, "sh", "-c", script]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            pid = int(process.stdout.readline())
            [inner] = [link for link in documents(pid, "ip", "-j", "link") if link["ifname"] != "lo"]
            index = inner["link_index"]
            links = json.loads(subprocess.check_output(["ip", "-j", "link"], text=True))
            [outer] = [link["ifname"] for link in links if link["ifindex"] == index]
            host = inode_of(os.getpid(), "net")
            async with inspecting((200, 60)) as (app, pilot):
                await look_at(app, pid)
                await pilot.press("n")
                found = await shown(app, inode_of(pid, "net"), "links", "addresses", "routes")
                [row] = [row for row in found["links"] if row[1] == inner["ifname"]]
                assert row[2] == "veth"
                assert row[-1].startswith(f"→ {outer} in net {host}")
                assert ("10.231.7.2/30", inner["ifname"]) in [row[:2] for row in found["addresses"]]
                [route] = [row for row in found["routes"] if row[0] == "10.231.7.0/30"]
                assert route[2] == inner["ifname"]
                await cursor_to(app, inner["ifname"], outer)
                await pilot.press("enter")
                await shown(app, host, "links")
                widget = app.query_one(DetailList)
                await until(lambda: widget.cursor_line is not None and outer in widget.detail.cells(widget.cursor_line))
                await pilot.press("enter")
                await shown(app, inode_of(pid, "net"), "links")
                await until(lambda: inner["ifname"] in widget.detail.cells(widget.cursor_line or 0))
        finally:
            process.stdin.close()


@pytest.mark.needs("ip", "network_namespace")
async def test_a_bind_mount_keeps_a_namespace_that_no_process_is_in(nothing_left: Census) -> None:
    name = f"nsview-quiet-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        inode = os.stat(f"/run/netns/{name}").st_ino
        async with inspecting() as (app, pilot):
            await pilot.press("escape", "n", "R")
            lines = app.query_one(NamespaceList)
            await until(lambda: inode in {line.row.namespace.inode for line in lines.lines})
            [namespace] = [line.row.namespace for line in lines.lines if line.row.namespace.inode == inode]
            assert (namespace.held_by, namespace.name, namespace.members) == (("mount",), name, ())
            app.query_one(NamespacePanel).query_one(FilterLine).fill(f"name={name}")
            await until(lambda: len(lines.lines) == 1)
            await pilot.press("enter")
            found = await shown(app, inode, "links", "kept alive by")
            assert found["links"][0][1] == "lo"
            own = f"/run/netns/{name} in mnt:[{inode_of(os.getpid(), 'mnt')}]"
            assert ("mount", own, "") in found["kept alive by"]
            await pilot.press("f")
            await until(lambda: any("No process is in net" in one.message for one in app._notifications))
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


@pytest.mark.needs("unshare", "uts_namespace")
async def test_a_descriptor_keeps_a_namespace_and_its_name_is_read_inside(nothing_left: Census) -> None:
    with kept("uts", options=("--uts",), script="hostname kept-by-fd") as (fd,):
        inode = os.fstat(fd).st_ino
        async with inspecting() as (app, pilot):
            panel = app.query_one(NamespacePanel)
            await until(lambda: panel.picture is not None and inode in panel.picture.found)
            await pilot.press("escape")
            panel.query_one(FilterLine).fill(f"ns={inode}")
            lines = app.query_one(NamespaceList)
            await until(lambda: len(lines.lines) == 1)
            assert lines.lines[0].row.namespace.held_by == ("fd",)
            await pilot.press("enter")
            found = await shown(app, inode, "names", "kept alive by")
            assert found["names"][0] == ("host name", "kept-by-fd")
            assert found["kept alive by"][0][:2] == ("fd", f"fd {fd} of {os.getpid()}")


@pytest.mark.needs("mount_namespace")
async def test_mounts_stand_beside_those_of_the_parent(nothing_left: Census) -> None:
    script = "mount -t tmpfs came /mnt && echo ready; read forever"
    spec = Spec(args=("/bin/sh", "-c", script), namespaces=frozenset({"mount"}), stdio=Stdio.PIPE)
    with launch(spec) as child:
        assert child.stdout is not None
        assert os.read(child.stdout, 16) == b"ready\n"
        async with inspecting() as (app, pilot):
            await look_at(app, child.pid)
            await pilot.press("m")
            found = await shown(app, inode_of(child.pid, "mnt"), "mounts")
            assert [(row[0], row[1].strip(), row[2], row[4]) for row in found["mounts"] if row[4] == "came"] == [
                ("+", "/mnt", "tmpfs", "came")
            ]
            mounts = Path(f"/proc/{child.pid}/mountinfo").read_text().splitlines()
            assert {row[-1] for row in found["mounts"]} == {line.split()[0] for line in mounts}
            widget = app.query_one(DetailList)
            notes = " ".join(note for table in widget.detail.tables for note in table.section.notes)
            assert f"mnt:[{inode_of(os.getpid(), 'mnt')}] of {os.getpid()} " in notes
            assert re.search(r"\b1 more, 0 fewer, 0 otherwise", notes)
        child.close_stream("stdin")
        child.wait()


@pytest.mark.needs("pid_namespace")
async def test_a_pid_namespace_tells_its_init_and_every_number(nothing_left: Census) -> None:
    with waiting("pid") as pid:
        async with inspecting() as (app, pilot):
            await look_at(app, pid)
            await pilot.press("p")
            found = await shown(app, inode_of(pid, "pid"), "first process")
            assert found["first process"] == [("init", f"{pid} sh")]
            title = "pids in every pid namespace, from ours down to this one"
            assert (str(pid), f"{pid}/1", "sh") in found[title]
            assert any(name == "parent" and "pid:[" in value for name, value in found[""])


@pytest.mark.needs("ipc_namespace", "cgroup_namespace")
async def test_ipc_and_cgroup_namespaces_have_their_limits_and_roots(nothing_left: Census) -> None:
    with waiting("ipc", "cgroup") as pid:
        async with inspecting() as (app, pilot):
            await look_at(app, pid)
            await pilot.press("i")
            found = await shown(app, inode_of(pid, "ipc"), "limits")
            assert ("kernel.shmmni", Path("/proc/sys/kernel/shmmni").read_text().strip()) in found["limits"]
            await pilot.press("C")
            found = await shown(app, inode_of(pid, "cgroup"), "roots")
            groups = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
            assert {path for _, _, path in groups} == {row[1] for row in found["roots"]}


# ---- from namespace to process and back --------------------------------------------------------------------------


@pytest.mark.needs("uts_namespace")
@pytest.mark.parametrize("size", SIZES)
async def test_enter_on_a_member_goes_to_it_in_the_tree_and_n_comes_back(
    size: tuple[int, int], nothing_left: Census
) -> None:
    with waiting("uts") as pid:
        async with inspecting(size) as (app, pilot):
            await pilot.press("escape")
            app.query_one(NamespacePanel).query_one(FilterLine).fill(f"ns={inode_of(pid, 'uts')}")
            lines = app.query_one(NamespaceList)
            await until(lambda: len(lines.lines) == 1)
            await pilot.press("enter")
            await shown(app, inode_of(pid, "uts"), "names")
            await cursor_to(app, str(pid), "root", "sh")
            await pilot.press("enter")
            await until(lambda: isinstance(app.focused, ProcTable))
            assert app.query_one(ProcTable).highlighted == identity_of(pid)
            await pilot.press("N")
            await until(lambda: isinstance(app.focused, DetailList))
            await until(lambda: line_of(app, "Namespaces of", str(pid)))
            await pilot.press("u")
            await shown(app, inode_of(pid, "uts"), "names")


@pytest.mark.needs("uts_namespace")
async def test_f_leaves_only_the_members_in_the_tree(nothing_left: Census) -> None:
    with waiting("uts") as pid:
        async with inspecting((120, 40)) as (app, pilot):
            await look_at(app, pid)
            await pilot.press("u")
            await shown(app, inode_of(pid, "uts"))
            await pilot.press("f")
            table = app.query_one(ProcTable)
            await until(lambda: isinstance(app.focused, ProcTable))
            await until(lambda: table.rows.arranged.found == 1)
            assert table.rows.line_of(identity_of(pid)) is not None
            assert str(table.view.filter) == f"ns.uts={inode_of(pid, 'uts')}"


@pytest.mark.needs("uts_namespace")
async def test_c_compares_a_member_with_its_parent_in_the_diff(nothing_left: Census) -> None:
    with waiting("uts") as pid:
        async with inspecting() as (app, pilot):
            await look_at(app, pid)
            await pilot.press("u")
            await shown(app, inode_of(pid, "uts"))
            await cursor_to(app, str(pid), "root", "sh")
            await pilot.press("c")
            await until(lambda: isinstance(app.focused, DiffGrid))
            await until(lambda: line_of(app, "≠ uts"))


async def test_n_is_network_in_the_inspector_and_a_new_launch_elsewhere(nothing_left: Census) -> None:
    async with inspecting((80, 24)) as (app, pilot):
        await pilot.press("escape", "n")
        assert isinstance(app.focused, NamespaceList)
        lines = app.query_one(NamespaceList)
        await until(lambda: {line.row.namespace.kind for line in lines.lines} == {BY_NAME["network"]})
        await pilot.press("1", "n")
        await until(lambda: isinstance(app.focused, NamespacePicker))


async def test_three_shows_the_face_that_was_left_and_gives_it_the_keys(nothing_left: Census) -> None:
    async with inspecting() as (app, pilot):
        panel = app.query_one(NamespacePanel)
        assert isinstance(app.focused, DetailList)
        await pilot.press("escape")
        await until(lambda: isinstance(panel.way.here, InList))
        await pilot.press("1", "3")
        assert isinstance(app.focused, NamespaceList)
        await until(lambda: app.query_one(NamespaceList).lines)
        await pilot.press("enter", "1", "3")
        await until(lambda: isinstance(panel.way.here, Inside))
        assert isinstance(app.focused, DetailList)
