"""Make the screenshots: the running app on this machine's processes, with real launches, at its three sizes.

    python screenshots/make.py [NAME…]

Writes NAME.svg, and NAME.png where rsvg-convert is installed, beside this file. Needs root for namespaces: it runs
itself in pid, mount, cgroup and uts namespaces of its own, so that the pictures show the processes that it starts
there and nobody else's; but for those of events, in the machine's own pid namespace, where a filter leaves out others.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from textual.pilot import Pilot
from textual.widgets import Input, Select

from nsview.labs.lab import Event as LabEvent
from nsview.labs.lab import Scene as LabScene
from nsview.tui.app import NsviewApp
from nsview.tui.events.list import EventList
from nsview.tui.keys import LEAVE_TERMINAL
from nsview.tui.labs.panel import LabsPanel
from nsview.tui.launching.panel import LaunchPanel
from nsview.tui.processes.table import ProcTable
from nsview.tui.terminal.terminal import ChildTerminal
from spawner import Spec
from spawner import launch as launch_program

HERE = Path(__file__).parent
NARROW, MID, WIDE = (80, 24), (120, 40), (200, 60)
DEADLINE = 20.0

Ui = Pilot[None]
Scene = Callable[[NsviewApp, Ui], Awaitable[None]]


async def until(pilot: Ui, condition: Callable[[], object]) -> None:
    """Let the app run until the condition holds."""
    end = monotonic() + DEADLINE
    while not condition():
        if monotonic() > end:
            raise TimeoutError("the scene did not come about")
        await asyncio.sleep(0.02)


async def seconds(number: float) -> None:
    """Let real time pass, so that rates and differences have something to show."""
    await asyncio.sleep(number)


def terminal(app: NsviewApp) -> ChildTerminal:
    """The terminal in front."""
    found = app.panes.terminal
    assert found is not None
    return found


async def launch(app: NsviewApp, pilot: Ui, preset: str, command: str, *lines: str) -> None:
    """Launch a preset and type some lines into its shell."""
    app.use_preset(preset)
    app.query_one("#command", Input).value = command
    await until(pilot, lambda: app.query_one(LaunchPanel).form.command == command)
    number = len(app.launches) + 1
    app.action_launch()
    await until(pilot, lambda: number in app.launches and app.panes.terminal is not None)
    launched = app.launches[number]
    if lines:
        await until(pilot, lambda: terminal(app).text().strip())
    await until(pilot, lambda: app.query_one(ProcTable).highlighted == (launched.pid, launched.start_time))
    for line in lines:
        await pilot.press(*line, "enter")
        await pilot.pause(0.2)
    await until(pilot, lambda: not lines or lines[-1] in terminal(app).text().replace("\n", ""))


async def tree(app: NsviewApp, pilot: Ui) -> None:
    """Processes, a container among them."""
    await launch(app, pilot, "container", "sh", "sleep 1000 & sleep 2000 &")
    await pilot.press(LEAVE_TERMINAL)
    await seconds(4)


async def diff(app: NsviewApp, pilot: Ui) -> None:
    """The issue's path: a host name of one's own."""
    await launch(app, pilot, "only-uts", "sh", "hostname demo; hostname")
    await pilot.press(LEAVE_TERMINAL, "2")
    await until(pilot, lambda: any("demo" in str(row.child) for row in app.query_one("#diff")._rows))  # type: ignore[attr-defined]
    await seconds(2)


async def picking(app: NsviewApp, pilot: Ui) -> None:
    """The launch panel with a container filled in."""
    app.use_preset("container")
    await until(pilot, lambda: app.query_one("#preset", Select).value == "container")
    await seconds(4)


async def refused(app: NsviewApp, pilot: Ui) -> None:
    """A combination that the kernel refuses."""
    app.use_preset("only-mount")
    panel = app.query_one(LaunchPanel)
    panel.query_one("#group-sharing").collapsed = False  # type: ignore[attr-defined]
    panel.query_one("#flags-sharing").focus()
    await pilot.press("down", "space")  # CLONE_FS
    await until(pilot, lambda: panel.outlook.problems)
    await seconds(4)


async def shell(app: NsviewApp, pilot: Ui) -> None:
    """A container's shell in its terminal."""
    await launch(app, pilot, "container", "sh", "id -u; hostname", "ps ax", "readlink /proc/self/ns/*")
    await seconds(3)


async def timeline(app: NsviewApp, pilot: Ui) -> None:
    """What a container's launch did."""
    await launch(app, pilot, "container", "sh")
    await pilot.press(LEAVE_TERMINAL, "6")
    await seconds(2)


