"""``nsview lab``: the labs there are; or one, as it asks the running kernel and hears its answers.

JSON: nsview/labs/document.py; of the list {"version", "labs": [{"name", "title", "question", "claims"}]}. The exit
status is 1 when an expectation failed; what could not be asked is said and is no failure.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import stat
import sys
import tempfile
from pathlib import Path

from nsview.commands.listing import Column, window, write
from nsview.host.text import printable
from nsview.labs.lab import Event, Lab, Report, Scene, Setting
from nsview.labs.table import LABS, UnknownLab, find

FAILED, USAGE = 1, 2
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
    parser.add_argument("--svg", metavar="FILE", help="draw what the lab measures, as a picture for a page")
    parser.add_argument("--step", action="store_true", help="wait for Enter where there is something to look at")
    parser.add_argument("--no-header", dest="header", action="store_false", help="leave out the line of titles")
    parser.add_argument("--json", action="store_true", help="print JSON, version 1")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """List the labs, or run one."""
    if args.lab is None:
        if args.svg is not None:
            return _refuse("--svg needs a lab to draw: nsview lab NAME --svg FILE", USAGE)
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

    if args.svg is not None and (why := _not_writable(Path(args.svg))) is not None:
        return _refuse(f"{printable(args.svg)}: {why}", USAGE)  # before it takes minutes
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
    _keep(report)
    if args.json:
        json.dump(document(report), sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in summed_up(report, width))
    status = FAILED if report.failed else 0
    return status if args.svg is None else max(status, _draw(report, Path(args.svg)))


def _keep(report: Report) -> None:
    """Keep what was measured, for `nsview advise`; that it cannot be kept is told and is no failure of the lab."""
    from nsview.labs.kept import keep

    try:
        keep(report)
    except OSError as error:
        where = printable(str(error.filename or "the state directory"))
        print(f"nsview lab: measurements not kept: {where}: {error.strerror}", file=sys.stderr)


def _not_writable(path: Path) -> str | None:
    """Say why no picture can be put there, if none can; nothing is left of the trial."""
    from nsview.invoker import as_invoker

    try:
        with as_invoker():
            if path.exists() and not stat.S_ISREG(path.stat().st_mode):  # it would be replaced, /dev/null too
                return os.strerror(errno.EISDIR) if path.is_dir() else "it is no regular file"
            with tempfile.TemporaryFile(dir=Path(os.path.realpath(path)).parent):
                return None
    except OSError as error:
        return error.strerror or str(error)


def _draw(report: Report, path: Path) -> int:
    """Write the picture, as the person's who invoked us."""
    from nsview.invoker import write as keep
    from nsview.labs.chart.svg import beneath_one_another

    if not report.measurements:
        return _refuse(f"no picture: {report.lab.name} has measured nothing", FAILED)
    try:
        keep(path, beneath_one_another(report.measurements).encode())
    except OSError as error:
        return _refuse(f"{printable(str(path))}: {error.strerror}", FAILED)
    return 0


def _refuse(sentence: str, status: int) -> int:
    print(f"nsview lab: {sentence}", file=sys.stderr)
    return status
