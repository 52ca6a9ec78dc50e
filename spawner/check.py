"""Everything that is known to be wrong with a launch before it is tried, all at once and explained."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import fields, is_dataclass

from spawner import mechanism as ways
from spawner.dangers import Hazard, dangers
from spawner.errors import Problem
from spawner.flags import BY_NAME
from spawner.kernel import Facts
from spawner.namespaces import BY_NAME as KINDS
from spawner.namespaces import names_of
from spawner.parts import cgroup, credentials, limits, security
from spawner.parts.table import PARTS
from spawner.rules import refusals
from spawner.spec import Mechanism, Spec, Stdio

_UTS_NAME_MAX = 64
_SECONDS = 2**63
_CLOCKS = ("monotonic", "boottime")
_PROPAGATIONS = ("private", "slave", "shared", "unchanged")


def problems_of(
    spec: Spec, mechanism: Mechanism, flags: int, exit_signal: int, hold: bool, facts: Facts
) -> list[Problem]:
    """Every reason not to launch a well-formed Spec; those the kernel would find only where ``spec.check`` is on."""
    found = ways.problems_of(spec, mechanism, hold, facts)
    found += _incomplete(spec)
    asked = names_of(ways.wanted_flags(spec)[0])
    for part in PARTS:
        found += part.problems(spec, asked)
    found += cgroup.lacking(spec, facts)
    found += _harmful(spec, mechanism, flags, exit_signal)
    if mechanism is Mechanism.POSIX_SPAWN:
        found += _beyond_posix_spawn(spec)
    if spec.check:
        found += limits.refused(spec, asked, facts)
        found += security.refused(spec, asked, facts)
        found += credentials.refused(spec, asked, facts)
        found += _refused(spec, mechanism, flags, exit_signal)
    return found


def malformed(spec: Spec) -> Iterator[Problem]:
    """What makes a Spec no Spec at all: values that mean nothing."""
    if not spec.args or not spec.args[0]:
        yield Problem("no program to run", "name one")
    words = (*spec.args, spec.cwd, spec.hostname, spec.domainname, spec.mount_proc, spec.argv0, *_texts(_named(spec)))
    for text in (*words, *(text for variable in spec.env or () for text in variable)):
        if text is not None and not _encodes(text):
            yield Problem(f"{text!r} cannot be encoded as bytes for the kernel", "leave the odd characters out")
    for text in words:
        if text is not None and "\0" in text:
            yield Problem(f"{text!r} holds a NUL byte, which ends a string for the kernel", "leave it out")
    for name, value in spec.env or ():
        if not name or "=" in name or "\0" in name + value:
            yield Problem(f"{name!r} cannot name an environment variable", "use NAME=VALUE without NUL bytes")
    for name in sorted(spec.namespaces - KINDS.keys()):
        yield Problem(f"unknown namespace {name!r}", f"the kinds are {', '.join(KINDS)}")
    if spec.rootfs_propagation not in _PROPAGATIONS:
        yield Problem(f"unknown propagation {spec.rootfs_propagation!r}", f"use one of {', '.join(_PROPAGATIONS)}")
    for clock, offset in spec.time_offsets:
        if clock not in _CLOCKS:
            yield Problem(f"no offset for a clock {clock!r}", f"the clocks are {' and '.join(_CLOCKS)}")
        if not (-_SECONDS <= offset.secs < _SECONDS and 0 <= offset.nanosecs < 10**9):
            # The kernel would read the seconds modulo 2^64.
            yield Problem(
                f"{offset.secs} s {offset.nanosecs} ns is no offset of a clock",
                "use seconds of 63 bits and nanoseconds from 0 to 999999999",
            )
    if spec.setgroups not in (None, "allow", "deny"):
        yield Problem(f"setgroups cannot be {spec.setgroups!r}", "use allow or deny")


def _named(spec: Spec) -> tuple[object, ...]:
    """The fields that name files and groups, mostly empty."""
    lists = (spec.join, spec.keep, spec.mounts, spec.masked_paths, spec.readonly_paths)
    return spec.rootfs, spec.cgroup, spec.landlock, *(found for found in lists if found)


def _texts(value: object) -> Iterator[str]:
    """Every text in a value of a Spec."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _texts(item)
    elif is_dataclass(value):
        for field in fields(value):
            yield from _texts(getattr(value, field.name))


def _encodes(text: str) -> bool:
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True


# A field of the Spec, the namespace it needs, and what would happen without one.
_NEEDS = (
    ("hostname", "uts", "would rename this machine"),
    ("domainname", "uts", "would rename this machine's domain"),
    ("time_offsets", "time", "has no clock of its own to set"),
    ("mount_proc", "mount", "would mount over the host's own tree"),
    ("uid_mappings", "user", "has no map to write"),
    ("gid_mappings", "user", "has no map to write"),
    ("setgroups", "user", "has no map to write"),
)


