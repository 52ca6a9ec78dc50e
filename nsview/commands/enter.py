"""`nsview enter`: run a program in the namespaces of a process, with nsenter(1)'s options."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nsview import options
from nsview.commands.foreground import run_in_foreground
from nsview.options import process, reading, watching, words
from nsview.options.namespaces import long_name
from nsview.options.option import ON, Option, refuse
from spawner import Spec
from spawner.namespaces import KINDS, NamespaceKind
from spawner.oci import Join, User
from spawner.target import joins_of

_OPTIONS: tuple[Option, ...] = (
    Option(("-t", "--target"), "the process whose namespaces are meant", {"metavar": "PID[:INODE]"}),
    Option(("-a", "--all"), "enter all of its namespaces", ON),
    *(
        Option(
            (f"-{kind.letter}", f"--{long_name(kind.name)}"),
            f"enter the {kind.name} namespace; [=FILE]: the one of FILE",
            {"nargs": "?", "const": True, "metavar": "FILE"},
            attached=True,
        )
        for kind in KINDS
    ),
    Option(("-S", "--setuid"), "be this user (0 in a user namespace entered)", {"metavar": "UID", "type": words.user}),
    Option(
        ("-G", "--setgid"),
        "be this group (0 in a user namespace entered), without supplementary groups",
        {"metavar": "GID", "type": words.group},
    ),
    Option(("--preserve-credentials",), "leave user and groups as they are", ON),
    Option(
        ("-r", "--root"),
        "the root directory, in a mount namespace of its own; [=DIR], the target's without it",
        {"nargs": "?", "const": True, "metavar": "DIR"},
        attached=True,
    ),
    Option(
        ("-w", "--wd"),
        "working directory, opened before entering; [=DIR], the target's without it",
        {"nargs": "?", "const": True, "metavar": "DIR"},
        attached=True,
    ),
    Option(
        ("-W", "--wdns"),
        "working directory, by its path inside; [=DIR], the target's without it",
        {"nargs": "?", "const": True, "metavar": "DIR"},
        attached=True,
    ),
)

GROUPS: options.Groups = (
    ("what to enter, and as whom", _OPTIONS),
    (process.TITLE, process.OPTIONS),
    (watching.TITLE, watching.OPTIONS),
)


def add_parser(subparsers: Any) -> None:
    """Add the command to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "enter",
        help="run a program in the namespaces of a process",
        usage="nsview enter -t PID[:INODE] [OPTIONS] [--] [PROGRAM [ARG…]]",
        description="Run a program (your shell, where none is named) in the namespaces of a process, or kept by "
        "files. Options are nsenter(1)'s; letters may be written together. Exit status: as of nsview run.",
    )
    options.add_options(parser, GROUPS)
    parser.set_defaults(run=run, command="enter")


def prepare(argv: Sequence[str]) -> list[str]:
    """Mark where the options end, before argparse reads them."""
    return reading.end_options(argv, options.by_name(GROUPS))


def run(asked: argparse.Namespace) -> int:
    """Launch what the options ask for and return the exit status."""
    try:
        return run_in_foreground("enter", asked, spec_of)
    finally:
        for fd in asked.opened:
            os.close(fd)


def spec_of(asked: argparse.Namespace) -> Spec:
    """The Spec that parsed options ask for. Raises SpecError.

    Descriptors that are opened for it, and have to stay so until the launch, are noted in ``asked.opened``.
    """
    asked.opened = []
    pid = _pid(asked.target)
    join = tuple(_joins(asked, pid))
    entered = {one.type for one in join}
    if asked.wd is not None and asked.wdns is not None:
        refuse("--wd and --wdns name two working directories", "leave one of them out")
    program = asked.program[1:] if asked.program[:1] == ["--"] else asked.program
    spec = Spec(
        args=tuple(program) or (os.environ.get("SHELL") or "/bin/sh",),
        join=join,
        user=_user(asked, pid, "user" in entered),
        cwd=_directory(asked, pid, "mount" in entered),
    )
    root = _root(asked, pid, "mount" in entered)
    if root is not None:
        spec = replace(spec, rootfs=root, namespaces=frozenset({"mount"}))
    return replace(spec, **process.fields(asked, spec))


def _pid(target: str | None) -> int | None:
    if target is None:
        return None
    joins_of(target, ())  # refuses what is no process, or another
    return int(target.partition(":")[0])


