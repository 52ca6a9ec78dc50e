"""What the command palette finds: every action of every pane, and every process."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from textual.app import App
from textual.command import DiscoveryHit, Hit, Hits, Provider

from nsview.host.snapshot import ProcessRecord
from nsview.host.text import printable
from nsview.tui.comfort.bound import Bound, all_bound
from nsview.tui.desk import Desk, GoTo
from nsview.tui.keys import KEYS
from nsview.tui.panes import Panes

MOST = 50
"""Processes found for one text at most: more is no help, and costs."""


class Actions(Provider):
    """The actions of the panes' own keys; those of the app's keys are offered besides (comfort/commands.py)."""

    async def startup(self) -> None:
        """Look once at what there is."""
        ours = {key.id for key in KEYS}
        self._found = [one for one in all_bound(self.app.screen_stack[0]) if one.binding.id not in ours]

    async def search(self, query: str) -> Hits:
        """Yield what fits."""
        matcher = self.matcher(query)
        for one in self._found:
            text = title(one)
            if (score := matcher.match(text)) > 0:
                yield Hit(score, matcher.highlight(text), partial(self._run, one), help=words(one))

    async def discover(self) -> Hits:
        """Offer all of them before anything is typed."""
        for one in self._found:
            yield DiscoveryHit(title(one), partial(self._run, one), help=words(one))

    async def _run(self, one: Bound) -> None:
        panes = self.app.screen_stack[0].query_one(Panes)
        # The node is a widget or the screen; a pane comes to the front before something is done in it.
        widget = one.node if one.node is not self.app.screen_stack[0] else None
        pane = panes.pane_of(widget)  # type: ignore[arg-type]
        if pane is not None:
            panes.show(pane)
        await self.app.run_action(one.binding.action, one.node)


def title(one: Bound) -> str:
    """Name an action by its pane and its word."""
    pane = (one.binding.id or "").partition(".")[0]
    return f"{pane}: {one.binding.description}"


def words(one: Bound) -> str:
    """Say what it does, and its key."""
    key = one.binding.key_display or one.binding.key
    return f"{one.binding.tooltip or one.binding.description} (key {key}, called {one.binding.id})"


class Processes(Provider):
    """Every process by pid or name; choosing one puts the tree's cursor on it."""

    async def search(self, query: str) -> Hits:
        """Yield what fits, exact pids first."""
        matcher = self.matcher(query)
        for record in found(self._desk, query):
            text = f"process {record.pid} {printable(record.comm)}"
            score = 1.0 if str(record.pid) == query.strip() else max(0.01, matcher.match(text))
            go = partial(self.app.post_message, GoTo(record.identity, "tree"))
            yield Hit(score, matcher.highlight(text), go, help="goes to it in the tree")

    @property
    def _desk(self) -> Desk:
        app: App[object] = self.app
        return app.desk  # type: ignore[attr-defined, no-any-return]


def found(desk: Desk, query: str) -> Iterator[ProcessRecord]:
    """Yield the processes whose pid begins with the text, or whose name has it; :data:`MOST` at most."""
    if desk.frame is None:
        return
    text, number = query.strip().casefold(), 0
    for record in desk.frame.snapshot.records.values():
        if text and (str(record.pid).startswith(text) or text in record.comm.casefold()):
            yield record
            number += 1
            if number == MOST:
                return
