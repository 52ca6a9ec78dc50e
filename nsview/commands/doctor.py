"""``nsview doctor``: what this machine allows, in plain words, and what to do where it does not."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nsview.commands.doctor_finding import Finding
    from nsview.commands.doctor_probes import Probe

JSON_VERSION = 1
NAME_WIDTH = 30
STATE_WIDTH = 8


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``doctor`` to the subcommands."""
    parser = subparsers.add_parser(
        "doctor",
        help="what this machine allows, and what to do where it does not",
        description="Try what nsview needs of this machine; say what works, what does not, and what to do.",
        epilog="States: ok, limited (works in part), no, unknown. The exit status is 0 whatever was found.",
    )
    parser.add_argument("words", nargs="*", metavar="WORD", help="only rows with one of these words in the name")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--no-header", action="store_true", help="leave out the headings")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Look at everything asked for and print it; 2 when a word fits no row."""
    from nsview.commands.doctor_probes import PROBES, look

    chosen = [probe for probe in PROBES if _fits(probe, arguments.words)]
    if not chosen:
        names = ", ".join(probe.name for probe in PROBES)
        words = " or ".join(arguments.words)
        print(f"nsview doctor: no row is named {words}; the rows are {names}", file=sys.stderr)
        return 2
    found = [(probe, look(probe)) for probe in chosen]
    if arguments.json:
        print(json.dumps(_document(found), indent=2))
    else:
        width = shutil.get_terminal_size((100, 24)).columns
        print("\n".join(_lines(found, width, header=not arguments.no_header)))
    return 0


def _fits(probe: Probe, words: Sequence[str]) -> bool:
    return not words or any(word.lower() in probe.name.lower() for word in words)


def _document(found: Sequence[tuple[Probe, Finding]]) -> dict[str, object]:
    rows = [
        {"name": probe.name, "state": finding.state.value, "detail": finding.detail, "remedy": finding.remedy}
        for probe, finding in found
    ]
    return {"version": JSON_VERSION, "findings": rows}


def _lines(found: Sequence[tuple[Probe, Finding]], width: int, *, header: bool) -> list[str]:
    """Lay the rows out; details wrap under themselves, a remedy stands below its detail."""
    margin = " " * (NAME_WIDTH + STATE_WIDTH)
    room = max(width, NAME_WIDTH + STATE_WIDTH + 30) - len(margin)
    lines = [f"{'THING':<{NAME_WIDTH}}{'STATE':<{STATE_WIDTH}}DETAIL"] if header else []
    for probe, finding in found:
        detail = textwrap.wrap(finding.detail, room) or [""]
        lines.append(f"{probe.name:<{NAME_WIDTH}}{finding.state.value:<{STATE_WIDTH}}{detail[0]}")
        lines += [margin + more for more in detail[1:]]
        if finding.remedy is not None:
            remedy = textwrap.wrap(finding.remedy, room - 3)
            lines += [margin + ("-> " if index == 0 else "   ") + more for index, more in enumerate(remedy)]
    return lines
