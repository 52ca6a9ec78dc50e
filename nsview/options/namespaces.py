"""Options for namespaces: those to make, those to keep, those to enter, and the call that makes the child."""

from __future__ import annotations

import argparse
from typing import Any

from nsview.options import words
from nsview.options.option import ON, Option, refuse
from spawner import Mechanism, Spec
from spawner.namespaces import KINDS
from spawner.oci import Join, Keep
from spawner.target import joins_of

TITLE = "namespaces"

_LONG = {"network": "net"}


def long_name(name: str) -> str:
    """The option of a kind of namespace, as unshare(1) and nsenter(1) call it, without its dashes."""
    return _LONG.get(name, name)


def _join(text: str) -> tuple[str, str]:
    kind, equals, where = text.partition("=")
    found = words.kind(kind)
    if not equals or not where:
        raise words.Refused(f"{text!r} is no TYPE=PID or TYPE=FILE")
    return found.name, where


OPTIONS: tuple[Option, ...] = (
    *(
        Option(
            (f"-{kind.letter}", f"--{long_name(kind.name)}"),
            f"new {kind.name} namespace; [=FILE]: keep it by a bind mount on FILE",
            {"nargs": "?", "const": True, "metavar": "FILE"},
        )
        for kind in KINDS
    ),
    Option(("--unshare-all",), "every kind of namespace at once", ON),
    Option(
        ("--join",),
        "enter a namespace: of a process (PID or PID:INODE), or one kept by a FILE; repeatable",
        {"metavar": "TYPE=PID|FILE", "type": _join, "action": "append", "default": []},
    ),
    Option(
        ("--clone-flags",),
        "further clone flags by their kernel names",
        {"metavar": "NAME[,NAME…]", "type": words.clone_flags, "default": 0},
    ),
    Option(
        ("--via",),
        "the call that makes the child: " + ", ".join(Mechanism),
        {"type": words.mechanism, "metavar": "CALL"},
    ),
    Option(("--no-check",), "send flags that the kernel is known to refuse, to see it refuse", ON),
)


def fields(asked: argparse.Namespace, base: Spec) -> dict[str, Any]:
    """What these options make of a Spec."""
    given = {kind.name: getattr(asked, long_name(kind.name)) for kind in KINDS}
    new = {kind.name for kind in KINDS if asked.unshare_all or given[kind.name] is not None}
    for name, path in given.items():
        if path == "":
            refuse(f"--{long_name(name)}= names no file to keep the namespace by", "name one, or leave out the =")
    keep = tuple(Keep(name, path) for name, path in given.items() if isinstance(path, str))
    join: list[Join] = []
    for name, where in asked.join:
        join += joins_of(where, (name,)) if where.replace(":", "").isdigit() else (Join(name, where),)
    return {
        "namespaces": base.namespaces | new,
        "keep": (*base.keep, *keep),
        "join": (*base.join, *join),
        "clone_flags": base.clone_flags | asked.clone_flags,
        "via": base.via if asked.via is None else asked.via,
        "check": base.check and not asked.no_check,
    }