def _joins(asked: argparse.Namespace, pid: int | None) -> Sequence[Join]:
    found: list[Join] = []
    for kind in KINDS:
        where = getattr(asked, long_name(kind.name))
        if isinstance(where, str):
            if not where:
                refuse(f"--{long_name(kind.name)}= names no file", "name one, or leave out the =")
            found.append(Join(kind.name, where))
        elif where or (asked.all and not _is_our_user(kind, pid)):
            if pid is None:
                refuse(f"no process is named whose {kind.name} namespace is meant", "add --target PID")
            found += joins_of(asked.target, (kind.name,))
    if asked.all and pid is None:
        refuse("--all of no process", "add --target PID")
    if not found and asked.root is None and asked.wd is None:
        refuse("no namespace to enter", "ask for some by their letters, or for all with -a")
    return found


def _is_our_user(kind: NamespaceKind, pid: int | None) -> bool:
    """Whether it is the user namespace we are in, which cannot be entered anew: setns(2) says EINVAL."""
    return kind.name == "user" and pid is not None and _same(f"/proc/{pid}/ns/user", "/proc/self/ns/user")


def _user(asked: argparse.Namespace, pid: int | None, entered: bool) -> User:
    """As nsenter(1): whoever enters a user namespace is 0 there, without groups, unless told otherwise."""
    uid, gid = asked.setuid, asked.setgid
    if entered and not asked.preserve_credentials:
        uid, gid = uid or 0, gid or 0
    groups = None if gid is None or (entered and asked.setgid is None and _setgroups_denied(pid)) else ()
    return User(uid=uid, gid=gid, additional_gids=groups)


def _setgroups_denied(pid: int | None) -> bool:
    """Whether groups cannot be dropped there: they stay, which nsenter(1) puts up with too."""
    if pid is None:
        return False
    try:
        return Path(f"/proc/{pid}/setgroups").read_text().strip() == "deny"
    except OSError as error:
        refuse(f"process {pid}: {error.strerror}", "it may have ended")


def _root(asked: argparse.Namespace, pid: int | None, entered: bool) -> str | None:
    """The directory to be the root; none where the namespace entered has the one that is meant."""
    if isinstance(asked.root, str):
        if entered:
            refuse("--root=DIR: a directory of this mount namespace cannot be the root of another", "leave out --mount")
        return str(asked.root)
    if asked.root is None:
        return None
    link = _of_target(True, pid, "root")
    if entered and _path_of(link) != "/":
        refuse(
            f"the root of process {pid} is a directory of its mount namespace, which cannot be the root after entering",
            "leave out --root, or run chroot(1) in there",
        )
    if not entered and not _same(f"/proc/{pid}/ns/mnt", "/proc/self/ns/mnt"):
        refuse(
            f"the root of process {pid} is of another mount namespace, from which nothing can be mounted in this one",
            "enter it with --mount",
        )
    return None if entered else link


def _same(one: str, other: str) -> bool:
    try:
        return os.path.samestat(os.stat(one), os.stat(other))
    except OSError as error:
        refuse(f"{error.filename}: {error.strerror}", "it may have ended, or be another user's")


def _directory(asked: argparse.Namespace, pid: int | None, elsewhere: bool) -> str | None:
    if asked.wdns is not None:
        return asked.wdns if isinstance(asked.wdns, str) else _path_of(_of_target(True, pid, "cwd"))
    if asked.wd is None:
        return None
    if asked.wd is True:
        link = _of_target(True, pid, "cwd")
        return _path_of(link) if elsewhere else link
    path: str = os.path.abspath(asked.wd)
    if not elsewhere:
        return path
    # The path means another directory, or none, in there: the child gets this descriptor with all others of ours,
    # and its /proc leads through it to where it was opened.
    try:
        fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        refuse(f"working directory {path}: {error.strerror}", "name another")
    asked.opened.append(fd)
    return f"/proc/self/fd/{fd}"


def _of_target(asked: str | bool, pid: int | None, link: str) -> str:
    if isinstance(asked, str):
        return asked
    if pid is None:
        refuse(f"no process is named whose {link} is meant", "add --target PID")
    return f"/proc/{pid}/{link}"


def _path_of(link: str) -> str:
    try:
        return os.readlink(link)
    except OSError as error:
        refuse(f"{link}: {error.strerror}", "name a directory of your own")
