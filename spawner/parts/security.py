"""Capabilities and no_new_privs.

The sets a Spec asks for are the program's: execve(2) makes new ones of those the child has before it, so what it would
change is a problem that is told beforehand (spawner.capabilities.after_execve).
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable, Iterator

from spawner import _native, idmap
from spawner import capabilities as caps
from spawner.capabilities import Masks
from spawner.cause import Cause
from spawner.draft import Draft
from spawner.errors import Problem
from spawner.kernel import Facts
from spawner.plan import Named, Out, Packed
from spawner.spec import Spec

_PR_CAPBSET_READ, _PR_CAPBSET_DROP = Named(23, "PR_CAPBSET_READ"), Named(24, "PR_CAPBSET_DROP")
_PR_CAP_AMBIENT = Named(47, "PR_CAP_AMBIENT")
_IS_SET, _RAISE = Named(1, "PR_CAP_AMBIENT_IS_SET"), Named(2, "PR_CAP_AMBIENT_RAISE")
_CLEAR_ALL = Named(4, "PR_CAP_AMBIENT_CLEAR_ALL")
_PR_SET_NO_NEW_PRIVS, _PR_GET_NO_NEW_PRIVS = Named(38, "PR_SET_NO_NEW_PRIVS"), Named(39, "PR_GET_NO_NEW_PRIVS")
_PR_GET_SECUREBITS, _SECBIT_NOROOT = 27, 1
_VERSION_3 = 0x20080522
_SETS = struct.Struct("=6I")


def owns_namespace(spec: Spec, asked: frozenset[str]) -> bool:
    """Whether the child comes into a user namespace, new or joined, in which it has every capability."""
    return "user" in asked or any(join.type == "user" for join in spec.join)


def _given(spec: Spec, asked: frozenset[str], facts: Facts) -> Masks:
    """The sets the child comes with: those of a user namespace's creator, or ours (user_namespaces(7))."""
    if owns_namespace(spec, asked):
        every = caps.known()
        return Masks(every, every, every, 0, 0)
    return Masks(caps.bounding(), facts.permitted, facts.capabilities, facts.inheritable, caps.ambient())


def _wanted(spec: Spec, given: Masks) -> Masks:
    """The sets before execve; a set that is not asked for stays, as far as the others let it."""
    if spec.keep_caps:
        kept = given.permitted & (given.bounding | given.inheritable)
        return Masks(given.bounding, given.permitted, given.effective, kept | given.inheritable, kept)
    asked = spec.capabilities
    assert asked is not None

    def of(names: frozenset[str] | None, otherwise: int) -> int:
        return otherwise if names is None else caps.mask(names)

    permitted = of(asked.permitted, given.permitted)
    inheritable = of(asked.inheritable, given.inheritable)
    return Masks(
        of(asked.bounding, given.bounding),
        permitted,
        of(asked.effective, given.effective & permitted),
        inheritable,
        of(asked.ambient, given.ambient & permitted & inheritable),
    )


def implied_no_new_privs(spec: Spec, asked: frozenset[str], facts: Facts) -> bool:
    """Whether it is needed and not asked for: seccomp(2) and landlock_restrict_self(2) want it or CAP_SYS_ADMIN."""
    administers = owns_namespace(spec, asked) or bool(facts.capabilities & caps.SYS_ADMIN)
    return bool(spec.seccomp or spec.landlock) and not administers and not spec.no_new_privs


# ---- the child's steps ----


def bounding_set(draft: Draft) -> None:
    """Drop from the bounding set, while CAP_SETPCAP is there."""
    asked = draft.spec.capabilities
    if asked is None or asked.bounding is None:
        return
    wanted = caps.mask(asked.bounding)
    for number in range(caps.last() + 1):
        if not wanted >> number & 1:
            name = _name(number)
            draft.add(f"drop {name.text}", "prctl", _PR_CAPBSET_DROP, name, 0, 0, 0, phase="capabilities")


