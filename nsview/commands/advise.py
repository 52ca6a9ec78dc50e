"""``nsview advise``: from what is wanted of a child, the call, its flags, why, what else would do, what it costs here.

JSON, version 1, of the list {"version", "wants": [{"name", "says", "means", "flags"}]}; of advice {"version", "wants",
"added": [{"want", "rule", "why"}], "runs", "call", "why", "flags": [{"name", "where", "why", "wanted_by"}],
"rejected": [{"way", "problems": [{"rule", "message", "remedy", "errno"}]}], "possible": [{"way", "cost", "steps"}],
"steps", "warnings", "problems", "command", "python", "spec", "hold", "costs": {"by_way": [{"way", "times": [{"lab",
"measurement", "series", "until", "axis", "unit", "at", "label", "median", "lower", "upper", "count"}]}], "measured":
[{"lab", "when", "kernel", "build", "euid", "thorough", "this_boot"}], "differs", "told", "missing"}}.

The exit status is 1 where what is wanted does not go together.
"""

from __future__ import annotations

import argparse
import errno
import json
import sys
import textwrap
import tomllib
from collections.abc import Iterator

from nsview.advice.advice import Advice, Reason, Turned, advise
from nsview.advice.asker import here
from nsview.advice.costs import LABS, Costs
from nsview.advice.telling import costs_told
from nsview.advice.wants import WANTS, Asker, Runs, UnknownWant, Want, find
from nsview.advice.words import command_of, python_of
from nsview.commands.listing import Column, window, write
from nsview.host.text import printable
from nsview.labs import kept, table
from nsview.labs.lab import Setting
from nsview.labs.running import perform
from spawner import Problem
from spawner.flags import format_mask
from spawner.saved.file import dump

IMPOSSIBLE = 1
_COLUMNS = (Column("WANT"), Column("THE CHILD SHALL …"), Column("FLAGS", gives=True))
_WIDTH = 100
_TITLE = 12