async def stepped(app: NsviewApp, pilot: Ui) -> None:
    """A child held, some steps on: what each has changed."""
    app.use_preset("container")
    await until(pilot, lambda: app.query_one(LaunchPanel).form.namespaces)
    await pilot.press("f6")
    await until(pilot, lambda: app.launches.front is not None and app.launches.front.held is not None)
    for _ in range(3):
        before = app.launches.front
        await pilot.press("S")
        await until(pilot, lambda before=before: app.launches.front is not before)
        await seconds(0.5)
    await seconds(2)


async def beside(app: NsviewApp, pilot: Ui) -> None:
    """The same container by one clone3, and by fork and unshare."""
    await launch(app, pilot, "container", "sh")
    await pilot.press(LEAVE_TERMINAL)
    await launch(app, pilot, "two-step", "sh")
    await pilot.press(LEAVE_TERMINAL, "6", "v")
    await seconds(2)


async def namespaces(app: NsviewApp, pilot: Ui) -> None:
    """The inside of a child's network namespace."""
    await launch(app, pilot, "container", "sh", "ip -br link")
    await pilot.press(LEAVE_TERMINAL, "3")
    await seconds(2)
    await pilot.press("n")
    await seconds(3)


async def security(app: NsviewApp, pilot: Ui) -> None:
    """What a container's root could still do."""
    await launch(app, pilot, "full-container", "sh")
    await pilot.press(LEAVE_TERMINAL, "8")
    await seconds(3)


async def events(app: NsviewApp, pilot: Ui) -> None:
    """What happens to processes; of all that the machine runs, those of the launch are shown."""
    await launch(app, pilot, "container", "sh")
    await pilot.press(LEAVE_TERMINAL, "1", "t", "slash", *"launched=yes", "enter")
    await pilot.press("7", "f")  # listening begins, to our launches
    log = app.query_one(EventList)
    await until(pilot, lambda: log.note.startswith(("Nothing", "No event")))
    await pilot.press("5")
    for ends, line in enumerate(("ls -d /", "sh -c 'kill -9 $$'", "sleep 1000 & cat /missing"), 1):
        await pilot.press(*line, "enter")
        await until(pilot, lambda ends=ends: sum(one.told.event.what == "exit" for one in log.record.shown) >= ends)
        await seconds(0.5)
    await pilot.press(LEAVE_TERMINAL, "7")
    await seconds(4)


async def labs(app: NsviewApp, pilot: Ui) -> None:
    """A lab that waits at a scene: child and parent in the tree and in the difference."""
    await pilot.press("9", "s")
    panel = app.query_one(LabsPanel)
    for number in range(3):
        await until(pilot, lambda number=number: sum(isinstance(e, LabScene) for e in events_of(panel)) > number)
        await until(pilot, lambda: panel.run is not None and panel.run.scene is not None)
        if number < 2:
            await pilot.press("enter")
    scene = panel.run.scene if panel.run is not None else None
    assert scene is not None
    await until(pilot, lambda: app.desk.process is not None and app.desk.process[0] == scene.child)
    await seconds(2)


def events_of(panel: LabsPanel) -> list[LabEvent]:
    """What the lab that runs has told."""
    return [] if panel.run is None else panel.run.events


async def audit(app: NsviewApp, pilot: Ui) -> None:
    """What containers still share with the machine."""
    await launch(app, pilot, "container", "sh", "sleep 1000 &")
    await pilot.press(LEAVE_TERMINAL, "exclamation_mark")
    await seconds(2)


async def filtered(app: NsviewApp, pilot: Ui) -> None:
    """Processes that are not in the machine's own namespaces."""
    await launch(app, pilot, "container", "sh", "sleep 1000 & sleep 2000 &")
    await pilot.press(LEAVE_TERMINAL, "slash", *"ns!=init")
    await seconds(2)


async def palette(app: NsviewApp, pilot: Ui) -> None:
    """The command palette."""
    await pilot.press("ctrl+p", *"sleep")
    await seconds(2)


async def jumping(app: NsviewApp, pilot: Ui) -> None:
    """Letters over all that can have the keys."""
    await seconds(4)
    await pilot.press("ctrl+o")
    await seconds(1)


async def copied(app: NsviewApp, pilot: Ui) -> None:
    """A launch in the words of another tool."""
    app.use_preset("container")
    await until(pilot, lambda: app.query_one(LaunchPanel).form.namespaces)
    await pilot.press("y")
    await seconds(1)


