"""What a Spec asks for, item by item, and which items a text in another language has said: nothing gets lost.

A writer claims each item that it has put into words. Whatever nobody has claimed in the end is named as left out,
so that to forget an item is to admit it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any

from spawner import Spec, Stdio
from spawner.flags import format_mask
from spawner.mechanism import wanted_flags
from spawner.namespaces import KINDS, flags_of, names_of

Path = str


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that a Spec asks for: ``path`` is its field, as ``user.uid`` or ``mounts[2]``."""

    path: Path
    value: Any

    @property
    def field(self) -> str:
        """The field of the Spec that it is of, or is in."""
        return self.path.partition("[")[0].partition(".")[0]

    def __str__(self) -> str:
        """Name it for a person, without an article: ``host name box``."""
        words = _WORDS.get(self.path) or _WORDS.get(self.path.partition("[")[0]) or _WORDS[self.field]
        return words(self.value)


def new_namespaces(spec: Spec) -> frozenset[str]:
    """The namespaces to make, by OCI name, asked for either way."""
    return names_of(wanted_flags(spec)[0])


def items(spec: Spec) -> tuple[Item, ...]:
    """All that a Spec asks for beyond ``args``: fields that are not as by default, the larger ones taken apart.

    Two defaults ask for something where there is a namespace of the kind: that lo is up, and that mounts are private.
    """
    found: list[Item] = []
    for each in fields(Spec):
        value = getattr(spec, each.name)
        if each.name == "args" or value == default_of(each):
            continue
        found += _PARTS.get(each.name, _whole)(each.name, value)
    asked = new_namespaces(spec)
    if "network" in asked and spec.loopback:
        found.append(Item("loopback", True))
    if "mount" in asked and spec.rootfs_propagation == "private":
        found.append(Item("rootfs_propagation", "private"))
    if spec.stdio is not Stdio.PTY:
        found = [item for item in found if item.path != "window"]
    return tuple(found)


def default_of(each: Field[Any]) -> Any:
    """What a field is by default; MISSING where there is no default."""
    return each.default_factory() if each.default_factory is not MISSING else each.default


def _whole(name: str, value: Any) -> Iterator[Item]:
    yield Item(name, value)


def _namespaces(name: str, value: Any) -> Iterator[Item]:
    for kind in KINDS:
        if kind.name in value:
            yield Item(f"{name}[{kind.name}]", kind.name)
    for unknown in sorted(value - {kind.name for kind in KINDS}):
        yield Item(f"{name}[{unknown}]", unknown)


def _flags(name: str, value: int) -> Iterator[Item]:
    spaces = names_of(value)
    for kind in KINDS:
        if kind.name in spaces:
            yield Item(f"namespaces[{kind.name}]", kind.name)
    rest = value & ~flags_of(spaces)
    for flag in format_mask(rest).split("|") if rest else ():
        yield Item(f"{name}[{flag}]", flag)


def _each(name: str, value: Any) -> Iterator[Item]:
    for index, one in enumerate(value):
        yield Item(f"{name}[{index}]", one)


def _clocks(name: str, value: Any) -> Iterator[Item]:
    for clock, offset in value:
        yield Item(f"{name}[{clock}]", (clock, offset))


def _fields(name: str, value: Any) -> Iterator[Item]:
    if value is None:
        return
    for each in fields(value):
        part = getattr(value, each.name)
        if part != default_of(each) or default_of(each) is MISSING:
            yield Item(f"{name}.{each.name}", part)


def _cgroup(name: str, value: Any) -> Iterator[Item]:
    yield Item(name, value)
    if value.name is not None:
        yield Item(f"{name}.name", value.name)
    yield from _fields(f"{name}.resources", value.resources)


_PARTS: Mapping[str, Callable[[str, Any], Iterator[Item]]] = {
    "namespaces": _namespaces,
    "clone_flags": _flags,
    "user": _fields,
    "veth": _fields,
    "landlock": _fields,
    "cgroup": _cgroup,
    "time_offsets": _clocks,
    **dict.fromkeys(
        (
            "join",
            "keep",
            "uid_mappings",
            "gid_mappings",
            "mounts",
            "masked_paths",
            "readonly_paths",
            "rlimits",
            "seccomp",
        ),
        _each,
    ),
}


def quoted(text: str) -> str:
    """A text as it may be shown within a sentence."""
    return text if text and text.isprintable() and " " not in text else repr(text)


