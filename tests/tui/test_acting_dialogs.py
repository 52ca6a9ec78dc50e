"""The dialogs of acts as they look, on a made-up process; and the one that shows how far a long act has come."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from acted import acting
from golden import assert_golden
from leftovers import Census
from machine import record
from screen import until
from textual.app import App
from textual.screen import Screen

import nsview.tui.app as nsview_app
from nsview.host.cgroups.hierarchies import Hierarchy
from nsview.host.limits import Limit
from nsview.tui.acting import wording
from nsview.tui.acting.affinity_dialog import AffinityDialog
from nsview.tui.acting.changing import io_offers, policy_offers
from nsview.tui.acting.groups import FoundGroup
from nsview.tui.acting.guards import Guard
from nsview.tui.acting.limit_table import LimitRow
from nsview.tui.acting.limits_dialog import LimitsDialog
from nsview.tui.acting.picking import PickDialog
from nsview.tui.acting.progress import Progress
from nsview.tui.acting.settings import NICE
from nsview.tui.acting.signal_picker import SignalPicker
from nsview.tui.acting.sure import Sure
from nsview.tui.acting.table import ACTS
from nsview.tui.acting.value_dialog import ValueDialog, whole_number
from nsview.tui.acting.whom import Choices, Scope, Whom
from nsview.tui.acting.working import Working

SHELL = record(4711, comm="sh")
BELOW = tuple(record(pid, 4711, "sleep") for pid in range(4712, 4722))
NSVIEW = record(4242, comm="nsview")
THIS = Whom(Scope.THIS, SHELL, (SHELL,))
SUBTREE = Whom(Scope.SUBTREE, SHELL, (SHELL, *BELOW))
BOX = FoundGroup(Hierarchy("", frozenset(), "/sys/fs/cgroup", "/", "/"), "/box", "/sys/fs/cgroup/box", frozenset())
CGROUP = Whom(Scope.CGROUP, SHELL, (SHELL, *BELOW), ((NSVIEW, Guard.SELF),), group=BOX)
CHOICES = Choices((THIS, SUBTREE, CGROUP))
ROWS = (
    LimitRow("cpu", Limit("unlimited", "unlimited", "seconds"), 3),
    LimitRow("stack", Limit(8 << 20, "unlimited", "bytes"), 132 << 10),
    LimitRow("nofile", Limit(1024, 4096, "files"), 1000),
    LimitRow("nproc", Limit(96365, 96365, "processes"), None),
    *(LimitRow(f"other{number}", Limit("unlimited", "unlimited", ""), None) for number in range(12)),
)


class Bare(App[None]):
    """Just the dialog, in the looks of the app."""

    CSS_PATH = Path(nsview_app.__file__).with_name("app.tcss")


def working() -> Working:
    """One that has come some way."""
    progress = Progress()
    progress.say("killing", 1234, 5000)
    return Working("Kill 5000 processes of cgroup v2 /box", progress)


DIALOGS: dict[str, tuple[object, tuple[str, ...]]] = {
    "signal": (lambda: SignalPicker(CHOICES), ()),
    "signal-to-cgroup": (lambda: SignalPicker(CHOICES), ("f2", "f2", *"stop")),
    "io-priority": (lambda: PickDialog("I/O priority of", CHOICES, io_offers, "none"), ("down",)),
    "policy": (lambda: PickDialog("Scheduling policy of", CHOICES, policy_offers, "other"), (*"rr 7",)),
    "affinity": (lambda: AffinityDialog(CHOICES, range(4), frozenset((0, 1)), "0-1"), ("down",)),
    "nice": (
        lambda: ValueDialog(
            "Nice value of", CHOICES, NICE, "0", "what it means", lambda text: whole_number(text, 0, 9)
        ),
        ("backspace", "x"),
    ),
    "limits": (lambda: LimitsDialog(CHOICES, ROWS), ("down", "down")),
    "sure": (
        lambda: Sure("Kill 4711 sh", THIS, "pidfd_send_signal(pidfd, SIGKILL, NULL, 0)", "", "sh -c 'sleep 9'"),
        (),
    ),
    "sure-of-many": (lambda: Sure("Kill 11 processes", CGROUP, "write(/sys/fs/cgroup/box/cgroup.kill, 1)"), ("right",)),
    "working": (working, ()),
}


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
@pytest.mark.parametrize("name", DIALOGS)
async def test_dialogs_look_as_they_did(name: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wording, "started", lambda _start: "12:34:56")
    make, keys = DIALOGS[name]
    app = Bare()
    async with app.run_test(size=size) as pilot:
        assert callable(make)
        screen: Screen[object] = make()
        await app.push_screen(screen)
        await until(lambda: screen.is_mounted and screen.query(".dialog"))
        await pilot.press(*keys)
        await pilot.pause()
        assert app.screen.region.contains_region(screen.query_one(".dialog").region)
        assert_golden(app, f"act-{name}")


async def test_a_long_act_shows_how_far_it_is_and_is_called_off(nothing_left: Census) -> None:
    async with acting() as (app, pilot):

        def work(progress: Progress) -> str:
            progress.say("killing", 3, 10)
            while not progress.pause(1):
                continue
            return "called off"

        worker = app.run_worker(app.actor.work("Kill 10 processes", work))
        await until(
            lambda: (
                isinstance(app.screen, Working)
                and any("killing" in str(widget.render()) for widget in app.screen.query("#doing"))
            )
        )
        await pilot.press("escape")
        assert await worker.wait() == "called off"
        await until(lambda: len(app.screen_stack) == 1)


async def test_a_long_act_that_ends_under_the_palette_leaves_no_dialog(nothing_left: Census) -> None:
    async with acting() as (app, pilot):
        ends = threading.Event()
        worker = app.run_worker(app.actor.work("Kill 10 processes", lambda _progress: ends.wait()))
        await until(lambda: isinstance(app.screen, Working))
        await pilot.press("ctrl+p")
        await until(lambda: len(app.screen_stack) == 3)
        ends.set()
        await worker.wait()
        await pilot.press("escape")
        await until(lambda: len(app.screen_stack) == 1)


async def test_a_short_act_shows_no_dialog(nothing_left: Census) -> None:
    async with acting() as (app, _pilot):
        seen: list[bool] = []
        worker = app.run_worker(app.actor.work("Nothing", lambda _progress: seen.append(len(app.screen_stack) == 1)))
        await worker.wait()
        assert seen == [True]
        assert len(app.screen_stack) == 1


async def test_the_palette_has_every_act() -> None:
    async with acting() as (app, _pilot):
        titles = " ".join(command.title for command in app.get_system_commands(app.screen))
        assert all(act.sentence in titles for act in ACTS)
