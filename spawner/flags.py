"""Every flag of clone(2), clone3(2) and unshare(2): one table, read by code, screens, documents and checks.

Sources: include/uapi/linux/sched.h, clone(2), unshare(2), fs/exec.c (what execve undoes). ``since`` is the
mainline release that first had the flag. Distributions carry flags back, so never decide by it: ask the
kernel which bits it knows (``spawner.rules.Caller.known_bits``).
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Literal

from spawner import first_process, namespaces

Group = Literal["namespace", "sharing", "family", "notice", "placement"]

GROUPS: dict[Group, str] = {
    "namespace": "new namespaces for the child",
    "sharing": "what the child goes on sharing with the caller",
    "family": "whose child it is and who waits for whom",
    "notice": "how the caller hears of it and holds it",
    "placement": "where and in what state it starts",
}
"""Each group and its meaning, in the order in which screens show them."""


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag: ``does`` says what it does, ``after_exec`` what of that is left once the child calls execve.

    ``stays``: whether what it did is in force then. ``besides``: what one had better know, if anything. ``via`` names
    the system calls in which the bit has this meaning.
    """

    name: str
    bit: int
    group: Group
    does: str
    after_exec: str
    stays: bool
    since: str
    via: frozenset[str]
    besides: str = ""

    @property
    def short(self) -> str:
        """The name without ``CLONE_``."""
        return self.name.removeprefix("CLONE_")

    @property
    def still_shared(self) -> str:
        """Of a new namespace, what is shared all the same; empty for other flags."""
        kind = namespaces.BY_FLAG.get(self.bit)
        return "" if kind is None else kind.still_shared


_ALL = frozenset({"clone3", "clone", "unshare"})
_CLONES = frozenset({"clone3", "clone"})
_CLONE = frozenset({"clone"})
_CLONE3 = frozenset({"clone3"})
_NOT_CLONE = frozenset({"clone3", "unshare"})

STAYS = "Stays: the program runs in it."
"""All that there is to say of most namespaces."""
_WRITTEN = "Nothing: it acts once, at birth, and execve replaces the memory it wrote to."

# Of a namespace the bit and the name live in spawner.namespaces; here is what a person reads.
_NAMESPACES: dict[str, tuple[str, str, str]] = {
    "mount": (
        "Gives the child a copy of the tree of mounts to change alone, as far as no mount is marked shared.",
        STAYS,
        "2.4.19",
    ),
    "network": (
        "Gives the child an empty network stack: a loopback link that is down, no address, no route.",
        STAYS,
        "2.6.24",
    ),
    "pid": (
        "Makes the child process 1 of a new pid namespace: it sees only its descendants, who die with it.",
        "Stays. A /proc mounted outside still shows the outer processes until one is mounted inside.",
        "2.6.24",
    ),
    "user": (
        "Gives the child its own user and group ids, and every capability over the namespaces made with it.",
        "Stays; but unless the child's id is mapped to 0 by then, execve drops the capabilities.",
        "2.6.23",
    ),
    "uts": (
        "Gives the child a copy of the host name and domain name that it may change alone.",
        STAYS,
        "2.6.19",
    ),
    "ipc": ("Gives the child empty System V IPC tables and POSIX message queues.", STAYS, "2.6.19"),
    "cgroup": (
        "Makes the child's present cgroup the root of the cgroup tree it sees.",
        STAYS,
        "4.6",
    ),
    "time": (
        "Gives the child offsets of its own for the monotonic and boot-time clocks.",
        "Stays, its offsets frozen. With CLONE_VM the child enters it only here, at execve.",
        "5.6",
    ),
}


def _namespace_flags() -> tuple[Flag, ...]:
    flags = []
    for kind in namespaces.KINDS:
        does, after_exec, since = _NAMESPACES[kind.name]
        via = _NOT_CLONE if kind.name == "time" else _ALL
        besides = first_process.told() if kind.name == "pid" else ""
        flags.append(Flag(kind.flag_name, kind.flag, "namespace", does, after_exec, True, since, via, besides))
    return tuple(flags)