def _incomplete(spec: Spec) -> Iterator[Problem]:
    asked = names_of(ways.wanted_flags(spec)[0])
    for name, needed, otherwise in _NEEDS:
        if getattr(spec, name) not in (None, ()) and needed not in asked:
            option = f"add a new {needed} namespace (-{KINDS[needed].letter})"
            yield Problem(f"{name} without a new {needed} namespace {otherwise}", option)
    for name in ("hostname", "domainname"):
        value = getattr(spec, name)
        if value is not None and len(os.fsencode(value)) > _UTS_NAME_MAX:
            yield Problem(f"{name} is longer than {_UTS_NAME_MAX} bytes", "shorten it (uname(2), __NEW_UTS_LEN)")


def _harmful(spec: Spec, mechanism: Mechanism, flags: int, exit_signal: int) -> Iterator[Problem]:
    """What the kernel would do, and the caller regret: never launched, whatever ``spec.check`` says."""
    for hazard in _hazards(spec, mechanism, flags, exit_signal):
        if hazard.danger.stops:
            yield Problem(hazard.danger.harm, hazard.danger.remedy, rule=hazard.danger.name)
    if flags & BY_NAME["CLONE_FS"].bit and spec.user.umask is not None:
        yield Problem(
            "with CLONE_FS the child's umask would be this process's too, even after execve",
            "leave out CLONE_FS or the umask",
        )
    if flags & BY_NAME["CLONE_FS"].bit and spec.cwd is not None:
        yield Problem(
            "with CLONE_FS the child's chdir would move this process too, even after execve",
            "leave out CLONE_FS or the working directory",
        )
    if flags & ways.PARENT and spec.pdeathsig is not None:
        yield Problem(
            "with CLONE_PARENT the child's parent is ours, whose end the death signal would tell of",
            "leave out CLONE_PARENT or the death signal",
        )
    if limits.mixes_oom_scores(spec, flags):
        yield Problem(
            "with CLONE_VM, and without CLONE_VFORK, the child's OOM score would be this process's too",
            "leave out CLONE_VM or the OOM score",
        )


def _hazards(spec: Spec, mechanism: Mechanism, flags: int, exit_signal: int) -> Iterator[Hazard]:
    """Dangers of what was asked for; the engine's own use of CLONE_VM, say, is its own business."""
    via = _JUDGED_AS.get(mechanism)
    if via in ("clone3", "clone"):
        for hazard in dangers(flags, via, exit_signal):
            if hazard.flags & spec.clone_flags or not hazard.flags:
                yield hazard


def warnings_of(spec: Spec, mechanism: Mechanism, flags: int, exit_signal: int) -> tuple[str, ...]:
    """What a person should know of a launch that is possible, a sentence each."""
    return tuple(str(hazard) for hazard in _hazards(spec, mechanism, flags, exit_signal))


_BY_LIBC = {"args", "env", "argv0", "stdio", "window", "new_session", "clone_flags", "exit_signal", "via", "check"}
_BY_LIBC |= {"namespaces", "loopback", "rootfs_propagation"}
"""The fields of a Spec that posix_spawn serves, that mean nothing by themselves, or that other checks speak of."""


def _beyond_posix_spawn(spec: Spec) -> Iterator[Problem]:
    plain = Spec(args=spec.args)
    for field in fields(Spec):
        if field.name not in _BY_LIBC and getattr(spec, field.name) != getattr(plain, field.name):
            yield Problem(
                f"posix_spawn has no attribute for {field.name}",
                "use clone3, clone, fork or vfork",
                rule="posix-spawn-attributes",
            )
    if spec.stdio is Stdio.PTY:
        yield Problem(
            "posix_spawn cannot give the child a controlling terminal",
            "use clone3, clone, fork or vfork",
            rule="posix-spawn-attributes",
        )


# Which system call's rules a mechanism is subject to.
_JUDGED_AS = {Mechanism.CLONE3: "clone3", Mechanism.CLONE: "clone", Mechanism.FORK_UNSHARE: "unshare"}


def _refused(spec: Spec, mechanism: Mechanism, flags: int, exit_signal: int) -> Iterator[Problem]:
    via = _JUDGED_AS.get(mechanism)
    if via is None:
        return
    mask = ways.wanted_flags(spec)[0] & ~ways.NEWTIME if via == "unshare" else flags
    for refusal in refusals(mask, via, exit_signal):
        yield Problem(f"{via} refuses: {refusal.rule.why}", refusal.rule.remedy, refusal.errno, refusal.rule.name)
