"""``nsview flags``: every clone flag in one line, or some of them with all that is known about them.

JSON, version 1: {"version", "flags": [{"name", "bit", "group", "does", "after_exec", "stays", "still_shared", "since",
"via", "besides"}], "rules": [{"name", "has", "any_of", "lacks", "when", "via", "errno", "why", "remedy", "since",
"until", "source"}], "dangers": [{"name", "has", "any_of", "lacks", "when", "via", "harm", "remedy", "stops",
"source"}]}. "stays": whether what a flag did is in force after execve. A rule is met by a mask with all of "has", one
of "any_of" (where there are any) and none of "lacks"; these hold names of flags, and in hexadecimal what is none.
"""

from __future__ import annotations

import argparse
import errno
import json
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from nsview.commands.listing import window
from spawner.conditions import Condition, When
from spawner.flags import FLAGS, GROUPS, Flag, UnknownFlag, find, format_mask
from spawner.rules import DANGERS, RULES, Danger, Rule, exit_signal_for, refusals

TITLES = ("NAME", "BIT", "GROUP", "WHAT IT DOES")
CALLS = ("clone3", "clone", "unshare")
_SENTENCE = 44
"""Columns below which a sentence gets lines of its own."""
_INDENT = " " * 4


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "flags",
        help="clone's flags and the rules between them",
        description="List the clone flags, or explain some: what they do, what execve leaves of it, which "
        "combinations the kernel refuses and which it should have.",
    )
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument(
        "which",
        nargs="?",
        type=_flags,
        default=(),
        metavar="NAME[,NAME…]",
        help="flags to explain, in any case, with or without CLONE_; several: also if they go together",
    )
    chosen.add_argument("--group", choices=tuple(GROUPS), help="list only this group")
    parser.add_argument("--no-header", dest="header", action="store_false", help="leave out the line of titles")
    parser.add_argument("--json", action="store_true", help="print JSON, version 1")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the table, or what is known about the flags asked for."""
    shown = [flag for flag in args.which or FLAGS if args.group in (None, flag.group)]
    if args.json:
        json.dump(document(shown), sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        room = window()
        lines = explained(shown, room) if args.which else listed(shown, args.header, room)
        sys.stdout.writelines(f"{line}\n" for line in lines)
    return 0


def _flags(text: str) -> tuple[Flag, ...]:
    try:
        named = [find(word) for word in text.replace("|", ",").split(",") if word.strip()]
    except UnknownFlag as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return tuple(dict.fromkeys(named))


def listed(flags: Sequence[Flag], header: bool, room: int | None) -> Iterator[str]:
    """Yield the table: a line for each flag, its sentence wrapped into ``room`` columns unless that is None.

    Where too little is left for the sentences they stand below the names.
    """
    cells = [(flag.name, f"{flag.bit:#x}", flag.group, flag.does) for flag in flags]
    rows = [TITLES, *cells] if header else cells
    name, bit, group = (max((len(row[at]) for row in rows), default=0) for at in range(3))
    left = name + bit + group + 3
    below = room is not None and room - left < _SENTENCE
    for row in rows:
        start = f"{row[0]:<{name}} {row[1]:>{bit}} {row[2]:<{group}}"
        if below:
            yield from _wrapped(start.rstrip(), room)
            yield from _wrapped(row[3], room, _INDENT) if row is not TITLES else ()
        else:
            yield from _wrapped(row[3], room, start + " ", " " * left)


def explained(flags: Sequence[Flag], room: int | None) -> Iterator[str]:
    """Yield all that the tables know about these flags, and of several whether they go together."""
    for at, flag in enumerate(flags):
        if at:
            yield ""
        yield from _explained(flag, room)
    if len(flags) > 1:
        yield ""
        yield from _together(sum(flag.bit for flag in flags), room)


def _explained(flag: Flag, room: int | None) -> Iterator[str]:
    yield from _wrapped(f"{flag.name}  {flag.bit:#x}  {flag.group}: {GROUPS[flag.group]}", room)
    about = {
        "does": flag.does,
        "after exec": flag.after_exec,
        "still shared": flag.still_shared,
        "besides": flag.besides,
        "since": f"Linux {flag.since}",
        "through": ", ".join(_calls(flag)),
    }
    for title, text in about.items():
        if text:
            yield from _wrapped(text, room, f"  {title:<12} ", " " * 15)
    if rules := rules_on(flag):
        yield "  refused"
        for rule in rules:
            answer = f"{errno.errorcode[rule.errno]}: {rule.why}; {rule.remedy}"
            yield from _item(rule, flag, f"{answer} [{rule.source}{_releases(rule)}]", room)
    if harms := dangers_on(flag):
        yield "  accepted, but"
        for danger in harms:
            yield from _item(danger, flag, f"{danger.harm}; {danger.remedy} [{danger.source}]", room)


def _item(condition: Condition, flag: Flag, text: str, room: int | None) -> Iterator[str]:
    yield from _wrapped(f"{combination(condition, flag)} ({', '.join(_calls(condition))})", room, _INDENT)
    yield from _wrapped(text, room, _INDENT * 2)


def _together(mask: int, room: int | None) -> Iterator[str]:
    """The answer to a privileged caller, which also chooses the exit signal that the flags ask for."""
    yield from _wrapped(f"{format_mask(mask)}, through clone3", room)
    said = refusals(mask, "clone3", exit_signal_for(mask))
    if not said:
        yield from _wrapped("accepted, where the kernel knows them all and the caller has the privilege", room, _INDENT)
    for refusal in said:
        yield from _wrapped(f"refused with {refusal}", room, _INDENT)


def rules_on(flag: Flag) -> list[Rule]:
    """Return the rules that speak of the flag, but for the one on whatever a kernel does not know."""
    return [rule for rule in RULES if rule.mentions & flag.bit and rule.when is not When.UNKNOWN_BIT]


def dangers_on(flag: Flag) -> list[Danger]:
    """Return the dangers that come with the flag."""
    return [danger for danger in DANGERS if (danger.has | danger.any_of) & flag.bit]


def combination(condition: Condition, flag: Flag) -> str:
    """Word a condition as seen from one of its flags: ``CLONE_THREAD without CLONE_SIGHAND``."""
    having = sorted(names(condition.has), key=lambda name: name != flag.name)
    if condition.any_of & flag.bit:
        having.append(flag.name)
    elif condition.any_of:
        having.append(f"any of {', '.join(names(condition.any_of))}")
    without = "".join(f" without {name}" for name in names(condition.lacks))
    when = "" if condition.when is When.ALWAYS else f", {condition.when}"
    return f"{' with '.join(having)}{without}{when}"


def names(mask: int) -> list[str]:
    """Name the flags of a mask, in the order of the table; bits that are none are passed over."""
    return [flag.name for flag in FLAGS if mask & flag.bit]


def document(flags: Iterable[Flag]) -> dict[str, object]:
    """Return the flags, and the rules and dangers that speak of them, for JSON."""
    shown = list(flags)
    mask = sum(flag.bit for flag in shown)
    all_of_them = len(shown) == len(FLAGS)
    return {
        "version": 1,
        "flags": [
            {
                "name": flag.name,
                "bit": flag.bit,
                "group": flag.group,
                "does": flag.does,
                "after_exec": flag.after_exec,
                "stays": flag.stays,
                "still_shared": flag.still_shared or None,
                "since": flag.since,
                "via": _calls(flag),
                "besides": flag.besides or None,
            }
            for flag in shown
        ],
        "rules": [
            {
                **_condition(rule),
                "errno": errno.errorcode[rule.errno],
                "why": rule.why,
                "remedy": rule.remedy,
                "since": rule.since,
                "until": rule.until,
                "source": rule.source,
            }
            for rule in RULES
            if all_of_them or rule.mentions & mask
        ],
        "dangers": [
            {
                **_condition(danger),
                "harm": danger.harm,
                "remedy": danger.remedy,
                "stops": danger.stops,
                "source": danger.source,
            }
            for danger in DANGERS
            if all_of_them or danger.mentions & mask
        ],
    }


def _condition(condition: Rule | Danger) -> dict[str, object]:
    return {
        "name": condition.name,
        "has": _words(condition.has),
        "any_of": _words(condition.any_of),
        "lacks": _words(condition.lacks),
        "when": condition.when,
        "via": _calls(condition),
    }


def _words(mask: int) -> list[str]:
    return format_mask(mask).split("|") if mask else []


def _calls(entry: Flag | Condition) -> list[str]:
    return [call for call in CALLS if call in entry.via]


def _releases(rule: Rule) -> str:
    since = f", since Linux {rule.since}" if rule.since else ""
    return since + (f", until Linux {rule.until}" if rule.until else "")


def _wrapped(text: str, room: int | None, first: str = "", rest: str | None = None) -> list[str]:
    rest = first if rest is None else rest
    if room is None:
        return [first + text]
    room = max(room, len(first) + 20)
    return textwrap.wrap(
        text,
        room,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
