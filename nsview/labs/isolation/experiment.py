"""The lab: each namespace by itself, what it hides and what still leaks; then one clone3 beside fork and unshare."""

from __future__ import annotations

import errno
from collections.abc import Generator, Iterator, Sequence

from nsview.labs.isolation import ways
from nsview.labs.isolation.looks import LOOKS, Look
from nsview.labs.isolation.room import Host, Pair, Refused, host, pair, there_is
from nsview.labs.judging import with_conclusions
from nsview.labs.lab import Conclusion, Event, Finding, Scene, Setting, Stage, Verdict
from spawner import LaunchError
from spawner.namespaces import KINDS, NamespaceKind

_REFUSALS = (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.ENOPROTOOPT)
"""Answers by which something may not be done here, as against being done and seen otherwise."""
_WHOSE = {True: "another than the host's", False: "the host's"}


def run(setting: Setting) -> Generator[Event, None, None]:
    """Each kind in turn, all with one stand-in for the host."""
    try:
        with host() as stand_in:
            yield from with_conclusions(_one_by_one(stand_in), _concluded)
            yield from ways.compared(stand_in, setting)
    except LaunchError as error:
        why = f"{error}; in our own namespaces a child could harm what is not the lab's"
        done = "launch a stand-in for the host in namespaces of its own"
        yield Finding("host", done, "it is there", "?", Verdict.LEFT_OUT, why)


def _one_by_one(stand_in: Host) -> Generator[Event, None, None]:
    for kind in KINDS:
        yield Stage(kind.flag_name, f"Isolates: {kind.isolates}. Still shared: {kind.still_shared}.")
        looks = LOOKS[kind.name].all
        if not there_is(kind.proc):
            why = f"this kernel has no {kind.name} namespaces"
            yield from (_left_out(kind, key, look, why) for key, look in looks.items())
            continue
        for key, look in looks.items():
            yield from _looked(stand_in, kind, key, look, new=True)
            if key in LOOKS[kind.name].hides:
                yield from _looked(stand_in, kind, key, look, new=False)


def _looked(stand_in: Host, kind: NamespaceKind, key: str, look: Look, *, new: bool) -> Generator[Event, None, None]:
    """One look with a child of its own."""
    with pair(stand_in) as room:
        try:
            look.prepare(room)
            made = stand_in.made("launch", kind.name, key, new)
            room.child, room.groups = made["pid"], tuple(made["groups"])
            if key == "hides":
                yield _whose(kind, room, new)
            answer = look.ask(room)
        except (Refused, OSError) as error:
            if isinstance(error, OSError) and error.errno not in _REFUSALS:
                raise
            yield _left_out(kind, key, look, f"it was refused here: {error}", new=new)
            return
        yield _found(kind, key, look, answer, new)
        if new:
            look_at = f"{look.done}: {look.words(answer)}"
            yield Scene(f"A child in a new {kind.name} namespace", stand_in.pid, room.child, look_at)


def _whose(kind: NamespaceKind, room: Pair, new: bool) -> Finding:
    another = room.inside("namespaces")[kind.proc] != room.host("namespaces")[kind.proc]
    done = f"ask in whose {kind.name} namespace the child is, {_way(kind, new)}"
    key = f"{kind.name}.namespace{'' if new else '.control'}"
    return Finding(key, done, _WHOSE[new], _WHOSE[another], _verdict(another is new), "", kind.flag_name)


def _found(kind: NamespaceKind, key: str, look: Look, answer: bool | str, new: bool) -> Finding:
    expected = look.words(_expected(kind, key, look, new))
    answered = look.words(answer)
    why = (kind.isolates if key in LOOKS[kind.name].hides else kind.still_shared) if new else "nothing is new"
    done = f"{look.done}, {_way(kind, new)}"
    return Finding(_key(kind, key, new), done, expected, answered, _verdict(expected == answered), why, kind.flag_name)


def _left_out(kind: NamespaceKind, key: str, look: Look, why: str, *, new: bool = True) -> Finding:
    expected = look.words(_expected(kind, key, look, new))
    return Finding(_key(kind, key, new), look.done, expected, "?", Verdict.LEFT_OUT, why, kind.flag_name)


def _expected(kind: NamespaceKind, key: str, look: Look, new: bool) -> bool:
    """What the table of kinds makes one expect: that the thing is one, or apart."""
    if not new:
        return True
    return look.of in kind.still_shared if key in LOOKS[kind.name].leaks else look.of not in kind.isolates


def _key(kind: NamespaceKind, key: str, new: bool) -> str:
    return f"{kind.name}.{key}{'' if new else '.control'}"


def _way(kind: NamespaceKind, new: bool) -> str:
    return f"{'with' if new else 'without'} {kind.flag_name}"


def _verdict(right: bool) -> Verdict:
    return Verdict.AS_EXPECTED if right else Verdict.OTHERWISE


def _concluded(findings: Sequence[Finding]) -> Iterator[Conclusion]:
    """What the answers come to; of what was left out nothing follows."""
    asked = [each for each in findings if each.verdict is not Verdict.LEFT_OUT]
    looks = [each for each in asked if ".hides" in each.key]
    hides = [each for each in looks if not each.key.endswith(".control")]
    hidden = [each.key.partition(".")[0] for each in hides if _right(each)]
    controls = [each for each in looks if each not in hides and _right(each)]
    yield Conclusion(
        "each-namespace-hides-one-kind-of-thing",
        f"{len(hidden)} of {len(hides)} things asked for were hidden by the namespace that is for them "
        f"({', '.join(dict.fromkeys(hidden)) or 'none'}); without its flag {len(controls)} of "
        f"{len(looks) - len(hides)} were seen.",
        _summed_up(looks),
        {"things": len(hides), "hidden": len(hidden), "controls": len(looks) - len(hides), "seen": len(controls)},
    )
    leaks = [each for each in asked if ".leaks" in each.key]
    leaking = _kinds(each for each in leaks if _right(each))
    yield Conclusion(
        "no-namespace-isolates-everything",
        f"One call does not complete the isolation: {len(leaking)} of the {len(_kinds(leaks))} kinds asked share with "
        f"the host what one might think hidden ({', '.join(leaking) or 'none'}), by the same kernel, files, ids and "
        "clocks; a container takes several kinds together, a root of its own, limits and filters.",
        _summed_up(leaks),
        {"kinds": len(_kinds(leaks)), "leaking": len(leaking)},
    )


def _right(finding: Finding) -> bool:
    return finding.verdict is Verdict.AS_EXPECTED


def _kinds(findings: Iterator[Finding] | Sequence[Finding]) -> list[str]:
    return list(dict.fromkeys(each.key.partition(".")[0] for each in findings))


def _summed_up(asked: Sequence[Finding]) -> Verdict:
    if not asked:
        return Verdict.LEFT_OUT
    return _verdict(all(map(_right, asked)))
