"""The launch panel: pick flags, see at once what the kernel would say to them and the plan as it will run."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.strip import Strip
from textual.widgets import Button, Collapsible, Input, Label, Select, SelectionList, Static
from textual.widgets.selection_list import Selection

from nsview.host.text import printable
from nsview.tui.launching.form import PRESET_OF, PRESETS, Form, Ids, Origin, Outlook, Preset, outlook
from spawner import Mechanism, Plan
from spawner.flags import FLAGS, GROUPS, Flag
from spawner.namespaces import ALL_FLAGS, BY_LETTER, KINDS

_TEXTS = ("command", "hostname", "domainname", "boottime", "monotonic", "cwd")
"""Fields of the form that are typed."""

_TICKS = (
    ("mount_proc", "mount /proc anew, to see the new pid namespace in it"),
    ("hold", "hold before exec, to look at the child and step it"),
)
"""Fields of the form that are ticked."""

_OTHERS = tuple(flag for flag in FLAGS if not flag.bit & ALL_FLAGS)


class Picker(SelectionList[int]):
    """A list of flags to tick; tells which one the cursor is on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,enter", "select", "Pick", id="picker.pick", key_display="Space"),
    ]

    DEFAULT_CSS = """
    Picker {
        height: auto;
        border: none;
        padding: 0;
        background: $surface;
        text-wrap: nowrap;
        text-overflow: ellipsis;
        scrollbar-size: 0 0;
        &:focus { border: none; }
    }
    """

    def tick(self, values: Collection[int]) -> None:
        """Pick these of the list and no others."""
        for index in range(self.option_count):
            value = self.get_option_at_index(index).value
            (self.select if value in values else self.deselect)(value)

    def render_line(self, y: int) -> Strip:
        """Draw ``[x]`` or ``[ ]``: SelectionList tells them apart by colour alone, which not every screen has."""
        strip = super().render_line(y)
        index = self.scroll_offset.y + y
        if index >= self.option_count:
            return strip
        _left, button, _right, blank, *rest = strip
        picked = self.get_option_at_index(index).value in self.selected
        style = (blank.style or Style()) + Style(meta={"option": index}, bold=picked)
        if picked and button.style is not None:
            style += Style(color=button.style.color)
        box = Segment("[x]" if picked else "[ ]", style)
        return Strip([box, blank, *rest])


class NamespacePicker(Picker):
    """The eight namespaces; their letters, as in unshare(1), pick them too."""

    def __init__(self) -> None:
        width = max(len(kind.name) for kind in KINDS)
        rows = [
            Selection(
                Content.assemble((kind.letter, "bold"), f" {kind.name:{width}} ", (kind.isolates, "dim")),
                kind.flag,
            )
            for kind in KINDS
        ]
        super().__init__(*rows, id="namespaces")

    def on_key(self, event: events.Key) -> None:
        """Toggle the namespace whose letter was typed, and put the cursor there."""
        kind = BY_LETTER.get(event.character or "")
        if kind is not None:
            event.stop()
            self.toggle(kind.flag)
            self.highlighted = KINDS.index(kind)


