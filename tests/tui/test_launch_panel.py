"""The launch panel in a running app: picking, explaining, planning; nothing is launched."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from screen import SIZES, until
from textual import on
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Button, Collapsible, Input, Select, Static

import nsview.tui.app
from nsview.tui.launching.form import Ids
from nsview.tui.launching.panel import LaunchPanel
from nsview.tui.launching.pickers import NamespacePicker, Picker
from nsview.tui.launching.presets import PRESET_OF, PRESETS
from spawner import Mechanism
from spawner.flags import FLAGS
from spawner.namespaces import KINDS


class PanelApp(App[None]):
    """The panel alone."""

    CSS_PATH = Path(nsview.tui.app.__file__).with_name("app.tcss")

    def __init__(self, privileged: bool = True) -> None:
        super().__init__()
        self.panel = LaunchPanel(id="launch", privileged=privileged)
        self.wanted: list[LaunchPanel.Wanted] = []

    def compose(self) -> ComposeResult:
        yield self.panel

    @on(LaunchPanel.Wanted)
    def note(self, message: LaunchPanel.Wanted) -> None:
        self.wanted.append(message)

    def text(self, name: str) -> str:
        """What one of the panel's texts says; empty when it is not shown."""
        static = self.query_one(f"#{name}", Static)
        return str(static.render()) if static.display else ""


@asynccontextmanager
async def running(
    size: tuple[int, int] = (60, 60), privileged: bool = True
) -> AsyncIterator[tuple[PanelApp, Pilot[None]]]:
    app = PanelApp(privileged)
    async with app.run_test(size=size) as pilot:
        app.query_one(NamespacePicker).focus()
        await until(lambda: app.panel.outlook.plan is not None)
        yield app, pilot


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_letter_of_unshare_picks_and_drops_a_namespace(kind: object) -> None:
    async with running() as (app, pilot):
        await pilot.press(kind.letter)  # type: ignore[attr-defined]
        await until(lambda: app.panel.form.namespaces == {kind.name})  # type: ignore[attr-defined]
        await until(lambda: kind.flag_name in app.text("about"))  # type: ignore[attr-defined]
        await pilot.press(kind.letter)  # type: ignore[attr-defined]
        await until(lambda: not app.panel.form.namespaces)


async def test_cursor_and_space_pick_too() -> None:
    async with running() as (app, pilot):
        await pilot.press("home", "down", "space")
        await until(lambda: app.panel.form.namespaces == {"network"})


async def test_every_flag_is_offered_once_and_explained() -> None:
    async with running() as (app, pilot):
        offered = [
            picker.get_option_at_index(index).value
            for picker in app.query(Picker)
            if picker.id == "new-namespaces" or picker.has_class("flags")
            for index in range(picker.option_count)
        ]
        assert sorted(offered) == sorted(flag.bit for flag in FLAGS)
        app.query_one("#group-sharing", Collapsible).collapsed = False
        await pilot.pause()
        app.query_one("#flags-sharing", Picker).focus()
        await pilot.press("home", "down")
        await until(lambda: "CLONE_FS" in app.text("about") and "After exec" in app.text("about"))


async def test_refused_combination_is_explained_as_it_is_picked_and_the_plan_returns_without_it() -> None:
    async with running() as (app, pilot):
        await pilot.press("m")
        app.query_one("#flags-sharing", Picker).select(0x200)
        await until(lambda: "two mount namespaces" in app.text("problems"))
        assert "drop CLONE_FS" in app.text("problems")
        assert app.query_one("#go", Button).disabled
        assert not app.text("plan")
        await pilot.press("m")
        await until(lambda: not app.text("problems") and "execve" in app.text("plan"))
        assert not app.query_one("#go", Button).disabled


async def test_plan_follows_the_form_and_says_why_it_takes_a_mechanism() -> None:
    async with running() as (app, pilot):
        await until(lambda: "clone3: one call" in app.text("plan"))
        await pilot.press("u")
        app.panel.put("--hostname", "demo")
        await until(lambda: 'sethostname("demo", 4)' in app.text("plan"))
        app.query_one("#via", Select).value = Mechanism.FORK_UNSHARE.value
        await until(lambda: "unshare(CLONE_NEWUTS)" in app.text("plan"))


async def test_bad_quoting_is_explained_while_it_is_typed() -> None:
    async with running() as (app, pilot):
        app.query_one("#command", Input).focus()
        await pilot.press(*" 'x")
        await until(lambda: "end the quotation" in app.text("problems"))
        await pilot.press("'")
        await until(lambda: not app.text("problems"))


async def test_enter_on_the_command_line_and_the_button_want_the_launch() -> None:
    async with running() as (app, pilot):
        app.query_one("#command", Input).focus()
        await pilot.press("enter")
        await until(lambda: len(app.wanted) == 1)
        await pilot.click("#go")
        await until(lambda: len(app.wanted) == 2)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
async def test_preset_fills_the_form_and_keeps_the_command(preset: object) -> None:
    async with running() as (app, _pilot):
        app.query_one("#command", Input).value = "echo mine"
        await until(lambda: app.panel.form.command == "echo mine")
        app.query_one("#preset", Select).value = preset.name  # type: ignore[attr-defined]
        wanted = PRESET_OF[preset.name].form  # type: ignore[attr-defined]
        await until(lambda: app.panel.form == replace(wanted, command="echo mine"))


async def test_preset_is_no_longer_named_once_the_form_differs() -> None:
    async with running() as (app, pilot):
        app.panel.fill_preset("container")
        await until(lambda: app.query_one("#preset", Select).value == "container")
        await pilot.press("T")
        await until(lambda: app.query_one("#preset", Select).value is Select.NULL)
        assert "time" in app.panel.form.namespaces


async def test_without_privilege_picking_user_is_the_remedy() -> None:
    async with running(privileged=False) as (app, pilot):
        await pilot.press("u")
        await until(lambda: "pick user" in app.text("problems"))
        await pilot.press("U")
        await until(lambda: not app.text("problems"))


async def test_ids_reach_the_form() -> None:
    async with running() as (app, _pilot):
        app.query_one("#ids", Select).value = Ids.NONE.name
        await until(lambda: app.panel.form.ids is Ids.NONE)


@pytest.mark.parametrize("size", SIZES)
async def test_picked_and_not_picked_differ_without_colour(size: tuple[int, int]) -> None:
    async with running(size) as (app, pilot):
        await pilot.press("u")
        picker = app.query_one(NamespacePicker)
        lines = [picker.render_line(y).text for y in range(len(KINDS))]
        assert [line.startswith("[x]") for line in lines] == [kind.name == "uts" for kind in KINDS]