FLAGS: tuple[Flag, ...] = (
    *_namespace_flags(),
    Flag(
        "CLONE_EMPTY_MNTNS",
        1 << 37,
        "namespace",
        "Gives the child a mount namespace with nothing in it but one empty, immutable root directory.",
        "Stays. No program can be found by path in it until something is mounted.",
        True,
        "7.1",
        _CLONE3,
    ),
    Flag(
        "CLONE_VM",
        0x00000100,
        "sharing",
        "Runs the child in the caller's memory: what one writes the other reads; no page table is copied.",
        "Nothing: execve gives the child an address space of its own.",
        False,
        "2.0",
        _ALL,
    ),
    Flag(
        "CLONE_FS",
        0x00000200,
        "sharing",
        "Shares the root directory, working directory and umask: chdir in one moves both.",
        "Stays shared: the program's chdir and umask are the caller's too, and set-id bits are ignored.",
        True,
        "2.0",
        _ALL,
    ),
    Flag(
        "CLONE_FILES",
        0x00000400,
        "sharing",
        "Shares the table of file descriptors: open, close and dup2 in one show in the other.",
        "Nothing: execve gives the child its own copy of the table, then closes what is close-on-exec in it.",
        False,
        "2.0",
        _ALL,
    ),
    Flag(
        "CLONE_SIGHAND",
        0x00000800,
        "sharing",
        "Shares the table of signal handlers: sigaction in one changes the other. Masks stay separate.",
        "Nothing: execve gives the child its own table, with caught signals back at their default.",
        False,
        "2.0",
        _ALL,
    ),
    Flag(
        "CLONE_SYSVSEM",
        0x00040000,
        "sharing",
        "Shares the list of semaphore adjustments (SEM_UNDO), undone only when the last sharer ends.",
        "Stays shared.",
        True,
        "2.5.10",
        _ALL,
    ),
    Flag(
        "CLONE_IO",
        0x80000000,
        "sharing",
        "Shares the I/O context: the disk scheduler sees one reader with one I/O priority.",
        "Stays shared.",
        True,
        "2.6.25",
        _CLONES,
    ),
    Flag(
        "CLONE_THREAD",
        0x00010000,
        "family",
        "Makes the child a thread of the caller's process: same process id, ended by the same exit_group.",
        "Ruin: execve ends all other threads of the process, the caller included, and takes its process id.",
        False,
        "2.4.0",
        _ALL,
    ),
    Flag(
        "CLONE_PARENT",
        0x00008000,
        "family",
        "Makes the child a sibling of the caller: the caller's parent gets SIGCHLD and waits for it.",
        "Stays.",
        True,
        "2.3.12",
        _CLONES,
    ),
    Flag(
        "CLONE_VFORK",
        0x00004000,
        "family",
        "Suspends the calling thread until the child calls execve or ends.",
        "Ends here: execve releases the caller.",
        False,
        "2.2",
        _CLONES,
    ),
    Flag(
        "CLONE_PTRACE",
        0x00002000,
        "family",
        "If the caller is being traced, its tracer traces the child too.",
        "Stays: the tracer sees the execve.",
        True,
        "2.2",
        _CLONES,
    ),
    Flag(
        "CLONE_UNTRACED",
        0x00800000,
        "family",
        "Forbids a tracer to follow into the child by itself.",
        "Nothing: it matters only at birth.",
        False,
        "2.5.46",
        _CLONES,
    ),
    Flag(
        "CLONE_AUTOREAP",
        1 << 34,
        "family",
        "Lets the child vanish when it ends: no zombie, no signal, nothing for wait to return.",
        "Stays; the child's own children are not touched by it.",
        True,
        "7.1",
        _CLONE3,
    ),
    Flag(
        "CLONE_DETACHED",
        0x00400000,
        "family",
        "Does nothing: clone ignores the bit and clone3 refuses it.",
        "Nothing.",
        False,
        "2.5",
        _CLONE,
    ),
    Flag(
        "CLONE_PIDFD",
        0x00001000,
        "notice",
        "Opens a pidfd for the child in the caller: a handle that never means another process.",
        "Stays: the pidfd is the caller's and follows the process.",
        True,
        "5.2",
        _CLONES,
    ),
    Flag(
        "CLONE_PIDFD_AUTOKILL",
        1 << 36,
        "notice",
        "Kills the child (SIGKILL) when the last copy of its pidfd is closed: it cannot outlive its owner.",
        "Stays.",
        True,
        "7.1",
        _CLONE3,
    ),
    Flag(
        "CLONE_PARENT_SETTID",
        0x00100000,
        "notice",
        "Writes the child's thread id into the caller's memory before the call returns.",
        "Nothing more: the number stays where it was written.",
        False,
        "2.5.49",
        _CLONES,
    ),
    Flag(
        "CLONE_CHILD_SETTID",
        0x01000000,
        "notice",
        "Writes the child's thread id into the child's memory before it runs.",
        _WRITTEN,
        False,
        "2.5.49",
        _CLONES,
    ),
    Flag(
        "CLONE_CHILD_CLEARTID",
        0x00200000,
        "notice",
        "Zeroes a word of memory and wakes one futex waiter on it when the child stops using that memory.",
        "Fires here, if another process still uses the memory, and is forgotten.",
        False,
        "2.5.49",
        _CLONES,
    ),
    Flag(
        "CLONE_INTO_CGROUP",
        1 << 33,
        "placement",
        "Starts the child in the version 2 cgroup given by a descriptor, so it never runs outside of it.",
        "Stays.",
        True,
        "5.7",
        _CLONE3,
    ),
    Flag(
        "CLONE_CLEAR_SIGHAND",
        1 << 32,
        "placement",
        "Puts every caught signal back at its default in the child; ignored signals stay ignored.",
        "Nothing more: execve does the same.",
        False,
        "5.5",
        _CLONE3,
    ),
    Flag(
        "CLONE_NNP",
        1 << 35,
        "placement",
        "Sets no_new_privs in the child: no set-id bit or file capability can raise it.",
        "Stays, in all its descendants too.",
        True,
        "7.1",
        _CLONE3,
    ),
    Flag(
        "CLONE_SETTLS",
        0x00080000,
        "placement",
        "Sets the child's thread pointer (thread-local storage) to a given address.",
        "Nothing: the new program sets its own.",
        False,
        "2.5.32",
        _CLONES,
    ),
)
"""By group, in the order of ``GROUPS``."""

