"""The launch panel in a running app: picking, explaining, planning; nothing is launched."""

from __future__ import annotations

from dataclasses import replace

import pytest
from launch_panel_app import running
from screen import SIZES, until
from textual.widgets import Button, Collapsible, Input, Select

from nsview.labs import kept
from nsview.labs.lab import Axis, Measurement, Report, Series, Setting, Spread
from nsview.labs.table import find
from nsview.tui.launching.form import Ids
from nsview.tui.launching.pickers import NamespacePicker, Picker
from nsview.tui.launching.presets import PRESETS
from spawner import Mechanism
from spawner.flags import FLAGS
from spawner.namespaces import KINDS


async def test_letters_of_unshare_pick_and_drop_namespaces() -> None:
    async with running() as (app, pilot):
        for kind in KINDS:
            await pilot.press(kind.letter)
            await until(lambda kind=kind: app.panel.form.namespaces == {kind.name})
            await until(lambda kind=kind: kind.flag_name in app.text("about"))
            assert kind.still_shared in app.text("about")
            await pilot.press(kind.letter)
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


async def test_advice_beside_the_plan_says_what_cannot_be_taken_what_can_and_what_is_not_measured() -> None:
    async with running() as (app, pilot):
        await until(lambda: "also clone, fork, vfork, fork+unshare" in app.text("plan"))
        assert "not posix_spawn: has no attribute for pdeathsig" in app.text("plan")
        assert "costs here not measured yet: nsview lab mechanisms" in app.text("plan")
        await pilot.press("u")
        await until(lambda: "not fork, vfork, posix_spawn: cannot make namespaces" in app.text("plan"))
        app.query_one("#via", Select).value = Mechanism.FORK_UNSHARE.value
        await until(lambda: "also clone3, clone" in app.text("plan"))
        assert "cannot make namespaces" in app.text("plan")


@pytest.mark.parametrize("size", SIZES)
async def test_advice_cites_what_a_lab_has_measured_on_this_machine(size: tuple[int, int]) -> None:
    points = tuple((x << 20, Spread(ns, ns, ns, 7)) for x, ns in ((16, 1_234_000), (256, 1_346_000)))
    axes = Axis("the parent's memory", "bytes", True), Axis("time", "ns", True)
    whole = Measurement("whole", "until the child has been waited for", *axes, (Series("clone3", points),))
    kept.keep(Report(find("mechanisms"), (whole,), None, Setting()))
    async with running(size) as (app, _pilot):
        await until(lambda: "costs here clone3 1.23ms, 1.35ms (caller of 16M, 256M); nsview lab" in app.text("plan"))


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


async def test_presets_fill_the_form_and_keep_the_command() -> None:
    async with running() as (app, _pilot):
        app.query_one("#command", Input).value = "echo mine"
        await until(lambda: app.panel.form.command == "echo mine")
        for preset in PRESETS:
            app.query_one("#preset", Select).value = preset.name
            wanted = replace(preset.form, command="echo mine")
            await until(lambda wanted=wanted: app.panel.form == wanted)
            await until(lambda: app.panel.outlook.plan is not None)


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