WORDS = "wants"
"""Where all words go that are no options, so that options may stand between them."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "advise",
        help="which call and which flags, for what is wanted of a child, and why",
        description="Say by which call a child is best made for what is wanted of it, with which flags, why not by "
        "another, and what it costs on this machine as the labs have measured it. Without a want: list them. Ends "
        "with 1 where the wants do not go together.",
    )
    parser.add_argument("wants", nargs="*", type=_want, metavar="WANT", help="what is wanted; several go together")
    parser.add_argument("--measure", action="store_true", help=f"run the labs that measure it first: {', '.join(LABS)}")
    parser.add_argument("--no-header", dest="header", action="store_false", help="leave out the line of titles")
    parser.add_argument("--json", action="store_true", help="print JSON, version 1")
    parser.set_defaults(run=run)


def _want(name: str) -> Want:
    try:
        return find(name)
    except UnknownWant as error:
        raise argparse.ArgumentTypeError(f"{error} (nsview advise lists them)") from None


def run(args: argparse.Namespace) -> int:
    """List the wants, or advise on some."""
    measured = _measured() if args.measure else {}
    if not args.wants:
        _list(args)
        return 0
    asker = here()
    found = [measured.get(lab) or kept.find(lab) for lab in LABS]
    advice = advise(args.wants, asker, found)
    if args.json:
        json.dump(document(advice, asker), sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in told(advice, asker, window() or _WIDTH))
    return 0 if advice.plan is not None else IMPOSSIBLE


def _measured() -> dict[str, kept.Found]:
    """Run the labs; what they measured is used even where it cannot be kept."""
    found = {}
    for name in LABS:
        print(f"nsview advise: measuring: nsview lab {name}", file=sys.stderr, flush=True)
        report = perform(table.find(name), Setting())
        if report.error is not None:
            print(f"nsview advise: lab {name} ended early: {printable(report.error)}", file=sys.stderr)
        if report.measurements:
            found[name] = kept.Found(name, kept.kept_of(report))
            try:
                kept.keep(report)
            except OSError as error:
                where = printable(str(error.filename or "the state directory"))
                print(f"nsview advise: measurements not kept: {where}: {error.strerror}", file=sys.stderr)
    return found


def _list(args: argparse.Namespace) -> None:
    if args.json:
        wants = [
            {"name": want.name, "says": want.says, "means": want.means, "flags": _names(want.flags)} for want in WANTS
        ]
        json.dump({"version": 1, "wants": wants}, sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        rows = [(want.name, want.says, " ".join(_names(want.flags)) or "-") for want in WANTS]
        write(_COLUMNS, rows, args.header)


def _names(mask: int) -> list[str]:
    return format_mask(mask).split("|") if mask else []


# ---- as text ----


def told(advice: Advice, asker: Asker, room: int) -> Iterator[str]:
    """Yield the lines that tell advice, each at most ``room`` columns wide but for commands."""
    for title, texts in _parts(advice):
        for at, text in enumerate(texts):
            yield from _wrapped(text, room, f"{title if not at else '':<{_TITLE}}")
    command, code = command_of(advice, asker), python_of(advice, asker)
    if command is not None:
        yield from _verbatim("run", command)
    elif code is not None:
        yield from _verbatim("python", code.rstrip("\n"))


def _parts(advice: Advice) -> Iterator[tuple[str, list[str]]]:
    yield "wanted", [f"{want.name}: {want.says}{f' ({want.means})' if want.means else ''}" for want in advice.wants]
    if advice.added:
        yield "and so", [f"{each.want.name}, because {each.rule.why} ({each.rule.name})" for each in advice.added]
    plan = advice.plan
    if plan is None:
        yield "cannot be", [_problem(problem) for problem in advice.problems]
        return
    yield "call", [f"{plan.mechanism}, {_GOES_ON[advice.runs]}: {plan.why}"]
    yield "flags", [_flag(reason) for reason in advice.flags]
    if advice.rejected:
        yield "not by", [_turned(each) for each in advice.rejected]
    if advice.possible:
        ours = f", {plan.mechanism}'s {len(plan.steps)}"
        yield (
            "also by",
            [
                f"{each.way}: {each.cost}"
                + ("" if each.steps is None else f"; {each.steps} steps of the child's own{ours}")
                for each in advice.possible
            ],
        )
    yield "costs here", list(costs_told(advice.costs))
    if advice.warnings:
        yield "beware", list(advice.warnings)


_GOES_ON = {
    Runs.PROGRAM: "then execve",
    Runs.FUNCTION: "then a function, no execve",
    Runs.CALLS: "then system calls, no execve",
}


def _flag(reason: Reason) -> str:
    by = f" for {', '.join(reason.wanted_by)}" if reason.wanted_by else ""
    where = ", by unshare(2)" if reason.where == "child" else ""
    return f"{reason.flag.name}{by}{where}: {reason.why}"


def _turned(turned: Turned) -> str:
    said = _problem(turned.problems[0])
    return said if turned.problems[0].message.startswith(f"{turned.way} ") else f"{turned.way}: {said}"


def _problem(problem: Problem) -> str:
    number = "" if problem.errno is None else f"{errno.errorcode.get(problem.errno, problem.errno)}: "
    rule = f" [{problem.rule}]" if problem.rule else ""
    return f"{number}{problem}{rule}"


def _wrapped(text: str, room: int, first: str) -> list[str]:
    indent = " " * len(first)
    width = max(room, len(first) + 20)
    return textwrap.wrap(
        printable(text),
        width,
        initial_indent=first,
        subsequent_indent=indent + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _verbatim(title: str, text: str) -> Iterator[str]:
    for at, line in enumerate(text.splitlines()):
        yield f"{title if not at else '':<{_TITLE}}{line}".rstrip()


# ---- as JSON ----


def document(advice: Advice, asker: Asker) -> dict[str, object]:
    """Return advice for JSON."""
    plan = advice.plan
    return {
        "version": 1,
        "wants": [want.name for want in advice.wants],
        "added": [{"want": each.want.name, "rule": each.rule.name, "why": each.rule.why} for each in advice.added],
        "runs": advice.runs,
        "call": None if plan is None else plan.mechanism,
        "why": None if plan is None else plan.why,
        "flags": [
            {
                "name": reason.flag.name,
                "where": reason.where,
                "why": reason.why,
                "wanted_by": list(reason.wanted_by),
            }
            for reason in advice.flags
        ],
        "rejected": [
            {"way": each.way, "problems": [_problem_document(problem) for problem in each.problems]}
            for each in advice.rejected
        ],
        "possible": [{"way": each.way, "cost": each.cost, "steps": each.steps} for each in advice.possible],
        "steps": None if plan is None else len(plan.steps),
        "warnings": list(advice.warnings),
        "problems": [_problem_document(problem) for problem in advice.problems],
        "command": command_of(advice, asker),
        "python": python_of(advice, asker),
        "spec": tomllib.loads(dump(advice.spec)) if plan is not None and advice.runs is Runs.PROGRAM else None,
        "hold": advice.hold,
        "costs": _costs(advice.costs),
    }


def _problem_document(problem: Problem) -> dict[str, object]:
    number = None if problem.errno is None else errno.errorcode.get(problem.errno, str(problem.errno))
    return {
        "rule": problem.rule or None,
        "message": problem.message,
        "remedy": problem.remedy,
        "errno": number,
    }


def _costs(costs: Costs) -> dict[str, object]:
    return {
        "by_way": [
            {
                "way": way,
                "times": [
                    {
                        "lab": cost.lab,
                        "measurement": cost.key,
                        "series": cost.series,
                        "until": cost.until,
                        "axis": cost.axis.title,
                        "unit": cost.axis.unit,
                        "at": cost.at,
                        "label": cost.label or None,
                        "median": cost.spread.median,
                        "lower": cost.spread.lower,
                        "upper": cost.spread.upper,
                        "count": cost.spread.count,
                    }
                    for cost in cited
                ],
            }
            for way, cited in costs.by_way
        ],
        "measured": [
            {
                "lab": each.lab,
                "when": each.when,
                "kernel": each.on.kernel,
                "build": each.on.build,
                "euid": each.euid,
                "thorough": each.thorough,
                "this_boot": each.this_boot,
            }
            for each in costs.measured
        ],
        "differs": list(costs.differs),
        "told": list(costs.told),
        "missing": list(costs.missing),
    }
