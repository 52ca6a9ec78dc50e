"""`nsview run`: launch a program with anything a launch can ask for."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from nsview import options
from nsview.commands.foreground import ENGINE_FAILED, run_in_foreground
from spawner import Spec, SpecError, compile_spec


def add_parser(subparsers: Any) -> None:
    """Add the command to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "run",
        help="launch a program with any clone flags, in the foreground",
        usage="nsview run [OPTIONS] [--] PROGRAM [ARG…]",
        description="Launch a program through the engine, its stdio passed through. Exit status: the program's own, "
        "128+N where signal N killed it, 125 where the launch failed, 126 not executable, 127 not found.",
    )
    options.add_options(parser)
    parser.set_defaults(run=run, command="run")


def prepare(argv: Sequence[str]) -> list[str]:
    """Mark where the options end, before argparse reads them."""
    return options.end_options(argv)


def run(asked: argparse.Namespace) -> int:
    """Launch what the options ask for and return the exit status."""
    if asked.language is not None:
        return _print_as(asked)
    return run_in_foreground("run", asked, _spec)


def _print_as(asked: argparse.Namespace) -> int:
    """Print the launch in another language; 125 where there can be no such launch."""
    from nsview.equivalents import FORMAT_OF, Caller  # few want it

    form = FORMAT_OF[asked.language]
    try:
        spec = _spec(asked)
        compile_spec(spec)  # whoever asks for what cannot be is to hear it here, and not from another program
        found = form.write(spec, Caller.here())
    except SpecError as error:
        from nsview.host.text import printable  # a path may hold anything

        for problem in error.problems:
            print(f"nsview run: {printable(str(problem))}", file=sys.stderr)
        return ENGINE_FAILED
    print(found.commented(form.comment), end="")
    return 0


def _spec(asked: argparse.Namespace) -> Spec:
    spec = options.spec_of(asked)
    options.profile.save(asked, spec)
    return spec
