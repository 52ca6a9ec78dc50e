"""Advice: from wants, or from a launch that is decided on already, to the call, its flags and the ways turned down.

Nothing is decided here that the engine does not decide: every way is asked of it, by the tables that a launch is
checked with, and what it answers is passed on by the names of its rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from nsview.advice.costs import COPIED, Costs, costs_of
from nsview.advice.wants import BY_NAME, Asker, Request, Runs, Want, requested
from nsview.labs.kept import Found
from spawner import Mechanism, Plan, Problem, Spec, SpecError, calls, compile_spec
from spawner.dangers import dangers
from spawner.flags import FLAGS, Flag
from spawner.kernel import facts
from spawner.mechanism import LATER, OWN, VM, WAYS, wanted_flags
from spawner.mechanism import problems_of as limits_of_way
from spawner.namespaces import flags_of, names_of
from spawner.rules import Caller, Rule, refusals
from spawner.spec import Stdio

_CALL = "call"
_CHILD = "child"
_ROOT = BY_NAME["root-inside"]


@dataclass(frozen=True, slots=True)
class Reason:
    """A flag and why it is there. ``wanted_by``: the wants it serves; none where the engine adds it on its own.

    ``where``: of the ``call`` that makes the child, or of unshare(2) in the ``child``.
    """

    flag: Flag
    where: str
    why: str
    wanted_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Turned:
    """A way that was not taken. ``problems``: what rules it out; none where it would do, and is only not the best.

    ``cost`` is what the table of ways says of it; ``steps`` how many calls the child makes before it goes on by itself,
    None where that is libc's business or where it cannot be taken.
    """

    way: Mechanism
    problems: tuple[Problem, ...]
    cost: str
    steps: int | None = None


@dataclass(frozen=True, slots=True)
class Added:
    """A want that nobody named and that another cannot do without: ``rule`` is the kernel's."""

    want: Want
    rule: Rule


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do. Without ``plan`` it cannot be done, and ``problems`` say why and what would help."""

    wants: tuple[Want, ...]
    added: tuple[Added, ...]
    runs: Runs
    spec: Spec
    hold: bool
    plan: Plan | None = None
    flags: tuple[Reason, ...] = ()
    turned: tuple[Turned, ...] = ()
    warnings: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    costs: Costs = field(default_factory=Costs)

    @property
    def rejected(self) -> tuple[Turned, ...]:
        """The ways that cannot be taken."""
        return tuple(each for each in self.turned if each.problems)

    @property
    def possible(self) -> tuple[Turned, ...]:
        """The ways that would do too."""
        return tuple(each for each in self.turned if not each.problems)


def advise(wants: Sequence[Want], asker: Asker, found: Iterable[Found] = ()) -> Advice:
    """Advise on wants. ``found``: what the labs have measured here."""
    wants = tuple(dict.fromkeys(wants))
    added = tuple(_added(wants, asker))
    everything = (*wants, *(each.want for each in added))
    request = requested(everything, asker)
    runs = _runs(request)
    spec = replace(request.spec, clone_flags=request.shared)
    if runs is Runs.FUNCTION:
        spec = replace(spec, args=())
    advice = Advice(wants, added, runs, spec, request.hold)
    problems = (*request.problems, *_clashes(everything, request, runs))
    if problems:
        return replace(advice, problems=problems)
    try:
        plan = _plan(spec, runs, request.hold)
    except SpecError as error:
        return replace(advice, problems=error.problems)
    turned = tuple(_turned(spec, runs, request.hold, plan, fast=request.fast))
    reasons = tuple(_reasons(plan, spec, everything))
    return replace(
        advice,
        plan=plan,
        flags=reasons,
        turned=turned,
        warnings=tuple(_warnings(request, runs, plan, everything)),
        costs=_costs(runs, plan, spec, turned, found),
    )


def advise_on(spec: Spec, plan: Plan, *, hold: bool, found: Iterable[Found] = ()) -> Advice:
    """Advise on a program's launch that is planned already: the other ways, and what each costs."""
    turned = tuple(_turned(spec, Runs.PROGRAM, hold, plan, fast=False))
    return Advice(
        (),
        (),
        Runs.PROGRAM,
        spec,
        hold,
        plan,
        tuple(_reasons(plan, spec, ())),
        turned,
        plan.notes,
        costs=_costs(Runs.PROGRAM, plan, spec, turned, found),
    )


