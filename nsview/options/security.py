"""Options for what the program may not do: capabilities, no_new_privs, seccomp, landlock."""

from __future__ import annotations

import argparse
import os
from typing import Any

from nsview.options.option import ON, Option, in_order, refuse
from spawner import Spec
from spawner import capabilities as caps
from spawner.kernel import capability_sets
from spawner.oci import Capabilities, Landlock, Seccomp

TITLE = "security"

_OVERFLOW_UID = 65534

OPTIONS: tuple[Option, ...] = (
    Option(("--no-new-privs",), "let no execve give privileges (set-user-id programs, file capabilities)", ON),
    Option(
        ("--cap-add",),
        "add a capability, or ALL, to those the program would have; in order with --cap-drop",
        in_order("capabilities", "CAP"),
    ),
    Option(
        ("--cap-drop",),
        "take one, or ALL, from them; what is left of them is all it can ever have",
        in_order("capabilities", "CAP"),
    ),
    Option(
        ("--seccomp",),
        "a seccomp filter: a profile in the OCI runtime-spec's JSON, a compiled program (.bpf), or default; repeatable",
        {"metavar": "PROFILE", "action": "append", "default": []},
    ),
    Option(
        ("--landlock-ro",),
        "let it read and execute below PATH, and use no file not named by one of these two; repeatable",
        {"metavar": "PATH", "action": "append", "default": []},
    ),
    Option(
        ("--landlock-rw",), "let it do everything below PATH", {"metavar": "PATH", "action": "append", "default": []}
    ),
)


def fields(asked: argparse.Namespace, base: Spec) -> dict[str, Any]:
    """What these options make of a Spec, in which its ids are settled."""
    made: dict[str, Any] = {"no_new_privs": base.no_new_privs or asked.no_new_privs}
    if asked.capabilities:
        made |= {"capabilities": _capabilities(asked.capabilities, base), "keep_caps": False}
    if asked.seccomp:
        made["seccomp"] = (*base.seccomp, *map(_filter, asked.seccomp))
    if asked.landlock_ro or asked.landlock_rw:
        before = base.landlock or Landlock()
        made["landlock"] = Landlock(read=(*before.read, *asked.landlock_ro), write=(*before.write, *asked.landlock_rw))
    return made


def _capabilities(changes: list[tuple[str, str]], base: Spec) -> Capabilities:
    """The same set for all that the program, whoever it is, has or can have after execve."""
    entered = "user" in base.namespaces or any(join.type == "user" for join in base.join)
    root = _uid_inside(base, entered) == 0
    held = _without_change(base, entered, root)
    for option, text in changes:
        try:
            bits = caps.known() if text.upper() == "ALL" else caps.mask([text])
        except ValueError as error:
            refuse(f"argument {option}: {error}", "ALL, or a name of capabilities(7)")
        held = held | bits if option == "--cap-add" else held & ~bits
    names = frozenset(caps.NAMES[number] for number in caps.numbers(held) if number < len(caps.NAMES))
    if root:
        return Capabilities(bounding=names, effective=names, permitted=names, inheritable=frozenset())
    return Capabilities(bounding=names, effective=names, permitted=names, inheritable=names, ambient=names)


def _without_change(base: Spec, entered: bool, root: bool) -> int:
    """What the program would have after execve: all of its namespace's as root, else none but what is kept."""
    if base.capabilities is not None and base.capabilities.permitted is not None:
        return caps.mask(base.capabilities.permitted)
    if not root and not base.keep_caps:
        return 0 if entered else caps.ambient()
    return caps.known() if entered else capability_sets()[1] & caps.bounding()


def _uid_inside(base: Spec, entered: bool) -> int:
    if base.user.uid is not None:
        return base.user.uid
    own = os.geteuid()
    if not entered:
        return own
    for line in base.uid_mappings:
        if 0 <= own - line.host_id < line.size:
            return line.container_id + own - line.host_id
    return _OVERFLOW_UID


def _filter(where: str) -> Seccomp:
    if where == "default":
        return Seccomp("default")
    try:
        with open(where, "rb") as file:
            content = file.read()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        refuse(f"argument --seccomp: {where}: {reason}", "name a profile in JSON, a compiled program, or default")
    if where.endswith(".bpf"):
        return Seccomp(where, program=content)
    try:
        return Seccomp(where, profile=content.decode())
    except UnicodeDecodeError:
        refuse(f"argument --seccomp: {where} is no JSON", "call a compiled program NAME.bpf")
