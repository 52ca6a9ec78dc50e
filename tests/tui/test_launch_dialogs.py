"""Profiles and the history on the launch panel: asked for, saved, loaded, taken up again, by keys and mouse."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from golden import assert_golden, screen_text
from launch_panel_app import PanelApp, lying_still, running
from screen import SIZES, until
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static

from nsview import places
from nsview.tui.launching import history, profiles
from nsview.tui.launching.form import Form, filled
from nsview.tui.launching.history import Entry, line_of
from nsview.tui.launching.presets import PRESET_OF
from nsview.tui.launching.prompts import HistoryPicker, ProfilePrompt, summary
from nsview.tui.launching.sections import ON


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Times of the day as they are in Greenwich."""
    monkeypatch.setenv("TZ", "UTC0")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


async def asked(app: PanelApp, pilot: Pilot[None], key: str) -> None:
    """Press a key that opens a dialog, and wait for it."""
    await pilot.press(key)
    await until(lambda: isinstance(app.screen, ProfilePrompt | HistoryPicker) and app.screen.query(OptionList))


def trouble(app: PanelApp) -> str:
    """What the dialog complains of."""
    return str(app.screen.query_one("#profile-trouble", Static).render())


def open_dialog(app: PanelApp) -> bool:
    """Whether a dialog is open."""
    return len(app.screen_stack) > 1


@pytest.mark.parametrize("size", SIZES)
async def test_a_form_is_saved_under_a_name_and_loaded_again(size: tuple[int, int]) -> None:
    async with running(size) as (app, pilot):
        app.panel.fill_preset("rootless-container")
        await asked(app, pilot, "f2")
        await pilot.press(*"web", "enter")
        await until(lambda: not open_dialog(app))
        path = places.config_directory() / "profiles" / "web.toml"
        await until(lambda: any(note.message == "Saved web.toml" for note in app._notifications))
        assert "hostname" in path.read_text()
        app.panel.fill_preset("plain")
        await asked(app, pilot, "f3")
        await until(lambda: app.screen.query_one(OptionList).option_count == 1)
        await pilot.press("down", "enter")
        await until(lambda: app.panel.form == PRESET_OF["rootless-container"].form)
        await until(lambda: app.panel.outlook.plan is not None)


async def test_a_profile_is_written_over_only_when_that_is_asked_twice() -> None:
    profiles.save(Form(command="one"), profiles.path_of("web"))
    async with running() as (app, pilot):
        await asked(app, pilot, "f2")
        await pilot.press(*"web", "enter")
        await until(lambda: "is there already; Enter again writes over it" in trouble(app))
        await pilot.press("x", "backspace", "enter")
        await until(lambda: "is there already" in trouble(app))
        assert profiles.read(profiles.path_of("web")).form.command == "one"
        await pilot.press("enter")
        await until(lambda: not open_dialog(app))
        assert profiles.read(profiles.path_of("web")).form.command == "sh"


async def test_what_is_wrong_is_told_in_the_dialog_which_stays() -> None:
    path = profiles.path_of("bad")
    places.write(path, b"hostnam = 'x'\n")
    async with running() as (app, pilot):
        await asked(app, pilot, "f3")
        await pilot.press("enter")
        await until(lambda: "type a name" in trouble(app))
        await pilot.press(*"none", "enter")
        await until(lambda: "No such file" in trouble(app))
        app.screen.query_one(Input).value = "bad"
        await until(lambda: not trouble(app))
        await pilot.press("enter")
        await until(lambda: "bad.toml: hostnam" in trouble(app) and "hostname" in trouble(app))
        assert app.panel.form == Form()
        await pilot.press("escape")
        await until(lambda: not open_dialog(app))


async def test_a_form_that_cannot_be_read_is_not_saved_and_says_why() -> None:
    async with running() as (app, pilot):
        app.panel.put("--memory", "x")
        await asked(app, pilot, "f2")
        await pilot.press(*"web", "enter")
        await until(lambda: "memory: 'x' is no size" in trouble(app))
        assert profiles.saved() == []


@pytest.mark.needs("root")
async def test_a_directory_of_somebody_else_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_UID", "65534")
    async with running() as (app, pilot):
        await asked(app, pilot, "f2")
        await pilot.press(*"/etc/nsview-test.toml", "enter")
        await until(lambda: "Permission denied; name a file in a directory of yours" in trouble(app))
        assert not os.path.exists("/etc/nsview-test.toml")


async def test_buttons_open_the_dialogs_and_the_mouse_picks() -> None:
    profiles.save(Form(command="clicked"), profiles.path_of("one"))
    async with running((120, 40)) as (app, pilot):
        for button, screen in (("#save", ProfilePrompt), ("#history", HistoryPicker), ("#load", ProfilePrompt)):
            await pilot.click(button)
            await until(lambda screen=screen: isinstance(app.screen, screen) and app.screen.query(OptionList))
            if button != "#load":
                await pilot.press("escape")
                await until(lambda: not open_dialog(app))
        await until(lambda: app.screen.query_one(OptionList).option_count == 1)
        await pilot.click("#profiles", offset=(2, 0))
        await until(lambda: app.panel.form.command == "clicked")


async def test_fields_of_a_profile_that_no_row_shows_are_named() -> None:
    text = b'args = ["sh"]\npersonality = 8\n[io_priority]\ntype = "IOPRIO_CLASS_IDLE"\n'
    places.write(profiles.path_of("odd"), text)
    async with running() as (app, pilot):
        await asked(app, pilot, "f3")
        await pilot.press(*"odd", "enter")
        await until(lambda: "also io_priority, personality" in screen_text(app))
        await until(lambda: app.panel.outlook.spec is not None and app.panel.outlook.spec.personality == 8)


