"""Dialogs of the launch panel: which profile to load or save, and which launch of before to take up again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from nsview.host.text import cut, printable
from nsview.options.namespaces import long_name
from nsview.tui.launching import profiles
from nsview.tui.launching.form import Form, FormError, option_words
from nsview.tui.launching.history import Entry
from nsview.tui.launching.profiles import Profile
from spawner import SpecError
from spawner.namespaces import KINDS, NamespaceKind

_LONGEST_SHOWN = 400


class ProfilePrompt(ModalScreen[Profile | None]):
    """Asks for a profile, by name or path, and loads it or saves the form in it; None when left.

    What goes wrong is told in the dialog, which stays. A file that is there already is written over only when that
    is asked for a second time.
    """

    DEFAULT_CSS = """
    ProfilePrompt { align: center middle; }
    #profile-name { margin: 1 0; }
    #profile-trouble { color: $text-error; height: auto; }
    #profiles { max-height: 10; margin-bottom: 1; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Leave", id="profile.leave"),
        Binding("down", "name(1)", "Next name", show=False, id="profile.next"),
        Binding("up", "name(-1)", "Name before", show=False, id="profile.previous"),
    ]

    def __init__(self, form: Form | None = None, name: str = "") -> None:
        """``form``: what to save; None: load."""
        super().__init__()
        self._form = form
        self._name = name
        self._over: Path | None = None
        self._busy = False

    def compose(self) -> ComposeResult:
        """A line to type in, the profiles there are, and what the keys do."""
        does = "Load a profile" if self._form is None else "Save as a profile"
        with Vertical(classes="dialog"):
            yield Static(does, classes="title", markup=False)
            yield Input(
                self._name, placeholder="a name, or a path to a TOML or JSON file", id="profile-name", compact=True
            )
            yield Static("", id="profile-trouble", markup=False)
            yield OptionList(compact=True, id="profiles")
            yield Static(f"In {printable(str(profiles.directory()))}", classes="foot", markup=False)
            yield Static(
                f"Enter {'loads' if self._form is None else 'saves'}; up and down choose; Esc leaves",
                classes="foot",
                markup=False,
            )

    async def on_mount(self) -> None:
        """List the profiles there are."""
        names = await asyncio.to_thread(profiles.saved)
        self.query_one("#profiles", OptionList).add_options(Option(Content(printable(name)), id=name) for name in names)

    @on(Input.Changed)
    def _typed(self) -> None:
        self._over = None
        self._tell("")

    @on(Input.Submitted)
    async def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        await self._use(event.value)

    @on(OptionList.OptionSelected)
    async def _picked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        name = event.option_id or ""
        if self._form is None:
            await self._use(name)
        else:
            field = self.query_one(Input)
            field.value = name
            field.focus()

    async def _use(self, text: str) -> None:
        if not text.strip():
            self._tell("type a name, or choose one of the list" if self._form is None else "type a name such as: web")
            return
        if self._busy:
            return
        path = profiles.path_of(text)
        self._busy = True
        self._tell("…")
        try:
            done = await asyncio.to_thread(self._load_or_save, path)
        except FileExistsError:
            self._over = path
            self._tell(f"{path} is there already; Enter again writes over it")
        except (SpecError, FormError) as error:
            self._tell("; ".join(map(str, error.problems)))
        except OSError as error:
            self._tell(f"{path}: {error.strerror}; name a file in a directory of yours")
        else:
            self.dismiss(done)
        finally:
            self._busy = False

    def _load_or_save(self, path: Path) -> Profile:
        if self._form is None:
            return profiles.read(path)
        profiles.save(self._form, path, over=self._over == path)
        return Profile(path, self._form)

    def _tell(self, text: str) -> None:
        self.query_one("#profile-trouble", Static).update(printable(text))

    def action_name(self, by: int) -> None:
        """Put the next name of the list into the line, or the one before."""
        found = self.query_one(OptionList)
        if not found.option_count:
            return
        start = -1 if by > 0 else 0
        found.highlighted = ((start if found.highlighted is None else found.highlighted) + by) % found.option_count
        field = self.query_one(Input)
        field.value = found.get_option_at_index(found.highlighted).id or ""
        field.cursor_position = len(field.value)


class HistoryPicker(ModalScreen[tuple[Form, bool] | None]):
    """Offers launches of before; answers with the form, and whether to launch it at once; None when left."""

    DEFAULT_CSS = """
    HistoryPicker { align: center middle; }
    HistoryPicker .dialog { width: 110; }
    #launches { max-height: 20; margin: 1 0; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Leave", id="history.leave"),
        Binding("f5,ctrl+r", "again", "Launch", id="history.launch", priority=True),
    ]

    def __init__(self, read: Callable[[], tuple[Entry, ...]]) -> None:
        super().__init__()
        self._read = read
        self._entries: tuple[Entry, ...] = ()

    def compose(self) -> ComposeResult:
        """The launches, newest first, and what the keys do."""
        with Vertical(classes="dialog"):
            yield Static("Launches of before, the newest first", classes="title", markup=False)
            yield OptionList(compact=True, id="launches")
            yield Static("Enter fills the panel; F5 launches again at once; Esc leaves", classes="foot", markup=False)

    async def on_mount(self) -> None:
        """Read them."""
        self._entries = await asyncio.to_thread(self._read)
        found = self.query_one(OptionList)
        if self._entries:
            found.add_options(Option(_shown(entry)) for entry in self._entries)
            found.highlighted = 0
        else:
            found.add_option(Option("Nothing was launched yet.", disabled=True))

    @on(OptionList.OptionSelected)
    def _picked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._answer(event.option_index, at_once=False)

    def action_again(self) -> None:
        """Launch the one under the cursor."""
        place = self.query_one(OptionList).highlighted
        if place is not None:
            self._answer(place, at_once=True)

    def _answer(self, place: int, at_once: bool) -> None:
        if place < len(self._entries):
            self.dismiss((self._entries[place].form, at_once))


def _shown(entry: Entry) -> Content:
    when = time.strftime("%d %b %H:%M", time.localtime(entry.when))
    return Content.assemble((f"{when}  ", "dim"), summary(entry.form))


def summary(form: Form) -> str:
    """A launch in one line: its command line, then the words of its options, new namespaces by their letters."""
    try:
        said = option_words(form)
    except FormError:  # it was never launched
        said = ("?",)
    letters = "".join(kind.letter for kind in KINDS if _new(kind) in said)
    news = {_new(kind) for kind in KINDS}
    options = " ".join([*([f"-{letters}"] if letters else []), *(word for word in said if word not in news)])
    hold = "held, " if form.hold else ""
    kept = f", and {len(form.kept)} fields of a profile" if form.kept else ""
    return cut(printable(f"{form.command[:_LONGEST_SHOWN]}  ({hold}{options or 'nothing new'}{kept})"), _LONGEST_SHOWN)


def _new(kind: NamespaceKind) -> str:
    return f"--{long_name(kind.name)}"
