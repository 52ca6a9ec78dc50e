"""Words of `nsview run` and `nsview enter` as options and as the Spec they ask for, without running anything."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import pytest

from nsview import options
from nsview.cli import Parser
from nsview.commands import enter
from nsview.commands import run as run_command
from spawner import Spec, SpecError


def parsed(command: str, words: Sequence[str]) -> argparse.Namespace:
    """The options; SystemExit where they are none."""
    module = {"run": run_command, "enter": enter}[command]
    subparsers = Parser(prog="nsview").add_subparsers(parser_class=Parser)
    module.add_parser(subparsers)
    return subparsers.choices[command].parse_args(module.prepare(words))


def spec(*words: str) -> Spec:
    """The Spec of ``nsview run WORDS``."""
    return options.spec_of(parsed("run", words))


def entered(*words: str) -> Spec:
    """The Spec of ``nsview enter WORDS``."""
    return enter.spec_of(parsed("enter", words))


def refusal(*words: str) -> str:
    """What is said of words that only together make no Spec."""
    with pytest.raises(SpecError) as caught:
        spec(*words)
    return str(caught.value)
