"""Spec → Plan: every decision of a launch, taken before anything runs."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import lru_cache

from spawner import _native
from spawner import entry as callables
from spawner import mechanism as ways
from spawner.check import malformed, problems_of, warnings_of
from spawner.draft import Draft
from spawner.errors import SpecError
from spawner.flags import format_mask
from spawner.kernel import Facts, clone3_errno, facts
from spawner.namespaces import names_of
from spawner.oci import User
from spawner.parts.files_facts import with_files
from spawner.parts.limits_facts import with_limits
from spawner.parts.time_facts import with_time
from spawner.plan import Bearing, Plan
from spawner.program import candidates, vectors
from spawner.rules import exit_signal_for
from spawner.sections import SECTIONS
from spawner.spec import Mechanism, Spec, Stdio


def compile_spec(spec: Spec, *, hold: bool = False, given: Facts | None = None, entry: bool = False) -> Plan:
    """Decide how to launch ``spec``. Equal input gives the same Plan object while it is remembered.

    ``hold``: the child will have to wait for the parent on the way, so the call must not suspend the parent.
    ``given``: the facts about the caller, probed if left out. ``entry``: a callable will be launched by it instead of a
    program. Raises SpecError with every problem found.
    """
    if entry:
        spec = replace(spec, args=spec.args or (callables.NAME,))
    if spec.env is None:
        spec = _settled(spec, _native.environment())
    if given is None:
        by_clone3 = spec.via is Mechanism.CLONE3 or (spec.via is Mechanism.AUTO and not spec.join)
        cleared = by_clone3 and clone3_errno() == 0  # CLONE_CLEAR_SIGHAND
        given = facts(() if entry else _findable(spec), handlers=not cleared)
        for further in (with_files, with_limits, with_time):
            given = further(spec, given)
    return _compile(spec, hold, given, entry)


@lru_cache(maxsize=64)
def _settled(spec: Spec, environment: bytes) -> Spec:
    """The Spec with this environment. An entry without a name, which it may hold, is nothing setenv(3) could say."""
    pairs = (entry.partition("=") for entry in os.fsdecode(environment).split("\0"))
    return replace(spec, env=tuple((name, value) for name, _, value in pairs if name))


def _findable(spec: Spec) -> tuple[str, ...]:
    """Where the program may be, if that can be looked up from here.

    The child may be in another directory or root, or may be somebody who may execute something else.
    """
    elsewhere = bool(spec.rootfs or spec.mounts or spec.masked_paths or spec.join or spec.landlock)
    paths = candidates(spec)
    return paths if not elsewhere and spec.user == User() and all(path.startswith("/") for path in paths) else ()


@lru_cache(maxsize=64)
def _compile(spec: Spec, hold: bool, given: Facts, entry: bool) -> Plan:
    if problems := tuple(malformed(spec)):
        raise SpecError(problems)
    mechanism, why = ways.choose(spec, given)
    flags = ways.call_flags(spec, mechanism, hold, given)
    # clone3 takes no exit signal with CLONE_PARENT, say: the child's end is told by our leader's signal.
    exit_signal = spec.exit_signal if mechanism is not Mechanism.CLONE3 or exit_signal_for(flags) else 0
    asked = names_of(ways.wanted_flags(spec)[0])
    problems = tuple(problems_of(spec, mechanism, flags, exit_signal, hold, given))
    if entry:
        problems += tuple(callables.problems(spec, mechanism, asked))
        flags, why = callables.flags_of(flags, mechanism), callables.why(mechanism, why)
        exit_signal = 0 if mechanism is Mechanism.CLONE3 else exit_signal
    if problems:
        raise SpecError(problems)
    draft = Draft(
        spec=spec,
        flags=flags,
        asked=asked,
        hold=hold,
        facts=given,
        paths=() if entry else (given.program,) if given.program else candidates(spec),
        entry=entry,
    )
    if mechanism is not Mechanism.POSIX_SPAWN:
        for section in SECTIONS:
            section(draft)
    if draft.actions and flags & ways.VFORK:
        raise AssertionError("a suspended parent cannot act: spawner.mechanism.waits does not know of it")
    argv, envp = vectors(spec)
    return Plan(
        mechanism=mechanism,
        why=why,
        clone_flags=flags,
        flags_text=format_mask(flags) if flags else "",
        exit_signal=exit_signal,
        steps=tuple(draft.steps),
        asked=draft.asked,
        stdio=spec.stdio,
        window=spec.window,
        pdeathsig=spec.pdeathsig,
        notes=(*draft.notes, *warnings_of(spec, mechanism, flags, exit_signal)),
        argv=argv,
        envp=envp,
        new_session=spec.new_session or spec.stdio is Stdio.PTY,
        program=draft.paths,
        read_back=tuple(draft.read_back),
        checks=tuple(draft.checks),
        looks=tuple(draft.looks),
        preparations=tuple(draft.preparations),
        actions=tuple(draft.actions),
        veth=spec.veth,
        first_filter=_first(draft, Bearing.QUIET),
        clocks=tuple(draft.clocks),
        second_fork=_first(draft, Bearing.FORKS),
        init=spec.init,
        entry=entry,
    )


def _first(draft: Draft, bearing: Bearing) -> int | None:
    return next((i for i, step in enumerate(draft.steps) if step.bearing & bearing), None)
