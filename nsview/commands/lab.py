"""``nsview lab``: the labs there are; or one, as it asks the running kernel and hears its answers.

JSON: nsview/labs/document.py; of the list {"version", "labs": [{"name", "title", "question", "claims"}]}. The exit
status is 1 when an expectation failed; what could not be asked is said and is no failure.
"""

from __future__ import annotations

import argparse
import json
import sys

from nsview.commands.listing import Column, window, write
from nsview.labs.lab import Event, Lab, Scene, Setting
from nsview.labs.table import LABS, UnknownLab, find

FAILED = 1
_COLUMNS = (Column("LAB"), Column("WHAT IT ANSWERS", gives=True))


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "lab",
        help="experiments on fork and clone that the running kernel answers",
        description="List the labs, or run one: what was done, what was expected, what the kernel answered, and what "
        "follows. Ends with 1 when an expectation failed.",
    )
    parser.add_argument("lab", nargs="?", type=_lab, metavar="NAME", help="the lab to run; without it they are listed")
    parser.add_argument(
        "--thorough", action="store_true", help="measure as for a publication: minutes where it else takes seconds"
    )
    parser.add_argument("--step", action="store_true", help="wait for Enter where there is something to look at")
    parser.add_argument("--no-header", dest="header", action="store_false", help="leave out the line of titles")
    parser.add_argument("--json", action="store_true", help="print JSON, version 1")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """List the labs, or run one."""
    if args.lab is None:
        _list(args)
        return 0
    return _run(args.lab, args)


def _lab(name: str) -> Lab:
    try:
        return find(name)
    except UnknownLab as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _list(args: argparse.Namespace) -> None:
    if args.json:
        labs = [{name: getattr(lab, name) for name in ("name", "title", "question", "claims")} for lab in LABS]
        json.dump({"version": 1, "labs": labs}, sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        write(_COLUMNS, [(lab.name, lab.question) for lab in LABS], args.header)


def _run(lab: Lab, args: argparse.Namespace) -> int:
    from nsview.labs.document import document
    from nsview.labs.running import perform
    from nsview.labs.telling import summed_up, told

    width = window()

    def tell(event: Event) -> None:
        if not args.json:
            sys.stdout.writelines(f"{line}\n" for line in told(event, width))
            sys.stdout.flush()
        if args.step and isinstance(event, Scene):
            print("     Enter goes on: ", end="", file=sys.stderr, flush=True)
            sys.stdin.readline()

    if not args.json and args.header:
        print(f"{lab.title}\n{lab.question}")
    report = perform(lab, Setting(thorough=args.thorough), tell)
    if args.json:
        json.dump(document(report), sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in summed_up(report, width))
    return FAILED if report.failed else 0
