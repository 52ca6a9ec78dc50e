"""Marking members of namespaces, and whom to compare. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from nsview.host.model import Identity
from nsview.host.snapshot import ProcessRecord
from nsview.host.tree import true_parent

Marks = tuple[Identity, ...]
"""One or two processes, the one marked first first."""


def marked(before: Marks, process: Identity) -> Marks:
    """Mark a process; once more takes its mark away, a third takes the place of the first."""
    others = tuple(each for each in before if each != process)
    return others if process in before else (*others[-1:], process)


def pair(
    marks: Marks, process: Identity | None, records: Mapping[int, ProcessRecord]
) -> tuple[Identity, Identity] | None:
    """Return who is to be compared with whom: the two marked, the marked one with ``process``, its parent with it.

    None when there are no two.
    """
    if len(marks) == 2:
        return marks[0], marks[1]
    if process is None:
        return None
    if marks and marks[0] != process:
        return marks[0], process
    record = records.get(process[0])
    parent = None if record is None or record.identity != process else true_parent(record, records)
    return None if parent is None else (parent.identity, process)
