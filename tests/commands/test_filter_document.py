"""docs/filter.md has the columns as they are; `python -P tests/commands/test_filter_document.py` writes them anew.

What it says of filters is tried: each filter in the document is one.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from nsview.commands.column_choice import filter_of
from nsview.host.columns import DEAR, FREE, READ
from nsview.host.columns.process_row import refer
from nsview.host.columns.processes import PROCESS_COLUMNS
from nsview.host.filter import parse

DOCUMENT = Path(__file__).parents[2] / "docs" / "filter.md"
MARK = "<!-- The table below is made by tests/commands/test_filter_document.py. -->\n"
COSTS = {FREE: "free", READ: "file", DEAR: "dear"}


def table() -> str:
    text = "\n| column | also | what it is | kind | cost |\n|---|---|---|---|---|\n"
    for column in PROCESS_COLUMNS:
        names = " ".join(f"`{alias}`" for alias in column.aliases)
        main = "; main" if column.main else ""
        text += f"| `{column.name}` | {names} | {column.help}{main} | {column.kind.name} | {COSTS[column.cost]} |\n"
    return text


def examples() -> list[str]:
    """The filters of the table of references."""
    part = DOCUMENT.read_text().partition("## Whose")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in part.splitlines() if line.startswith("| `")]
    return [word for row in rows for word in re.findall("`([^`]+)`", row)]


def commands() -> list[str]:
    """The command lines of the first example."""
    block = DOCUMENT.read_text().split("```")[1]
    return [line.partition("  #")[0] for line in block.splitlines() if line.startswith("nsview")]


def test_the_document_has_the_columns_as_they_are() -> None:
    assert DOCUMENT.read_text().partition(MARK)[2] == table()


@pytest.mark.parametrize("text", examples())
def test_filters_in_the_document_are_filters(text: str) -> None:
    assert parse(text, PROCESS_COLUMNS, refer).columns


@pytest.mark.parametrize("line", commands())
def test_command_lines_in_the_document_are_understood(line: str) -> None:
    words = shlex.split(line)[2:]
    chosen = [word for word in words if not word.startswith("-") and not word.startswith("+")]
    assert filter_of(chosen, PROCESS_COLUMNS, refer).columns


if __name__ == "__main__":
    DOCUMENT.write_text(DOCUMENT.read_text().partition(MARK)[0] + MARK + table())
