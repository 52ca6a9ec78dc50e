"""The command line: one table of subcommands, each imported only when it is asked for."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import NoReturn

BAD_INPUT = 2
ENGINE_FAILED = 125
INTERRUPTED = 128 + 2
BROKEN_PIPE = 128 + 13


@dataclass(frozen=True, slots=True)
class Command:
    """A subcommand: its module in ``nsview.commands``, one line of help, the exit status of bad input."""

    name: str
    does: str
    bad_input: int = BAD_INPUT


COMMANDS: tuple[Command, ...] = (
    Command("run", "launch a program with any clone flags, in the foreground", ENGINE_FAILED),
    Command("enter", "run a program in the namespaces of a process", ENGINE_FAILED),
    Command("ps", "processes and their namespaces"),
    Command("tree", "the process tree and its namespace boundaries"),
    Command("ns", "namespaces and their members"),
    Command("cgroups", "the tree of control groups: usage, limits, pressure, freezer"),
    Command("show", "all that is known of one process"),
    Command("diff", "how two processes differ: namespaces, sharing, usage"),
    Command("events", "processes as they are born, execute, change and end"),
    Command("snapshot", "record processes, events and namespaces over time, or print them as JSON"),
    Command("flags", "clone's flags and the rules between them"),
    Command("advise", "which call and which flags, for what is wanted of a child, and why"),
    Command("lab", "experiments on fork and clone that the running kernel answers"),
    Command("bench", "nsview measured beside its peers on this machine"),
    Command("doctor", "what this machine allows, and what to do where it does not"),
)


class Parser(argparse.ArgumentParser):
    """Says one clear line about bad input and ends with ``bad_input``; takes no abbreviated options."""

    def __init__(self, *, bad_input: int = BAD_INPUT, allow_abbrev: bool = False, **rest: object) -> None:
        """Take what ArgumentParser takes."""
        super().__init__(allow_abbrev=allow_abbrev, **rest)  # type: ignore[arg-type]
        self.bad_input = bad_input

    def error(self, message: str) -> NoReturn:
        """End with one line on stderr, and where to read more."""
        from nsview.host.text import printable  # a word of the command line may hold anything

        message = printable(message + self._meant(message))
        self.exit(self.bad_input, f"{self.prog}: {message}\nTry '{self.prog} --help'.\n")

    def _meant(self, message: str) -> str:
        """What options an unknown one is spelt like."""
        unknown = message.removeprefix("unrecognized arguments: ")
        if unknown == message:
            return ""
        from difflib import get_close_matches  # only for people who mistyped

        known = [name for name in self._option_string_actions if name.startswith("--")]
        found = get_close_matches(unknown.split()[0].partition("=")[0], known, n=3) if unknown[:2] == "--" else []
        return f"; did you mean {' or '.join(found)}?" if found else ""


class _ShowVersion(argparse.Action):
    """Reads the version only when asked: a look at the metadata costs more than most commands."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, dest=argparse.SUPPRESS, default=argparse.SUPPRESS, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        import nsview

        print(f"nsview {nsview.__version__}")
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (default: this process's) and return the exit status."""
    try:
        code = _dispatch(sys.argv[1:] if argv is None else list(argv))
        if sys.stdout is not None:  # closed, as by a shell's >&-
            sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Our reader went away, as in `nsview ps | head`: no error, and not to be told again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    return code


def _dispatch(argv: list[str]) -> int:
    if said := _complaint(argv):
        print(f"nsview: {said}", file=sys.stderr)
        return BAD_INPUT
    if not argv:
        return _open_ui()
    try:
        return _command(argv)
    except SystemExit as stop:  # argparse's way of ending after --help or bad input
        return stop.code if isinstance(stop.code, int) else 0


_WITHOUT_SNAPSHOTS = ("run", "enter", "flags", "advise", "lab", "bench", "doctor")


def _complaint(argv: list[str]) -> str | None:
    """Say what is wrong with what the environment asks of whoever takes snapshots."""
    if not os.environ.get("NSVIEW_SNAPSHOT") or (argv and argv[0] in _WITHOUT_SNAPSHOTS):
        return None
    from nsview.host.producer import complaint  # only for who asks

    return complaint()


def _command(argv: list[str]) -> int:
    asked = next((command for command in COMMANDS if command.name == argv[0]), None)
    top = Parser(
        prog="nsview",
        description="See what Linux does when a process is born. Without a command: open the terminal UI.",
    )
    top.add_argument("--read-only", action="store_true", help="open a UI that looks and never acts or launches")
    from nsview.commands.seconds import DAY, seconds

    top.add_argument(
        "--interval",
        type=seconds(DAY, "not a number of seconds from 0.1 to a day", least=0.1),
        metavar="S",
        help="the UI looks at the machine every S seconds (default: 1, or as set)",
    )
    top.add_argument("-V", "--version", action=_ShowVersion, help="show the version and exit")
    subparsers = top.add_subparsers(title="commands", metavar="COMMAND", parser_class=Parser)
    if asked is not None:
        module = import_module(f"nsview.commands.{asked.name}")
        module.add_parser(subparsers)
        parser = subparsers.choices[asked.name]
        parser.bad_input = asked.bad_input
        prepare = getattr(module, "prepare", list)
        parsed = _read(parser, prepare(argv[1:]), getattr(module, "WORDS", None))
        return int(parsed.run(parsed))
    if not argv[0].startswith("-"):
        names = ", ".join(command.name for command in COMMANDS)
        top.error(f"unknown command {argv[0]!r}; the commands are {names}")
    for command in COMMANDS:
        subparsers.add_parser(command.name, help=command.does)
    parsed = top.parse_args(argv)
    if getattr(parsed, "command", None) is not None or set(argv) & {one.name for one in COMMANDS}:
        top.error("a command comes first, and its options after it")
    return _open_ui(read_only=parsed.read_only, interval=parsed.interval)


def _read(parser: argparse.ArgumentParser, words: list[str], rest: str | None) -> argparse.Namespace:
    """Read a command's words. Where all that is no option goes to ``rest``, options may stand between it."""
    if rest is None:
        return parser.parse_args(words)
    end = words.index("--") if "--" in words else len(words)
    parsed = parser.parse_intermixed_args(words[:end])
    setattr(parsed, rest, [*getattr(parsed, rest), *words[end + 1 :]])
    return parsed


def _open_ui(*, read_only: bool = False, interval: float | None = None) -> int:
    # Textual reads the keys from stdin and draws on stderr.
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        print("nsview: the UI needs a terminal; scripts have the commands of nsview --help", file=sys.stderr)
        return BAD_INPUT
    from nsview.tui.app import main as ui

    return ui(read_only=read_only, interval=interval)
