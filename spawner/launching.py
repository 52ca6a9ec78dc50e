"""launch(): from a Spec or a Plan to a running Child, whole or not at all."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable

from spawner import _native, thread
from spawner.birth import Birth
from spawner.child import Child, index_of
from spawner.compile import compile_spec
from spawner.errors import LaunchError, SpecError
from spawner.mechanism import CLEAR_SIGHAND, SIGHAND
from spawner.parts.network import UNCONNECTED
from spawner.plan import Networker, Plan
from spawner.program import NOT_HERE
from spawner.signals import signal_name
from spawner.spec import Mechanism, Spec, Stdio
from spawner.stdio import Streams, open_streams
from spawner.thread import undisturbed
from spawner.verdict import refused


def launch(
    what: Spec | Plan,
    *,
    hold: int | str | None = None,
    inject: tuple[int | str, int] | None = None,
    network: Networker | None = None,
    entry: Callable[[], object] | None = None,
) -> Child:
    """Make the child and return once it runs its program, or waits before the step named by ``hold``.

    ``hold`` is an index or a label; a Plan must have been compiled for holding. ``inject`` (step, errno) lets
    one step, or one thing the parent does, fail with that errno instead of running, for tests. ``network`` makes the
    links of a Spec with a veth. ``entry`` is called in the child in place of the program (spawner.entry), and answers
    its exit status or None; a Plan must have been compiled for that. Blocks until execve has succeeded. Raises
    SpecError for what cannot be launched, LaunchError for what failed; nothing is left behind then.
    """
    origin = time.monotonic_ns()
    plan = compile_spec(what, hold=hold is not None, entry=entry is not None) if isinstance(what, Spec) else what
    if plan.entry != (entry is not None):
        raise ValueError("a plan of compile_spec(spec, entry=True) is launched with a callable, and no other is")
    if plan.veth is not None and network is None:
        raise SpecError((UNCONNECTED,))
    hold_at = None if hold is None else index_of(plan, hold)
    if hold_at is not None and plan.suspends:
        raise ValueError("the plan was not compiled for holding: compile_spec(spec, hold=True)")
    if new := _unknown_handlers(plan):
        names = ", ".join(signal_name(number) for number in new)
        raise ValueError(
            f"the plan is older than our handlers of {names}, which the child must not run: compile it anew"
        )
    fault: tuple[int | str, int] | None = None
    if inject is not None:
        ours = {row.label for row in plan.preparations} | {row.label for row in plan.actions}
        fault = (inject[0] if inject[0] in ours else index_of(plan, inject[0]), inject[1])
    birth = Birth(plan, Streams(), origin_ns=origin, network=network, entry=entry)
    try:
        try:
            _begin(birth, hold_at, fault)
            return Child(birth)
        except BaseException:
            undisturbed(birth.discard)
            raise
    except BaseException:  # once more, for a signal handler that raised before that had begun
        undisturbed(birth.discard)
        raise


def _begin(birth: Birth, hold_at: int | None, fault: tuple[int | str, int] | None) -> None:
    plan = birth.plan
    mask = _mask_bits()
    try:
        open_streams(birth.streams, plan.stdio, plan.window)
    except OSError as error:
        raise refused(plan, "prepare", None, error.errno or 0) from error
    if plan.mechanism is Mechanism.POSIX_SPAWN:
        _posix_spawn(birth)
    elif plan.pdeathsig is not None:
        thread.call(lambda: birth.begin(mask=mask, hold_at=hold_at, inject=fault))
    else:
        birth.begin(mask=mask, hold_at=hold_at, inject=fault)


def _unknown_handlers(plan: Plan) -> list[int]:
    """Signals handled by us that the plan does not reset: once its mask is restored the child would run our code."""
    if plan.entry or plan.mechanism is Mechanism.POSIX_SPAWN or plan.clone_flags & (CLEAR_SIGHAND | SIGHAND):
        return []
    caught, _ignored = _native.dispositions()
    reset = {step.args[0] for step in plan.steps if step.syscall == "rt_sigaction"}
    return [number for number in range(1, 65) if caught >> (number - 1) & 1 and number not in reset]


def _mask_bits() -> int:
    mask = 0
    for number in signal.pthread_sigmask(signal.SIG_BLOCK, ()):
        mask |= 1 << (number - 1)
    return mask


def _posix_spawn(birth: Birth) -> None:
    """Let libc do it: no plan, no status page, so also no step in the error."""
    plan = birth.plan
    caught, _ignored = _native.dispositions()
    defaults = caught | 1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1)
    moves = (
        [(birth.streams.child[name], number) for number, name in enumerate(("stdin", "stdout", "stderr"))]
        if (plan.stdio is not Stdio.INHERIT)
        else []
    )
    last = 0
    path = plan.program[0]
    try:
        moves += [(fd, -1) for fd in _inheritable()]
    except OSError as error:
        raise refused(plan, "prepare", None, error.errno or 0, error.filename) from error
    try:
        for candidate in plan.program:
            try:
                _native.posix_spawn(
                    os.fsencode(candidate),
                    list(plan.argv),
                    list(plan.envp),
                    moves,
                    defaults,
                    plan.new_session,
                    birth.made,
                )
                break
            except OSError as error:
                if birth.made or error.errno not in NOT_HERE:  # the first: a signal handler's
                    raise
                if error.errno == errno.EACCES or last == 0:
                    last, path = error.errno, candidate
        else:
            if last != errno.EACCES and len(plan.program) > 1:
                path = os.path.basename(path)
            raise refused(plan, "posix_spawn", None, last, path)
    except LaunchError:
        raise
    except OSError as error:
        if birth.made:
            raise
        raise refused(plan, "posix_spawn", None, error.errno or 0, path) from None
    birth.know()
    birth.streams.close_child_ends()
    if birth.pidfd < 0:
        raise birth.unwatchable(-birth.pidfd)


def _inheritable() -> list[int]:
    """Descriptors above 2 that would reach the program."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        try:
            if fd > 2 and os.get_inheritable(fd):
                found.append(fd)
        except OSError as error:
            if error.errno != errno.EBADF:  # the directory's own descriptor, closed since
                raise
    return found
