"""The launch panel's sections on the screen: opened, filled in by keys and mouse, checked as one types."""

from __future__ import annotations

from dataclasses import replace

import pytest
from golden import assert_golden, screen_text
from launch_panel_app import PanelApp, lying_still, running
from screen import SIZES, until
from textual import events
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import Button, Select
from textual.widgets.collapsible import CollapsibleTitle

from nsview.tui.launching.form import Form, filled
from nsview.tui.launching.pickers import NamespacePicker, Picker
from nsview.tui.launching.presets import PRESET_OF
from nsview.tui.launching.section_view import OptionInput, OptionLines, SectionView
from nsview.tui.launching.sections import ON, SECTIONS, Shape
from spawner.oci import IOPriority


async def opened(app: PanelApp, pilot: Pilot[None], name: str) -> SectionView:
    """Open a section by its title, as a person does."""
    view = app.query_one(f"#section-{name}", SectionView)
    view.query_one(CollapsibleTitle).focus()
    await pilot.press("enter")
    await until(lambda: not view.collapsed and view.query(".row, OptionLines, Picker"))
    return view


def field(view: SectionView, key: str) -> OptionInput:
    """The line of an option."""
    return next(one for one in view.query(OptionInput) if one.row.key == key)


async def click(app: PanelApp, pilot: Pilot[None], widget: Widget) -> None:
    """Click near the left edge of a widget, once it has been scrolled to and lies still."""
    form = app.query_one("#launch-form")
    widget.scroll_visible(animate=False)
    await until(lambda: widget.region.area and form.region.contains_region(widget.region))
    before = None
    while before != widget.region:
        before = widget.region
        await pilot.pause(0.05)
    assert await pilot.click(widget, offset=(3, 0))


async def test_sections_are_closed_and_make_no_widgets_before_they_are_opened() -> None:
    async with running() as (app, pilot):
        assert len(app.query(SectionView)) == len(SECTIONS)
        assert not app.query("OptionInput, OptionLines")
        for section in SECTIONS:
            view = await opened(app, pilot, section.name)
            offered = [one.row for one in [*view.query(OptionInput), *view.query(OptionLines)]]
            assert {row.key for row in [*offered, *view.ticks]} == {row.key for row in section.rows}


@pytest.mark.parametrize("size", SIZES)
async def test_what_is_typed_is_checked_explained_and_counted(size: tuple[int, int]) -> None:
    async with running(size) as (app, pilot):
        view = await opened(app, pilot, "limits")
        memory = field(view, "--memory")
        memory.focus()
        await until(lambda: "--memory BYTES memory of its control group" in app.text("about"))
        await pilot.press(*"64Q")
        await until(lambda: "✗ '64Q' is no size" in app.text("about"))
        await until(lambda: "memory: '64Q' is no size" in app.text("problems"))
        assert memory.has_class("-wrong")
        assert "✗ memory" in screen_text(app)
        assert view.title.startswith("Limits ✗: 1 set: memory")
        assert app.query_one("#go", Button).disabled
        await pilot.press("backspace", "M")
        await until(lambda: app.panel.outlook.plan is not None and app.panel.form.text("--memory") == "64M")
        assert not memory.has_class("-wrong")
        assert view.title == "Limits: 1 set: memory"
        assert "memory" in app.text("plan")
        assert not app.query_one("#go", Button).disabled


@pytest.mark.parametrize("size", SIZES)
async def test_arrows_go_through_the_fields_and_escape_leaves_them(size: tuple[int, int]) -> None:
    async with running(size) as (app, pilot):
        view = await opened(app, pilot, "limits")
        await until(lambda: app.focused is field(view, "--rlimit"))
        await pilot.press("up")
        await until(lambda: app.focused is view.query_one(CollapsibleTitle))
        await pilot.press("up", "down", "down", "down")
        await until(lambda: app.focused is field(view, "--cgroup-name"))
        await pilot.press("down", "down", "up")
        await until(lambda: app.focused is field(view, "--memory"))
        await until(lambda: app.screen.region.contains_region(field(view, "--memory").region))
        await pilot.press("escape")
        await until(lambda: isinstance(app.focused, NamespacePicker))
        await pilot.press("u")
        await until(lambda: app.panel.form.namespaces == {"uts"})


async def test_keys_that_come_all_at_once_edit_in_their_order() -> None:
    async with running() as (app, pilot):
        view = await opened(app, pilot, "limits")
        await until(lambda: app.focused is field(view, "--rlimit"))
        keys = [*"NOFIL=77", *["backspace"] * 3, *"E=7", "left", "home", "delete", "N", "end", "7"]
        for key in keys:
            event = events.Key(key, key if len(key) == 1 else None)
            event.set_sender(app)
            app._driver.send_message(event)  # type: ignore[union-attr]
        await until(lambda: app.panel.form.text("--rlimit") == "NOFILE=77")


async def test_files_are_lines_whose_meaning_is_told_as_one_goes_through_them() -> None:
    async with running() as (app, pilot):
        view = await opened(app, pilot, "files")
        lines = view.query_one(OptionLines)
        lines.focus()
        await pilot.press(*"ro-bind / /", "enter", *"tmp")
        await until(lambda: "tmpfs, tmp-overlay" in app.text("about"))
        assert "there is no 'tmp': tmpfs, tmp-overlay" in app.text("problems")
        await pilot.press(*"fs /tmp")
        await until(lambda: "tmpfs DEST: an empty tmpfs" in app.text("about"))
        await until(lambda: view.title == "Files: 2 lines" and "tmpfs" in app.text("plan"))
        await pilot.press("up")
        await until(lambda: "ro-bind SRC DEST" in app.text("about"))
        await pilot.press("up")
        await until(lambda: isinstance(app.focused, CollapsibleTitle))
        assert app.panel.form.text("files") == "ro-bind / /\ntmpfs /tmp"


