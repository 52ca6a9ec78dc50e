"""The act of entering: ask what and as whom, then have a terminal opened there."""

from __future__ import annotations

import asyncio

from textual.message import Message

from nsview.tui.acting.actor import Actor
from nsview.tui.terminal.enter_dialog import EnterDialog
from nsview.tui.terminal.entering import look
from spawner import Spec


class EnterWanted(Message):
    """Asks the app to launch this in a new terminal."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec


async def enter(actor: Actor) -> None:
    """Ask which namespaces of the process to enter, and do so."""
    choices = await actor.choices()
    if choices is None:
        return
    subject = choices.subject
    if subject.is_kernel_thread or subject.is_zombie:
        what = "a thread of the kernel" if subject.is_kernel_thread else "a zombie"
        actor.complain(f"{subject.pid} {subject.comm} is {what}: it has no program to go to.")
        return
    house = await asyncio.to_thread(look, subject.identity, subject.comm)
    if not any(door.inode is not None for door in house.doors):
        actor.complain(f"The namespaces of {subject.pid} {subject.comm} are not yours to read: run nsview with sudo.")
        return
    spec = await actor.ask(EnterDialog(house))
    if spec is not None:
        actor.app.post_message(EnterWanted(spec))