# ---- what is asked of the engine ----


def _added(wants: Iterable[Want], asker: Asker) -> Iterator[Added]:
    mask = 0
    for want in wants:
        mask |= want.flags
    for refusal in refusals(mask, caller=Caller(privileged=asker.privileged)):
        if refusal.rule.name == "privilege":
            yield Added(_ROOT, refusal.rule)


def _runs(request: Request) -> Runs:
    if request.function:
        return Runs.FUNCTION
    return Runs.CALLS if _lost(request) and not request.program else Runs.PROGRAM


def _lost(request: Request) -> list[Flag]:
    """What is to be shared and would be no longer after execve."""
    return [flag for flag in FLAGS if request.shared & flag.bit and not flag.stays]


def _clashes(wants: Iterable[Want], request: Request, runs: Runs) -> Iterator[Problem]:
    if request.program and request.function:
        yield Problem("one child does not run both a program and a function of ours", "leave out program or function")
    if request.program:
        for flag in _lost(request):
            yield Problem(
                f"{flag.name} is of no use to a program: {flag.after_exec}",
                "leave out program, for a child that makes system calls and never executes",
                rule="execve-ends-sharing",
            )
    if runs is Runs.CALLS:
        lost = ", ".join(flag.name for flag in _lost(request))
        for want in wants:
            if want.more is not None and want.name not in ("hold", "fast"):
                yield Problem(
                    f"{want.name} takes steps of the child's own before execve, and execve would end {lost}",
                    f"leave out {want.name}, or what is shared",
                    rule="execve-ends-sharing",
                )


def _plan(spec: Spec, runs: Runs, hold: bool, via: Mechanism = Mechanism.AUTO) -> Plan:
    """Raises SpecError."""
    if runs is Runs.CALLS:
        return calls.compile_calls((calls.call("getpid"),), flags=mask_of_calls(spec), hold=hold)
    return compile_spec(replace(spec, via=via), hold=hold, entry=runs is Runs.FUNCTION)


def mask_of_calls(spec: Spec) -> int:
    """The flags of a child that only makes calls."""
    return flags_of(spec.namespaces) | spec.clone_flags


def _turned(spec: Spec, runs: Runs, hold: bool, plan: Plan, *, fast: bool) -> Iterator[Turned]:
    for way in Mechanism:
        if way is Mechanism.AUTO or way is plan.mechanism:
            continue
        steps, cost = None, WAYS[way].cost
        problems = _of_calls(spec, way, hold) if runs is Runs.CALLS else ()
        if runs is Runs.CALLS and WAYS[way].shares and not _shares(plan):
            cost = WAYS[Mechanism.FORK].cost
        if runs is not Runs.CALLS:
            try:
                other = _plan(spec, runs, hold, way)
            except SpecError as error:
                problems = error.problems
            else:
                steps, cost = len(other.steps) or None, _cost(other)
                if fast and _shares(plan) and not _shares(other):
                    said = f"{way} {cost}"
                    problems = (Problem(said, f"use {plan.mechanism}", rule="way-copies-page-tables"),)
        yield Turned(way, problems, cost, steps)


def _of_calls(spec: Spec, way: Mechanism, hold: bool) -> tuple[Problem, ...]:
    problems = limits_of_way(replace(spec, via=way), way, hold, facts())
    if not problems and way in (Mechanism.CLONE, Mechanism.CLONE3):
        said = refusals(mask_of_calls(spec), str(way))
        problems = [Problem(f"{way} refuses: {x.rule.why}", x.rule.remedy, x.errno, x.rule.name) for x in said]
    return tuple(problems)