async def test_a_command_line_of_bwrap_can_be_pasted_into_files() -> None:
    async with running() as (app, pilot):
        view = await opened(app, pilot, "files")
        lines = view.query_one(OptionLines)
        lines.insert("--ro-bind /usr /usr --proc /proc --symlink usr/bin /bin")
        await until(lambda: app.panel.outlook.plan is not None and len(app.panel.outlook.spec.mounts) == 3)  # type: ignore[union-attr]


async def test_ticks_are_ticked_by_keys_and_mouse() -> None:
    async with running() as (app, pilot):
        view = await opened(app, pilot, "security")
        picker = view.query_one(Picker)
        picker.focus()
        await pilot.press("space")
        await until(lambda: app.panel.form.text("--no-new-privs") == ON)
        await until(lambda: "no execve give privileges" in app.text("about"))
        await click(app, pilot, picker)
        await until(lambda: app.panel.form.text("--no-new-privs") == "")


async def test_mouse_opens_a_section_and_gives_a_field_the_keys() -> None:
    async with running((80, 24)) as (app, pilot):
        view = app.query_one("#section-ids", SectionView)
        await click(app, pilot, view.query_one(CollapsibleTitle))
        await until(lambda: view.query(OptionInput))
        await click(app, pilot, field(view, "--map-user"))
        await pilot.press("7")
        await until(lambda: app.panel.form.text("--map-user") == "7")


async def test_the_tick_for_proc_and_its_row_are_one() -> None:
    async with running() as (app, pilot):
        view = await opened(app, pilot, "system")
        ticks = app.query_one("#ticks", Picker)
        ticks.select(0)
        await until(lambda: field(view, "--mount-proc").value == "/proc")
        field(view, "--mount-proc").value = ""
        await until(lambda: not ticks.selected and not app.panel.form.text("--mount-proc"))


async def test_a_preset_fills_open_sections_and_another_empties_them() -> None:
    async with running() as (app, pilot):
        files, security = await opened(app, pilot, "files"), await opened(app, pilot, "security")
        app.panel.fill_preset("sandbox")
        await until(lambda: files.query_one(OptionLines).text == PRESET_OF["sandbox"].form.text("files"))
        assert field(security, "--seccomp").value == "default"
        assert security.query_one(Picker).selected == [0]
        await until(lambda: app.panel.outlook.plan is not None)
        assert app.panel.form == PRESET_OF["sandbox"].form
        app.panel.fill_preset("plain")
        await until(lambda: not files.query_one(OptionLines).text and not security.query_one(Picker).selected)
        assert app.query_one("#preset", Select).value == "plain"


async def test_every_field_of_every_section_reaches_the_form() -> None:
    async with running() as (app, pilot):
        wanted = Form()
        for section in SECTIONS:
            view = await opened(app, pilot, section.name)
            for one in view.query(OptionInput):
                one.value = one.row.example
            for lines in view.query(OptionLines):
                lines.text = lines.row.example
            for picker in view.query(Picker):
                picker.select_all()
            wanted = filled(wanted, {row.key: ON if row.shape is Shape.TICK else row.example for row in section.rows})
        await until(lambda: app.panel.form == wanted)


async def test_fields_no_row_shows_are_named_and_can_be_dropped() -> None:
    async with running() as (app, pilot):
        kept = Form(kept=(("io_priority", IOPriority("IOPRIO_CLASS_IDLE")), ("personality", 8)))
        app.panel.fill(kept)
        await until(lambda: "also io_priority, personality" in screen_text(app))
        await until(lambda: "ioprio_set" in app.text("plan"))
        await click(app, pilot, app.query_one("#drop"))
        await until(lambda: app.panel.form == replace(kept, kept=()) and "ioprio_set" not in app.text("plan"))
        assert "personality" not in screen_text(app)


async def test_read_only_shows_the_plan_and_launches_nothing() -> None:
    async with running((120, 40), read_only=True) as (app, pilot):
        assert "nothing is launched" in app.text("read-only")
        assert app.text("plan")
        assert app.query_one("#go", Button).disabled
        app.query_one("#command").focus()
        await pilot.press("enter")
        await until(lambda: any("Read-only" in note.message for note in app._notifications))
        assert not app.wanted


async def test_a_launch_wanted_while_the_form_is_being_worked_out_is_that_of_the_newest_form() -> None:
    async with running() as (app, _pilot):
        for command in ("one", "two", "three"):
            app.panel.fill(replace(app.panel.form, command=command))
        app.panel.want()
        await until(lambda: app.wanted)
        assert app.wanted[0].form.command == "three"
        assert app.wanted[0].outlook.spec is not None
        assert app.wanted[0].outlook.spec.args == ("three",)


@pytest.mark.parametrize("size", SIZES)
async def test_whole_panel_with_something_wrong(size: tuple[int, int]) -> None:
    async with running(size) as (app, pilot):
        texts = {"--memory": "64Q", "files": "ro-bind / /\ndev /dev", "--hostname": "box", "--init": ON}
        app.panel.fill(filled(Form(namespaces=frozenset({"mount", "uts", "pid"})), texts))
        view = await opened(app, pilot, "limits")
        field(view, "--memory").focus()
        await until(lambda: "is no size" in app.text("about") and "is no size" in app.text("problems"))
        await lying_still(app, pilot, view)
        assert_golden(app, "launch-wrong")
