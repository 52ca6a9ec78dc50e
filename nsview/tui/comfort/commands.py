"""What the command palette offers of our own: every key's action, every preset and every lab."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from textual.app import App, SystemCommand

from nsview.labs.table import LABS
from nsview.tui.keys import KEYS
from nsview.tui.launching.presets import PRESETS

LEFT_OUT = ("Screenshot", "Quit", "Keys")
"""Textual's own that are not offered: its screenshot would open a browser as us; the others we have."""


def commands(
    app: App[None], use_preset: Callable[[str], object], run_lab: Callable[[str, bool], object]
) -> Iterator[SystemCommand]:
    """Yield the commands; ``run_lab`` is told the lab's name, and whether to stop at each scene."""
    for key in KEYS:
        does = partial(app.run_action, key.action)
        yield SystemCommand(f"{key.label}: {key.does}", f"key {key.display or key.keys}", does)
    for preset in PRESETS:
        yield SystemCommand(f"Preset: {preset.title}", preset.does, partial(use_preset, preset.name))
    for lab in LABS:
        yield SystemCommand(f"Run lab {lab.name}", lab.question, partial(run_lab, lab.name, False))
        yield SystemCommand(f"Step through lab {lab.name}", lab.question, partial(run_lab, lab.name, True))
