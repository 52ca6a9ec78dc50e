"""A list as one JSON document, a row on each line: to read it whole or line by line, and fast to write."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping


def write_document(head: Mapping[str, object], name: str, rows: Iterable[object]) -> None:
    """Write an object with the members of ``head`` and the array ``name`` to standard output."""
    # Without indentation json encodes natively, which is ten times as fast.
    members = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    sys.stdout.write(f"{{{', '.join(members)}, {json.dumps(name)}: [")
    separator = "\n"
    for row in rows:
        sys.stdout.write(separator + json.dumps(row))
        separator = ",\n"
    sys.stdout.write("\n]}\n")
