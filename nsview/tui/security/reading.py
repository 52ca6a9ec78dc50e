"""How a process stands, read in a thread of its own: what it could still do, and what that comes from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from textual.message import Message
from textual.message_pump import MessagePump

from nsview.host import difference, limits, security
from nsview.host.abilities import Finding, findings, lost_and_gained, summary
from nsview.host.attribute import equal
from nsview.host.attributes import IDS, LIMITS_OF_PRIVILEGE
from nsview.host.capabilities import change, words
from nsview.host.difference import DiffRow
from nsview.host.facts import CAPABILITY_SETS, Facts, read_facts
from nsview.host.model import Identity
from nsview.host.process import PinnedProcess, ProcessGoneError
from nsview.host.standing import Standing, standing_of
from nsview.tui.collecting.collector import Collector
from nsview.tui.collecting.lane import Lane


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom to read, and beside whom; ``landlock``: whether we know that Landlock holds it (None: nobody tells)."""

    process: Identity
    parent: Identity | None
    landlock: bool | None


@dataclass(frozen=True, slots=True)
class Picture:
    """How a process stands.

    ``found`` is None when it is gone, or has ended and only waits to be reaped. ``changes``: the abilities that
    it has lost (False) or gained (True) beside its parent. ``rows``: what they come from, the parent's values
    beside its own; without a parent to be seen these are unknown.
    """

    subject: Subject
    summary: str
    found: tuple[Finding, ...] | None
    changes: dict[str, bool]
    rows: tuple[DiffRow, ...]


def look_at(subject: Subject) -> Picture:
    """Read the process, and its parent if that is there."""
    try:
        with PinnedProcess(*subject.process) as process:
            standing, facts = standing_of(process), read_facts(process, with_usage=False)
            label, bounds = security.security_of(process), limits.limits_of(process)
    except ProcessGoneError:
        return Picture(subject, "", None, {}, ())
    if standing is None:
        return Picture(subject, "", None, {}, ())
    found = findings(standing, subject.landlock)
    other, others, its_label, its_bounds = _parent(subject.parent)
    changes = {} if other is None else lost_and_gained(found, findings(other))
    rows = (
        *_capabilities(other, standing),
        *_of_facts(others, facts),
        *_untold(other, standing, subject.landlock),
        *difference.table("security", security.ATTRIBUTES, its_label, label),
        *difference.table("limits", limits.ATTRIBUTES, its_bounds, bounds),
    )
    return Picture(subject, summary(standing), found, changes, rows)


def _parent(
    parent: Identity | None,
) -> tuple[Standing | None, Facts | None, security.Security | None, limits.Limits | None]:
    if parent is None:
        return None, None, None, None
    try:
        with PinnedProcess(*parent) as process:
            standing, facts = standing_of(process), read_facts(process, with_usage=False)
            return standing, facts, security.security_of(process), limits.limits_of(process)
    except ProcessGoneError:
        return None, None, None, None


def _capabilities(parent: Standing | None, own: Standing) -> Iterator[DiffRow]:
    """Word the five sets by name."""
    sets = (("CapEff", "effective"), *((key, name) for key, name in CAPABILITY_SETS.items() if key != "CapEff"))
    for key, name in sets:
        one, two = (None if it is None else it.sets.get(key) for it in (parent, own))
        texts = [words(mask, own.last) for mask in (one, two)]
        same = equal(one, two)
        delta = change(one, two) if same is False and one is not None and two is not None else None
        yield DiffRow("capabilities", name, texts[0], texts[1], delta, _SETS[name], f"/proc/PID/status {key}", same)


_SETS = {
    "effective": "what the kernel checks now",
    "permitted": "what it may make effective by itself (capset(2))",
    "inheritable": "kept over execve of a file that has them inheritable too",
    "bounding": "the most that execve can ever give it",
    "ambient": "kept over execve of ordinary programs",
}


def _of_facts(parent: Facts | None, own: Facts) -> Iterator[DiffRow]:
    """Take ids, maps and namespaces from what a comparison has."""
    yield from (row for row in difference.table("ids", _IDS, parent, own))
    if parent is None:
        for row in difference.rows(own, own, {}):
            if row.section == "namespaces":
                yield DiffRow(row.section, row.attribute, None, row.child, None, row.why, row.source, None)
    else:
        yield from (row for row in difference.rows(parent, own, {}) if row.section == "namespaces")


_IDS = (*IDS, *LIMITS_OF_PRIVILEGE)


def _untold(parent: Standing | None, own: Standing, landlock: bool | None) -> Iterator[DiffRow]:
    """Word what the kernel tells in a roundabout way, or to the process alone."""
    one, two = (None if it is None or it.dumpable is None else _WORDS[it.dumpable] for it in (parent, own))
    why = "only who owns its files in /proc tells; root's belong to root either way (prctl(2), PR_SET_DUMPABLE)"
    yield DiffRow("ids", "dumpable", one, two, None, why, "stat(/proc/PID/status)", equal(one, two))
    why = "the kernel tells nobody; of what nsview launched it is known"
    held = None if landlock is None else _WORDS[landlock]
    yield DiffRow("ids", "landlock", None, held, None, why, "what it was launched with", None)
    why = "the kernel tells only the process itself (prctl(2), PR_GET_SECUREBITS)"
    yield DiffRow("ids", "securebits", None, None, None, why, "nothing", None)


_WORDS = {True: "yes", False: "no"}


class SecurityReader:
    """A lane that reads the newest subject; ``target`` is sent :class:`Looked` and Collector.Failed."""

    class Looked(Message):
        """There is a newer picture: :meth:`SecurityReader.take` has it."""

    def __init__(self, target: MessagePump) -> None:
        """Set up the lane, which :meth:`start` starts."""
        self._target = target
        self._subject: Subject | None = None
        self._lane: Lane[Picture] = Lane(
            "nsview-security",
            self._look,
            lambda: self._post(self.Looked()),
            lambda error: self._post(Collector.Failed("reading how a process stands", error)),
        )

    def start(self) -> None:
        """Start the thread."""
        self._lane.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._lane.end()
        self._lane.join()

    def ask(self, subject: Subject | None) -> None:
        """Read this one at once; None: nobody."""
        self._subject = subject
        if subject is not None:
            self._lane.ask()

    def take(self) -> Picture | None:
        """Return the newest picture; None if it was taken before, or is of another process than is wanted now."""
        found, subject = self._lane.newest(), self._subject
        return found if found is not None and subject is not None and found.subject.process == subject.process else None

    def _look(self) -> Picture | None:
        subject = self._subject
        return None if subject is None else look_at(subject)

    def _post(self, message: Message) -> None:
        try:
            self._target.post_message(message)
        except RuntimeError:
            self._lane.end()  # The app's event loop was closed without stop(): nobody is left to tell.
