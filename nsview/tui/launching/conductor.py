"""What becomes of launches in the app: wanted, born, changed, failed, chosen; and which panes show that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nsview.host.text import printable
from nsview.tui.launching.form import hold_before
from nsview.tui.launching.launcher import Born, Changed, Failed
from nsview.tui.launching.panel import LaunchPanel
from nsview.tui.launching.wording import launch_ending
from nsview.tui.terminal.enter_act import EnterWanted
from nsview.tui.terminal.pane import TerminalPane
from spawner import Spec

if TYPE_CHECKING:
    from nsview.tui.app import NsviewApp


class Conductor:
    """One for the app, which hands it the messages of launch panel and launcher, and the keys about launches."""

    def __init__(self, app: NsviewApp) -> None:
        self._app = app
        self._desk = app.desk
        self._launches = app.desk.launches
        self._launcher = app.desk.launcher
        self._entering: Spec | None = None

    @property
    def _panel(self) -> LaunchPanel:
        return self._app.query_one(LaunchPanel)

    @property
    def _terminals(self) -> TerminalPane:
        return self._app.query_one(TerminalPane)

    # What a person wants.

    def want(self, stopped: bool = False) -> None:
        """Launch what the panel says; ``stopped``: held before its first step."""
        if stopped:
            self._launches.stop_at_once = True
        self._panel.want()

    def wanted(self, message: LaunchPanel.Wanted) -> None:
        """Launch, unless the panel says why not."""
        hold, stops = self._launches.take_holds(hold_before if message.form.hold else None)
        spec = message.outlook.spec
        if spec is None or message.outlook.problems:
            self._app.notify("Not launched: the panel says why.", severity="error")
            self._app.action_pane("launch")
            return
        self._launcher.launch(replace(spec, window=self._terminals.window), hold, breakpoints=stops)

    def enter(self, message: EnterWanted) -> None:
        """Launch a shell in the namespaces of a process."""
        self._entering = replace(message.spec, window=self._terminals.window)
        self._launcher.launch(self._entering)

    def step(self) -> None:
        """Let the held child do one step."""
        if self._launches.chosen is not None:
            self._launcher.step(self._launches.chosen)

    def resume(self) -> None:
        """Let the held child go on to the next breakpoint, or to the program."""
        launched = self._launches.front
        if launched is not None:
            self._launcher.resume(launched.number, self._launches.next_stop(launched))

    def close(self) -> None:
        """Close the chosen launch if it has ended; end it if it is held."""
        launched = self._launches.front
        if launched is None:
            return
        if launched.held is not None:
            self._launcher.abort(launched.number)
            return
        if launched.exit is None:
            self._app.notify(f"{launched.pid} is running: k signals it", severity="warning")
            return
        self._launches.drop(launched.number)
        self._terminals.close(launched.number)
        self.choose(self._launches.chosen)

    # What has become of it.

    async def born(self, message: Born) -> None:
        """Give a child its terminal, and bring it to the front."""
        launched = message.launched
        self._launches.put(launched)
        if message.pty is not None:
            await self._terminals.add(launched.number, message.pty)
        self._desk.collector.launched(launched.identity)
        self.choose(launched.number)
        panes = self._app.panes
        panes.show("diff", focus=False)
        watched = launched.held is not None or launched.beside is not None
        panes.show("timeline" if watched else "terminal" if message.pty is not None else "diff")

    def changed(self, message: Changed) -> None:
        """Show that a child was stepped, runs, or has ended."""
        launched = message.launched
        if launched.number not in self._launches:
            return
        before = self._launches[launched.number]
        self._launches.put(launched)
        collector = self._desk.collector
        if launched.identity != before.identity:  # its plan has forked a second time
            collector.exited(before.identity, f"went on as {launched.pid}")
            collector.launched(launched.identity)
        if launched.exit is not None:
            collector.exited(launched.identity, launch_ending(launched))
            ended = f"{launched.pid} {printable(launched.title)} {launch_ending(launched)}"
            self._app.notify(ended, markup=False)
        elif before.held is not None and launched.held is None and launched.spec.stdio == "pty":
            self._app.action_pane("terminal")
        if launched.trouble is not None:
            self._tell_failure([str(launched.trouble)])
        if launched.number == self._launches.chosen and launched.identity != before.identity:
            self.choose(launched.number)
        elif launched.number == self._launches.chosen:
            self._show_chosen()
        else:
            self._terminals.show_launches()

    def failed(self, message: Failed) -> None:
        """Say why nothing was launched."""
        lines = [str(problem) for problem in message.problems]
        if message.error is not None:
            lines.append(str(message.error))
        if message.spec is self._entering:
            self._app.notify(printable(f"Not entered. {lines[0]}"), severity="error", markup=False, timeout=15)
            return
        self._tell_failure(lines)
        self._app.action_pane("launch")

    def _tell_failure(self, lines: list[str]) -> None:
        self._panel.explain_failure(lines)
        self._app.notify(printable(f"Launch failed. {lines[0]}"), severity="error", markup=False, timeout=15)

    def choose(self, number: int | None) -> None:
        """Bring a launch to the front: its terminal, its timeline, its row, its difference from us."""
        self._launches.chosen = number
        self._show_chosen()
        if number is None:
            return
        identity = self._launches[number].identity
        self._app.select(identity)
        self._desk.look_at(identity)
        self._app.compare(self._desk.me, identity)

    def _show_chosen(self) -> None:
        self._desk.on_launch.publish(self._launches.front)
        self._app.refresh_bindings()
