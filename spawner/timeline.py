"""What a launch did and when: events read off the status page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from spawner.act import Act
from spawner.image import Image
from spawner.plan import Bearing, Plan


@dataclass(frozen=True, slots=True)
class Event:
    """One system call of a launch.

    ``index`` is its place in the plan, None for the call that makes the child and what the parent does. Times are
    nanoseconds since launch() was called; ``end_ns`` is None while the call has not returned (an execve that
    succeeded never does: its end is when the parent saw it). ``result`` is the kernel's: -errno on failure, None if
    unknown.
    """

    index: int | None
    label: str
    phase: str
    text: str
    start_ns: int
    end_ns: int | None
    result: int | None

    @property
    def duration_ns(self) -> int | None:
        """Nanoseconds from start to end."""
        return None if self.end_ns is None else self.end_ns - self.start_ns


def events(
    plan: Plan,
    image: Image,
    *,
    origin_ns: int,
    birth: tuple[int, int, int],
    seen_ns: int | None,
    acts: Iterable[Act] = (),
) -> list[Event]:
    """Read the events, the parent's acts among them, in the order in which they began.

    ``birth`` is (start, end, pid) of the call that made the child, ``seen_ns`` when execve was seen to have
    succeeded (None: not yet).
    """
    found = list(_of_the_child(plan, image, origin_ns, birth, seen_ns))
    found += [
        Event(None, act.label, act.phase, act.text, act.start_ns - origin_ns, act.end_ns - origin_ns, act.result)
        for act in acts
    ]
    return sorted(found, key=lambda event: event.start_ns)


def _of_the_child(
    plan: Plan, image: Image, origin_ns: int, birth: tuple[int, int, int], seen_ns: int | None
) -> Iterator[Event]:
    start, end, pid = birth
    born = image.born_ns or end
    yield Event(None, plan.birth_label, "birth", plan.birth, start - origin_ns, born - origin_ns, pid)
    for index, step in enumerate(plan.steps):
        begun, ended, result = image.record(index)
        if not begun:
            continue
        done: int | None = ended or None
        answer: int | None = result if done else None
        if step.syscall == "execve" and done is None and seen_ns is not None:
            done, answer = seen_ns, 0
        if step.bearing & Bearing.LAST and done is None and (after := image.record(index + 1)[0]):
            done, answer = after, 0  # the one below goes on once this execve has succeeded
        if step.bearing & Bearing.FORKS and done is None:
            answer = None
        yield Event(
            index,
            step.label,
            step.phase,
            str(step),
            begun - origin_ns,
            None if done is None else done - origin_ns,
            answer,
        )
