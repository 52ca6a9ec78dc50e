"""What makes it pleasant: jumping, pictures, palette, help, keys of one's own, and what is remembered."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from leftovers import Census
from machine import in_namespaces, record
from screen import SIZES, until
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from nsview.tui.app import NsviewApp
from nsview.tui.comfort import picture
from nsview.tui.comfort.bound import all_bound
from nsview.tui.comfort.copies import Copy, CopyPicker, copies, entered
from nsview.tui.comfort.help import text_for
from nsview.tui.comfort.jump import Jump, marks_of
from nsview.tui.comfort.settings import Settings
from nsview.tui.keys import KEYS
from nsview.tui.panes import PANES
from nsview.tui.processes.table import ProcTable


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be somebody with a home of their own, on a good terminal."""
    for name in ("SUDO_UID", "PKEXEC_UID", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


@asynccontextmanager
async def running(
    settings: Settings | None = None, size: tuple[int, int] = (120, 40)
) -> AsyncIterator[tuple[NsviewApp, Pilot[None]]]:
    """Run the app with these settings until its first frame is shown."""
    app = NsviewApp(settings=settings)
    async with app.run_test(size=size) as pilot:
        await until(lambda: len(app.query_one(ProcTable).rows) > 1)
        try:
            yield app, pilot
        finally:
            await app.end_launches()
            await pilot.pause()


@pytest.mark.parametrize("size", SIZES)
async def test_a_letter_lies_over_all_that_can_have_the_keys_and_goes_there(size: tuple[int, int]) -> None:
    async with running(size=size) as (app, pilot):
        await pilot.press("4")
        wanted = {mark.letter: mark.widget for mark in marks_of(app.screen)}
        letter = next(letter for letter, widget in wanted.items() if widget.id == "command")
        await pilot.press("ctrl+o")
        await until(lambda: isinstance(app.screen, Jump))
        assert len(app.screen.query(".mark")) == len(wanted)
        places = [mark.region for mark in app.screen.query(".mark")]
        assert all(app.screen.region.contains_region(place) for place in places)
        assert len({place.offset for place in places}) == len(places), "a letter lies over another"
        await pilot.press(letter)
        await until(lambda: app.focused is wanted[letter])


async def test_another_key_jumps_nowhere() -> None:
    async with running() as (app, pilot):
        before = app.focused
        await pilot.press("ctrl+o")
        await until(lambda: isinstance(app.screen, Jump))
        await pilot.press("escape")
        await until(lambda: not isinstance(app.screen, Jump))
        assert app.focused is before


async def test_a_picture_of_the_screen_is_kept_and_none_is_overwritten(home: Path) -> None:
    async with running() as (app, pilot):
        await pilot.press("f10")
        await until(lambda: [*home.glob("nsview-*.svg")])
        (made,) = home.glob("nsview-*.svg")
        assert "<svg" in made.read_text()
        assert "Processes" in made.read_text()
        assert str(made) in next(iter(app._notifications)).message
    now = 1_000_000_000.0
    assert picture.keep("one", now) != picture.keep("two", now)
    assert {path.read_text() for path in home.glob("nsview-2001*.svg")} == {"one", "two"}


@pytest.mark.needs("root")
async def test_under_sudo_the_picture_is_the_invoking_users(monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    nobody = pwd.getpwnam("nobody")
    monkeypatch.setenv("SUDO_UID", str(nobody.pw_uid))
    with pytest.MonkeyPatch.context() as patch:
        from tempfile import TemporaryDirectory

        with TemporaryDirectory() as directory:
            os.chmod(directory, 0o755)
            os.chown(directory, nobody.pw_uid, nobody.pw_gid)
            entry = SimpleNamespace(pw_uid=nobody.pw_uid, pw_gid=nobody.pw_gid, pw_dir=directory)
            patch.setattr("pwd.getpwuid", lambda _uid: entry)
            path = picture.keep("it")
            status = path.stat()
    assert (status.st_uid, status.st_gid) == (nobody.pw_uid, nobody.pw_gid)


async def test_a_home_that_cannot_be_written_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/proc")
    async with running() as (app, pilot):
        await pilot.press("f10")
        await until(lambda: any("No picture" in one.message for one in app._notifications))


async def test_the_palette_finds_every_action_and_every_process() -> None:
    async with running() as (app, pilot):
        own = [one for one in all_bound(app.screen) if one.binding.id not in {key.id for key in KEYS}]
        await pilot.press("ctrl+p")
        await until(lambda: isinstance(app.screen, CommandPalette))
        field = app.screen.query_one(Input)
        options = app.screen.query_one(OptionList)
        some = next(one for one in own if one.binding.id == "table.tree")
        field.value = some.binding.description
        await until(lambda: _shows(options, some.binding.description))
        field.value = str(os.getpid())
        await until(lambda: _shows(options, f"process {os.getpid()}"))
        await pilot.press("enter")
        await until(lambda: app.desk.process == app.desk.me)


def _shows(options: OptionList, text: str) -> bool:
    prompts = (str(options.get_option_at_index(index).prompt) for index in range(options.option_count))
    return any(text in prompt for prompt in prompts)


async def test_help_has_the_panes_own_keys_with_their_names() -> None:
    async with running() as (app, pilot):
        for pane in PANES:
            if pane.name == "terminal":
                continue
            await pilot.press(str(pane.digit))
            await until(lambda pane=pane: app.panes.pane_of(app.focused) == pane.name)
            text = text_for(app.focused)
            assert text.startswith("# "), pane.name
            for one in all_bound(app.focused):  # type: ignore[arg-type]
                assert f"`{one.binding.id}`" in text


async def test_every_binding_has_a_name_of_its_own() -> None:
    async with running() as (app, _pilot):
        for node in app.walk_children(with_self=True):
            ours = type(node).__module__.startswith("nsview.")
            for kind in type(node).__mro__:
                if ours and kind.__module__.startswith("nsview."):
                    assert all(getattr(binding, "id", None) for binding in kind.__dict__.get("BINDINGS", ())), kind


async def test_keys_of_ones_own_work_and_the_old_ones_no_longer() -> None:
    async with running(Settings(keys={"pane.diff": "f2", "no.such": "x"})) as (app, pilot):
        assert any("no.such" in one.message for one in app._notifications)
        await pilot.press("f2")
        await until(lambda: app.panes.pane == "diff")
        await pilot.press("1")
        await until(lambda: app.panes.pane == "tree")
        await pilot.press("2")
        await pilot.pause()
        assert app.panes.pane == "tree"


async def test_a_theme_is_remembered_and_a_set_one_outweighs_it(home: Path, nothing_left: Census) -> None:
    async with running(Settings()) as (app, pilot):
        app.theme = "nord"
        await pilot.press("q")
        await until(lambda: not app.is_running)
    assert json.loads((home / "state" / "nsview" / "ui.json").read_text())["theme"] == "nord"
    async with running(Settings()) as (app, _pilot):
        assert app.theme == "nord"
    async with running(Settings(theme="gruvbox")) as (app, _pilot):
        assert app.theme == "gruvbox"


async def test_nothing_is_remembered_where_that_is_not_wanted(home: Path) -> None:
    async with running(Settings(remember=False)) as (app, pilot):
        await pilot.press("q")
        await until(lambda: not app.is_running)
    assert not (home / "state").exists()


async def test_a_terminal_of_sixteen_colours_gets_a_theme_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "linux")
    monkeypatch.delenv("COLORTERM", raising=False)
    async with running(Settings()) as (app, _pilot):
        assert app.theme == "ansi-dark"


def test_only_namespaces_known_to_be_others_are_entered() -> None:
    ours = (11, 12, 13, 14, 15, 16, 17, 18)
    assert entered(in_namespaces(n=99, u=98), ours) == "-n -u"  # type: ignore[arg-type]
    assert entered((None, 99, *ours[2:]), ours) == "-n"
    assert entered(ours, ours) == ""


def test_words_of_a_command_line_survive_a_shell() -> None:
    offered = copies(record(7, ppid=3), ["sh", "-c", "echo 'it is'; exit"], None)
    assert Copy("command line", """sh -c 'echo '"'"'it is'"'"'; exit'""") in offered
    assert Copy("how it differs from its parent", "nsview diff 3 7") in offered
    assert not any("not shared" in one.what for one in offered)


@pytest.mark.parametrize("size", SIZES)
async def test_what_was_chosen_is_on_the_clipboard(size: tuple[int, int]) -> None:
    async with running(size=size) as (app, pilot):
        await until(lambda: app.desk.process == app.desk.me)
        await pilot.press("y")
        await until(lambda: isinstance(app.screen, CopyPicker))
        dialog = app.screen.query_one(".dialog")
        assert app.screen.region.contains_region(dialog.region)
        await pilot.press("enter")
        await until(lambda: app.clipboard == str(os.getpid()))
