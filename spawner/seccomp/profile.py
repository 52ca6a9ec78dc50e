"""Seccomp profiles: the OCI runtime-spec's and Docker's JSON read into rules, each error with its place in the text."""

from __future__ import annotations

import difflib
import errno
import json
import os
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ACT_ERRNO, ACT_TRACE = 0x00050000, 0x7FF00000
ACTIONS: Mapping[str, int] = {
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_KILL_THREAD": 0x00000000,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": ACT_ERRNO,
    "SCMP_ACT_TRACE": ACT_TRACE,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
"""Action, and what a filter returns for it (linux/seccomp.h); the last 16 bits are an errno or a message."""

PERMISSIVE = (ACTIONS["SCMP_ACT_LOG"], ACTIONS["SCMP_ACT_ALLOW"])
"""Actions after which the system call is made."""

COMPARISONS: Mapping[str, int] = {
    name: number
    for number, name in enumerate(
        ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"),
        start=1,
    )
}
"""Without SCMP_CMP_, as enum scmp_compare numbers them (seccomp_rule_add(3))."""

FLAGS: Mapping[str, int] = {"SECCOMP_FILTER_FLAG_LOG": 1 << 1, "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 1 << 2}
_NEEDLESS_FLAGS = {
    "SECCOMP_FILTER_FLAG_TSYNC": "the child has one thread",
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": "nobody listens to the filter",
}
NATIVE = {"x86_64": ("SCMP_ARCH_X86_64", "amd64"), "aarch64": ("SCMP_ARCH_AARCH64", "arm64")}
"""Machine, and what the runtime-spec and Docker call it."""

_KEYS = frozenset(
    ("defaultAction", "defaultErrnoRet", "defaultErrno", "architectures", "archMap", "flags", "syscalls", "comment")
)
_LISTENER = ("listenerPath", "listenerMetadata")
_RULE_KEYS = frozenset(
    ("names", "name", "action", "errnoRet", "errno", "args", "comment", "comments", "includes", "excludes")
)
_ARGUMENT_KEYS = frozenset(("index", "value", "valueTwo", "op", "comment"))
_FILTER_KEYS = frozenset(("arches", "caps", "minKernel"))
_LAST_ERRNO = 4095
_U64 = (1 << 64) - 1


class ProfileError(ValueError):
    """A profile that cannot become a filter: ``place`` is where in the JSON, as ``$.syscalls[3].action``."""

    def __init__(self, place: str, message: str, remedy: str = "") -> None:
        super().__init__(f"{place}: {message}")
        self.place = place
        self.message = message
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Comparison:
    """A condition on an argument: ``op`` as COMPARISONS numbers it; for MASKED_EQ ``value`` is the mask."""

    index: int
    op: int
    value: int
    value_two: int


@dataclass(frozen=True, slots=True)
class Rule:
    """What is answered to these system calls, if every comparison holds."""

    names: tuple[str, ...]
    action: int
    comparisons: tuple[Comparison, ...]
    place: str


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile for one machine: what is answered, to calls of which architectures, and flags of seccomp(2)."""

    default: int
    architectures: tuple[str, ...]
    rules: tuple[Rule, ...]
    flags: int
    notes: tuple[str, ...]


def read(
    text: str,
    *,
    bounding: frozenset[str],
    machine: str | None = None,
    kernel: tuple[int, int] | None = None,
) -> Profile:
    """Read a profile. Docker's conditions are decided by ``bounding`` (names of capabilities), machine and kernel.

    Raises ProfileError. Sources: config-linux.md of the runtime-spec; moby's profiles/seccomp for what is beyond it.
    """
    try:
        whole = json.loads(text)
    except json.JSONDecodeError as error:
        raise ProfileError(f"line {error.lineno}, column {error.colno}", f"no JSON: {error.msg}") from None
    except ValueError as error:  # a number of thousands of digits
        raise ProfileError("$", f"no JSON: {error}") from None
    except RecursionError:
        raise ProfileError("$", "nested too deeply", "that is no profile") from None
    where = _Conditions(bounding, machine or platform.machine(), kernel or _release())
    _object(whole, "$", _KEYS | frozenset(_LISTENER))
    for key in _LISTENER:
        if whole.get(key):
            raise ProfileError(f"$.{key}", "a listener is asked for, which nobody serves here", "leave it out")
    if "defaultAction" not in whole:
        raise ProfileError("$", "there is no defaultAction", "say what happens to calls that are not named")
    flags, notes = _flags(whole)
    return Profile(
        default=_action(whole, "$", "defaultAction", ("defaultErrnoRet", "defaultErrno")),
        architectures=_architectures(whole, where),
        rules=tuple(_rules(whole, where)),
        flags=flags,
        notes=tuple(notes),
    )


@dataclass(frozen=True, slots=True)
class _Conditions:
    bounding: frozenset[str]
    machine: str
    kernel: tuple[int, int]

    @property
    def names(self) -> tuple[str, str]:
        return NATIVE.get(self.machine, (f"SCMP_ARCH_{self.machine.upper()}", self.machine))


def _release() -> tuple[int, int]:
    found = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return (int(found[1]), int(found[2])) if found else (0, 0)


# ---- values, each with its place ----


def _object(value: object, place: str, keys: frozenset[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ProfileError(place, f"an object is expected, not {_kind(value)}")
    for key in value.keys() - keys:
        near = difflib.get_close_matches(key, keys, n=1)
        raise ProfileError(f"{place}.{key}", "unknown key", f"is {near[0]} meant?" if near else "leave it out")
    return value


def _list(value: object, place: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise ProfileError(place, f"a list is expected, not {_kind(value)}")
    return value


def _text(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise ProfileError(place, f"a string is expected, not {_kind(value)}")
    return value


def _texts(value: object, place: str) -> list[str]:
    return [_text(item, f"{place}[{number}]") for number, item in enumerate(_list(value, place))]


def _number(value: object, place: str, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ProfileError(place, f"a number from 0 to {most} is expected, not {value!r}")
    return value


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")


def _one_of(value: str, known: Mapping[str, int], place: str, what: str) -> int:
    if value not in known:
        near = difflib.get_close_matches(value, known, n=1)
        raise ProfileError(place, f"unknown {what} {value!r}", f"use {near[0] if near else ', '.join(known)}")
    return known[value]


def _action(holder: Mapping[str, Any], place: str, key: str, errno_keys: tuple[str, str]) -> int:
    """The answer of a filter; ``errno_keys`` are the runtime-spec's number and Docker's name."""
    name = _text(holder.get(key), f"{place}.{key}")
    if name == "SCMP_ACT_NOTIFY":
        raise ProfileError(f"{place}.{key}", "a listener is needed, which nobody serves here", "use another action")
    action = _one_of(name, ACTIONS, f"{place}.{key}", "action")
    number_key, name_key = errno_keys
    given = holder.get(number_key)
    if given is None and (symbol := holder.get(name_key)):
        named = {text: number for number, text in errno.errorcode.items()}
        given = _one_of(_text(symbol, f"{place}.{name_key}"), named, f"{place}.{name_key}", "errno")
    if action not in (ACT_ERRNO, ACT_TRACE):
        if given:
            raise ProfileError(f"{place}.{number_key}", f"{name} takes no errno", "leave it out")
        return action
    return action | (errno.EPERM if given is None else _number(given, f"{place}.{number_key}", _LAST_ERRNO))


# ---- the parts of a profile ----


def _flags(whole: Mapping[str, Any]) -> tuple[int, list[str]]:
    flags, notes = 0, []
    for number, name in enumerate(_texts(whole.get("flags"), "$.flags")):
        if name in _NEEDLESS_FLAGS:
            notes.append(f"seccomp: {name} is left out, for {_NEEDLESS_FLAGS[name]}")
        else:
            flags |= _one_of(name, FLAGS, f"$.flags[{number}]", "flag")
    return flags, notes


def _architectures(whole: Mapping[str, Any], where: _Conditions) -> tuple[str, ...]:
    native = where.names[0]
    if whole.get("archMap") and whole.get("architectures"):
        raise ProfileError("$.archMap", "there are architectures and archMap too", "leave one of them out")
    found = _texts(whole.get("architectures"), "$.architectures")
    for number, entry in enumerate(_list(whole.get("archMap"), "$.archMap")):
        place = f"$.archMap[{number}]"
        _object(entry, place, frozenset(("architecture", "subArchitectures")))
        if _text(entry.get("architecture"), f"{place}.architecture") == native:
            found = [native, *_texts(entry.get("subArchitectures"), f"{place}.subArchitectures")]
    return tuple(dict.fromkeys(found))


def _rules(whole: Mapping[str, Any], where: _Conditions) -> Iterator[Rule]:
    for number, entry in enumerate(_list(whole.get("syscalls"), "$.syscalls")):
        place = f"$.syscalls[{number}]"
        _object(entry, place, _RULE_KEYS)
        names = _texts(entry.get("names"), f"{place}.names")
        if entry.get("name"):
            if names:
                raise ProfileError(f"{place}.name", "there are names too", "leave one of them out")
            names = [_text(entry["name"], f"{place}.name")]
        if not names:
            raise ProfileError(place, "no system call is named", "give names")
        action = _action(entry, place, "action", ("errnoRet", "errno"))
        comparisons = tuple(_comparisons(entry.get("args"), f"{place}.args"))
        if _applies(entry, place, where):
            yield from _split(Rule(tuple(names), action, comparisons, place))


def _comparisons(value: object, place: str) -> Iterator[Comparison]:
    for number, entry in enumerate(_list(value, place)):
        here = f"{place}[{number}]"
        _object(entry, here, _ARGUMENT_KEYS)
        op = _text(entry.get("op"), f"{here}.op")
        yield Comparison(
            index=_number(entry.get("index"), f"{here}.index", 5),
            op=_one_of(op, {f"SCMP_CMP_{name}": number for name, number in COMPARISONS.items()}, f"{here}.op", "op"),
            value=_number(entry.get("value"), f"{here}.value", _U64),
            value_two=_number(entry.get("valueTwo", 0), f"{here}.valueTwo", _U64),
        )


def _split(rule: Rule) -> Iterator[Rule]:
    """Several conditions on one argument are alternatives (as runc reads them): a rule each."""
    indices = [comparison.index for comparison in rule.comparisons]
    if len(set(indices)) == len(indices):
        yield rule
        return
    for comparison in rule.comparisons:
        yield Rule(rule.names, rule.action, (comparison,), rule.place)


def _applies(entry: Mapping[str, Any], place: str, where: _Conditions) -> bool:
    """Docker's conditions: all that ``includes`` asks for holds, nothing that ``excludes`` names."""
    includes, excludes = f"{place}.includes", f"{place}.excludes"
    _, machine = where.names
    arches, caps, kernel = _condition(entry.get("includes"), includes)
    if (arches and machine not in arches) or caps - where.bounding or (kernel and where.kernel < kernel):
        return False
    arches, caps, kernel = _condition(entry.get("excludes"), excludes)
    return not (machine in arches or caps & where.bounding or (kernel and where.kernel >= kernel))


def _condition(value: object, place: str) -> tuple[list[str], set[str], tuple[int, int] | None]:
    if value is None:
        return [], set(), None
    holder = _object(value, place, _FILTER_KEYS)
    kernel = None
    if holder.get("minKernel"):
        text = _text(holder["minKernel"], f"{place}.minKernel")
        found = re.fullmatch(r"(\d{1,9})\.(\d{1,9})", text)
        if not found:
            raise ProfileError(f"{place}.minKernel", f"{text!r:.60} is no kernel version", "write it as 4.8")
        kernel = int(found[1]), int(found[2])
    caps = set(_texts(holder.get("caps"), f"{place}.caps"))
    return _texts(holder.get("arches"), f"{place}.arches"), caps, kernel
