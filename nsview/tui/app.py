"""The app: brings together what is launched, what the machine looks like, and the panes that show both."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import events, on, work
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import BindingType
from textual.screen import Screen
from textual.widgets import Footer, Input

from nsview.host.model import Identity
from nsview.host.text import printable
from nsview.tui.acting.table import ACT_OF
from nsview.tui.collecting.collector import Collector
from nsview.tui.comfort import applied
from nsview.tui.comfort.settings import Settings
from nsview.tui.comfort.settings import load as load_settings
from nsview.tui.desk import Compare, Desk, GoTo, Release
from nsview.tui.diff.choice import HOW, chosen
from nsview.tui.diff.pair import Pair
from nsview.tui.header import HeaderLine
from nsview.tui.keys import bindings
from nsview.tui.later import find
from nsview.tui.launching import warden
from nsview.tui.panes import Panes
from nsview.tui.processes.table import ProcTable

if TYPE_CHECKING:
    from textual.command import Provider

    from nsview.tui.acting.actor import Actor
    from nsview.tui.diff.panel import DiffPanel
    from nsview.tui.labs.panel import LabsPanel
    from nsview.tui.launching.conductor import Conductor
    from nsview.tui.launching.launcher import Born, Changed, Failed, Launcher
    from nsview.tui.launching.launches import Launches
    from nsview.tui.launching.panel import LaunchPanel
    from nsview.tui.namespaces.panel import NamespacePanel
    from nsview.tui.terminal.children_bar import ChildrenBar
    from nsview.tui.terminal.enter_act import EnterWanted
    from nsview.tui.terminal.pane import TerminalPane

SETTLED = 2.0
"""Seconds after which what the start has made is there."""


def _actions() -> type[Provider]:
    return cast("type[Provider]", find("nsview.tui.comfort.providers:Actions"))


def _processes() -> type[Provider]:
    return cast("type[Provider]", find("nsview.tui.comfort.providers:Processes"))


class NsviewApp(App[None]):
    """nsview's screen. Whatever ends it, all launched programs and their descendants end with it."""

    TITLE = "nsview"
    CSS_PATH = "app.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings()]
    COMMANDS = App.COMMANDS | {_actions, _processes}
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-mid"), (160, "-wide")]  # noqa: RUF012

    def __init__(
        self,
        *,
        read_only: bool = False,
        interval: float = 1.0,
        settings: Settings | None = None,
        whole: bool = True,
    ) -> None:
        """Set up; ``settings`` None: those of a person who has none, and nothing is remembered.

        ``whole``: all panes are made before the first picture. Else that shows the tree alone, the others are
        imported and made right after it, and keys wait for them.
        """
        super().__init__()
        self._settings = settings
        self.desk = desk = Desk(self, read_only=read_only, interval=interval, tell=self._tell)
        self.collector = desk.collector
        self.panes = Panes(desk, whole)
        self._to_select: Identity | None = desk.me
        self._memory: applied.Memory = {}
        self._early: list[events.InputEvent] = []

    @property
    def launcher(self) -> Launcher:
        """Who launches."""
        return self.desk.launcher

    @property
    def launches(self) -> Launches:
        """What was launched."""
        return self.desk.launches

    @cached_property
    def actor(self) -> Actor:
        """Who acts on processes."""
        make = find("nsview.tui.acting.actor:Actor")
        return cast("Actor", make(self, self.desk, self._acted_on, lambda: self.query_one(ProcTable).tagged))

    @cached_property
    def conductor(self) -> Conductor:
        """Who sees to launches."""
        return cast("Conductor", find("nsview.tui.launching.conductor:Conductor")(self))

    # The panes that are imported after the first picture.

    @property
    def _diff(self) -> DiffPanel:
        return cast("DiffPanel", self.query_one("#diff"))

    @property
    def _launch_panel(self) -> LaunchPanel:
        return cast("LaunchPanel", self.query_one("#launch"))

    @property
    def _terminals(self) -> TerminalPane:
        return cast("TerminalPane", self.query_one("#terminal"))

    # Life.

    def compose(self) -> ComposeResult:
        """Lay out header, panes and footer."""
        yield HeaderLine(read_only=self.desk.read_only, id="header")
        yield self.panes
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Start the threads, and leave in order when we are told to end."""
        self.collector.start()
        self.query_one(ProcTable).focus()
        if self._settings is not None:
            self._memory = applied.begin(self, self._settings)
        if not self.is_headless:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.exit, None, 128 + signal.SIGTERM)
            signal.signal(signal.SIGHUP, self._hung_up)
            self.set_timer(SETTLED, self._settle)
        if self.panes.whole:
            self._complete()

    def _complete(self) -> None:
        """Begin what needs all panes."""
        self.launcher.start()
        self._terminals.show_launches()
        if self._settings is not None:
            self._launch_panel.remembers = self._settings.remember
            applied.complete(self, self._settings, self._memory)

    async def _fill(self) -> None:
        """Once the first picture is on the screen, make the other panes; then do what was typed meanwhile."""
        painted = asyncio.Event()
        self.screen.call_after_refresh(painted.set)
        await painted.wait()
        await self.panes.fill()
        self._complete()
        while self._early:
            await super().on_event(self._early.pop(0))

    async def on_event(self, event: events.Event) -> None:
        """Keep what is typed until all panes are there."""
        if isinstance(event, events.InputEvent) and not self.panes.whole:
            self._early.append(event)
        else:
            await super().on_event(event)

    def _settle(self) -> None:
        """Let the collector of garbage begin, and pass over what is there by now: that stays.

        To look through all of it took a third of a second, every few seconds, with every thread at a standstill.
        """
        gc.freeze()
        gc.enable()

    def on_unmount(self) -> None:
        """End everything that was launched, and the threads."""
        self.close()

    def _hung_up(self, number: int, _frame: FrameType | None) -> None:
        """End at once: there is no terminal to put in order, and Textual would wait for ever to write to it."""
        self.desk.close()
        os._exit(128 + number)

    async def end_launches(self) -> None:
        """End all launched programs and the threads while the screen is still there."""
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """End all launched programs and the threads; returns when nothing is left. May be called again."""
        self.desk.close()
        self.collector.stop()

    # What the machine looks like.

    @on(Collector.Arrived)
    async def _frame(self) -> None:
        frame = self.collector.take_frame()
        if frame is None:
            return
        table = self.query_one(ProcTable)
        table.show(frame.rows)
        if self._to_select is not None and table.select(self._to_select):
            self._to_select = None
        self.desk.show(frame)
        # Before all panes are there nothing is launched, and what launches need not be there either.
        launched, ended = (len(self.launches), self.launches.ended) if self.panes.whole else (0, 0)
        self.query_one(HeaderLine).show(
            frame.snapshot,
            launched - ended,
            ended,
            self.collector.paused,
            table.view.reference.value,
            not self.desk.privileged,
        )
        if not self.panes.whole:
            await self._fill()

    @on(Collector.Failed)
    def _collector_failed(self, message: Collector.Failed) -> None:
        self.notify(printable(str(message)), severity="error", markup=False)

    def _tell(self, words: str) -> None:
        self.query_one(HeaderLine).tell(words)

    @on(ProcTable.ViewChanged)
    def _arrange(self, message: ProcTable.ViewChanged) -> None:
        self.collector.show_as(message.view)

    @on(ProcTable.Highlighted)
    def _compare_highlighted(self, message: ProcTable.Highlighted) -> None:
        if self._to_select is not None:
            return
        self.desk.look_at(message.identity)
        if message.identity is None or not self.panes.whole:
            return
        self._compare_with_parent(message.identity)
        launched = self.launches.of(message.identity)
        if launched is not None and launched.number != self.launches.chosen:
            self.conductor.choose(launched.number)

    @on(ProcTable.Selected)
    def _show_difference(self) -> None:
        self.action_pane("diff")

    @on(GoTo)
    def _go_to(self, message: GoTo) -> None:
        if self.query_one(ProcTable).select(message.identity):
            if message.pane is not None:
                self.action_pane(message.pane)
        else:
            self.notify(f"Process {message.identity[0]} is not in the list: gone, or filtered out.", severity="warning")

    @on(Compare)
    def _compare_two(self, message: Compare) -> None:
        self.compare(message.parent, message.child, held=True)
        if message.front:
            self.action_pane("diff")

    @on(Release)
    def _release(self, message: Release) -> None:
        if self._diff.held and self._diff.pair == Pair(message.parent, message.child):
            self._diff.action_release()

    def action_compare_marked(self) -> None:
        """Compare two that are tagged, or the marked one and that under the cursor, until a person lets go of them."""
        table = self.query_one(ProcTable)
        pair = chosen(table.view.tagged, table.view.marked, table.highlighted)
        if pair is None:
            self.notify(HOW, severity="warning")
        else:
            self.post_message(Compare(pair.parent, pair.child))

    def _compare_with_parent(self, child: Identity) -> None:
        """Compare with the parent, unless two that were chosen by hand are held."""
        if self._diff.held:
            return
        parent = self.query_one(ProcTable).rows.parent_of(child)
        if parent is None and self.launches.of(child) is not None:
            parent = self.desk.me
        self.compare(parent, child)

    def compare(self, parent: Identity | None, child: Identity, held: bool = False) -> None:
        """Compare these two from now on; ``held``: until a person lets go of them."""
        panel = self._diff
        if parent is None:
            panel.clear(f"Process {child[0]} has no parent to be compared with.")
        else:
            panel.compare(Pair(parent, child), (self._title_of(parent), self._title_of(child)), held)

    def _title_of(self, identity: Identity) -> str:
        launched = self.launches.of(identity)
        record = self.query_one(ProcTable).rows.record_of(identity)
        comm = launched.title if launched is not None else "?" if record is None else record.comm
        return f"{identity[0]} {printable(comm)}"

    def select(self, identity: Identity) -> None:
        """Put the tree's cursor on a process, now or as soon as it has a row."""
        table = self.query_one(ProcTable)
        if table.highlighted != identity:
            # While this is set the cursor's other places do not change the comparison.
            self._to_select = None if table.select(identity) else identity

    # Launching. Found by their names, for what they handle need not be imported for the first picture.

    def on_launch_panel_wanted(self, message: LaunchPanel.Wanted) -> None:
        """Launch what the panel says."""
        self.conductor.wanted(message)

    def on_enter_wanted(self, message: EnterWanted) -> None:
        """Launch a shell in a process's namespaces."""
        self.conductor.enter(message)

    async def on_born(self, message: Born) -> None:
        """Show a child that was born."""
        await self.conductor.born(message)

    def on_changed(self, message: Changed) -> None:
        """Show how a child stands now."""
        self.conductor.changed(message)

    def on_failed(self, message: Failed) -> None:
        """Say why nothing was launched."""
        self.conductor.failed(message)

    def on_children_bar_chosen(self, message: ChildrenBar.Chosen) -> None:
        """Bring the launch that was clicked on to the front."""
        self.conductor.choose(message.number)

    def on_child_terminal_left(self) -> None:
        """Give the keys back to the tree."""
        self.action_leave_terminal()

    def on_diff_panel_released(self) -> None:
        """Compare by the tree's cursor again."""
        if self.desk.process is not None:
            self._compare_with_parent(self.desk.process)

    def on_read_only(self) -> None:
        """Say that launching is switched off."""
        self.actor.say_read_only()

    # Actions.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave keys to a terminal, a dialog or a line being typed; step only who is held."""
        in_terminal = self.panes.takes_all_keys(self.focused)
        if in_terminal or action in ("leave_terminal", "full_screen"):
            return in_terminal and action in ("leave_terminal", "full_screen")
        if action in ("pane", "new") and (isinstance(self.focused, Input) or self.screen.is_modal):
            return False
        if action == "new" and self.panes.pane_of(self.focused) == "namespaces":
            return False  # n is network there
        if action in ("launch", "launch_stopped", "act") and self.screen.is_modal:
            return False
        if action in ("step", "resume"):
            launched = self.launches.front
            return launched is not None and launched.held is not None
        return True

    def action_launch(self) -> None:
        """Launch what the panel says."""
        self.conductor.want()

    def action_launch_stopped(self) -> None:
        """Launch what the panel says, held before its first step."""
        self.conductor.want(stopped=True)

    def action_leave_terminal(self) -> None:
        """Give the keys back to the tree."""
        self.action_pane("tree")

    def action_full_screen(self) -> None:
        """Show the terminal alone on the whole screen, or all again."""
        self.panes.fill_screen(not self.panes.fills_screen)

    def action_pane(self, pane: str) -> None:
        """Bring a pane to the front."""
        self.panes.show(pane)

    def action_new(self) -> None:
        """Fill in a new launch."""
        self.action_pane("launch")

    def action_inspect(self) -> None:
        """Show the namespaces of the process under the tree's cursor."""
        cast("NamespacePanel", self.query_one("#namespaces")).link()
        self.action_pane("namespaces")

    def action_zoom(self) -> None:
        """Show the pane alone, or all of them again."""
        self.panes.zoom()

    def action_pause(self) -> None:
        """Let the picture stand still, or live again."""
        if self.collector.paused:
            self.collector.resume()
        else:
            self.collector.pause()
            self.collector.refresh_now()

    def action_step(self) -> None:
        """Let the held child do one step."""
        self.conductor.step()

    def action_resume(self) -> None:
        """Let the held child go on to the next breakpoint, or to the program."""
        self.conductor.resume()

    def action_child(self, by: int) -> None:
        """Choose the next launch, or the one before."""
        self.conductor.choose(self.launches.neighbour(by))

    def action_close_child(self) -> None:
        """Close the chosen launch if it has ended; end it if it is held."""
        self.conductor.close()

    def action_act(self, name: str) -> None:
        """Act on the process looked at: ask, do, and tell what the kernel says (nsview/tui/acting/table.py)."""
        self.actor.begin(ACT_OF[name])

    def _acted_on(self) -> Identity | None:
        """The launch whose panes have the focus, else the process under the cursor."""
        front = self.launches.front
        of_launch = self.panes.pane_of(self.focused) in ("terminal", "timeline")
        return front.identity if of_launch and front is not None else self.desk.process

    def action_help(self) -> None:
        """Show help on the pane that has the focus."""
        from nsview.tui.comfort.help import Help, text_for

        self.push_screen(Help(text_for(self.focused)))

    @work
    async def action_jump(self) -> None:
        """Give the keys to what is chosen by its letter."""
        await find("nsview.tui.comfort.jump:jump")(self)

    @work
    async def action_copy(self) -> None:
        """Ask what to copy: of a launch where one has the keys, else about the process under the cursor."""
        if self.panes.pane_of(self.focused) in ("launch", "timeline"):
            self.action_copy_as()
            return
        frame, who = self.desk.frame, self.desk.process
        record = None if frame is None or who is None else frame.rows.record_of(who)
        if frame is not None and record is not None:
            own = frame.snapshot.records.get(os.getpid())
            await find("nsview.tui.comfort.copies:copy_about")(self, record, None if own is None else own.ns)

    def action_copy_as(self) -> None:
        """Show a launch in other words: what the launch panel says where that has the keys, else the one in front."""
        in_panel = self.panes.pane_of(self.focused) == "launch"
        find("nsview.tui.launching.copy_as:copy_launch")(
            self, self._launch_panel, None if in_panel else self.launches.front
        )

    def action_picture(self) -> None:
        """Keep a picture of the screen in a file."""
        find("nsview.tui.comfort.picture:take")(self)

    async def action_quit(self) -> None:
        """End all launched programs and leave."""
        await self.end_launches()
        self.exit()

    def exit(self, result: None = None, return_code: int = 0, message: Any = None) -> None:
        """Leave, and remember how things were arranged."""
        if self._settings is not None and self.is_running:
            applied.remember(self, self._settings)
        super().exit(result, return_code, message)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Offer our own commands and those of Textual's that suit."""
        from nsview.tui.comfort.commands import LEFT_OUT, commands

        yield from commands(self, self.use_preset, self.run_lab)
        for command in super().get_system_commands(screen):
            if command.title not in LEFT_OUT:
                yield command

    def use_preset(self, name: str) -> None:
        """Fill in the launch panel from a preset and show it."""
        self._launch_panel.fill_preset(name)
        self.action_pane("launch")

    def run_lab(self, name: str, stepping: bool) -> None:
        """Run a lab and show it."""
        self.action_pane("labs")
        cast("LabsPanel", self.query_one("#labs")).begin_named(name, stepping=stepping)


def main(*, read_only: bool = False, interval: float | None = None) -> int:
    """Run the UI; options outweigh settings. Return the exit status."""
    Path("/proc/self/comm").write_text("nsview")
    gc.disable()  # until everything is there
    if not read_only:
        warden.post()
    settings = load_settings()
    app = NsviewApp(
        read_only=read_only or settings.read_only,
        interval=interval or settings.interval or 1.0,
        settings=settings,
        whole=False,
    )
    try:
        app.run()
    finally:
        app.close()
    return app.return_code or 0
