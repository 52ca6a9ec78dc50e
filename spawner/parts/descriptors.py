"""The descriptors: a table of its own, standard streams, and nothing else for the program."""

from __future__ import annotations

from spawner.draft import Draft
from spawner.flags import BY_NAME
from spawner.plan import Named, Slot
from spawner.spec import Stdio


def own_descriptors(draft: Draft) -> None:
    """Leave a table shared with the parent."""
    files = BY_NAME["CLONE_FILES"].bit
    if draft.flags & files:
        draft.add(
            "unshare descriptors",
            "unshare",
            Named(files, "CLONE_FILES"),
            phase="descriptors",
            why="what the child opens and closes from here on must not happen to the parent too",
        )
        draft.notes.append("CLONE_FILES ends at the first step: execve would unshare the table anyway")


def stdio(draft: Draft) -> None:
    """Put the standard streams in place, and mark all else close-on-exec."""
    if draft.spec.stdio is not Stdio.INHERIT:
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            draft.add(f"dup {name}", "dup3", Slot(name), number, 0, phase="stdio")
    draft.add(
        "close on exec",
        "close_range",
        3,
        0xFFFFFFFF,
        Named(4, "CLOSE_RANGE_CLOEXEC"),
        phase="stdio",
        why="no descriptor of ours may reach the program (CVE-2024-21626)",
    )
