"""The System V objects, POSIX queues and limits of an ipc namespace, worded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TypeVar

from nsview.host.content.ipc import LIMITS, IpcContent, MessageQueue, SemaphoreSet, SharedMemory
from nsview.host.units import bytes_text
from nsview.host.users import user_name
from nsview.wording.inside.section import Inside, Section, because, facts
from nsview.wording.table import UNKNOWN, Column, show

AnyOf = MessageQueue | SemaphoreSet | SharedMemory
Object = TypeVar("Object", bound=AnyOf)

_NAMES = tuple(name.replace("/", ".") for name in LIMITS)
_OBJECT = (Column("KEY"), Column("ID", right=True), Column("MODE", right=True), Column("OWNER"))


def shown(content: IpcContent | None, unknown_because: str | None = None) -> Inside:
    """Word what was read; None: nothing could be, and why."""
    if content is None:
        content = IpcContent(None, None, None, None, unknown_because, dict.fromkeys(_NAMES))
    sections = [
        _objects(
            "System V message queues",
            (Column("BYTES", right=True), Column("MESSAGES", right=True)),
            content.message_queues,
            lambda one: (str(one.bytes), str(one.messages)),
        ),
        _objects(
            "System V semaphores", (Column("COUNT", right=True),), content.semaphores, lambda one: (str(one.count),)
        ),
        _objects(
            "System V shared memory",
            (Column("SIZE", right=True), Column("ATTACHED", right=True), Column("CREATOR", right=True), Column("")),
            content.shared_memory,
            _memory,
        ),
        _posix(content),
        facts("limits", content.limits.items(), unknown_because),
    ]
    empty = [section.title for section in sections if not section.rows and not section.notes]
    if empty:
        sections.insert(0, Section("", (), (), (f"none: {', '.join(empty)}",)))
    return Inside(
        [section for section in sections if section.rows or section.notes],
        {**asdict(content), "unknown_because": unknown_because},
    )


def _memory(one: SharedMemory) -> tuple[str, ...]:
    return bytes_text(one.bytes), str(one.attached), str(one.creator or "-"), "removed" if one.removed else ""


def _objects(
    title: str, columns: Sequence[Column], objects: Sequence[Object] | None, words: Callable[[Object], tuple[str, ...]]
) -> Section:
    """Put what all System V objects have before what one kind has, its ``columns`` and ``words``."""
    if objects is None:
        return Section(title, (), (), (UNKNOWN,))
    rows = [(f"{one.key:#010x}", str(one.id), f"{one.mode:03o}", _owner(one.uid), *words(one)) for one in objects]
    return Section(title, (*_OBJECT, *columns), rows)


def _posix(content: IpcContent) -> Section:
    title = "POSIX message queues"
    if content.posix_queues is None:
        return Section(title, (), (), because(content.posix_queues_unknown_because))
    columns = (
        Column("NAME", gives=True),
        Column("MODE", right=True),
        Column("OWNER"),
        Column("MESSAGES", right=True),
        Column("AT MOST", right=True),
        Column("OF BYTES", right=True),
    )
    rows = [
        (
            one.name,
            f"{one.mode:03o}",
            _owner(one.uid),
            show(one.messages),
            show(one.max_messages),
            show(one.message_size),
        )
        for one in content.posix_queues
    ]
    return Section(title, columns, rows)


def _owner(uid: int | None) -> str:
    return UNKNOWN if uid is None else user_name(uid)
