"""Asks which signal to send, and to whom."""

from __future__ import annotations

from collections.abc import Iterator

from nsview.tui.acting.picking import Pick, PickDialog
from nsview.tui.acting.signals import matching
from nsview.tui.acting.whom import Choices


def _offers(text: str) -> Iterator[Pick]:
    for offer in matching(text):
        yield Pick(
            f"{offer.number:2} {offer.name}", offer.means, offer, f"pidfd_send_signal(pidfd, {offer.name}, NULL, 0)"
        )


class SignalPicker(PickDialog):
    """Offers the signals; the value of the answer is an Offer."""

    def __init__(self, choices: Choices) -> None:
        super().__init__("Send a signal to", choices, _offers)