class LaunchPanel(Vertical):
    """The form, what is wrong with it, and the plan; ``form`` is what it says now.

    Enter on the command line, the button or F5 post ``Wanted``.
    """

    HELP = """
    # Launch

    Tick the namespaces the child shall have for itself (their letters, as in `unshare`, tick them too), further
    clone flags in the groups below, and type a command line. The plan shows every system call before anything
    runs. What the kernel would refuse is explained at once. **Enter** on the command line, or **F5**, launches.

    *Hold before exec* stops the child when all is set up and the program has not started: then `s` does one step
    at a time, `r` runs on.
    """

    class Wanted(Message):
        """The person wants to launch what the form says."""

        def __init__(self, form: Form, outlook: Outlook) -> None:
            super().__init__()
            self.form = form
            self.outlook = outlook

    def __init__(self, *, id: str | None = None, classes: str | None = None, privileged: bool = True) -> None:
        super().__init__(id=id, classes=classes)
        self.form = Form()
        self.origin = Origin(os.geteuid(), os.getegid(), privileged, dict(os.environ))
        self.outlook = Outlook()

    def compose(self) -> ComposeResult:
        """Lay out the form and, below or beside it, its outlook."""
        with VerticalScroll(id="launch-form", can_focus=False):
            with Horizontal(classes="row"):
                yield Label("Run")
                yield Input(self.form.command, id="command", compact=True, placeholder="a command line")
                yield Button("Launch", id="go", compact=True, variant="primary", tooltip="F5")
            with Horizontal(classes="row"):
                yield Label("Preset")
                yield Select(
                    [(preset.title, preset.name) for preset in PRESETS],
                    prompt="choose…",
                    id="preset",
                    compact=True,
                )
            yield Label("New namespaces", classes="heading")
            yield NamespacePicker()
            yield Static("", id="about", markup=False)
            yield from self._compose_details()
            for group, means in GROUPS.items():
                yield from self._compose_group(group, means)
        with VerticalScroll(id="launch-outlook"):
            yield Static("", id="problems", markup=False)
            yield Static("", id="plan", markup=False)

    def _compose_details(self) -> ComposeResult:
        with Horizontal(classes="row"):
            yield Label("Ids")
            yield Select(
                [(ids.value, ids.name) for ids in Ids],
                value=self.form.ids.name,
                allow_blank=False,
                id="ids",
                compact=True,
                tooltip="how our user and group id look in a new user namespace",
            )
        with Horizontal(classes="row"):
            yield Label("Host")
            yield Input(id="hostname", compact=True, placeholder="hostname")
            yield Input(id="domainname", compact=True, placeholder="domain name")
        with Horizontal(classes="row"):
            yield Label("Clock +")
            yield Input(id="boottime", compact=True, placeholder="boot time, s")
            yield Input(id="monotonic", compact=True, placeholder="monotonic, s")
        with Horizontal(classes="row"):
            yield Label("In")
            yield Input(id="cwd", compact=True, placeholder="working directory")
        with Horizontal(classes="row"):
            yield Label("Via")
            yield Select(
                [(via.value, via.value) for via in Mechanism],
                value=self.form.via.value,
                allow_blank=False,
                id="via",
                compact=True,
            )
        yield Picker(*(Selection(text, place) for place, (_, text) in enumerate(_TICKS)), id="ticks")

    def _compose_group(self, group: str, means: str) -> ComposeResult:
        members = [flag for flag in _OTHERS if flag.group == group]
        if members:
            with Collapsible(title=f"{group}: {means}", id=f"group-{group}"):
                width = max(len(flag.short) for flag in members)
                yield Picker(*(_row(flag, width) for flag in members), id=f"flags-{group}")

    def on_mount(self) -> None:
        """Work out the first plan."""
        self._read()

    # The form.

    def fill(self, form: Form) -> None:
        """Put a form into the fields."""
        self.form = form
        with self.prevent(SelectionList.SelectedChanged, Input.Changed, Select.Changed):
            for name in _TEXTS:
                self.query_one(f"#{name}", Input).value = getattr(form, name)
            self.query_one("#ids", Select).value = form.ids.name
            self.query_one("#via", Select).value = form.via.value
            picked = form.clone_flags | sum(kind.flag for kind in KINDS if kind.name in form.namespaces)
            for picker in self._flag_pickers():
                picker.tick({flag.bit for flag in FLAGS if flag.bit & picked})
            ticked = {place for place, (name, _) in enumerate(_TICKS) if getattr(form, name)}
            self.query_one("#ticks", Picker).tick(ticked)
        self._judge()

    def fill_preset(self, name: str) -> None:
        """Put a preset into the fields; the command line stays."""
        self.fill(replace(PRESET_OF[name].form, command=self.form.command))
        with self.prevent(Select.Changed):
            self.query_one("#preset", Select).value = name

    @on(SelectionList.SelectedChanged)
    @on(Input.Changed)
    @on(Select.Changed)
    def _read(self, event: Message | None = None) -> None:
        """Make the form anew from the fields."""
        if event is not None:
            event.stop()
        if isinstance(event, Select.Changed) and event.select.id == "preset":
            if isinstance(event.value, str) and not self._is(PRESET_OF[event.value]):
                self.fill_preset(event.value)
            return
        picked = sum(value for picker in self._flag_pickers() for value in picker.selected)
        ticked = self.query_one("#ticks", Picker).selected
        texts: dict[str, Any] = {name: self.query_one(f"#{name}", Input).value for name in _TEXTS}
        ticks: dict[str, Any] = {name: place in ticked for place, (name, _) in enumerate(_TICKS)}
        self.form = Form(
            **texts,
            **ticks,
            namespaces=frozenset(kind.name for kind in KINDS if picked & kind.flag),
            clone_flags=picked & ~ALL_FLAGS,
            ids=Ids[str(self.query_one("#ids", Select).value)],
            via=Mechanism(str(self.query_one("#via", Select).value)),
        )
        self._judge()

    def _flag_pickers(self) -> list[Picker]:
        return [picker for picker in self.query(Picker) if picker.id != "ticks"]

    def _is(self, preset: Preset) -> bool:
        return replace(preset.form, command=self.form.command) == self.form

    def _judge(self) -> None:
        self.outlook = outlook(self.form, self.origin)
        preset = self.query_one("#preset", Select)
        if isinstance(preset.value, str) and not self._is(PRESET_OF[preset.value]):
            with self.prevent(Select.Changed):
                preset.clear()
        problems = self.query_one("#problems", Static)
        problems.display = bool(self.outlook.problems)
        problems.update(_problems_text(self.outlook))
        plan = self.query_one("#plan", Static)
        plan.display = self.outlook.plan is not None
        if self.outlook.plan is not None:
            plan.update(_plan_text(self.outlook.plan))
        self.query_one("#go", Button).disabled = self.outlook.plan is None
        for group in GROUPS:
            for collapsible in self.query(f"#group-{group}").results(Collapsible):
                chosen = len(collapsible.query_one(Picker).selected)
                collapsible.title = f"{group}: {chosen} picked" if chosen else f"{group}: {GROUPS[group]}"

    # The flag under the cursor.

    @on(SelectionList.SelectionHighlighted)
    def _explain(self, event: SelectionList.SelectionHighlighted[int]) -> None:
        event.stop()
        if event.selection_list in self._flag_pickers() and (
            event.selection_list.has_focus or event.selection_list.id == "namespaces"
        ):
            flag = next(flag for flag in FLAGS if flag.bit == event.selection.value)
            self.query_one("#about", Static).update(_about(flag))

    # Launching.

    @on(Input.Submitted, "#command")
    @on(Button.Pressed, "#go")
    def _go(self, event: Message) -> None:
        event.stop()
        self.want()

    def want(self) -> None:
        """Ask for the launch of what the form says."""
        self.post_message(self.Wanted(self.form, self.outlook))

    def explain_failure(self, lines: Iterable[str]) -> None:
        """Show above the plan why the last launch failed, until the form changes."""
        problems = self.query_one("#problems", Static)
        problems.update(Content("\n").join(Content.styled(f"✗ {printable(line)}", "$text-error") for line in lines))
        problems.display = True