def _shares(plan: Plan) -> bool:
    """Whether the child is in the caller's memory for as long as it executes nothing."""
    if WAYS[plan.mechanism].flags:
        return bool(plan.clone_flags & VM)
    return WAYS[plan.mechanism].shares


def _cost(plan: Plan) -> str:
    """What the table of ways says of this plan's: one that could share the memory and may not copies as fork does."""
    way = WAYS[plan.mechanism]
    return way.cost if not way.shares or _shares(plan) else WAYS[Mechanism.FORK].cost


# ---- what is told ----


def _reasons(plan: Plan, spec: Spec, wants: Iterable[Want]) -> Iterator[Reason]:
    spaces, others = wanted_flags(spec)
    wanted = spaces | others
    for flag in FLAGS:
        by = tuple(want.name for want in wants if want.flags & flag.bit)
        if plan.clone_flags & flag.bit:
            yield Reason(flag, _CALL, flag.does if wanted & flag.bit else OWN[flag.bit], by)
        elif spaces & flag.bit:
            later = LATER.get(flag.bit) if WAYS[plan.mechanism].namespaces == "call" else None
            yield Reason(flag, _CHILD, f"{flag.does} {later.capitalize()}." if later else flag.does, by)


def _warnings(request: Request, runs: Runs, plan: Plan, wants: Iterable[Want]) -> Iterator[str]:
    yield from plan.notes
    if runs is Runs.CALLS:  # a plan of calls has no notes
        for hazard in dangers(plan.clone_flags, str(plan.mechanism), plan.exit_signal):
            if not hazard.danger.stops and hazard.flags & request.shared:
                yield str(hazard)
    if request.fast and not _shares(plan):
        yield f"fast cannot be had with the rest: {_cost(plan)} ({plan.why})"
    if any(line.host_id == line.container_id for line in request.spec.uid_mappings if line.size > 1):
        yield (
            "the maps are of every id of the caller's, the same inside as outside, for it has no subordinate ids: root "
            "inside is root outside to every file; usermod --add-subuids and --add-subgids give it some"
        )
    if request.spec.rlimits and any(want.name == "limits" for want in wants):
        yield (
            "no control group with limits of memory and tasks can be made here, so each process is limited for itself, "
            "and all together are not; root, or a delegated group (systemd-run --user --scope -p Delegate=yes), can"
        )


def _costs(runs: Runs, plan: Plan, spec: Spec, turned: Iterable[Turned], found: Iterable[Found]) -> Costs:
    """Each way's times by the contestant that did most nearly what it would do."""
    differs: list[str] = []
    ways = [(str(plan.mechanism), _contestant(plan, runs, differs))]
    if runs is Runs.PROGRAM:
        others = [each.way for each in turned if not each.problems or each.way is Mechanism.FORK]
        ways += [(str(way), str(way)) for way in others if not (WAYS[way].flags and ways[0][1] == COPIED)]
    costs = costs_of(ways, names_of(wanted_flags(spec)[0]), found)
    return replace(costs, differs=tuple(differs) if costs.by_way else ())


def _contestant(plan: Plan, runs: Runs, differs: list[str]) -> str:
    if runs is Runs.FUNCTION:
        differs.append("a function is made by libc's fork and one more call; the lab's fork executes a program instead")
        return str(Mechanism.FORK)
    if WAYS[plan.mechanism].flags and not _shares(plan):
        differs.append("without CLONE_VM clone3 copies what fork copies; the lab's child of it executes nothing")
        return COPIED
    if runs is Runs.CALLS:
        differs.append("the lab's child executes a program, this one does not")
    elif plan.stdio is Stdio.PTY or len(plan.steps) > 1:
        differs.append("the lab's launch sets up nothing but standard streams")
    return str(plan.mechanism)
