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
from nsview.tui.launching.panel import LaunchPanel


def apply(
    app: App[None], settings: Settings, memory: Mapping[str, Any], environ: Mapping[str, str] = os.environ
) -> None:
    """Choose theme and keys: what was set, else what was remembered, else what suits the terminal."""
    checked = settings.check(app.available_themes, _names(app))
    suits = theme_for(environ)
    kept = memory.get("theme")
    if checked.theme is not None:
        app.theme = checked.theme
    elif suits is not None:
        app.theme = suits
    elif isinstance(kept, str) and kept in app.available_themes:
        app.theme = kept
    if checked.keys:
        app.set_keymap(dict(checked.keys))
    for problem in checked.problems:
        app.notify(printable(problem), title="Settings", severity="warning", markup=False, timeout=15)


def _names(app: App[None]) -> set[str]:
    return {one.binding.id or "" for one in all_bound(app)}


@runtime_checkable
class Keeper(Protocol):
    """A widget some of whose state is remembered, as plain values of JSON."""

    KEPT_AS: str
    """The name it is remembered by."""

    def kept(self) -> Any:
        """Return what to remember."""

    def recall(self, value: Any) -> None:
        """Take up what was remembered, as far as it still makes sense; it may be anything, for it was a file."""


def begin(app: App[None], settings: Settings) -> None:
    """Apply the settings and what was remembered; what cannot be read is told and left."""
    memory: Mapping[str, Any] = {}
    if settings.remember:
        try:
            memory = remembered.load()
        except OSError as error:
            app.notify(printable(f"Nothing is remembered: {error.filename}: {error.strerror}"), markup=False)
    apply(app, settings, memory)
    app.query_one(LaunchPanel).remembers = settings.remember
    for keeper in _keepers(app):
        if keeper.KEPT_AS in memory:
            keeper.recall(memory[keeper.KEPT_AS])


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
