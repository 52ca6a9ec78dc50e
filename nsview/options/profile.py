"""Options for a saved Spec: one to begin from, and where to save what the options ask for."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from typing import Any

from nsview.options.option import Option, refuse
from spawner import Spec

TITLE = "profiles (a saved Spec, in TOML or, called NAME.json, in JSON)"

OPTIONS: tuple[Option, ...] = (
    Option(("--profile",), "begin from this one; every option adds to it or wins over it", {"metavar": "FILE"}),
    Option(
        ("--save-profile",),
        "write what is asked for to FILE, which must not be there yet, and go on (with --dry-run: run nothing)",
        {"metavar": "FILE"},
    ),
)


def base_of(asked: argparse.Namespace) -> Spec:
    """The Spec to begin from. What it says of the child's death signal is as if an option had said so."""
    if asked.profile is None:
        return Spec(args=())
    from spawner.saved.file import read_fields  # most launches have none

    said = read_fields(asked.profile)
    number = said.pop("pdeathsig", asked)
    if number is not asked and asked.kill_child is None:
        asked.no_kill_child = asked.no_kill_child or not number
        asked.kill_child = number or None
    return Spec(**{"args": (), **said})


def text_of(spec: Spec, path: str) -> str:
    """What a file of this name, read by ``--profile``, has to hold. Raises SpecError."""
    from spawner.saved.file import dump, format_of

    # None is not told from nothing said, and nothing said is SIGKILL; prctl(2) takes 0 for no signal.
    return dump(replace(spec, pdeathsig=spec.pdeathsig or 0), format_of(path))


def save(asked: argparse.Namespace, spec: Spec) -> None:
    """Save what was asked for, if that was asked for too. Raises SpecError."""
    if asked.save_profile is None:
        return
    text = text_of(spec, asked.save_profile)
    try:
        fd = os.open(
            asked.save_profile, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
        )  # it may hold an environment
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        refuse(f"argument --save-profile: {asked.save_profile}: {reason}", "name a new file in a directory of yours")
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)


def fields(asked: argparse.Namespace, base: Spec) -> dict[str, Any]:
    """The program, which may be the profile's."""
    program = asked.program[1:] if asked.program[:1] == ["--"] else asked.program
    return {"args": tuple(program)} if program else {}
