"""The app: brings together what is launched, what the machine looks like, and the panes that show both."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar

from textual import on, work
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import BindingType
from textual.screen import Screen
from textual.widgets import Footer, Input

from nsview.host.model import Identity
from nsview.host.text import printable
from nsview.tui.acting.actor import Actor
from nsview.tui.acting.read_only import ReadOnly
from nsview.tui.acting.table import ACT_OF
from nsview.tui.collecting.collector import Collector
from nsview.tui.comfort import applied, picture
from nsview.tui.comfort.commands import LEFT_OUT, commands
from nsview.tui.comfort.copies import copy_about
from nsview.tui.comfort.help import Help, text_for
from nsview.tui.comfort.jump import jump
from nsview.tui.comfort.providers import Actions, Processes
from nsview.tui.comfort.settings import Settings
from nsview.tui.comfort.settings import load as load_settings
from nsview.tui.desk import Compare, Desk, GoTo
from nsview.tui.diff.choice import HOW, chosen
from nsview.tui.diff.comparer import Pair
from nsview.tui.diff.panel import DiffPanel
from nsview.tui.header import HeaderLine
from nsview.tui.keys import bindings
from nsview.tui.launching import warden
from nsview.tui.launching.copy_as import copy_launch
from nsview.tui.launching.form import hold_before
from nsview.tui.launching.launcher import Born, Changed, Failed
from nsview.tui.launching.panel import LaunchPanel
from nsview.tui.launching.wording import launch_ending
from nsview.tui.namespaces.panel import NamespacePanel
from nsview.tui.panes import Panes
from nsview.tui.processes.table import ProcTable
from nsview.tui.terminal.children_bar import ChildrenBar
from nsview.tui.terminal.enter_act import Enter
from nsview.tui.terminal.pane import TerminalPane
from nsview.tui.terminal.terminal import ChildTerminal
from spawner import Spec

SETTLED = 2.0
"""Seconds after which what the start has made is there."""


class NsviewApp(App[None]):
    """nsview's screen. Whatever ends it, all launched programs and their descendants end with it."""

    TITLE = "nsview"
    CSS_PATH = "app.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings()]
    COMMANDS = App.COMMANDS | {Actions, Processes}
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-mid"), (160, "-wide")]  # noqa: RUF012

    def __init__(self, *, read_only: bool = False, interval: float = 1.0, settings: Settings | None = None) -> None:
        """Set up; ``settings`` None: those of a person who has none, and nothing is remembered."""
        super().__init__()
        self._settings = settings
        self.desk = desk = Desk(self, read_only=read_only, interval=interval)
        self.launcher, self.collector, self.launches = desk.launcher, desk.collector, desk.launches
        self.panes = Panes(desk)
        self.actor = Actor(self, desk, self._acted_on, lambda: self.query_one(ProcTable).tagged)
        self._to_select: Identity | None = desk.me
        self._entering: Spec | None = None

    # Life.

    def compose(self) -> ComposeResult:
        """Lay out header, panes and footer."""
        yield HeaderLine(read_only=self.desk.read_only, id="header")
        yield self.panes
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Start the threads, and leave in order when we are told to end."""
        self.launcher.start()
        self.collector.start()
        self.query_one(TerminalPane).show_launches()
        self.query_one(ProcTable).focus()
        if self._settings is not None:
            applied.begin(self, self._settings)
        if not self.is_headless:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.exit, None, 128 + signal.SIGTERM)
            signal.signal(signal.SIGHUP, self._hung_up)
            self.set_timer(SETTLED, self._settle)

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
        self.launcher.close()
        os._exit(128 + number)

    async def end_launches(self) -> None:
        """End all launched programs and the threads while the screen is still there."""
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """End all launched programs and the threads; returns when nothing is left. May be called again."""
        self.launcher.close()
        self.collector.stop()

    # What the machine looks like.

    @on(Collector.Arrived)
    def _frame(self) -> None:
        frame = self.collector.take_frame()
        if frame is None:
            return
        table = self.query_one(ProcTable)
        table.show(frame.rows)
        if self._to_select is not None and table.select(self._to_select):
            self._to_select = None
        self.desk.show(frame)
        ended = self.launches.ended
        self.query_one(HeaderLine).show(
            frame.snapshot,
            len(self.launches) - ended,
            ended,
            self.collector.paused,
            table.view.reference.value,
            not self.desk.privileged,
        )

    @on(Collector.Failed)
    def _collector_failed(self, message: Collector.Failed) -> None:
        self.notify(printable(str(message)), severity="error", markup=False)

    @on(ProcTable.ViewChanged)
    def _arrange(self, message: ProcTable.ViewChanged) -> None:
        self.collector.show_as(message.view)

    @on(ProcTable.Highlighted)
    def _compare_highlighted(self, message: ProcTable.Highlighted) -> None:
        if self._to_select is not None:
            return
        self.desk.look_at(message.identity)
        if message.identity is None:
            return
        self._compare_with_parent(message.identity)
        launched = self.launches.of(message.identity)
        if launched is not None and launched.number != self.launches.chosen:
            self._choose(launched.number)

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
        self._compare(message.parent, message.child, held=True)
        self.action_pane("diff")

    def action_compare_marked(self) -> None:
        """Compare two that are tagged, or the marked one and that under the cursor, until a person lets go of them."""
        table = self.query_one(ProcTable)
        pair = chosen(table.view.tagged, table.view.marked, table.highlighted)
        if pair is None:
            self.notify(HOW, severity="warning")
        else:
            self.post_message(Compare(pair.parent, pair.child))

    @on(DiffPanel.Released)
    def _compare_by_cursor(self) -> None:
        if self.desk.process is not None:
            self._compare_with_parent(self.desk.process)

    def _compare_with_parent(self, child: Identity) -> None:
        """Compare with the parent, unless two that were chosen by hand are held."""
        if self.query_one(DiffPanel).held:
            return
        parent = self.query_one(ProcTable).rows.parent_of(child)
        if parent is None and self.launches.of(child) is not None:
            parent = self.desk.me
        self._compare(parent, child)

    def _compare(self, parent: Identity | None, child: Identity, held: bool = False) -> None:
        panel = self.query_one(DiffPanel)
        if parent is None:
            panel.clear(f"Process {child[0]} has no parent to be compared with.")
        else:
            panel.compare(Pair(parent, child), (self._title_of(parent), self._title_of(child)), held)

    def _title_of(self, identity: Identity) -> str:
        launched = self.launches.of(identity)
        record = self.query_one(ProcTable).rows.record_of(identity)
        comm = launched.title if launched is not None else "?" if record is None else record.comm
        return f"{identity[0]} {printable(comm)}"

    # Launching.

    def action_launch(self) -> None:
        """Launch what the panel says."""
        self.query_one(LaunchPanel).want()

    def action_launch_stopped(self) -> None:
        """Launch what the panel says, held before its first step."""
        self.launches.stop_at_once = True
        self.query_one(LaunchPanel).want()

    @on(LaunchPanel.Wanted)
    def _launch(self, message: LaunchPanel.Wanted) -> None:
        holds = self.launches.take_holds(hold_before if message.form.hold else None)
        spec = message.outlook.spec
        if spec is None or message.outlook.problems:
            self.notify("Not launched: the panel says why.", severity="error")
            self.action_pane("launch")
            return
        spec = replace(spec, window=self.query_one(TerminalPane).window)
        hold, stops = holds
        self.launcher.launch(spec, hold, breakpoints=stops)

    @on(Enter)
    def _enter(self, message: Enter) -> None:
        self._entering = replace(message.spec, window=self.query_one(TerminalPane).window)
        self.launcher.launch(self._entering)

    @on(Born)
    async def _born(self, message: Born) -> None:
        launched = message.launched
        self.launches.put(launched)
        identity = launched.identity
        if message.pty is not None:
            await self.query_one(TerminalPane).add(launched.number, message.pty)
        self.collector.launched(identity)
        self._choose(launched.number)
        panes = self.panes
        panes.show("diff", focus=False)
        watched = launched.held is not None or launched.beside is not None
        panes.show("timeline" if watched else "terminal" if message.pty is not None else "diff")

    @on(Changed)
    def _changed(self, message: Changed) -> None:
        launched = message.launched
        if launched.number not in self.launches:
            return
        before = self.launches[launched.number]
        self.launches.put(launched)
        if launched.identity != before.identity:  # its plan has forked a second time
            self.collector.exited(before.identity, f"went on as {launched.pid}")
            self.collector.launched(launched.identity)
        if launched.exit is not None:
            self.collector.exited(launched.identity, launch_ending(launched))
            self.notify(f"{launched.pid} {printable(launched.title)} {launch_ending(launched)}", markup=False)
        elif before.held is not None and launched.held is None and launched.spec.stdio == "pty":
            self.action_pane("terminal")
        if launched.trouble is not None:
            self._tell_failure([str(launched.trouble)])
        if launched.number == self.launches.chosen and launched.identity != before.identity:
            self._choose(launched.number)
        elif launched.number == self.launches.chosen:
            self._show_chosen()
        else:
            self.query_one(TerminalPane).show_launches()

    @on(Failed)
    def _failed(self, message: Failed) -> None:
        lines = [str(problem) for problem in message.problems]
        if message.error is not None:
            lines.append(str(message.error))
        if message.spec is self._entering:
            self.notify(printable(f"Not entered. {lines[0]}"), severity="error", markup=False, timeout=15)
            return
        self._tell_failure(lines)
        self.action_pane("launch")

    def _tell_failure(self, lines: list[str]) -> None:
        self.query_one(LaunchPanel).explain_failure(lines)
        self.notify(printable(f"Launch failed. {lines[0]}"), severity="error", markup=False, timeout=15)

    def _choose(self, number: int | None) -> None:
        """Bring a launch to the front: its terminal, its timeline, its row, its difference from us."""
        self.launches.chosen = number
        self._show_chosen()
        if number is None:
            return
        launched = self.launches[number]
        identity = launched.identity
        table = self.query_one(ProcTable)
        if table.highlighted != identity:
            # While this is set the cursor's other places do not change the comparison.
            self._to_select = None if table.select(identity) else identity
        self.desk.look_at(identity)
        self._compare(self.desk.me, identity)

    def _show_chosen(self) -> None:
        self.desk.on_launch.publish(self.launches.front)
        self.refresh_bindings()

    @on(ChildrenBar.Chosen)
    def _child_clicked(self, message: ChildrenBar.Chosen) -> None:
        self._choose(message.number)

    @on(ChildTerminal.Left)
    def action_leave_terminal(self) -> None:
        """Give the keys back to the tree."""
        self.action_pane("tree")

    def action_full_screen(self) -> None:
        """Show the terminal alone on the whole screen, or all again."""
        self.panes.fill_screen(not self.panes.fills_screen)

    # Actions.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave keys to a terminal, a dialog or a line being typed; step only who is held."""
        in_terminal = isinstance(self.focused, ChildTerminal)
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

    def action_pane(self, pane: str) -> None:
        """Bring a pane to the front."""
        self.panes.show(pane)

    def action_new(self) -> None:
        """Fill in a new launch."""
        self.action_pane("launch")

    def action_inspect(self) -> None:
        """Show the namespaces of the process under the tree's cursor."""
        self.query_one(NamespacePanel).link()
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
        if self.launches.chosen is not None:
            self.launcher.step(self.launches.chosen)

    def action_resume(self) -> None:
        """Let the held child go on to the next breakpoint, or to the program."""
        launched = self.launches.front
        if launched is not None:
            self.launcher.resume(launched.number, self.launches.next_stop(launched))

    def action_child(self, by: int) -> None:
        """Choose the next launch, or the one before."""
        self._choose(self.launches.neighbour(by))

    def action_close_child(self) -> None:
        """Close the chosen launch if it has ended; end it if it is held."""
        launched = self.launches.front
        if launched is None:
            return
        if launched.held is not None:
            self.launcher.abort(launched.number)
            return
        if launched.exit is None:
            self.notify(f"{launched.pid} is running: k signals it", severity="warning")
            return
        self.launches.drop(launched.number)
        self.query_one(TerminalPane).close(launched.number)
        self._choose(self.launches.chosen)

    def action_act(self, name: str) -> None:
        """Act on the process looked at: ask, do, and tell what the kernel says (nsview/tui/acting/table.py)."""
        self.actor.begin(ACT_OF[name])

    def _acted_on(self) -> Identity | None:
        """The launch whose panes have the focus, else the process under the cursor."""
        front = self.launches.front
        of_launch = self.panes.pane_of(self.focused) in ("terminal", "timeline")
        return front.identity if of_launch and front is not None else self.desk.process

    @on(ReadOnly)
    def _only_looks(self) -> None:
        self.actor.say_read_only()

    def action_help(self) -> None:
        """Show help on the pane that has the focus."""
        self.push_screen(Help(text_for(self.focused)))

    @work
    async def action_jump(self) -> None:
        """Give the keys to what is chosen by its letter."""
        await jump(self)

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
            await copy_about(self, record, None if own is None else own.ns)

    def action_copy_as(self) -> None:
        """Show a launch in other words: what the launch panel says where that has the keys, else the one in front."""
        in_panel = self.panes.pane_of(self.focused) == "launch"
        copy_launch(self, self.query_one(LaunchPanel), None if in_panel else self.launches.front)

    def action_picture(self) -> None:
        """Keep a picture of the screen in a file."""
        picture.take(self)

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
        yield from commands(self, self.use_preset)
        for command in super().get_system_commands(screen):
            if command.title not in LEFT_OUT:
                yield command

    def use_preset(self, name: str) -> None:
        """Fill in the launch panel from a preset and show it."""
        self.query_one(LaunchPanel).fill_preset(name)
        self.action_pane("launch")


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
    )
    try:
        app.run()
    finally:
        app.close()
    return app.return_code or 0
