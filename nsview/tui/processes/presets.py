"""Filters that are wanted often, in the filter language, so that each can be read, changed and learnt from."""

from __future__ import annotations

from collections.abc import Iterator

from nsview.host.snapshot import ProcessRecord
from nsview.host.text import printable
from spawner.namespaces import KINDS

ALWAYS: tuple[tuple[str, str], ...] = (
    ("everything", ""),
    ("only what nsview launched", "launched=yes"),
    ("not in the machine's own namespaces", "ns!=init"),
    ("where namespaces begin", "ns!=parent"),
    ("tagged", "tagged=yes"),
    ("busy now", "cpu>1"),
    ("ended but not reaped", "state=Z"),
)


def presets(record: ProcessRecord | None) -> Iterator[tuple[str, str]]:
    """Yield titles and filters; the last are about a process, so that others like it are found."""
    yield from ALWAYS
    if record is None:
        return
    who = f"{record.pid} {printable(record.comm)}"
    for kind, inode in zip(KINDS, record.ns, strict=True):
        if inode is not None:
            # By number, which stays right when the process has ended.
            yield f"same {kind.name} namespace as {who}", f"ns.{kind.proc}={inode}"
    if record.uid is not None:
        yield f"same user as {who}", f"uid={record.uid}"
