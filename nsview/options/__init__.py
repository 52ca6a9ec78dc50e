"""The options of `nsview run`: a module for each group of them, and what they make of a Spec."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import replace

from nsview.options import (
    files,
    ids,
    limits,
    namespaces,
    network,
    process,
    profile,
    reading,
    security,
    system,
    watching,
)
from nsview.options.option import Option
from spawner import Spec

Groups = tuple[tuple[str, tuple[Option, ...]], ...]

GROUPS: Groups = (
    (namespaces.TITLE, namespaces.OPTIONS),
    (ids.TITLE, ids.OPTIONS),
    (system.TITLE, system.OPTIONS),
    (files.TITLE, files.OPTIONS),
    (limits.TITLE, limits.OPTIONS),
    (security.TITLE, security.OPTIONS),
    (network.TITLE, network.OPTIONS),
    (process.TITLE, process.OPTIONS),
    (watching.TITLE, watching.OPTIONS),
    (profile.TITLE, profile.OPTIONS),
)
"""In the order of `nsview run --help`."""

# Each is given what those before it have made: what capabilities are left depends on ids and namespaces, say.
_MEANINGS = (
    profile.fields,
    namespaces.fields,
    ids.fields,
    system.fields,
    files.fields,
    network.fields,
    limits.fields,
    security.fields,
    process.fields,
)


def add_options(parser: argparse.ArgumentParser, groups: Groups = GROUPS) -> None:
    """Tell argparse the tables."""
    for title, options in groups:
        group = parser.add_argument_group(title)
        for option in options:
            group.add_argument(*option.names, help=option.help, **option.told)
    parser.add_argument("program", nargs=argparse.REMAINDER, metavar="[--] PROGRAM [ARG…]")


def by_name(groups: Iterable[tuple[str, tuple[Option, ...]]]) -> dict[str, Option]:
    """Each option by each of its names."""
    return {name: option for _, options in groups for option in options for name in option.names}


_OPTIONS = by_name(GROUPS)


def end_options(argv: Sequence[str]) -> list[str]:
    """The words with a ``--`` before the program, so that argparse reads them as getopt(3) does."""
    return reading.end_options(argv, _OPTIONS)


def spec_of(asked: argparse.Namespace, base: Spec | None = None) -> Spec:
    """The Spec that parsed options ask for, begun from ``base`` or their profile. Raises SpecError."""
    spec = profile.base_of(asked) if base is None else base
    for fields in _MEANINGS:
        spec = replace(spec, **fields(asked, spec))
    return spec
