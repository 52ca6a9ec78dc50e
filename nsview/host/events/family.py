"""A process and its descendants, as events tell of births and ends. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from nsview.host.events.event import Event
from nsview.host.lives import Life


class Family:
    """Who descends from ``root``, which is of it; begun with the lives going on. Ask of every event, in order.

    A child is of its parent's family for life, whoever adopts it later.
    """

    def __init__(self, root: int, lives: Iterable[Life]) -> None:
        """Begin with those whose parents are known to be of it."""
        self.members = {root}
        known = [*lives]
        while found := {life.pid for life in known if life.ppid in self.members} - self.members:
            self.members |= found

    def holds(self, event: Event) -> bool:
        """Tell whether an event is of a member; births add to them, ends take away."""
        members = self.members
        if event.what == "fork" and not event.is_of_thread:
            (members.add if event.parent in members else members.discard)(event.pid)
        is_theirs = event.pid in members
        if event.what == "exit" and (event.last if event.last is not None else not event.is_of_thread):
            members.discard(event.pid)
        return is_theirs
