"""The lines below a lab: what is to be seen now, and the keys that go on, which can be clicked on as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.content import Content
from textual.message import Message
from textual.widgets import Static


@dataclass(frozen=True, slots=True)
class Offer:
    """A key, what it does in a word or two, and the action; without one it is a key of the app's."""

    key: str
    does: str
    action: str = ""


class Prompt(Static):
    """Says something, and offers keys below it."""

    DEFAULT_CSS = """
    Prompt {
        height: auto; max-height: 5; border-top: solid $panel; color: $foreground;
        link-color: $foreground; link-background: transparent; link-style: none;
        link-color-hover: $foreground; link-background-hover: $panel; link-style-hover: underline;
    }
    """

    class Taken(Message):
        """An offer was clicked on."""

        def __init__(self, action: str) -> None:
            """Say which action that is."""
            super().__init__()
            self.action = action

    def __init__(self, *, id: str) -> None:
        """Begin with nothing to say."""
        super().__init__(id=id, markup=False)
        self.text = ""
        """What is said, as plain text."""

    def say(self, what: Content, offers: Sequence[Offer]) -> None:
        """Say this, and offer these."""
        keys = Content(" · ").join(_offered(offer) for offer in offers)
        told = Content("\n").join(part for part in (what, keys) if part.plain)
        if told.plain != self.text:
            self.text = told.plain
            self.update(told)

    def action_take(self, action: str) -> None:
        """Do what was clicked on."""
        self.post_message(self.Taken(action))


def _offered(offer: Offer) -> Content:
    if not offer.action:
        return Content.assemble((offer.key, "bold"), f" {offer.does}")
    return Content.from_markup(
        f"[@click=take('{offer.action}')][bold]$key[/bold] $does[/]", key=offer.key, does=offer.does
    )
