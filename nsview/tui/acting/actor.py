"""Does the acts: finds whom, asks, acts in a thread, tells what the kernel says; none of it where one only looks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from textual.app import App
from textual.screen import Screen

from nsview.host.model import Identity
from nsview.host.process import ProcessGoneError
from nsview.host.text import printable
from nsview.tui.acting.guards import REFUSED, Kind
from nsview.tui.acting.held import Held
from nsview.tui.acting.progress import Progress
from nsview.tui.acting.refusals import refusal
from nsview.tui.acting.settings import Outcome
from nsview.tui.acting.sure import Sure
from nsview.tui.acting.whom import Choices, Scope, Whom, look
from nsview.tui.acting.wording import several, told
from nsview.tui.acting.working import Working

if TYPE_CHECKING:
    from nsview.tui.acting.table import Act
    from nsview.tui.desk import Desk

SHOWN_AFTER = 0.3
"""Seconds after which an act shows how far it is."""
READ_ONLY = "Read-only: nsview was started with --read-only, so it only looks. Start it without to act or launch."
_STAYS = 5.0

T = TypeVar("T")


class Actor:
    """One for the app. ``subject`` says which process an act is about, ``tagged`` which ones are tagged."""

    def __init__(
        self,
        app: App[None],
        desk: Desk,
        subject: Callable[[], Identity | None],
        tagged: Callable[[], Iterable[Identity]],
    ) -> None:
        self.app = app
        self.desk = desk
        self._subject = subject
        self._tagged = tagged
        self._said_read_only: float | None = None
        self._doing = 0
        self._in_turn = asyncio.Lock()

    def begin(self, act: Act) -> None:
        """Begin an act, unless acting is switched off; returns at once.

        While one is under way only those that come one after another (``repeats``) are taken: a key pressed twice
        before its dialog is there asks once.
        """
        if self.desk.read_only:
            self.say_read_only()
            return
        if self._doing and not act.repeats:
            return
        self._doing += 1
        self.app.run_worker(self._do(act), name=f"act {act.name}", group="act")

    def say_read_only(self) -> None:
        """Say that acting is switched off; once, however many keys are pressed."""
        now = monotonic()
        if self._said_read_only is None or now - self._said_read_only > _STAYS:
            self._said_read_only = now
            self.app.notify(READ_ONLY, severity="warning", timeout=_STAYS, markup=False)

    async def _do(self, act: Act) -> None:
        try:
            async with self._in_turn:
                await act.run(self)
        except ProcessGoneError as error:
            self.complain(f"Process {error.pid} is gone.")
        except OSError as error:  # of a call that no act expects to fail so
            self.complain(refusal(act.label, error))
        finally:
            self._doing -= 1

    # What acts are made of.

    async def choices(self) -> Choices | None:
        """Find out whom an act can be for; None, and said, when there is nobody."""
        identity = self._subject()
        if identity is None:
            self.complain("No process is under the cursor.")
            return None
        tagged = tuple(self._tagged())
        return await asyncio.to_thread(look, identity, self.desk.me, tagged)

    async def ask(self, dialog: Screen[T]) -> T | None:
        """Show a dialog and return its answer."""
        return await self.app.push_screen_wait(dialog)

    def refused(self, whom: Whom, kind: Kind) -> bool:
        """Tell whether this is not done to this process even when asked for, and say why."""
        if whom.scope is not Scope.THIS or whom.guard is None or (whom.guard, kind) not in REFUSED:
            return False
        self.complain(f"{whom.subject.pid}: {REFUSED[whom.guard, kind]}.")
        return True

    async def may(self, whom: Whom, kind: Kind, does: str, call: str, *, asks: bool, note: str = "") -> bool:
        """Tell whether to go on: not where it is refused; asked where it is dangerous, or for more than one."""
        if self.refused(whom, kind):
            return False
        if not whom.members:
            self.complain("Nobody is left to act on: all of them are nsview itself, what runs it, or the kernel's.")
            return False
        guarded = whom.scope is Scope.THIS and whom.guard is not None
        if not (asks or guarded or whom.count > 1):
            return True
        command = await asyncio.to_thread(command_line, whom.subject.identity)
        times = f", {whom.count} times" if whom.count > 1 else ""
        answer = await self.ask(Sure(f"{does} {several(whom)}", whom, call + times, note, command))
        return answer is True

    async def work(self, title: str, work: Callable[[Progress], T]) -> T:
        """Do ``work(progress)`` in a thread; show how far it is if it takes long. OSError as of ``work``."""
        progress = Progress()
        task = asyncio.ensure_future(asyncio.to_thread(work, progress))
        screen = Working(title, progress)
        try:
            await asyncio.wait({task}, timeout=SHOWN_AFTER)
            if not task.done():
                await self.app.push_screen(screen)
                await asyncio.wait({task})
            return await task
        finally:
            progress.cancel()
            progress.over = True
            if screen.is_attached:
                screen.leave()

    def tell(self, outcome: Outcome, did: str, read_back: str = "") -> None:
        """Say what became of an act, and have the picture taken anew."""
        text, well = told(outcome, did, read_back)
        self.say(text, well)

    def say(self, text: str, well: bool = True) -> None:
        """Say something that was done, and have the picture taken anew."""
        self.app.notify(
            printable(text), severity="information" if well else "error", markup=False, timeout=5 if well else 15
        )
        self.desk.launcher.reap()
        self.desk.collector.refresh_now()

    def complain(self, text: str) -> None:
        """Say why nothing was done."""
        self.app.notify(printable(text), severity="warning", markup=False, timeout=10)


def command_line(identity: Identity) -> str:
    """Return the command a process runs as, printable; empty when it has none or is gone."""
    try:
        with Held(identity) as held:
            words = held.read("cmdline").decode("utf-8", "backslashreplace")
    except OSError:
        return ""
    return printable(words.rstrip("\0").replace("\0", " "))
