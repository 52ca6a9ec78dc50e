"""Seccomp filters: compiled beforehand, installed in their order, the strictest answer counts (seccomp(2))."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator

from spawner import capabilities as caps
from spawner import procfs
from spawner.cause import Cause
from spawner.draft import Draft
from spawner.errors import Problem
from spawner.oci import Seccomp
from spawner.parts.security import implied_no_new_privs, owns_namespace
from spawner.plan import At, Bearing, Held, Look, Named, Packed, Plan
from spawner.seccomp.compile import compile_profile
from spawner.seccomp.default import DEFAULT
from spawner.seccomp.profile import FLAGS, ProfileError
from spawner.spec import Spec

_SET_MODE_FILTER = Named(1, "SECCOMP_SET_MODE_FILTER")
_INSTRUCTION = 8  # bytes of a struct sock_filter
_MOST = 4096  # BPF_MAXINSNS
_LABEL = "seccomp"
_IN_FORCE = ("2", "3")  # SECCOMP_MODE_FILTER, and SECCOMP_MODE_DEAD of one that is being killed by it


def _compiled(spec: Spec, asked: frozenset[str], wanted: Seccomp) -> tuple[bytes, int, tuple[str, ...]]:
    """(program, flags, notes) of a filter. Raises ProfileError."""
    if wanted.program is not None:
        return wanted.program, 0, ()
    if wanted.profile is None:
        program, flags, _ = compile_profile(DEFAULT, frozenset())
        return program, flags, ()  # that it names what a libseccomp does not know yet is not worth a note
    return compile_profile(wanted.profile, _bounding(spec, asked))


def _bounding(spec: Spec, asked: frozenset[str]) -> frozenset[str]:
    """By name, what the child's bounding set will be."""
    if spec.capabilities is not None and spec.capabilities.bounding is not None:
        return frozenset(map(caps.parse, spec.capabilities.bounding))
    bits = caps.known() if owns_namespace(spec, asked) else caps.bounding()
    return frozenset(name for number, name in enumerate(caps.NAMES) if bits >> number & 1)


def _install(draft: Draft) -> None:
    for wanted in draft.spec.seccomp:
        program, flags, notes = _compiled(draft.spec, draft.asked, wanted)
        draft.notes.extend(notes)
        length = len(program) // _INSTRUCTION
        shown = f"{{{wanted.name}: {length} instructions}}"
        text = "|".join(name for name, bit in FLAGS.items() if flags & bit) or "0"
        draft.add(
            _LABEL,
            "seccomp",
            _SET_MODE_FILTER,
            Named(flags, text),
            Packed("=H6xQ", (length, At(program)), shown),
            phase="seccomp",
            why="from here on the filter judges the engine's own calls too",
            bearing=Bearing.QUIET,
        )
    if draft.hold and draft.spec.seccomp:
        draft.notes.append("seccomp: the child cannot be held behind a filter, which would judge how it waits")
    count = len(draft.spec.seccomp)
    if count and not draft.spec.init:  # the process above the program has no filter of its own
        draft.look(Look("seccomp filters", lambda held: _missing(held, count)))


def _missing(held: Held, count: int) -> str | None:
    """What is wrong with the filters of the running program, seen from outside; they can only become more."""
    state, mode, filters = procfs.status(procfs.number(held.pidfd), "State", "Seccomp", "Seccomp_filters")
    if state is None or state[0] in "ZX":  # it may have let go of them by now
        return None
    if mode is not None and mode not in _IN_FORCE:
        return f"the kernel says that no filter is in force (Seccomp: {mode})"
    if filters is not None and int(filters) < count:
        return f"{count} filters were installed, the kernel says {filters}"
    return None


def privileged_filters(draft: Draft) -> None:
    """Without no_new_privs: while CAP_SYS_ADMIN is there."""
    if not _unprivileged(draft):
        _install(draft)


def filters(draft: Draft) -> None:
    """With no_new_privs: as the last thing before execve."""
    if _unprivileged(draft):
        _install(draft)


def _unprivileged(draft: Draft) -> bool:
    return draft.spec.no_new_privs or implied_no_new_privs(draft.spec, draft.asked, draft.facts)


def problems(spec: Spec, asked: frozenset[str]) -> Iterator[Problem]:
    """What is wrong with this part of a Spec that asks for these new namespaces."""
    for wanted in spec.seccomp:
        if wanted.program is not None and wanted.profile is not None:
            yield Problem(f"seccomp {wanted.name}: a profile and a program too", "give one of them")
        elif wanted.program is None and wanted.profile is None and wanted.name != "default":
            yield Problem(f"seccomp {wanted.name}: neither a profile nor a program", 'give one; "default" is our own')
        elif wanted.program is not None:
            yield from _misshapen(wanted.name, wanted.program)
        else:
            try:
                _compiled(spec, asked, wanted)
            except ProfileError as error:
                yield Problem(f"seccomp profile {wanted.name}: {error}", error.remedy)
            except ValueError:  # an unknown capability: spawner.parts.security tells
                return


def _misshapen(name: str, program: bytes) -> Iterator[Problem]:
    if len(program) % _INSTRUCTION or not 1 <= len(program) // _INSTRUCTION <= _MOST:
        yield Problem(
            f"seccomp program {name}: {len(program)} bytes are no filter",
            f"give 1 to {_MOST} instructions of {_INSTRUCTION} bytes (struct sock_filter)",
            errno.EINVAL,
        )


# What may come after a filter, which then judges it.
_LATER = (
    "clear ambient",
    "capset",
    "read capabilities",
    "default SIGPIPE",
    "default SIGXFSZ",
    "signal mask",
    _LABEL,
    "execve",
)


def _after_filter(label: str) -> Callable[[Plan, str | None], bool]:
    def when(plan: Plan, path: str | None) -> bool:
        labels = [step.label for step in plan.steps]
        return _LABEL in labels and label in labels[labels.index(_LABEL) + 1 :]

    return when


def _answers(number: int, label: str) -> Cause:
    return Cause(
        (label,),
        number,
        "the seccomp filter forbids it, which the engine still has to do",
        "let the profile allow it"
        + ("" if label in (_LABEL, "execve") else "; with no_new_privs only seccomp and execve come after a filter"),
        _after_filter(label),
    )


CAUSES: tuple[Cause, ...] = (
    Cause((_LABEL,), errno.EINVAL, "the kernel takes no such program, or not these flags", "check the program"),
    Cause(
        (_LABEL,),
        errno.EACCES,
        "a filter needs no_new_privs or CAP_SYS_ADMIN in the user namespace",
        "ask for no_new_privs",
    ),
    Cause((_LABEL,), errno.ENOMEM, "the filters in force are too long together", "launch from fewer of them"),
    *(_answers(number, label) for number in (errno.EPERM, errno.ENOSYS) for label in _LATER),
)
