"""What can be copied about a process: numbers, its command line, commands that do in a shell what we do here."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from nsview.host.model import Identity
from nsview.host.process import PinnedProcess, ProcessGoneError
from nsview.host.snapshot import Namespaces, ProcessRecord
from nsview.host.text import printable
from spawner.namespaces import KINDS


@dataclass(frozen=True, slots=True)
class Copy:
    """A thing to copy: what it is, and the text."""

    what: str
    text: str


def copies(record: ProcessRecord, argv: Sequence[str] | None, ours: Namespaces | None) -> list[Copy]:
    """Return what can be copied about a process; ``argv`` None: unknown; ``ours``: the namespaces we are in."""
    pid = record.pid
    found = [Copy("pid", str(pid))]
    if argv:
        found.append(Copy("command line", shlex.join(argv)))
    if ours is not None and (letters := entered(record.ns, ours)):
        found.append(Copy("enter what is not shared with us", f"nsenter -t {pid} {letters}"))
    found += [
        Copy("enter all its namespaces", f"nsenter -t {pid} -a"),
        Copy("the same, by nsview", f"nsview enter -t {pid} -a"),
        Copy("all that is known of it", f"nsview show {pid}"),
        Copy("what happens to it", f"nsview events --follow {pid}"),
    ]
    if record.ppid > 0:
        found.append(Copy("how it differs from its parent", f"nsview diff {record.ppid} {pid}"))
    return found


def entered(theirs: Namespaces, ours: Namespaces) -> str:
    """Return nsenter(1)'s options for the namespaces that are known to be others than ours."""
    pairs = zip(KINDS, theirs, ours, strict=True)
    return " ".join(f"-{kind.letter}" for kind, one, other in pairs if None not in (one, other) and one != other)


class CopyPicker(ModalScreen[str | None]):
    """Asks what to copy; answers with the text."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "dismiss(None)", "Leave", id="copy.leave")]

    DEFAULT_CSS = """
    CopyPicker {
        align: center middle;
        & OptionList { text-wrap: nowrap; text-overflow: ellipsis; }
    }
    """

    def __init__(self, title: str, offered: Sequence[Copy]) -> None:
        super().__init__()
        self._title = title
        self._offered = offered

    def compose(self) -> ComposeResult:
        """List the texts."""
        width = max(len(one.what) for one in self._offered)
        with Vertical(classes="dialog"):
            yield Static(self._title, classes="title", markup=False)
            yield OptionList(
                *(
                    Option(Content.assemble((f"{one.what:{width}}  ", "dim"), printable(one.text)))
                    for one in self._offered
                ),
                compact=True,
            )
            yield Static("Enter copies to the terminal's clipboard (OSC 52); Esc leaves", classes="foot", markup=False)

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        """Answer with the text."""
        message.stop()
        self.dismiss(self._offered[message.option_index].text)


def arguments(identity: Identity) -> list[str] | None:
    """Read the words a process was called with (proc_pid_cmdline(5)); None where they cannot be known."""
    try:
        with PinnedProcess(*identity) as process:
            text = process.read("cmdline")
    except ProcessGoneError:
        return None
    return text.decode(errors="surrogateescape").removesuffix("\0").split("\0") if text else None


async def copy_about(app: App[None], record: ProcessRecord, ours: Namespaces | None) -> None:
    """Ask what to copy about a process, and copy it."""
    # A process may hold up who reads its memory, so not in the UI's thread.
    argv = await asyncio.to_thread(arguments, record.identity)
    title = f"Copy about {record.pid} {printable(record.comm)}"
    text = await app.push_screen_wait(CopyPicker(title, copies(record, argv, ours)))
    if text is not None:
        app.copy_to_clipboard(text)
        app.notify(f"Copied: {printable(text)}", markup=False)
