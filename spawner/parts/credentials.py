"""The program's credentials: its groups, its group and user, its umask; each read back."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator

from spawner import idmap
from spawner import mechanism as ways
from spawner.cause import Cause
from spawner.draft import NULL, Draft
from spawner.errors import Problem
from spawner.kernel import Facts
from spawner.plan import Bearing, Named, Out, Packed
from spawner.spec import Spec

_PR_GET_SECUREBITS = Named(27, "PR_GET_SECUREBITS")
_PR_SET_SECUREBITS = Named(28, "PR_SET_SECUREBITS")
_NO_SETUID_FIXUP = Named(4, "SECBIT_NO_SETUID_FIXUP")
_PR_CAP_AMBIENT = Named(47, "PR_CAP_AMBIENT")
_CLEAR_ALL = Named(4, "PR_CAP_AMBIENT_CLEAR_ALL")
_MOST_GROUPS = 65536  # NGROUPS_MAX
_ROOM = 16  # for groups that nobody asked for, to be told of them
_IDS = struct.Struct("=I12xI12xI")  # three results of getresuid(2), each in memory of its own (spawner.image)


def credentials(draft: Draft) -> None:
    """Set groups before the group before the user, who may lack the privilege for the rest."""
    user = draft.spec.user
    if user.umask is not None:
        _umask(draft, user.umask)
    keeps = keeps_capabilities(draft.spec)
    if keeps:
        bits = draft.add("read securebits", "prctl", _PR_GET_SECUREBITS, 0, 0, 0, 0, phase="credentials")
        draft.add(
            "keep capabilities",
            "prctl",
            _PR_SET_SECUREBITS,
            _NO_SETUID_FIXUP,
            0,
            0,
            0,
            phase="credentials",
            why="another user than 0 would lose them at once, and steps to come need them; execve takes them",
        )
    if user.additional_gids is not None:
        _groups(draft, user.additional_gids)
    if user.gid is not None:
        draft.add("group", "setresgid", user.gid, user.gid, user.gid, phase="credentials")
    if user.uid is not None:
        draft.add("user", "setresuid", user.uid, user.uid, user.uid, phase="credentials")
    if keeps:
        draft.add("restore securebits", "prctl", _PR_SET_SECUREBITS, bits, 0, 0, 0, phase="credentials")
        draft.add(
            "clear ambient",
            "prctl",
            _PR_CAP_AMBIENT,
            _CLEAR_ALL,
            0,
            0,
            0,
            phase="credentials",
            why="as a change to another user than 0 does, which was told to leave capabilities alone",
        )
    for what, wanted, call in (("group", user.gid, "getresgid"), ("user", user.uid, "getresuid")):
        if wanted is not None:
            read = draft.add(f"read {what}", call, Out(4), Out(4), Out(4), phase="credentials")
            draft.expect(what, read, f"{wanted} {wanted} {wanted}", _three)


def keeps_capabilities(spec: Spec) -> bool:
    """Whether a change of user must not take the capabilities yet: something later needs them, or decides of them."""
    later = spec.capabilities is not None or spec.keep_caps or spec.rlimits or spec.seccomp or spec.landlock
    return spec.user.uid not in (None, 0) and bool(later)


def _umask(draft: Draft, mask: int) -> None:
    draft.add("umask", "umask", mask, phase="credentials")
    read = draft.add("read umask", "umask", mask, phase="credentials", why="umask(2) answers what it was")
    draft.expect("umask", read, f"{mask:04o}", lambda result, _: f"{result:04o}")


def _groups(draft: Draft, groups: tuple[int, ...]) -> None:
    shown = "[" + ", ".join(map(str, groups)) + "]"
    array = Packed(f"={len(groups)}I", groups, shown) if groups else NULL
    draft.add("groups", "setgroups", len(groups), array, phase="credentials")
    room = len(groups) + _ROOM
    read = draft.add("read groups", "getgroups", room, Out(4 * room), phase="credentials", bearing=Bearing.TOLERATE_ALL)
    draft.expect("groups", read, _listed(groups), _found_groups)


def _listed(groups: tuple[int, ...]) -> str:
    return " ".join(map(str, sorted(groups))) or "none"


def _found_groups(result: int, raw: bytes) -> str | None:
    if result == -errno.EINVAL:
        return "more"
    return None if result < 0 else _listed(struct.unpack_from(f"={result}I", raw))


def _three(_result: int, raw: bytes) -> str:
    return " ".join(map(str, _IDS.unpack(raw)))


def problems(spec: Spec, asked: frozenset[str]) -> Iterator[Problem]:
    """What is wrong with the credentials a Spec asks for."""
    user = spec.user
    groups = user.additional_gids or ()
    for what, numbers in (("user", (user.uid,)), ("group", (user.gid, *groups))):
        for number in numbers:
            if number is not None and not 0 <= number <= idmap.LAST_ID:
                yield Problem(f"{number} is no {what} id", f"ids go from 0 to {idmap.LAST_ID}")
    if user.umask is not None and not 0 <= user.umask <= 0o777:
        yield Problem(f"{user.umask:#o} is no umask", "use octal 0 to 777 (umask(2))")
    if len(groups) > _MOST_GROUPS:
        yield Problem(f"{len(groups)} supplementary groups", f"a process may have {_MOST_GROUPS} (NGROUPS_MAX)")
    if "user" not in asked:
        return
    for what, numbers, lines in (
        ("user", (user.uid,), spec.uid_mappings),
        ("group", (user.gid, *groups), spec.gid_mappings),
    ):
        for number in numbers:
            if number is not None and idmap.outside(lines, number) is None:
                yield Problem(
                    f"{what} {number} is not mapped in the new user namespace",
                    f"map it, or be a {what} that is" if lines else f"give it a {what} id map",
                )


def refused(spec: Spec, asked: frozenset[str], facts: Facts) -> Iterator[Problem]:
    """What the kernel would refuse this caller, user_namespaces(7)."""
    if spec.user.additional_gids is None or "user" not in asked:
        return
    denied = spec.setgroups == "deny"
    unprivileged = idmap.is_single(spec.gid_mappings, facts.gid) and not ways.may(facts, ways.CAP_SETGID)
    if denied or unprivileged:
        why = "is denied" if denied else "has to be denied before an unprivileged map"
        yield Problem(
            f"setgroups {why}, so no supplementary groups can be set or dropped",
            "leave the groups as they are" + (", or allow setgroups" if denied else ", or map a range of /etc/subgid"),
            errno.EPERM,
        )


_ALL = ("user", "group", "groups")

CAUSES: tuple[Cause, ...] = (
    Cause(
        ("groups",),
        errno.EPERM,
        "setgroups needs CAP_SETGID, and a user namespace (or one around it) may deny it for good",
        "run as root, or leave the groups as they are",
    ),
    Cause(
        _ALL,
        errno.EPERM,
        "another id than one's own needs CAP_SETUID and CAP_SETGID",
        "run as root, or add a user namespace in which the id is mapped",
    ),
    Cause(_ALL, errno.EINVAL, "the id is not mapped in the child's user namespace", "be somebody who is mapped there"),
    Cause(
        _ALL,
        errno.EAGAIN,
        "that user has as many processes as RLIMIT_NPROC allows",
        "raise the limit",
    ),
    Cause(
        ("keep capabilities", "restore securebits"),
        errno.EPERM,
        "the securebits are locked, or CAP_SETPCAP lacks, so capabilities cannot outlast the change of user",
        "leave out the user, or what needs privilege after it",
    ),
)