BY_NAME: dict[str, Flag] = {flag.name: flag for flag in FLAGS}

CSIGNAL = 0xFF
"""The low byte of clone(2)'s flags, which is the exit signal and no flag (CLONE_NEWTIME lies in it)."""

ALL_BITS = sum(flag.bit for flag in FLAGS)


def bits(*names: str) -> int:
    """Or together flags given by their short names (``"NEWNS"``); KeyError for one the table has not."""
    mask = 0
    for name in names:
        mask |= BY_NAME[f"CLONE_{name}"].bit
    return mask


class UnknownFlag(ValueError):  # noqa: N818 - an error by its base, named for what is wrong
    """``name`` is no clone flag; ``matches`` are full names it may have been meant to be, best first."""

    def __init__(self, name: str, matches: tuple[str, ...]) -> None:
        self.name = name
        self.matches = matches
        hint = f"; did you mean {' or '.join(matches)}?" if matches else ""
        super().__init__(f"unknown clone flag {name!r}{hint}")


def find(name: str) -> Flag:
    """Find a flag by its kernel name, in any case, with or without ``CLONE_``; raises UnknownFlag."""
    short = name.strip().upper().removeprefix("CLONE_")
    if flag := BY_NAME.get(f"CLONE_{short}"):
        return flag
    raise UnknownFlag(name, _matches(short))


def parse(text: str) -> int:
    """Or together flags named in ``text``, parted by commas, ``|`` or spaces; ``""`` and ``"0"`` are 0.

    Hexadecimal bits (``0x4000``) are taken as they are, so that ``parse(format_mask(mask)) == mask``.
    Raises UnknownFlag for the first name that is not one.
    """
    mask = 0
    for word in re.split(r"[\s,|]+", text.strip()):
        if not word or word == "0":
            continue
        mask |= int(word, 16) if re.fullmatch(r"0[xX][0-9a-fA-F]+", word) else find(word).bit
    return mask


def format_mask(mask: int) -> str:
    """Spell a mask as strace does: ``CLONE_FS|CLONE_NEWUTS``, lowest first, unknown bits in hexadecimal."""
    names = [flag.name for flag in sorted(FLAGS, key=lambda flag: flag.bit) if mask & flag.bit]
    if unknown := mask & ~ALL_BITS:
        names.append(hex(unknown))
    return "|".join(names) or "0"


def _matches(short: str) -> tuple[str, ...]:
    """Guess what was meant: a kind of namespace by its everyday name, else names spelt alike."""
    for kind in namespaces.KINDS:
        if short.lower().removeprefix("new").removesuffix("ns") in (kind.name, kind.proc):
            return (kind.flag_name,)
    close = difflib.get_close_matches(short, [flag.short for flag in FLAGS], n=3)
    return tuple(f"CLONE_{name}" for name in close)