def no_new_privs(draft: Draft) -> None:
    """PR_SET_NO_NEW_PRIVS."""
    implied = implied_no_new_privs(draft.spec, draft.asked, draft.facts)
    if implied:
        what = "seccomp" if draft.spec.seccomp else "landlock"
        draft.notes.append(f"no_new_privs is set: without CAP_SYS_ADMIN {what} demands it")
    if not draft.spec.no_new_privs and not implied:
        return
    draft.add("no_new_privs", "prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, phase="security")
    read = draft.add("read no_new_privs", "prctl", _PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0, phase="read back")
    draft.expect("no_new_privs", read, "1", lambda result, _: str(result))


def capabilities(draft: Draft) -> None:
    """The four other sets, and what the kernel says of all five."""
    spec = draft.spec
    if spec.capabilities is None and not spec.keep_caps:
        return
    given = _given(spec, draft.asked, draft.facts)
    wanted = _wanted(spec, given)
    sets = (wanted.effective, wanted.permitted, wanted.inheritable)
    header = Packed("=Ii", (_VERSION_3, 0), "{_LINUX_CAPABILITY_VERSION_3, 0}")
    words = tuple(mask & 0xFFFFFFFF for mask in sets) + tuple(mask >> 32 for mask in sets)
    shown = f"{{effective={sets[0]:#x}, permitted={sets[1]:#x}, inheritable={sets[2]:#x}}}"
    if spec.capabilities is not None and spec.capabilities.ambient is not None:
        draft.add("clear ambient", "prctl", _PR_CAP_AMBIENT, _CLEAR_ALL, 0, 0, 0, phase="capabilities")
    draft.add(
        "capset",
        "capset",
        header,
        Packed("=6I", words, shown),
        phase="capabilities",
        why="two structs of 32 bits each: version 3",
    )
    raised = wanted.ambient if spec.keep_caps or (spec.capabilities and spec.capabilities.ambient is not None) else 0
    for number in caps.numbers(raised):
        name = _name(number)
        draft.add(
            f"raise ambient {name.text}",
            "prctl",
            _PR_CAP_AMBIENT,
            _RAISE,
            name,
            0,
            0,
            phase="capabilities",
            why="only the ambient set survives the execve of a program that is not root's",
        )
    _read_back(draft, wanted, raised)


def _read_back(draft: Draft, wanted: Masks, raised: int) -> None:
    header = Packed("=Ii", (_VERSION_3, 0), "{_LINUX_CAPABILITY_VERSION_3, 0}")
    read = draft.add("read capabilities", "capget", header, Out(_SETS.size), phase="read back")
    for place, what in enumerate(("effective", "permitted", "inheritable")):
        draft.expect(f"{what} capabilities", read, caps.names(getattr(wanted, what)), _found(place))
    asked = draft.spec.capabilities
    if asked is not None and asked.bounding is not None:
        for number in caps.numbers(wanted.bounding):  # that the others are dropped is what prctl has answered
            name = _name(number)
            read = draft.add(f"read bounding {name.text}", "prctl", _PR_CAPBSET_READ, name, 0, 0, 0, phase="read back")
            draft.expect(f"bounding {name.text} (1: in the set)", read, "1", lambda result, _: str(result))
    for number in caps.numbers(raised):
        name = _name(number)
        label = f"read ambient {name.text}"
        read = draft.add(label, "prctl", _PR_CAP_AMBIENT, _IS_SET, name, 0, 0, phase="read back")
        draft.expect(f"ambient {name.text} (1: in the set)", read, "1", lambda result, _: str(result))


def _found(place: int) -> Callable[[int, bytes], str | None]:
    """What capget(2) answered for a set, by its place in struct __user_cap_data_struct."""

    def word(result: int, written: bytes) -> str | None:
        if result < 0:
            return None
        sets = _SETS.unpack(written)
        return caps.names(sets[place] | sets[place + 3] << 32)

    return word


def _name(number: int) -> Named:
    return Named(number, caps.NAMES[number] if number < len(caps.NAMES) else f"CAP_{number}")


# ---- what is wrong ----


def problems(spec: Spec, asked: frozenset[str]) -> Iterator[Problem]:
    """What is wrong with this part of a Spec that asks for these new namespaces."""
    if spec.capabilities is None and not spec.keep_caps:
        return
    if spec.keep_caps and spec.capabilities is not None:
        yield Problem("keep_caps and sets of capabilities say two things", "ask for one of them")
        return
    yield from _unknown(spec)


def refused(spec: Spec, asked: frozenset[str], facts: Facts) -> Iterator[Problem]:
    """What the kernel would refuse this caller, or make something else of."""
    if (spec.capabilities is None) == (not spec.keep_caps) or any(_unknown(spec)):
        return
    given = _given(spec, asked, facts)
    wanted = _wanted(spec, given)
    contradictions = list(_refused(spec, given, wanted))
    yield from contradictions or _changed_by_execve(spec, asked, facts, wanted)


def _unknown(spec: Spec) -> Iterator[Problem]:
    for which in caps.SETS if spec.capabilities is not None else ():
        for name in sorted(getattr(spec.capabilities, which) or ()):
            try:
                number = caps.NUMBERS[caps.parse(name)]
            except ValueError as error:
                yield Problem(f"{which} set: {error}", "capabilities(7) lists them")
                continue
            if number > caps.last():
                yield Problem(f"{which} set: this kernel does not know {name}", "leave it out")


def _refused(spec: Spec, given: Masks, wanted: Masks) -> Iterator[Problem]:
    """What the kernel answers with EPERM."""
    asked = spec.capabilities
    if asked is not None and asked.bounding is not None:
        if lacking := wanted.bounding & ~given.bounding:
            yield Problem(
                f"the bounding set cannot grow by {caps.names(lacking)}, which is not in ours",
                "leave it out, or add a user namespace (-U), whose creator has every capability inside",
                errno.EPERM,
            )
        if given.bounding & ~wanted.bounding and not given.effective & caps.SETPCAP:
            yield Problem(
                "dropping from the bounding set needs CAP_SETPCAP",
                "run as root, or add a user namespace (-U), or leave the bounding set alone",
                errno.EPERM,
            )
    rules = (
        ("permitted", wanted.permitted & ~given.permitted, "is not ours to give", "leave it out, or add -U"),
        ("effective", wanted.effective & ~wanted.permitted, "is not in the permitted set", "add it there too"),
        (
            "inheritable",
            wanted.inheritable & ~given.inheritable & ~wanted.bounding,
            "is not in the bounding set",
            "add it there too",
        ),
        (
            "inheritable",
            0 if given.effective & caps.SETPCAP else wanted.inheritable & ~(given.inheritable | given.permitted),
            "is not permitted to us",
            "leave it out, or add -U",
        ),
        ("ambient", wanted.ambient & ~wanted.permitted, "is not in the permitted set", "add it there too"),
        ("ambient", wanted.ambient & ~wanted.inheritable, "is not in the inheritable set", "add it there too"),
    )
    for which, wrong, why, remedy in rules:
        if wrong:
            yield Problem(f"{caps.names(wrong)} in the {which} set {why}", remedy, errno.EPERM)


def _changed_by_execve(spec: Spec, asked: frozenset[str], facts: Facts, wanted: Masks) -> Iterator[Problem]:
    """What execve(2) would make of the sets that were asked for."""
    root = _is_root(spec, asked, facts)
    if root is None or spec.capabilities is None:
        return
    after = caps.after_execve(wanted, root=root)
    # Permitted first: what is wrong with it is wrong with effective too.
    for which in ("permitted", "effective"):
        if getattr(spec.capabilities, which) is None:
            continue
        found, want = getattr(after, which), getattr(wanted, which)
        if lost := want & ~found:
            remedy = "add it to the bounding set" if root else "make it ambient (and inheritable) too"
            yield Problem(f"execve would take {caps.names(lost)} from the {which} set", remedy)
        elif gained := found & ~want:
            yield Problem(
                f"execve would add {caps.names(gained)} to the {which} set"
                + (", for root's programs get all of the bounding and the inheritable set" if root else ""),
                "leave it out of the other sets too, bounding included, or run the program as another user",
            )
        else:
            continue
        return


def _is_root(spec: Spec, asked: frozenset[str], facts: Facts) -> bool | None:
    """Whether the kernel will take the program for root's; None where that is not known beforehand."""
    if not owns_namespace(spec, asked):
        securebits = _native.call(_native.SYSCALLS["prctl"], _PR_GET_SECUREBITS, 0, 0, 0, 0)
        if securebits & _SECBIT_NOROOT:
            return False
    if spec.user.uid is not None:
        return spec.user.uid == 0
    if not owns_namespace(spec, asked):
        return facts.uid == 0
    if "user" not in asked:
        return None
    inside = idmap.inside(spec.uid_mappings, facts.uid)
    if inside is None:  # nobody there, who becomes root where there is one (spawner.parts.ids)
        return idmap.outside(spec.uid_mappings, 0) is not None
    return inside == 0


CAUSES: tuple[Cause, ...] = (
    Cause(
        tuple(f"drop {name}" for name in caps.NAMES),
        errno.EPERM,
        "dropping from the bounding set needs CAP_SETPCAP",
        "run as root, or add a user namespace (-U)",
    ),
    Cause(
        ("capset",),
        errno.EPERM,
        "the sets may not grow: permitted beyond what the child has by now, effective beyond permitted, or inheritable "
        "beyond the bounding set",
        "ask for less; without --no-check it is explained beforehand",
    ),
    Cause(
        tuple(f"raise ambient {name}" for name in caps.NAMES),
        errno.EPERM,
        "an ambient capability must be permitted and inheritable too, and securebits may forbid it",
        "add it to both sets",
    ),
    Cause(("no_new_privs", "read no_new_privs"), errno.EINVAL, "this kernel has no no_new_privs", "leave it out"),
)
