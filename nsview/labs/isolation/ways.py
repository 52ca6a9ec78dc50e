"""Fork and unshare beside one clone3, step by step: where the child is at each instant, and what is left to be done.

Expectations come from ``spawner.mechanism.WAYS`` (who makes the namespaces: the call, unshare or nobody) and from
``nsview.host.facts.LINKS`` (which namespaces are entered by the next child alone, as ``pid_for_children`` tells).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

from nsview.host.facts import LINKS
from nsview.labs.isolation import costs
from nsview.labs.isolation.costs import COMPARED, SEED
from nsview.labs.isolation.room import Host, Refused, there_is
from nsview.labs.lab import Conclusion, Event, Finding, Scene, Setting, Stage, Verdict
from spawner import Mechanism
from spawner.mechanism import WAYS
from spawner.namespaces import BY_NAME, KINDS

_SYSCALLS = {Mechanism.CLONE3: "clone3", Mechanism.FORK_UNSHARE: "fork", Mechanism.FORK: "fork"}


def compared(stand_in: Host, setting: Setting) -> Generator[Event, None, None]:
    """Look at held children first, then at what a bare call leaves to be done, then measure (costs.py)."""
    kinds = [name for name in SEED if there_is(BY_NAME[name].proc)]
    own: dict[str, int | None] = {}
    for mechanism in (Mechanism.FORK, *COMPARED):
        own[mechanism] = yield from _step_by_step(stand_in, mechanism, kinds)
    yield from _first_instants(own, len(kinds))
    yield from _left_to_do(stand_in)
    yield from costs.measured(stand_in, costs.MANY_ROUNDS if setting.thorough else costs.ROUNDS)


def _key(mechanism: Mechanism) -> str:
    return mechanism.replace("+", "-")


def _finding(key: str, done: str, expected: str, answered: str, why: str = "", flag: str | None = None) -> Finding:
    verdict = Verdict.AS_EXPECTED if expected == answered else Verdict.OTHERWISE
    return Finding(key, done, expected, answered, verdict, why, flag)


# ---- step by step ----


def _step_by_step(stand_in: Host, mechanism: Mechanism, kinds: Sequence[str]) -> Generator[Event, None, int | None]:
    """How many namespaces of its own the child has at its first instant; None where there is no child."""
    way = WAYS[mechanism]
    wanted = kinds if way.namespaces else ()
    name = mechanism if way.namespaces else f"{mechanism} alone"
    yield Stage(f"Step by step: {name}", f"Namespaces asked for: {_listed(wanted)}. {way.cost.capitalize()}.")
    try:
        pid = stand_in.made("hold", mechanism, wanted)["pid"]
    except Refused as refused:
        done = f"{name}: hold the child at its first instant"
        yield Finding(f"{_key(mechanism)}.first", done, "held", "?", Verdict.LEFT_OUT, str(refused))
        return None
    try:
        own = _own(stand_in, pid)
        at_once = wanted if way.namespaces == "call" else ()
        done = f"{name}: look at the child's namespaces at its first instant, before any call of its own"
        yield _finding(f"{_key(mechanism)}.first", done, _new(at_once), _new(own), way.cost)
        yield Scene(f"{name}: the first instant", stand_in.pid, pid, f"new namespaces: {_listed(own)}")
        if way.namespaces == "unshare":
            yield from _unshared(stand_in, pid, kinds)
        yield from _to_the_end(stand_in, mechanism, wanted)
    finally:
        stand_in.end()
    return len(own)


def _unshared(stand_in: Host, pid: int, kinds: Sequence[str]) -> Generator[Event, None, None]:
    later = [name for name in kinds if f"{BY_NAME[name].proc}_for_children" in LINKS]
    assert stand_in.ask("step")["label"] == "unshare"
    own = _own(stand_in, pid)
    yield _finding(
        "unshare.itself",
        f"let it call unshare(2) for {_listed(kinds)}, look again",
        _new([name for name in kinds if name not in later]),
        _new(own),
        "unshare(2) moves its caller, but into a pid or time namespace only the caller's next child",
    )
    yield Scene("After unshare", stand_in.pid, pid, f"new namespaces: {_listed(own)}; {_listed(later)} is for children")
    if not later:
        return
    yield _finding(
        "unshare.children",
        "look at the namespaces of its next children",
        _new(later),
        _new(_own(stand_in, pid, later, "_for_children")),
        "namespaces(7): pid_for_children leads nowhere until there is a child",
    )
    child = stand_in.ask("step")["pid"]
    yield _finding(
        "unshare.second-fork",
        "let it fork once more, look at that child",
        _new(kinds),
        _new(_own(stand_in, child)),
        "only a child that is born after unshare(2) is in the new pid namespace",
    )
    yield Scene("After the second fork", stand_in.pid, child, f"new namespaces: {_listed(kinds)}")


def _to_the_end(stand_in: Host, mechanism: Mechanism, wanted: Sequence[str]) -> Iterator[Event]:
    ours = stand_in.ask("namespaces")
    told = stand_in.ask("go")
    by_unshare = WAYS[mechanism].namespaces == "unshare"
    expected = [_SYSCALLS[mechanism], *(["unshare"] if by_unshare else [])]
    expected += ["clone"] if by_unshare and "pid" in wanted else []
    yield _finding(
        f"{_key(mechanism)}.calls",
        f"{mechanism}: read off the timeline the calls that made processes and namespaces",
        _counted(expected),
        _counted([name for name, result, _ in told["calls"] if result is None or result >= 0]),
    )
    own = [name for name, inode in told["namespaces"].items() if inode not in (None, ours[BY_NAME[name].proc])]
    yield _finding(f"{_key(mechanism)}.last", f"{mechanism}: and just before execve", _new(wanted), _new(own))


def _own(stand_in: Host, pid: int, among: Sequence[str] | None = None, suffix: str = "") -> list[str]:
    """The kinds of which a process has (or its children will have) another namespace than the stand-in."""
    ours, theirs = stand_in.ask("namespaces"), stand_in.ask("links", pid)
    names = [kind.name for kind in KINDS if there_is(kind.proc)] if among is None else among
    return [name for name in names if theirs[BY_NAME[name].proc + suffix] != ours[BY_NAME[name].proc]]


def _listed(kinds: Sequence[str]) -> str:
    return ", ".join(kinds) or "none"


def _new(kinds: Sequence[str]) -> str:
    """The same whatever the order."""
    return f"new: {_listed([kind.name for kind in KINDS if kind.name in kinds])}"


def _counted(calls: Sequence[str]) -> str:
    processes = sum(name != "unshare" for name in calls)
    words = f"{len(calls)} call{'s' if len(calls) > 1 else ''}: {', '.join(calls)}"
    return f"{words}; {processes} process{'es' if processes > 1 else ''}"


def _first_instants(own: dict[str, int | None], asked: int) -> Iterator[Conclusion]:
    fork, clone3, unshare = (own[each] for each in (Mechanism.FORK, *COMPARED))
    if fork is None or clone3 is None or unshare is None:
        return
    holds = fork == unshare == 0 and clone3 == asked
    yield Conclusion(
        "fork-needs-unshare-clone-does-not",
        f"It is right that fork makes no namespace: its child was in {fork} new ones at first, by fork+unshare in "
        f"{unshare}, by one clone3 in {clone3} of {asked}. What is seldom told: for a pid namespace fork+unshare has "
        "to fork twice, for unshare(2) leaves its caller where it is.",
        Verdict.AS_EXPECTED if holds else Verdict.OTHERWISE,
        {"fork": fork, "fork_unshare": unshare, "clone3": clone3, "asked": asked},
    )


# ---- what one call leaves to be done ----


def _left_to_do(stand_in: Host) -> Generator[Event, None, None]:
    yield Stage("What one call leaves to be done", "A child made by the bare call with one flag, held at once.")
    overflow = Path("/proc/sys/kernel/overflowuid").read_text().strip()
    answers: dict[str, str] = {}
    for key, kind, unshare, done, expected in (
        ("user.unmapped", "user", False, "clone3 with CLONE_NEWUSER: the child asks geteuid(2)", overflow),
        ("time.frozen", "time", False, "clone3 with CLONE_NEWTIME: set an offset of its clocks", "EACCES"),
        ("time.frozen.control", "time", True, "unshare(2) with CLONE_NEWTIME in the child: the same", "done"),
    ):
        flag = BY_NAME[kind].flag_name
        try:
            if not there_is(BY_NAME[kind].proc):
                raise Refused(f"this kernel has no {kind} namespaces")
            pid = stand_in.made("bare", kind, unshare)["pid"]
        except Refused as refused:
            yield Finding(key, done, expected, "?", Verdict.LEFT_OUT, str(refused), flag)
            continue
        if kind == "user":
            answers[key] = str(stand_in.ask("bare_euid"))
            why = "user_namespaces(7): who is not mapped yet is the overflow id; the map is written afterwards"
        else:
            answers[key] = stand_in.ask("set_clock", pid)
            why = "time_namespaces(7): once a process is inside, the offsets stay as they are"
        stand_in.end()
        yield _finding(key, done, expected, answers[key], why, flag)
    if len(answers) == 3:
        yield Conclusion(
            "one-call-makes-what-others-fill",
            "One call makes all namespaces, but does not complete them: without a map the child in a new user "
            f"namespace is {answers['user.unmapped']}, nobody, and the clocks of a time namespace made by the call can "
            f"no longer be set ({answers['time.frozen']}), after unshare they can ({answers['time.frozen.control']}).",
            numbers={"overflow_uid": int(overflow)},
        )
