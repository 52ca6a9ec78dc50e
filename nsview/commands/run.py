"""`nsview run`: launch a program with anything a launch can ask for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from nsview import options
from nsview.commands.foreground import run_in_foreground
from spawner import Spec


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
    return run_in_foreground("run", asked, _spec)


def _spec(asked: argparse.Namespace) -> Spec:
    spec = options.spec_of(asked)
    options.profile.save(asked, spec)
    return spec
