"""The options of `nsview run`: one table, and what they make of a Spec."""

from __future__ import annotations

import argparse
import grp
import os
import pwd
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nsview.commands.pty_relay import own_size
from spawner import IDMapping, Mechanism, Spec, Stdio, TimeOffset
from spawner.flags import BY_NAME, UnknownFlag, parse
from spawner.namespaces import KINDS


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its ``names`` and what argparse is told of it."""

    names: tuple[str, ...]
    help: str
    rest: dict[str, Any] = field(default_factory=dict)

    @property
    def values(self) -> int:
        """How many words of the command line after it belong to it."""
        count = self.rest.get("nargs", 1 if self.rest.get("action") in (None, "append") else 0)
        return count if isinstance(count, int) else 0


class _EnvironmentChange(argparse.Action):
    """Note --setenv, --unsetenv and --clearenv in the order given, as bwrap(1) applies them."""

    def __call__(self, parser: object, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        plain = (value.removeprefix(_VALUE) for value in values or ())
        namespace.environment = [*namespace.environment, (option_string, *plain)]


_VALUE = "\0"
"""Before a value that argparse would take for an option; no word of a command line can hold it."""


def _seconds(text: str) -> TimeOffset:
    try:
        return TimeOffset(int(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of seconds") from None


def _clone_flags(text: str) -> int:
    try:
        return parse(text)
    except UnknownFlag as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def signal_number(text: str) -> int:
    """A signal by number or by name, with or without SIG; ArgumentTypeError for anything else."""
    if text.isdigit() and 1 <= int(text) <= 64:
        return int(text)
    try:
        return signal.Signals[f"SIG{text.upper().removeprefix('SIG')}"]
    except KeyError:
        raise argparse.ArgumentTypeError(f"{text!r} is no signal: a name such as TERM, or 1 to 64") from None


def _mechanism(text: str) -> Mechanism:
    try:
        return Mechanism(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"there is no call {text!r}: use one of {', '.join(Mechanism)}") from None


def _user(text: str) -> int:
    try:
        return int(text) if text.isdigit() else pwd.getpwnam(text).pw_uid
    except KeyError:
        raise argparse.ArgumentTypeError(f"there is no user {text!r}") from None


def _group(text: str) -> int:
    try:
        return int(text) if text.isdigit() else grp.getgrnam(text).gr_gid
    except KeyError:
        raise argparse.ArgumentTypeError(f"there is no group {text!r}") from None


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value


_ON = {"action": "store_true"}
_CHANGE = {"action": _EnvironmentChange, "dest": "environment", "default": []}

_WINDOW = (24, 80)
"""The size of a terminal of its own where we have none."""

_LONG = {"mount": "mount", "network": "net"}

GROUPS: tuple[tuple[str, tuple[Option, ...]], ...] = (
    (
        "namespaces",
        (
            *(
                Option((f"-{kind.letter}", f"--{_LONG.get(kind.name, kind.name)}"), f"new {kind.name} namespace", _ON)
                for kind in KINDS
            ),
            Option(("--unshare-all",), "every kind of namespace at once", _ON),
            Option(
                ("--clone-flags",),
                "further clone flags by their kernel names",
                {"metavar": "NAME[,NAME…]", "type": _clone_flags, "default": 0},
            ),
            Option(
                ("--via",),
                "the call that makes the child: " + ", ".join(Mechanism),
                {"type": _mechanism, "default": Mechanism.AUTO, "metavar": "CALL"},
            ),
            Option(("--no-check",), "send flags that the kernel is known to refuse, to see it refuse", _ON),
        ),
    ),
    (
        "ids (a user namespace is implied)",
        (
            Option(("-r", "--map-root-user"), "be root inside: map 0 to your own id", _ON),
            Option(("-c", "--map-current-user"), "keep your own ids inside", _ON),
            Option(("--map-user",), "be this user inside", {"metavar": "UID", "type": _user}),
            Option(("--map-group",), "be this group inside", {"metavar": "GID", "type": _group}),
            Option(("--setgroups",), "whether setgroups(2) may be called inside", {"choices": ["allow", "deny"]}),
        ),
    ),
    (
        "system",
        (
            Option(("--hostname",), "host name in a new uts namespace", {"metavar": "NAME"}),
            Option(("--domainname",), "NIS domain name in a new uts namespace", {"metavar": "NAME"}),
            Option(("--monotonic",), "add to the monotonic clock (with -T)", {"metavar": "SECONDS", "type": _seconds}),
            Option(("--boottime",), "add to the boot-time clock (with -T)", {"metavar": "SECONDS", "type": _seconds}),
            Option(
                ("--propagation",),
                "of mounts in a new mount namespace: private (as it is without this), slave, shared, unchanged",
                {"choices": ["private", "slave", "shared", "unchanged"], "default": "private", "metavar": "KIND"},
            ),
            Option(
                ("--mount-proc",),
                "mount a fresh procfs (a new mount namespace is implied); [=DIR], /proc without it",
                {"nargs": "?", "const": "/proc", "metavar": "DIR"},
            ),
            Option(("-w", "--wd"), "working directory of the program", {"metavar": "DIR"}),
            Option(("--no-loopback",), "leave lo down in a new network namespace", _ON),
        ),
    ),
    (
        "process",
        (
            Option(
                ("--kill-child",),
                "the signal for the child when nsview dies; [=SIGNAL], KILL without it and by default",
                {"nargs": "?", "const": signal.SIGKILL, "type": signal_number, "metavar": "SIGNAL"},
            ),
            Option(("--no-kill-child",), "let the child outlive nsview", _ON),
            Option(("--forward-signals",), "pass SIGTERM and SIGINT on to the child", _ON),
            Option(("--pty",), "give it a terminal of its own", {"action": argparse.BooleanOptionalAction}),
            Option(("--new-session",), "setsid(2) first", _ON),
            Option(("--setenv",), "set a variable", {**_CHANGE, "nargs": 2, "metavar": ("NAME", "VALUE")}),
            Option(("--unsetenv",), "remove a variable", {**_CHANGE, "nargs": 1, "metavar": "NAME"}),
            Option(("--clearenv",), "remove every variable but PWD", {**_CHANGE, "nargs": 0}),
            Option(("--argv0",), "what the program is told it is called", {"metavar": "NAME"}),
            Option(("--timeout",), "kill it after this long", {"metavar": "SECONDS", "type": _positive}),
        ),
    ),
    (
        "watching",
        (
            Option(("--dry-run",), "print the plan and run nothing", _ON),
            Option(("--step",), "before each step: print it and wait for Enter", _ON),
            Option(("--timeline",), "print every step with its nanoseconds, on stderr", _ON),
            Option(
                ("--report",),
                "write namespaces, timeline, exit and rusage as JSON (- for standard output)",
                {"metavar": "FILE"},
            ),
        ),
    ),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Tell argparse the table."""
    for title, options in GROUPS:
        group = parser.add_argument_group(title)
        for option in options:
            group.add_argument(*option.names, help=option.help, **option.rest)
    parser.add_argument("program", nargs=argparse.REMAINDER, metavar="[--] PROGRAM [ARG…]")


