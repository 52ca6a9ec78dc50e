"""The namespace column ``mnpUuiCT``: eight cells that say where a process differs from a reference."""

from __future__ import annotations

from collections.abc import Mapping

from nsview.host.snapshot import ProcessRecord
from nsview.host.tree import true_parent
from spawner.namespaces import KINDS

HEADING = "".join(kind.letter for kind in KINDS)
SAME = "·"
UNKNOWN = "?"
ALL_UNKNOWN = UNKNOWN * len(KINDS)
ALL_SAME = SAME * len(KINDS)


def cells(record: ProcessRecord, reference: ProcessRecord | None) -> str:
    """Return eight characters in KINDS order.

    The letter where the namespaces differ, ``·`` where they are the same, ``?`` where either is unknown
    (without a reference: all).
    """
    if reference is None:
        return ALL_UNKNOWN
    if record.ns == reference.ns and None not in record.ns:
        return ALL_SAME
    return "".join(
        UNKNOWN if own is None or other is None else SAME if own == other else kind.letter
        for kind, own, other in zip(KINDS, record.ns, reference.ns, strict=True)
    )


def parent_reference(record: ProcessRecord, records: Mapping[int, ProcessRecord]) -> ProcessRecord | None:
    """Return the record to compare with for "differs from its parent"; None when the parent cannot be seen.

    The first process and kthreadd are children of the kernel itself, which has the initial namespaces: the
    first process is its own reference, kthreadd has the initial ones always.
    """
    parent = true_parent(record, records)
    if parent is None and (record.pid == 1 or record.is_kernel_thread):
        return record
    return parent


def initial_reference(records: Mapping[int, ProcessRecord]) -> ProcessRecord | None:
    """Return a process in the initial namespaces: pid 1, or kthreadd where pid 1 does not let itself be
    read.
    """
    first, kthreadd = records.get(1), records.get(2)
    if (first is None or None in first.ns) and kthreadd is not None and kthreadd.is_kernel_thread:
        return kthreadd
    return first
