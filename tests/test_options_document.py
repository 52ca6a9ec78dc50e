"""docs/options.md is what the tables of options say; `python -P tests/test_options_document.py` writes it anew."""

from __future__ import annotations

import re
from pathlib import Path

from nsview import options
from nsview.commands import enter
from nsview.options.option import Option

DOCUMENT = Path(__file__).parents[1] / "docs" / "options.md"
MARK = "<!-- The tables below are made by tests/test_options_document.py. -->\n"


def _words(option: Option) -> str:
    metavar = option.rest.get("metavar")
    names = list(option.names)
    if option.rest.get("nargs") == "?":
        names[-1] += f"[={metavar}]"
    elif metavar:
        names[-1] += " " + (" ".join(metavar) if isinstance(metavar, tuple) else str(metavar))
    return ", ".join(f"`{name}`" for name in names)


def _tables(command: str, groups: options.Groups) -> str:
    text = f"\n## nsview {command}\n"
    for title, rows in groups:
        text += f"\n### {title[0].upper()}{title[1:]}\n\n| option | what it does |\n|---|---|\n"
        for option in rows:
            text += f"| {_words(option).replace('|', chr(92) + '|')} | {option.help.replace('|', chr(92) + '|')} |\n"
    return text


def tables() -> str:
    only = tuple(group for group in enter.GROUPS if group not in options.GROUPS)
    return _tables("run", options.GROUPS) + _tables("enter", only)


def test_the_document_has_the_tables_as_they_are() -> None:
    assert DOCUMENT.read_text().partition(MARK)[2] == tables()


def test_every_option_is_in_it() -> None:
    text = DOCUMENT.read_text()
    for groups in (options.GROUPS, enter.GROUPS):
        for name in options.by_name(groups):
            assert re.search(rf"`{re.escape(name)}[\[ `]", text), name


if __name__ == "__main__":
    DOCUMENT.write_text(DOCUMENT.read_text().partition(MARK)[0] + MARK + tables())
