"""Runs a lab: its events one by one for who shows them, and what they come to in the end."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from importlib import import_module
from typing import cast

from nsview.labs.lab import Event, Lab, Report, Setting


def begin(lab: Lab, setting: Setting) -> Generator[Event, None, None]:
    """Return the lab's events: each is done when it is asked for; ``close()`` ends it early and leaves nothing."""
    module, _, function = lab.where.partition(":")
    run = getattr(import_module(f"nsview.labs.{module}"), function)
    return cast("Generator[Event, None, None]", run(setting))


def perform(lab: Lab, setting: Setting, tell: Callable[[Event], object] = lambda _event: None) -> Report:
    """Run a lab to its end and return all it told; ``tell`` is called with each event as it comes.

    An OSError, or a Spec that is refused, where the lab expected none ends it early; the report's ``error`` says so.
    """
    from spawner.errors import LaunchError, SpecError

    events: list[Event] = []
    error = None
    with closing(begin(lab, setting)) as told:
        try:
            for event in told:
                events.append(event)
                tell(event)
        except (LaunchError, SpecError) as failed:
            error = str(failed)
        except OSError as failed:
            error = f"{failed.strerror or failed}" + (f": {failed.filename}" if failed.filename else "")
    return Report(lab, tuple(events), error, setting)
