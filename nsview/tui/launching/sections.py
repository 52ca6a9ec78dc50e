"""The sections of the launch panel: the options of `nsview run` as rows to fill in, made from their one table.

What is typed in a row is the option's value, as on the command line; rows whose order matters are lines of options
to edit as one text. Nothing here says what an option means: nsview.options does.
"""

from __future__ import annotations

import argparse
import os
import shlex
import stat
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import cache

from nsview import options
from nsview.options import files, ids, limits, namespaces, network, process, security, system
from nsview.options.option import InOrder, Option, close
from spawner import Problem, SpecError
from spawner.namespaces import KINDS

ON = "on"
"""What a ticked row holds."""


class Shape(Enum):
    """How a row is filled in."""

    TEXT = "one value"
    MANY = "values parted by spaces, each one time the option"
    TICK = "a tick"
    LINES = "options in order, a line for each"


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One row, there once: ``key`` is the option's name in full, or what a list of ordered options is called."""

    key: str
    shape: Shape
    options: tuple[Option, ...]
    example: str = ""

    @property
    def label(self) -> str:
        """The option without its dashes; for one that keeps a namespace, that it does."""
        name = self.key.removeprefix("--")
        return f"keep {name}" if self.key in KEPT_AT else name

    @property
    def help(self) -> str:
        """What the option does, in its own words; for lines, what they are."""
        if self.shape is Shape.LINES:
            return _LINES[self.key]
        return self.options[0].help

    @property
    def takes(self) -> str:
        """What its value is called."""
        return str(self.options[0].rest.get("metavar") or "")


@dataclass(frozen=True, slots=True)
class Section:
    """A section of rows under a title."""

    name: str
    title: str
    rows: tuple[Row, ...]


KEPT_AT = tuple(f"--{namespaces.long_name(kind.name)}" for kind in KINDS)
"""Options of new namespaces, whose value is a file to keep the namespace by, in the order of KINDS."""

SAID_ABOVE = {
    "--map-root-user": "the choice of ids",
    "--map-current-user": "the choice of ids",
    "--clone-flags": "the ticks of flags",
    "--via": "the choice of the call",
}
"""Options that the panel asks for in its own way."""

LEFT_OUT = {
    "--unshare-all": "eight ticks say the same, and which",
    "--pty": "a program launched here has a terminal of its own",
    "--forward-signals": "the screen is left by q, and k signals the program",
    "--timeout": "the screen is there to end it by k",
    "--dry-run": "the plan is always shown",
    "--step": "hold before exec, then s",
    "--timeline": "the timeline is a pane",
    "--report": "there is no end of nsview to report at",
    "--info-fd": "the screen was given no descriptor to write to",
    "--json-status-fd": "the screen was given no descriptor to write to",
    "--file": "the screen was given no descriptor to read from",
    "--bind-data": "the screen was given no descriptor to read from",
    "--ro-bind-data": "the screen was given no descriptor to read from",
    "--as": "y copies it as another tool's",
    "--profile": "Load",
    "--save-profile": "Save",
}
"""Options of `nsview run` that make no sense on a screen, and why."""

_EXAMPLES = {
    "--join": "net=1 uts=/run/box",
    "--map-user": "0",
    "--map-group": "0",
    "--map-users": "0,100000,65536",
    "--map-groups": "0,100000,65536",
    "--setgroups": "deny",
    "--setuid": "0",
    "--setgid": "0",
    "--groups": "4,20",
    "--umask": "077",
    "--hostname": "box",
    "--domainname": "lab",
    "--monotonic": "86400",
    "--boottime": "-60",
    "--propagation": "slave",
    "--mount-proc": "/proc",
    "--root": "/srv/rootfs",
    "--wd": "/tmp",
    "--rlimit": "NOFILE=64 CORE=0",
    "--cgroup-name": "box",
    "--memory": "64M",
    "--pids": "32",
    "--cpus": "0.5",
    "--io-max": "8:0,rbps=1M",
    "--nice": "10",
    "--cpu-affinity": "0",
    "--oom-score-adj": "500",
    "--seccomp": "default",
    "--landlock-ro": "/usr /etc",
    "--landlock-rw": "/tmp",
    "--veth": "10.9.8.1/24,10.9.8.2/24",
    "--kill-child": "TERM",
    "--argv0": "-sh",
    **{name: "/run/kept-" + name.removeprefix("--") for name in KEPT_AT},
    "files": "ro-bind / /\nproc /proc\ntmpfs /tmp",
    "capabilities": "cap-drop ALL\ncap-add NET_RAW",
    "environment": "setenv LANG C\nunsetenv DISPLAY",
}

_LINES = {
    "files": "what is mounted and made in the root, in this order (a root of its own, empty at first, without root)",
    "capabilities": "what the program may do as root: taken and given in this order; without any, as it comes",
    "environment": "variables set and removed, in this order",
}


def _rows(table: tuple[Option, ...]) -> tuple[Row, ...]:
    rows: dict[str, Row] = {}
    for option in table:
        name = option.long
        if name in LEFT_OUT or name in SAID_ABOVE:
            continue
        action = option.rest.get("action")
        if action is InOrder:
            key = str(option.rest["dest"])
            before = rows[key].options if key in rows else ()
            rows[key] = Row(key, Shape.LINES, (*before, option), _EXAMPLES[key])
        elif action == "store_true":
            rows[name] = Row(name, Shape.TICK, (option,))
        else:
            rows[name] = Row(name, Shape.MANY if action == "append" else Shape.TEXT, (option,), _EXAMPLES[name])
    return tuple(rows.values())