@pytest.mark.parametrize("size", SIZES)
async def test_a_launch_is_remembered_and_taken_up_again_exactly(size: tuple[int, int]) -> None:
    async with running(size) as (app, pilot):
        app.panel.fill(replace(PRESET_OF["hold"].form, command="sh -c 'echo  x'"))
        wanted = app.panel.form
        app.panel.want()
        await until(lambda: len(app.wanted) == 1 and history.read().entries)
        app.panel.fill(Form(command="other"))
        await asked(app, pilot, "f4")
        await until(lambda: app.screen.query_one(OptionList).option_count == 1)
        await pilot.press("enter")
        await until(lambda: app.panel.form == wanted)
        assert len(app.wanted) == 1


async def test_f5_in_the_history_launches_again_at_once() -> None:
    history.record(Form(command="first"))
    history.record(Form(command="second").put("--nice", "3"))
    async with running() as (app, pilot):
        await asked(app, pilot, "f4")
        await until(lambda: app.screen.query_one(OptionList).option_count == 2)
        await pilot.press("down", "f5")
        await until(lambda: app.wanted)
        assert app.wanted[0].form.command == "first"
        assert not open_dialog(app)
        await until(lambda: history.read().entries[0].form.command == "first")


async def test_keys_typed_ahead_go_to_the_dialog_that_was_asked_for() -> None:
    async with running() as (app, pilot):
        for ask in (app.panel.action_history, app.panel.action_load, app.panel.action_save):
            ask()
            assert isinstance(app.screen, HistoryPicker | ProfilePrompt)
            await until(lambda: app.screen.query(OptionList))
            await pilot.press("escape")
            await until(lambda: not open_dialog(app))


async def test_what_was_refused_is_not_remembered() -> None:
    async with running() as (app, _pilot):
        app.panel.put("--memory", "x")
        app.panel.want()
        await until(lambda: app.wanted)
        assert not history.path().exists()


async def test_nothing_is_remembered_of_who_wants_that() -> None:
    async with running() as (app, _pilot):
        app.panel.remembers = False
        app.panel.want()
        await until(lambda: app.wanted)
    assert not history.path().exists()


async def test_nothing_launched_yet_is_said() -> None:
    async with running() as (app, pilot):
        await asked(app, pilot, "f4")
        await until(lambda: "Nothing was launched yet." in screen_text(app))
        await pilot.press("enter", "f5", "escape")
        await until(lambda: not open_dialog(app))
        assert not app.wanted


async def test_a_broken_history_is_one_notice() -> None:
    history.record(Form(command="good"))
    places.append(history.path(), b"\xff\x00nonsense\n{}\n")
    async with running() as (app, pilot):
        for _ in range(2):
            await asked(app, pilot, "f4")
            await until(lambda: "good" in screen_text(app))
            await pilot.press("escape")
            await until(lambda: not open_dialog(app))
        assert [note.message for note in app._notifications] == [
            f"left out of the history: 2 lines of {history.path()} that are no launches"
        ]


async def test_a_history_that_cannot_be_written_is_one_notice_and_launching_goes_on() -> None:
    history.path().mkdir(parents=True)
    async with running() as (app, _pilot):
        for number in (1, 2):
            app.panel.want()
            await until(lambda number=number: len(app.wanted) == number)
        await until(lambda: any("not added to the history" in note.message for note in app._notifications))
        assert len(app._notifications) == 1


def test_a_launch_in_one_line_is_short_and_harmless() -> None:
    form = replace(PRESET_OF["container"].form, command="sh -c '\x1b[2J\n'")
    assert summary(form) == r"sh -c '\x1b[2J\n'  (-mnpUuiC --map-root-user --hostname box --mount-proc)"
    assert summary(Form()) == "sh  (nothing new)"
    assert summary(replace(Form(), hold=True, kept=(("personality", 8),))) == (
        "sh  (held, nothing new, and 1 fields of a profile)"
    )
    assert len(summary(Form(command="x" * 1_000_000))) <= 400


@pytest.mark.parametrize("size", SIZES)
async def test_whole_dialogs(size: tuple[int, int], utc: None, monkeypatch: pytest.MonkeyPatch) -> None:
    where = Path("/home/me/.config/nsview/profiles")
    monkeypatch.setattr("nsview.tui.launching.profiles.directory", lambda: where)
    monkeypatch.setattr("nsview.tui.launching.profiles.saved", lambda: ["build.toml", "web.json"])
    wrong = filled(Form(), {"--memory": "64Q", "--init": ON})
    for when, form in ((1e9, Form()), (1.1e9, PRESET_OF["container"].form), (1.2e9, wrong)):
        places.append(history.path(), line_of(Entry(when, form)))
    async with running(size) as (app, pilot):
        app.panel.fill(wrong)  # so that there is no plan, which kernels do not have alike
        await until(lambda: "is no size" in app.text("problems"))
        await lying_still(app, pilot)
        await asked(app, pilot, "f3")
        await until(lambda: "web.json" in screen_text(app))
        assert_golden(app, "launch-load")
        await pilot.press("escape")
        await asked(app, pilot, "f4")
        await until(lambda: "09 Sep 01:46" in screen_text(app))
        assert_golden(app, "launch-history")