async def signal(app: NsviewApp, pilot: Ui) -> None:
    """The signal picker."""
    await launch(app, pilot, "plain", "sleep 1000")
    await pilot.press(LEAVE_TERMINAL, "k")
    await seconds(1)


async def help_(app: NsviewApp, pilot: Ui) -> None:
    """Help on the launch panel."""
    await pilot.press("4", "question_mark")
    await seconds(1)


async def full_screen(app: NsviewApp, pilot: Ui) -> None:
    """A program that draws its own screen."""
    program = shutil.which("htop") or shutil.which("top") or "sh"
    await launch(app, pilot, "container", os.path.basename(program))
    await seconds(3)


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture: its file's name, the size of the terminal, and what is done before it is taken."""

    name: str
    size: tuple[int, int]
    scene: Scene
    theme: str = "textual-dark"
    told: bool = False
    """Of events that the kernel tells nobody but who is in its first pid namespace."""


SHOTS: tuple[Shot, ...] = (
    *(Shot(f"{name}-{size[0]}x{size[1]}", size, scene, told=scene is events) for name, scene in (
        ("tree", tree),
        ("diff", diff),
        ("launch", picking),
        ("refused", refused),
        ("terminal", shell),
        ("timeline", timeline),
        ("namespaces", namespaces),
        ("security", security),
        ("events", events),
        ("held", stepped),
        ("beside", beside),
        ("labs", labs),
    ) for size in (NARROW, MID, WIDE)),
    Shot("audit-120x40", MID, audit),
    Shot("filter-120x40", MID, filtered),
    Shot("palette-120x40", MID, palette),
    Shot("jump-120x40", MID, jumping),
    Shot("copy-as-120x40", MID, copied),
    Shot("signal-120x40", MID, signal),
    Shot("help-80x24", NARROW, help_),
    Shot("full-screen-120x40", MID, full_screen),
    Shot("light-120x40", MID, diff, "textual-light"),
    Shot("sixteen-colours-120x40", MID, diff, "ansi-dark"),
)  # fmt: skip


async def take(shot: Shot) -> None:
    """Run the app, play the scene, save the picture."""
    app = NsviewApp()
    async with app.run_test(size=shot.size) as pilot:
        app.theme = shot.theme
        try:
            await until(pilot, lambda: len(app.query_one(ProcTable).rows) > 1)
            await shot.scene(app, pilot)
            for toast in app.screen.query("Toast"):
                toast.remove()
            await pilot.pause(0.1)
            # Without this, viewers drop the blanks at the beginning of a text.
            svg = app.export_screenshot(title="nsview").replace("<text ", '<text xml:space="preserve" ')
        finally:
            await app.end_launches()
            await pilot.pause()
    path = HERE / f"{shot.name}.svg"
    path.write_text(svg)
    if converter := shutil.which("rsvg-convert"):
        subprocess.run([converter, "-o", path.with_suffix(".png"), path], check=True)
    print(path.name)


INSIDE = "NSVIEW_SCREENSHOTS_INSIDE"

COMPANY = """
unshare -uni sh -c 'sleep 9001 & wait' &
unshare -mpf --mount-proc sh -c 'tail -f /dev/null & wait' &
(while :; do sleep 2; done) &
"$@"
"""
"""What process 1 of the new pid namespace starts: some life for the tree of processes, then the pictures."""


def main(names: list[str]) -> int:
    """Make the pictures whose names begin with one of these; all, if none is given."""
    if INSIDE in os.environ:
        Path("/proc/self/comm").write_text("nsview")  # as the program itself does
        for shot in SHOTS:
            if shot.name in names:
                asyncio.run(take(shot))
        return 0
    wanted = [shot for shot in SHOTS if not names or shot.name.startswith(tuple(names))]
    return max(_apart([shot.name for shot in wanted if shot.told is told], told) for told in (False, True))


def _apart(names: list[str], told: bool) -> int:
    if not names:
        return 0
    # No path of this machine in a picture.
    words = (*(os.path.relpath(path) for path in (sys.executable, __file__)), *names)
    spec = Spec(
        args=words if told else ("sh", "-c", COMPANY, "sh", *words),
        env=(*os.environ.items(), (INSIDE, "1")),
        namespaces=frozenset({"mount", "cgroup", "uts"} if told else {"pid", "mount", "cgroup", "uts"}),
        hostname="host1",
        mount_proc=None if told else "/proc",
        pdeathsig=9,
    )
    with launch_program(spec) as child:
        ended = child.wait()
    assert ended is not None
    return ended.status if ended.status is not None else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