def _keeps(row: Row) -> bool:
    return row.key in KEPT_AT


SECTIONS: tuple[Section, ...] = (
    Section("ids", "Ids", _rows(ids.OPTIONS)),
    Section("system", "Names, clocks, root", _rows(system.OPTIONS)),
    Section("files", "Files", _rows(files.OPTIONS)),
    Section("limits", "Limits", _rows(limits.OPTIONS)),
    Section("security", "Security", _rows(security.OPTIONS)),
    Section("network", "Network", _rows(network.OPTIONS)),
    Section("life", "Life", _rows(process.OPTIONS)),
    Section("kept", "Enter and keep", tuple(sorted(_rows(namespaces.OPTIONS), key=_keeps))),
)
"""In the order of the panel."""

ROWS = {row.key: row for section in SECTIONS for row in section.rows}


# ---- from what was typed to words ----


class RowError(ValueError):
    """What is typed in a row cannot be read; the text says why, in one line."""


def split(text: str) -> list[str]:
    """Split a text as sh does, without expanding anything. Raises RowError."""
    try:
        return shlex.split(text)
    except ValueError as error:
        remedy = "end the quotation" if "quotation" in str(error) else "put something after the backslash"
        raise RowError(f"{error}; {remedy}".lower()) from error


def values(row: Row, text: str) -> list[list[str]]:
    """The options with their values that a row's text stands for: [[option, value, …], …]. Raises RowError."""
    if not text.strip():
        return []
    match row.shape:
        case Shape.TICK:
            return [[row.key]]
        case Shape.TEXT:
            return [[row.key, text.strip() if "type" in row.options[0].rest else text]]
        case Shape.MANY:
            return [[row.key, value] for value in split(text)]
        case Shape.LINES:
            return _operations(row, split(text))


def _operations(row: Row, words: list[str]) -> list[list[str]]:
    known = {option.long: option for option in row.options}
    found = []
    while words:
        name = "--" + words[0].removeprefix("--")
        option = known.get(name)
        if option is None:
            raise RowError(_unknown(words[0], name, known))
        if len(words) <= option.values:
            raise RowError(f"{words[0]} takes {_taken(option)}")
        found.append([name, *words[1 : 1 + option.values]])
        words = words[1 + option.values :]
    return found


def _unknown(word: str, name: str, known: dict[str, Option]) -> str:
    if name in LEFT_OUT:
        return f"{word}: {LEFT_OUT[name]}"
    names = [other.removeprefix("--") for other in known]
    begun = [other for other in names if other.startswith(name.removeprefix("--"))]
    hint = f": {', '.join(begun)}" if begun else close(name.removeprefix("--"), names) or f": {', '.join(names)}"
    return f"there is no {word!r}{hint}"


def _taken(option: Option) -> str:
    metavar = option.rest.get("metavar") or ""
    return metavar if isinstance(metavar, str) else " ".join(metavar)


def told(row: Row, line: str) -> str:
    """What the line of options being typed means: its option's help, or which options begin so."""
    name = "--" + line.strip().split(" ")[0].removeprefix("--")
    for option in row.options:
        if option.long == name:
            return f"{name.removeprefix('--')} {_taken(option)}: {option.help}"
    begun = [option.long.removeprefix("--") for option in row.options if option.long.startswith(name)]
    return ", ".join(begun) if line.strip() and begun else row.help


# ---- checks ----


def wrong_with(row: Row, text: str) -> str:
    """What is wrong with a row's text by itself, in the parser's own sentence; empty where nothing is."""
    try:
        found = values(row, text)
        if row.shape in (Shape.TEXT, Shape.MANY):
            for _, value in found:
                _reader(row)(value)
        elif row.key == "files":
            files.operations(found)
    except (RowError, argparse.ArgumentTypeError) as error:
        return str(error)
    except SpecError as error:
        return "; ".join(str(problem).removeprefix("argument ") for problem in error.problems)
    return ""


def _reader(row: Row) -> Callable[[str], object]:
    if row.key == "--seccomp":
        return _profile
    reader: Callable[[str], object] = row.options[0].rest.get("type", str)
    return reader


def _profile(text: str) -> None:
    """Refuse what would never be read to its end, before it is opened."""
    try:
        mode = os.stat(text).st_mode if text != "default" else stat.S_IFREG
    except (OSError, ValueError):
        return  # the option itself says so, and why
    if not stat.S_ISREG(mode):
        raise RowError(f"{text} is no regular file")


class _Parser(argparse.ArgumentParser):
    """Says what is wrong by an exception: on a screen nothing can be printed."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise SpecError((Problem(message),))


@cache
def _parser() -> _Parser:
    parser = _Parser(prog="nsview run", add_help=False, allow_abbrev=False)
    options.add_options(parser)
    return parser


def parsed(words: tuple[str, ...]) -> argparse.Namespace:
    """What the command line of `nsview run` makes of these words. Raises SpecError."""
    return _parser().parse_args(options.end_options(words))
