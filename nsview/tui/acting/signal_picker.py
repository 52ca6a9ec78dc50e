"""Asks which signal to send."""

from __future__ import annotations

import os
import signal
import time
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from nsview.host.text import printable
from nsview.tui.acting.signals import OFFERED, Target

_TICKS = os.sysconf("SC_CLK_TCK")


def started(start_time: int) -> str:
    """Word a start time in clock ticks since boot as a time of the day."""
    ago = time.clock_gettime(time.CLOCK_BOOTTIME) - start_time / _TICKS
    return time.strftime("%H:%M:%S", time.localtime(time.time() - ago))


class SignalPicker(ModalScreen[int | None]):
    """Asks which signal to send, naming the process by pid, name and start time; None when left."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Leave", id="signal.leave")]

    def __init__(self, target: Target) -> None:
        super().__init__()
        self._target = target

    def compose(self) -> ComposeResult:
        """Say whom, offer the signals, say what Enter does."""
        pid, start_time = self._target.identity
        whom = f"{pid} {printable(self._target.name)}, started {started(start_time)} (tick {start_time})"
        width = max(len(name) for name, _ in OFFERED)
        with Vertical(classes="dialog"):
            yield Static(f"Send a signal to {whom}", classes="title", markup=False)
            yield OptionList(
                *(
                    Option(Content.assemble((f"{name:{width}}  ", "bold"), (means, "dim")), id=name)
                    for name, means in OFFERED
                ),
                compact=True,
            )
            yield Static("Enter sends it through a pidfd; Esc leaves", classes="foot", markup=False)

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        """Answer with the signal's number."""
        message.stop()
        self.dismiss(int(signal.Signals[message.option_id or ""]))
