"""What ``nsview ns INODE`` prints: what the namespace is, what keeps it alive, who is inside, and what."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from nsview.commands.listing import Column, write
from nsview.host.columns.namespaces import NamespaceRow
from nsview.host.namespaces import StepReport
from nsview.wording.inside.section import Inside
from nsview.wording.namespace import Records, facts_of, keepers, members, unread_text


def write_one(row: NamespaceRow, records: Records, steps: Iterable[StepReport] | None, header: bool) -> None:
    """Print the head."""
    facts = facts_of(row)
    if (unread := unread_text(steps)) is not None:
        facts.append(("search", unread))
    write((Column(""), Column("", gives=True)), facts, header=False)
    if (kept := keepers(row.namespace, records)).rows:
        sys.stdout.write("\n")
        write(kept.columns, kept.rows, header)
    sys.stdout.write("\n")
    there = members(row.namespace.members, records)
    write(there.columns, there.rows, header)


def write_inside(content: Inside, header: bool) -> None:
    """Print the sections, each after an empty line."""
    for section in content.sections:
        sys.stdout.write(f"\n{section.title}\n" if section.title else "\n")
        if section.rows:
            write(section.columns, section.rows, header and any(column.title for column in section.columns))
        sys.stdout.writelines(f"{note}\n" for note in section.notes)
