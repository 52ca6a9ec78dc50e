"""What a launch did and when: events read off the status page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from spawner import procfs
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


def _clocks(plan: Plan, image: Image) -> list[tuple[int, int]]:
    """(step from whose end on the child's clock is another, nanoseconds it is ahead of ours); unknown counts as 0."""
    if not plan.clocks:
        return []
    with suppress(FileNotFoundError), open("/proc/self/timens_offsets", "rb", buffering=0) as file:
        ours = procfs.monotonic_offset(file.read(4096)) or 0
        offsets = {moves: procfs.monotonic_offset(image.out(read)) for moves, read in plan.clocks}
        return [(moves, ahead - ours) for moves, ahead in offsets.items() if ahead is not None]
    return []


def _ahead(clocks: list[tuple[int, int]], index: int) -> int:
    """How far the child's clock is ahead when step ``index`` ends."""
    return next((ahead for moves, ahead in reversed(clocks) if moves <= index), 0)


def _of_the_child(
    plan: Plan, image: Image, origin_ns: int, birth: tuple[int, int, int], seen_ns: int | None
) -> Iterator[Event]:
    start, end, pid = birth
    born = image.born_ns or end
    clocks = _clocks(plan, image)
    yield Event(None, plan.birth_label, "birth", plan.birth, start - origin_ns, born - origin_ns, pid)
    for index, step in enumerate(plan.steps):
        begun, ended, result = image.record(index)
        if not begun:
            continue
        begun -= _ahead(clocks, index - 1)
        ended -= _ahead(clocks, index) if ended else 0
        done: int | None = ended or None
        answer: int | None = result if done else None
        if step.syscall == "execve" and done is None and seen_ns is not None:
            done, answer = seen_ns, 0
        if step.bearing & Bearing.LAST and done is None and (after := image.record(index + 1)[0]):
            done, answer = after - _ahead(clocks, index), 0  # the one below goes on once this execve has succeeded
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
