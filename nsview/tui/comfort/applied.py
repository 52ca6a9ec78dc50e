"""Settings and what was remembered, applied to the app; and what it remembers when it is left."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from textual.app import App

from nsview.host.text import printable
from nsview.tui.comfort import remembered
from nsview.tui.comfort.bound import all_bound
from nsview.tui.comfort.settings import Settings, theme_for

Memory = dict[str, Any]
"""What was remembered, by the names of those whose it is; each takes its own out."""


@runtime_checkable
class Keeper(Protocol):
    """A widget some of whose state is remembered, as plain values of JSON."""

    KEPT_AS: str
    """The name it is remembered by."""

    def kept(self) -> Any:
        """Return what to remember."""

    def recall(self, value: Any) -> None:
        """Take up what was remembered, as far as it still makes sense; it may be anything, for it was a file."""


def begin(app: App[None], settings: Settings, environ: Mapping[str, str] = os.environ) -> Memory:
    """Choose the theme: what was set, else what suits the terminal, else what was remembered; return all of that.

    Whoever is there already takes up what was remembered.
    """
    memory: Memory = {}
    if settings.remember:
        try:
            memory = remembered.load()
        except OSError as error:
            app.notify(printable(f"Nothing is remembered: {error.filename}: {error.strerror}"), markup=False)
    there = app.available_themes
    wanted = (settings.theme, theme_for(environ), memory.pop("theme", None))
    app.theme = next((theme for theme in wanted if isinstance(theme, str) and theme in there), app.theme)
    _recall(app, memory)
    return memory


def complete(app: App[None], settings: Settings, memory: Memory) -> None:
    """Once everything is there: keys of a person's own, what is wrong with the settings, and the rest of the memory."""
    checked = settings.check(app.available_themes, {one.binding.id or "" for one in all_bound(app)})
    if checked.keys:
        app.set_keymap(dict(checked.keys))
    for problem in checked.problems:
        app.notify(printable(problem), title="Settings", severity="warning", markup=False, timeout=15)
    _recall(app, memory)


def _recall(app: App[None], memory: Memory) -> None:
    for keeper in _keepers(app):
        if keeper.KEPT_AS in memory:
            keeper.recall(memory.pop(keeper.KEPT_AS))


def remember(app: App[None], settings: Settings) -> None:
    """Keep what the person has chosen for the next start; that it cannot be kept is told."""
    if not settings.remember:
        return
    values = {keeper.KEPT_AS: keeper.kept() for keeper in _keepers(app)}
    if settings.theme is None and theme_for(os.environ) is None:
        values["theme"] = app.theme
    try:
        remembered.save(values)
    except OSError as error:
        app.notify(printable(f"Nothing will be remembered: {error.filename}: {error.strerror}"), markup=False)


def _keepers(app: App[None]) -> list[Keeper]:
    return [node for node in app.screen_stack[0].walk_children() if isinstance(node, Keeper)]