def _row(flag: Flag, width: int) -> Selection[int]:
    return Selection(Content.assemble((f"{flag.short:{width}} ", "bold"), (flag.does, "dim")), flag.bit)


def _about(flag: Flag) -> Content:
    return Content.assemble((flag.name, "bold"), f" {flag.does} ", (f"After exec: {flag.after_exec}", "dim"))


def _problems_text(outlook: Outlook) -> Content:
    lines = []
    for problem in outlook.problems:
        lines.append(Content.styled(f"✗ {printable(problem.message)}", "$text-error"))
        if problem.remedy:
            lines.append(Content.styled(f"  → {printable(problem.remedy)}", "$text-success"))
    return Content("\n").join(lines)


def _plan_text(plan: Plan) -> Content:
    lines = [Content.assemble((f"{plan.mechanism}", "bold"), f": {plan.why}")]
    lines += [Content.styled(f"note: {note}", "$text-warning") for note in plan.notes]
    lines.append(Content.styled(plan.birth, "$text-accent"))
    width = len(str(len(plan.steps)))
    phase = ""
    for index, step in enumerate(plan.steps):
        head = f"{step.phase}" if step.phase != phase else ""
        phase = step.phase
        if head:
            lines.append(Content.styled(head, "$text-muted italic"))
        lines.append(Content.assemble((f"{index:{width}} ", "dim"), printable(str(step))))
    return Content("\n").join(lines)