def size(number: int) -> str:
    """Bytes, with K, M, G or T where nothing is lost."""
    for suffix, unit in (("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)):
        if number and number % unit == 0:
            return f"{number // unit}{suffix}"
    return str(number)


def limit(number: int | None) -> str:
    """A limit, or ``unlimited``."""
    return "unlimited" if number is None else str(number)


def signal_name(number: int) -> str:
    """``SIGKILL``; the number where it has no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def environment_words(value: tuple[tuple[str, str], ...] | None) -> str:
    """Name an environment without telling what is in it: that may be secret."""
    return f"environment of {len(value or ())} variables"


def _operation(value: Any) -> str:
    name = type(value).__name__
    kind = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).strip("_")
    source = getattr(value, "source", getattr(value, "target", ""))
    return f"{kind.replace('_', ' ')} {quoted(source) + ' at ' if source else ''}{quoted(value.destination)}"


def _mapping(whose: str) -> Callable[[Any], str]:
    return lambda line: f"{whose} map of {line.size} from {line.container_id} inside to {line.host_id} outside"


_WORDS: Mapping[str, Callable[[Any], str]] = {
    "args": lambda value: f"program {quoted(os.path.basename(value[0] if value else ''))}",
    "env": environment_words,
    "cwd": lambda value: f"working directory {quoted(value)}",
    "argv0": lambda value: f"argv[0] {quoted(value)}",
    "namespaces": lambda value: f"new {value} namespace",
    "join": lambda value: f"{value.type} namespace {quoted(value.path)} entered",
    "keep": lambda value: f"{value.type} namespace kept on {quoted(value.path)}",
    "hostname": lambda value: f"host name {quoted(value)}",
    "domainname": lambda value: f"domain name {quoted(value)}",
    "time_offsets": lambda value: (
        f"{value[0]} clock {value[1].secs:+d} s" + (f" {value[1].nanosecs} ns" if value[1].nanosecs else "")
    ),
    "loopback": lambda value: "lo up" if value else "lo left down",
    "veth": lambda value: f"veth pair: {value}",
    "uid_mappings": _mapping("user"),
    "gid_mappings": _mapping("group"),
    "setgroups": lambda value: f"setgroups {value}",
    "user.uid": lambda value: f"user {value}",
    "user.gid": lambda value: f"group {value}",
    "user.additional_gids": lambda value: f"supplementary groups {','.join(map(str, value)) or 'none'}",
    "user.umask": lambda value: f"umask {value:03o}",
    "rootfs_propagation": lambda value: f"mounts {value}",
    "rootfs": lambda value: f"root {quoted(value)}",
    "rootfs_readonly": lambda _: "read-only root",
    "mounts": _operation,
    "masked_paths": lambda value: f"{quoted(value)} masked",
    "readonly_paths": lambda value: f"{quoted(value)} read-only",
    "mount_proc": lambda value: f"fresh procfs on {quoted(value)}",
    "rlimits": lambda value: f"{value.type} {limit(value.soft)}:{limit(value.hard)}",
    "cgroup": lambda _: "control group of its own",
    "cgroup.name": lambda value: f"control group name {quoted(value)}",
    "cgroup.resources.memory": lambda value: f"memory limit {size(value)}",
    "cgroup.resources.pids": lambda value: f"limit of {value} tasks",
    "cgroup.resources.cpus": lambda value: f"limit of {value:g} processors",
    "cgroup.resources.io_max": lambda value: f"I/O limits of {', '.join(f'{one.major}:{one.minor}' for one in value)}",
    "nice": lambda value: f"nice {value}",
    "cpu_affinity": lambda value: f"processors {ranges(value)}",
    "scheduler": lambda value: f"scheduler {value.policy}",
    "io_priority": lambda value: f"I/O priority {value.type} {value.priority}",
    "oom_score_adj": lambda value: f"oom_score_adj {value}",
    "personality": lambda value: f"personality {value:#x}",
    "no_new_privs": lambda _: "no_new_privs",
    "capabilities": lambda _: "capability sets",
    "keep_caps": lambda _: "ambient capabilities (keep_caps)",
    "seccomp": lambda value: f"seccomp filter {quoted(value.name)}",
    "landlock.read": lambda value: f"landlock: read {', '.join(map(quoted, value))}",
    "landlock.write": lambda value: f"landlock: write {', '.join(map(quoted, value))}",
    "landlock": lambda _: "landlock",
    "clone_flags": lambda value: str(value),
    "exit_signal": lambda value: f"exit signal {signal_name(value)}",
    "via": lambda value: f"made by {value}",
    "check": lambda _: "sent though the kernel is known to refuse it",
    "stdio": lambda value: f"standard streams: {value}",
    "window": lambda value: f"terminal of {value[0]} rows and {value[1]} columns",
    "new_session": lambda _: "session of its own",
    "init": lambda _: "init above the program",
    "pdeathsig": lambda value: f"{signal_name(value)} when the parent dies",
}
"""How an item is named, by its path or its field."""


def ranges(numbers: frozenset[int]) -> str:
    """Numbers as taskset(1) has them: ``0-3,5``."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


class Account:
    """The items of a Spec, and what became of each: said, or left out for a reason."""

    def __init__(self, spec: Spec, tool: str) -> None:
        """Open the account; ``tool`` is whom a sentence blames for what nobody has claimed."""
        self.spec = spec
        self._tool = tool
        self._open = {item.path: item for item in items(spec)}
        self._reasons: list[str] = []
        self.notes: list[str] = []
        """What is said, but is not quite the same."""

    def asks(self, path: Path) -> bool:
        """Tell whether the Spec asks for this and nobody has claimed it yet."""
        return path in self._open

    def said(self, *paths: Path) -> None:
        """Claim what the text says; a path stands for all that is in it."""
        for path in paths:
            self._take(path)

    def cannot(self, path: Path, reason: str) -> None:
        """Name what the text cannot say, in a sentence; nothing is named that was not asked for."""
        taken = self._take(path)
        if taken:
            what = str(taken[0]) if len(taken) == 1 else ", ".join(map(str, taken))
            self._reasons.append(f"{what}: {reason}.")

    def note(self, sentence: str) -> None:
        """Say how what the text says differs from what was asked."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def _take(self, path: Path) -> list[Item]:
        inside = (f"{path}[", f"{path}.")
        paths = [known for known in self._open if known == path or known.startswith(inside)]
        return [self._open.pop(known) for known in paths]

    def left_out(self) -> tuple[str, ...]:
        """A sentence for each item that the text does not say. Closes the account."""
        rest = [f"{item}: {self._tool} has no word for it." for item in self._open.values()]
        self._open.clear()
        return (*self._reasons, *rest)
