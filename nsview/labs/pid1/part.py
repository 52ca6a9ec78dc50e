"""A part of the lab on process 1: what it asks, and what is told of it when it cannot be asked."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field

from nsview.labs.judging import judged, left_out
from nsview.labs.lab import Event, Finding, Stage
from spawner.errors import LaunchError

FLAG = "CLONE_NEWPID"


@dataclass(slots=True)
class Heard:
    """What the kernel has said so far: ``signals`` what came of each, by the finding's key."""

    findings: list[Finding] = field(default_factory=list)
    signals: dict[str, dict[int, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Part:
    """``keys`` are those of all its findings. A part without a ``title`` goes on with the stage before."""

    keys: tuple[str, ...]
    experiment: Callable[[Heard], Generator[Event, None, None]]
    title: str = ""
    says: str = ""

    def told(self, heard: Heard) -> Generator[Event, None, None]:
        """Its events. A process that cannot be had leaves the rest out; one that does not answer is a failure."""
        if self.title:
            yield Stage(self.title, self.says)
        missing = list(self.keys)
        why, answered = "", ""
        try:
            with closing(self.experiment(heard)) as events:
                for event in events:
                    if isinstance(event, Finding):
                        missing.remove(event.key)
                        heard.findings.append(event)
                    yield event
        except LaunchError as error:
            why = str(error)
        except (ConnectionError, TimeoutError) as error:
            why = answered = str(error)
        for key in missing:
            done = f"launch a process to ask about {key}"
            if answered:
                found = judged(key, done, "it answers", answered, "", FLAG)
                answered = ""  # of those after the first nothing was asked
            else:
                found = left_out(key, done, "it answers", why, FLAG)
            heard.findings.append(found)
            yield found


def finding(key: str, done: str, expected: str, answered: str, why: str = "") -> Finding:
    """A finding of this lab."""
    return judged(key, done, expected, answered, why, FLAG)