_OPTIONS = {name: option for _, options in GROUPS for option in options for name in option.names}


def end_options(argv: Sequence[str]) -> list[str]:
    """Put a ``--`` before the program, and tie each option's values to it, so that argparse reads as getopt(3) does.

    No option with an optional value takes the program for it, and a value may begin with a dash.
    """
    words: list[str] = []
    position = 0
    while position < len(argv):
        word = argv[position]
        if word == "--":
            return [*words, *argv[position:]]
        if not word.startswith("-") or word == "-":
            return [*words, "--", *argv[position:]]
        count = _values_of(word)
        words += _tied(word, argv[position + 1 : position + 1 + count], count)
        position += 1 + count
    return words


def _tied(word: str, values: Sequence[str], count: int) -> list[str]:
    if len(values) != count or not any(value.startswith("-") for value in values):
        return [word, *values]
    if count == 1:
        return [f"{word}={values[0]}" if word.startswith("--") else f"{word}{values[0]}"]
    return [word, *(f"{_VALUE}{value}" for value in values)]


def _values_of(word: str) -> int:
    if word.startswith("--"):
        option = _OPTIONS.get(word)
        return option.values if option else 0
    for place, letter in enumerate(word[1:], start=2):
        option = _OPTIONS.get(f"-{letter}")
        if option is not None and option.values:
            return option.values if place == len(word) else 0
    return 0


def spec_of(asked: argparse.Namespace) -> Spec:
    """The Spec that parsed options ask for."""
    uid, gid = _ids(asked)
    namespaces = {kind.name for kind in KINDS if asked.unshare_all or getattr(asked, _LONG.get(kind.name, kind.name))}
    if uid is not None or gid is not None or asked.setgroups:
        namespaces.add("user")
    if asked.mount_proc:
        namespaces.add("mount")
    program = asked.program[1:] if asked.program[:1] == ["--"] else asked.program
    offsets = ((clock, getattr(asked, clock)) for clock in ("monotonic", "boottime"))
    return Spec(
        args=tuple(program),
        env=_environment(asked.environment),
        cwd=asked.wd,
        argv0=asked.argv0,
        namespaces=frozenset(namespaces),
        uid_mappings=() if uid is None else (IDMapping(uid, os.geteuid()),),
        gid_mappings=() if gid is None else (IDMapping(gid, os.getegid()),),
        setgroups=asked.setgroups,
        hostname=asked.hostname,
        domainname=asked.domainname,
        time_offsets=tuple((clock, offset) for clock, offset in offsets if offset is not None),
        rootfs_propagation=asked.propagation,
        mount_proc=asked.mount_proc,
        loopback=not asked.no_loopback,
        clone_flags=asked.clone_flags,
        via=asked.via,
        stdio=Stdio.PTY if asked.pty else Stdio.INHERIT,
        window=(own_size() if asked.pty else None) or _WINDOW,
        new_session=asked.new_session,
        pdeathsig=_death_signal(asked),
        check=not asked.no_check,
    )


def _death_signal(asked: argparse.Namespace) -> int | None:
    """On by default where there can be one; asked for where there cannot it is the engine that refuses."""
    cannot = asked.via is Mechanism.POSIX_SPAWN or asked.clone_flags & BY_NAME["CLONE_PARENT"].bit
    if asked.no_kill_child or (asked.kill_child is None and cannot):
        return None
    return int(asked.kill_child or signal.SIGKILL)


def _ids(asked: argparse.Namespace) -> tuple[int | None, int | None]:
    """The user and the group to be inside, None for no map; later words win over -r and -c."""
    uid: int | None = None
    gid: int | None = None
    if asked.map_current_user:
        uid, gid = os.geteuid(), os.getegid()
    if asked.map_root_user:
        uid, gid = 0, 0
    return (
        uid if asked.map_user is None else asked.map_user,
        gid if asked.map_group is None else asked.map_group,
    )


def _environment(changes: list[tuple[str, ...]]) -> tuple[tuple[str, str], ...] | None:
    if not changes:
        return None
    env = dict(os.environ)
    for change in changes:
        match change:
            case "--setenv", name, value:
                env[name] = value
            case "--unsetenv", name:
                env.pop(name, None)
            case _:
                env = {name: value for name, value in env.items() if name == "PWD"}
    return tuple(env.items())
