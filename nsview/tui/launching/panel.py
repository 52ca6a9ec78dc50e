"""The launch panel: fill in a launch, see at once what the kernel would say to it and the plan as it will run."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Input, Label, Select, SelectionList, Static, TextArea
from textual.widgets.selection_list import Selection

from nsview.host.text import printable
from nsview.tui.collecting.lane import Lane
from nsview.tui.desk import Desk
from nsview.tui.launching import history, profiles
from nsview.tui.launching.form import Form, Ids, Origin, Outlook, outlook
from nsview.tui.launching.history import Entry
from nsview.tui.launching.measured import Measured
from nsview.tui.launching.outlook_text import about_flag, about_row, plan_text, problems_text
from nsview.tui.launching.pickers import NamespacePicker, Picker
from nsview.tui.launching.presets import PRESET_OF, PRESETS, Preset
from nsview.tui.launching.profiles import Profile
from nsview.tui.launching.prompts import HistoryPicker, ProfilePrompt
from nsview.tui.launching.section_view import Fold, FormInput, OptionInput, OptionLines, SectionView
from nsview.tui.launching.sections import SECTIONS, Row
from spawner import Mechanism
from spawner.flags import FLAGS, GROUPS, Flag, Group
from spawner.namespaces import ALL_FLAGS, KINDS

_TICKS = (
    "mount /proc anew, to see the new pid namespace in it",
    "hold before exec, to look at the child and step it",
)
_MOUNT_PROC, _HOLD = range(len(_TICKS))

_OTHERS = tuple(flag for flag in FLAGS if not flag.bit & ALL_FLAGS)

_READ_ONLY = "Read-only: what would happen is shown, and nothing is launched."


def launch_panel(desk: Desk) -> LaunchPanel:
    """Make the panel of a desk."""
    return LaunchPanel(privileged=desk.privileged, read_only=desk.read_only)


class LaunchPanel(Vertical):
    """The form, what is wrong with it, and the plan; ``form`` is what it says now, ``outlook`` what that means.

    Enter on the command line, the button or F5 post ``Wanted``.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave_field", "Leave field", show=False, id="launch.leave-field"),
        # First: what is typed right after one of these is for its dialog, not for who has the keys now.
        *(
            Binding(key, does, does.capitalize(), show=False, priority=True, id=f"launch.{does}", tooltip=tooltip)
            for key, does, tooltip in (
                ("f2", "save", "save the form as a profile"),
                ("f3", "load", "load a profile into the form"),
                ("f4", "history", "take up a launch of before"),
            )
        ),
    ]

    HELP = """
    # Launch

    Tick the namespaces the child shall have for itself (their letters, as in `unshare`, tick them too), further
    clone flags in the groups below, and type a command line. The plan shows every system call before anything
    runs. What the kernel would refuse is explained at once. **Enter** on the command line, or **F5**, launches.

    The sections below hold every other option of `nsview run`, by its name there: open one with **Enter**, go up
    and down with the arrows, give the letters back to the namespaces with **Esc**. What the option under the
    cursor does, and what is wrong with what you typed, is said at the bottom of the form. A row for several values
    takes them parted by spaces.

    **F2** saves what the form says as a profile, a file that `nsview run --profile` reads too; **F3** loads one:
    what no row can show is kept, and named. **F4** offers the launches of this and earlier sessions.

    *Hold before exec* stops the child when all is set up and the program has not started: then `s` does one step
    at a time, `r` runs on.
    """

    class Wanted(Message):
        """The person wants to launch what the form says."""

        def __init__(self, form: Form, outlook: Outlook) -> None:
            super().__init__()
            self.form = form
            self.outlook = outlook

    class Judged(Message):
        """What the form means has been worked out."""

    def __init__(
        self, *, id: str | None = None, classes: str | None = None, privileged: bool = True, read_only: bool = False
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.form = Form()
        self.origin = Origin(privileged, dict(os.environ))
        self.outlook = Outlook()
        self._measured = Measured()
        self.remembers = True
        """Whether launches go into the history."""
        self._read_only = read_only
        self._judged: Form | None = None
        self._wanted = False
        self._as_judged = False
        """Whether the problems shown are those of the form: not why the last launch failed."""
        self._profile = ""
        self._sections: list[SectionView] = []
        self._groups: dict[Group, tuple[Fold, Picker]] = {}
        self._noticed: set[str] = set()
        # Users are looked up and files looked at, perhaps over a network: never in the UI's loop.
        self._judge = Lane("nsview-outlook", self._work_out, lambda: self.post_message(self.Judged()), self._failed)

    # What is on it.

    def compose(self) -> ComposeResult:
        """Lay out the form and, below or beside it, its outlook."""
        with Vertical(id="launch-fields"):
            with VerticalScroll(id="launch-form", can_focus=False):
                with Horizontal(classes="row"):
                    yield Label("Run")
                    yield FormInput(self.form.command, id="command", compact=True, placeholder="a command line")
                    yield Button("Launch", id="go", compact=True, variant="primary", tooltip="F5")
                yield from self._compose_choice("Preset", "preset", [(one.title, one.name) for one in PRESETS], None)
                with Horizontal(classes="row"):
                    yield Label("Profile")
                    for name, title, key in (
                        ("load", "Load…", "F3"),
                        ("save", "Save…", "F2"),
                        ("history", "History…", "F4"),
                    ):
                        yield Button(title, id=name, compact=True, tooltip=key)
                with Horizontal(classes="row", id="kept"):
                    yield Static("", id="kept-fields", markup=False)
                    yield Button("Drop", id="drop", compact=True)
                yield Label("New namespaces", classes="heading")
                yield NamespacePicker()
                ids = [(ids.value, ids.name) for ids in Ids]
                yield from self._compose_choice("Ids", "ids", ids, self.form.ids.name)
                yield from self._compose_choice("Via", "via", [(via.value, via.value) for via in Mechanism], "auto")
                yield Picker(*(Selection(text, place) for place, text in enumerate(_TICKS)), id="ticks")
                self._sections = [SectionView(section, self.form) for section in SECTIONS]
                yield from self._sections
                for group, means in GROUPS.items():
                    yield from self._compose_group(group, means)
            yield Static("", id="about", markup=False)
        with VerticalScroll(id="launch-outlook"):
            yield Static(_READ_ONLY if self._read_only else "", id="read-only", markup=False)
            yield Static("", id="problems", markup=False)
            yield Static("", id="plan", markup=False)

    def _compose_choice(
        self, label: str, name: str, choices: list[tuple[str, str]], value: str | None
    ) -> ComposeResult:
        with Horizontal(classes="row"):
            yield Label(label)
            if value is None:
                yield Select(choices, prompt="choose…", id=name, compact=True)
            else:
                yield Select(choices, value=value, allow_blank=False, id=name, compact=True)

    def _compose_group(self, group: Group, means: str) -> ComposeResult:
        members = [flag for flag in _OTHERS if flag.group == group]
        if members:
            width = max(len(flag.short) for flag in members)
            picker = Picker(*(_row(flag, width) for flag in members), id=f"flags-{group}", classes="flags")
            self._groups[group] = Fold(picker, title=f"Flags · {group}: {means}", id=f"group-{group}"), picker
            yield self._groups[group][0]

    def on_mount(self) -> None:
        """Work out the first plan."""
        self.query_one("#read-only").display = self._read_only
        self.query_one("#kept").display = False
        self._judge.start()
        self.change(self.form)

    def on_unmount(self) -> None:
        """End the thread."""
        self._judge.end()
        self._judge.join()

    # The form.

    def change(self, form: Form) -> None:
        """Take another form, which the fields show already, and work out what it means."""
        self.form = form
        self._judge.ask()
        preset = self.query_one("#preset", Select)
        if isinstance(preset.value, str) and not self._is(PRESET_OF[preset.value]):
            with self.prevent(Select.Changed):
                preset.clear()
        for group, (collapsible, picker) in self._groups.items():
            chosen = len(picker.selected)
            collapsible.title = f"Flags · {group}: {f'{chosen} picked' if chosen else GROUPS[group]}"

    def fill(self, form: Form) -> None:
        """Put a form into the fields."""
        with self.prevent(SelectionList.SelectedChanged, Input.Changed, Select.Changed):
            self.query_one("#command", Input).value = form.command
            self.query_one("#ids", Select).value = form.ids.name
            self.query_one("#via", Select).value = form.via.value
            picked = form.clone_flags | sum(kind.flag for kind in KINDS if kind.name in form.namespaces)
            for picker in self._flag_pickers():
                picker.tick({flag.bit for flag in FLAGS if flag.bit & picked})
        self._show_rows(form)
        self.change(form)

    def put(self, key: str, text: str) -> None:
        """Put a text into one row."""
        self.fill(self.form.put(key, text))

    def fill_preset(self, name: str) -> None:
        """Put a preset into the fields; the command line stays."""
        self.fill(replace(PRESET_OF[name].form, command=self.form.command))
        with self.prevent(Select.Changed):
            self.query_one("#preset", Select).value = name

    def _show_rows(self, form: Form) -> None:
        ticked = {place for place, on in ((_MOUNT_PROC, form.text("--mount-proc")), (_HOLD, form.hold)) if on}
        with self.prevent(SelectionList.SelectedChanged):
            self.query_one("#ticks", Picker).tick(ticked)
        for view in self._sections:
            view.show(form, self.outlook.wrong, texts=True)
        self.query_one("#kept").display = bool(form.kept)
        self.query_one("#kept-fields", Static).update(f"also {', '.join(name for name, _ in form.kept)}")

    @on(SectionView.Edited)
    def _edited(self, event: SectionView.Edited) -> None:
        event.stop()
        self.change(self.form.put(event.row.key, event.text))
        if event.row.key == "--mount-proc":
            self._show_rows(self.form)

    @on(Input.Changed, "#command")
    def _command_typed(self, event: Input.Changed) -> None:
        event.stop()
        self.change(replace(self.form, command=event.input.value))

    @on(SelectionList.SelectedChanged, "#ticks")
    def _ticked(self, event: SelectionList.SelectedChanged[int]) -> None:
        event.stop()
        ticked = event.selection_list.selected
        form = replace(self.form, hold=_HOLD in ticked)
        if (_MOUNT_PROC in ticked) != bool(form.text("--mount-proc")):
            form = form.put("--mount-proc", "/proc" if _MOUNT_PROC in ticked else "")
            self._show_rows(form)
        self.change(form)

    @on(SelectionList.SelectedChanged, "#new-namespaces")
    @on(SelectionList.SelectedChanged, ".flags")
    def _picked(self, event: SelectionList.SelectedChanged[int]) -> None:
        event.stop()
        picked = sum(value for picker in self._flag_pickers() for value in picker.selected)
        names = frozenset(kind.name for kind in KINDS if picked & kind.flag)
        self.change(replace(self.form, namespaces=names, clone_flags=picked & ~ALL_FLAGS))

    @on(Select.Changed)
    def _chosen(self, event: Select.Changed) -> None:
        event.stop()
        match event.select.id, event.select.value:
            case "preset", str(name) if not self._is(PRESET_OF[name]):
                self.fill_preset(name)
            case "ids", str(name):
                self.change(replace(self.form, ids=Ids[name]))
            case "via", str(name):
                self.change(replace(self.form, via=Mechanism(name)))

    def _flag_pickers(self) -> list[Picker]:
        return [self.query_one(NamespacePicker), *(picker for _, picker in self._groups.values())]

    def _is(self, preset: Preset) -> bool:
        return replace(preset.form, command=self.form.command) == self.form

    # What it means.

    def _work_out(self) -> tuple[Form, Outlook]:
        form = self.form
        return form, outlook(form, replace(self.origin, found=self._measured.newest()))

    def _failed(self, error: Exception) -> None:
        self.app.call_from_thread(self.explain_failure, [str(error)])

    @on(Judged)
    def _show_outlook(self, event: Judged) -> None:
        event.stop()
        newest = self._judge.newest()
        if newest is None or newest[0] is not self.form:
            return
        before = self.outlook
        self._judged, self.outlook = newest
        # Each new text means a new layout of the screen: few keys change both.
        if self.outlook.problems != before.problems or not self._as_judged:
            problems = self.query_one("#problems", Static)
            problems.display = bool(self.outlook.problems)
            problems.update(problems_text(self.outlook))
        self._as_judged = True
        if (self.outlook.plan, self.outlook.advice) != (before.plan, before.advice):
            plan = self.query_one("#plan", Static)
            plan.display = self.outlook.plan is not None
            if self.outlook.plan is not None:
                plan.update(plan_text(self.outlook.plan, self.outlook.advice))
        self.query_one("#go", Button).disabled = self.outlook.plan is None or self._read_only
        for view in self._sections:
            view.show(self.form, self.outlook.wrong)
        self._explain(self.app.focused)
        if self._wanted:
            self.want()

    # Profiles and what was launched before.

    # The dialogs are there at once, not when a worker gets its turn: keys typed ahead are theirs.

    @on(Button.Pressed, "#load")
    def action_load(self) -> None:
        """Ask for a profile and put it into the fields."""
        self.app.push_screen(ProfilePrompt(), self._loaded)

    def _loaded(self, found: Profile | None) -> None:
        if found is not None:
            self._profile = profiles.called(found.path)
            self.fill(found.form)
            self.notify(f"Loaded {printable(self._profile)}", markup=False)

    @on(Button.Pressed, "#save")
    def action_save(self) -> None:
        """Ask for a name and save what the fields say as a profile."""
        self.app.push_screen(ProfilePrompt(self.form, self._profile), self._saved)

    def _saved(self, found: Profile | None) -> None:
        if found is not None:
            self._profile = profiles.called(found.path)
            self.notify(f"Saved {printable(self._profile)}", markup=False)

    @on(Button.Pressed, "#history")
    def action_history(self) -> None:
        """Offer the launches of before; take one up again, or launch it at once."""
        self.app.push_screen(HistoryPicker(self._past), self._taken_up)

    def _taken_up(self, picked: tuple[Form, bool] | None) -> None:
        if picked is not None:
            form, at_once = picked
            self.fill(form)
            if at_once:
                self.want()

    def _past(self) -> tuple[Entry, ...]:
        found = history.read()
        if found.notice:
            self.app.call_from_thread(self._notice, found.notice)
        return found.entries

    def _notice(self, text: str) -> None:
        """Tell what is wrong with the history, once."""
        if text not in self._noticed:
            self._noticed.add(text)
            self.notify(printable(text), severity="warning", markup=False)

    @work(group="history")
    async def _remember(self, form: Form) -> None:
        try:
            await asyncio.to_thread(history.record, form)
        except OSError as error:
            self._notice(f"not added to the history: {history.path()}: {error.strerror}")
        except history.TooLongError as error:
            self._notice(str(error))

    @on(Button.Pressed, "#drop")
    def _drop_kept(self, event: Button.Pressed) -> None:
        event.stop()
        self.fill(replace(self.form, kept=()))

    # What is under the cursor.

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Tell what the field is that has the focus now."""
        self._explain(event.widget)

    @on(SelectionList.SelectionHighlighted)
    def _highlighted(self, event: SelectionList.SelectionHighlighted[int]) -> None:
        event.stop()
        picker = event.selection_list
        if picker.has_focus or picker.id == "new-namespaces":
            self._explain(picker)

    @on(TextArea.SelectionChanged)
    def _line_changed(self, event: TextArea.SelectionChanged) -> None:
        event.stop()
        self._explain(event.text_area)

    def _explain(self, field: object) -> None:
        """Say what the field under the cursor does, and what is wrong with what is in it."""
        match field:
            case OptionInput() | OptionLines():
                line = field.line if isinstance(field, OptionLines) else ""
                self._tell(about_row(field.row, line, self.outlook.wrong.get(field.row.key, "")))
            case Picker() if field.has_class("options") and field.highlighted is not None:
                self._tell(about_row(self._ticked_row(field), "", ""))
            case Picker() if field.id != "ticks" and field.highlighted is not None:
                bit = field.get_option_at_index(field.highlighted).value
                self._tell(about_flag(next(flag for flag in FLAGS if flag.bit == bit)))

    def _ticked_row(self, picker: Picker) -> Row:
        rows = next(node for node in picker.ancestors if isinstance(node, SectionView)).ticks
        return rows[picker.highlighted or 0]

    def _tell(self, content: Content) -> None:
        self.query_one("#about", Static).update(content)

    def action_leave_field(self) -> None:
        """Give the keys to the list of namespaces, where digits and letters are keys again."""
        self.query_one(NamespacePicker).focus()

    # Launching.

    @on(Input.Submitted)
    @on(Button.Pressed, "#go")
    def _go(self, event: Message) -> None:
        event.stop()
        self.want()

    def want(self) -> None:
        """Ask for the launch of what the form says, as soon as it is known what that means."""
        if self._read_only:
            self.notify(_READ_ONLY, severity="warning")
            return
        self._wanted = self._judged is not self.form
        if not self._wanted:
            if self.outlook.plan is not None and self.remembers:
                self._remember(self.form)
            self.post_message(self.Wanted(self.form, self.outlook))

    def explain_failure(self, lines: Iterable[str]) -> None:
        """Show above the plan why the last launch failed, until the form changes."""
        self._as_judged = False
        problems = self.query_one("#problems", Static)
        problems.update(Content("\n").join(Content.styled(f"✗ {printable(line)}", "$text-error") for line in lines))
        problems.display = True


def _row(flag: Flag, width: int) -> Selection[int]:
    return Selection(Content.assemble((f"{flag.short:{width}} ", "bold"), (flag.does, "dim")), flag.bit)
