"""No handler of ours runs in a child, no disposition of ours but "ignored" reaches the program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from leftovers import Census
from running import output

from spawner import LaunchError, Mechanism, Spec, Stdio, compile_spec, launch
from spawner.birth import Birth
from spawner.flags import bits

CALLS = (Mechanism.CLONE3, Mechanism.CLONE, Mechanism.FORK, Mechanism.VFORK, Mechanism.FORK_UNSHARE)
EVERY_CALL = (*CALLS, Mechanism.POSIX_SPAWN)
HOLDING = (Mechanism.CLONE3, Mechanism.CLONE, Mechanism.FORK, Mechanism.FORK_UNSHARE)
STATUS = Spec(args=("cat", "/proc/self/status"), stdio=Stdio.PIPE)


def masks(status: str) -> dict[str, set[int]]:
    """The signal masks of a /proc/PID/status, as sets of signal numbers."""
    found = {}
    for line in status.splitlines():
        if line.startswith("Sig") and not line.startswith("SigQ"):
            mask = int(line[8:], 16)
            found[line[:6]] = {number for number in range(1, 65) if mask >> (number - 1) & 1}
    return found


def ours() -> dict[str, set[int]]:
    return masks(Path("/proc/thread-self/status").read_text())


def of_child(spec: Spec) -> dict[str, set[int]]:
    return masks(output(spec))


def via(spec: Spec, mechanism: Mechanism, **fields: object) -> Spec:
    return replace(spec, via=mechanism, **fields)  # type: ignore[arg-type]


@contextmanager
def disposition(number: int, action: object) -> Iterator[None]:
    before = signal.signal(number, action)  # type: ignore[arg-type]
    try:
        yield
    finally:
        signal.signal(number, before)


def unexpected(number: int, _frame: object) -> None:
    raise AssertionError(f"signal {number} reached us")


# caught handlers must be SIG_DFL before the mask is restored (Go runtime_BeforeFork, CPython child_exec)
@pytest.mark.parametrize("call", EVERY_CALL)
def test_signals_we_handle_have_their_default_action_in_the_program(call: Mechanism) -> None:
    with disposition(signal.SIGUSR1, unexpected), disposition(signal.SIGRTMIN + 3, unexpected):
        assert {signal.SIGUSR1, signal.SIGRTMIN + 3} <= ours()["SigCgt"]
        assert of_child(via(STATUS, call))["SigCgt"] == set()


# Python ignores SIGPIPE and SIGXFSZ, ignoring survives execve and CLONE_CLEAR_SIGHAND (kernel/signal.c
# flush_signal_handlers leaves SIG_IGN)
@pytest.mark.parametrize("call", EVERY_CALL)
def test_signals_python_ignores_for_itself_are_not_ignored_in_the_program(call: Mechanism) -> None:
    python = {signal.SIGPIPE, signal.SIGXFSZ}
    assert python <= ours()["SigIgn"]
    # glibc's posix_spawn ignores its own two signals, sysdeps/unix/sysv/linux/spawni.c
    beyond = {32, 33} if call is Mechanism.POSIX_SPAWN else set()
    assert of_child(via(STATUS, call))["SigIgn"] - beyond == ours()["SigIgn"] - python


# signal(7): "ignored signals are left ignored" across execve, as nohup(1) needs it
@pytest.mark.parametrize("call", EVERY_CALL)
def test_signals_we_chose_to_ignore_stay_ignored(call: Mechanism) -> None:
    with disposition(signal.SIGHUP, signal.SIG_IGN):
        assert signal.SIGHUP in of_child(via(STATUS, call))["SigIgn"]


# all signals are blocked around the call; the mask is then the caller's, in child and parent
@pytest.mark.parametrize("call", EVERY_CALL)
def test_the_mask_is_the_callers_in_the_program_and_is_put_back_in_us(call: Mechanism) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2, signal.SIGRTMAX})
    try:
        expected = ours()["SigBlk"]
        assert {signal.SIGUSR2, signal.SIGRTMAX} <= expected
        assert of_child(via(STATUS, call))["SigBlk"] == expected
        assert ours()["SigBlk"] == expected
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# glibc keeps 32 and 33 for itself, and they are blocked too while the child is made
@pytest.mark.parametrize("call", EVERY_CALL)
def test_glibcs_own_signals_are_not_left_blocked(call: Mechanism) -> None:
    assert of_child(via(STATUS, call))["SigBlk"].isdisjoint({32, 33})
    assert ours()["SigBlk"].isdisjoint({32, 33})


# "a handler running in a VM-sharing child corrupts the parent"
@pytest.mark.parametrize("call", HOLDING)
def test_a_signal_to_a_child_before_execve_does_what_it_would_to_the_program(
    call: Mechanism, nothing_left: Census
) -> None:
    with disposition(signal.SIGUSR1, unexpected):
        child = launch(via(STATUS, call, stdio=Stdio.NULL), hold="execve")
        with child:
            child.signal(signal.SIGUSR1)
            with pytest.raises(LaunchError, match="SIGUSR1"):
                child.resume()


# until its last step every signal waits; it is delivered then, to the default action
@pytest.mark.parametrize("call", HOLDING)
def test_a_signal_during_set_up_waits_until_the_mask_is_restored(call: Mechanism, nothing_left: Census) -> None:
    with disposition(signal.SIGUSR1, unexpected), launch(via(STATUS, call, stdio=Stdio.NULL), hold=0) as child:
        child.signal(signal.SIGUSR1)
        with pytest.raises(LaunchError, match="SIGUSR1") as caught:
            child.resume()
    assert caught.value.step in ("signal mask", "execve")


# the same: a plan may be older than the handler, and knows nothing of it
@pytest.mark.parametrize("call", CALLS)
def test_a_plan_older_than_a_handler_of_ours_is_not_launched_over_it(call: Mechanism, nothing_left: Census) -> None:
    plan = compile_spec(via(STATUS, call, stdio=Stdio.NULL))
    with disposition(signal.SIGUSR1, unexpected):
        if call is Mechanism.CLONE3:  # CLONE_CLEAR_SIGHAND clears whatever there is
            launch(plan).close()
        else:
            with pytest.raises(ValueError, match="compile"):
                launch(plan)


# with CLONE_SIGHAND "before exec the child's sigaction hits the parent"
def test_a_child_that_shares_our_handlers_changes_none(nothing_left: Census) -> None:
    with disposition(signal.SIGUSR1, unexpected):
        before = ours()
        inside = of_child(via(STATUS, Mechanism.CLONE3, clone_flags=bits("SIGHAND", "VM")))
        assert ours() == before
        assert inside["SigCgt"] == set()


def test_the_plan_says_that_with_shared_handlers_sigpipe_stays_ignored() -> None:
    plan = compile_spec(via(STATUS, Mechanism.CLONE3, clone_flags=bits("SIGHAND", "VM")))
    assert any("SIGPIPE" in note for note in plan.notes)
    inside = of_child(via(STATUS, Mechanism.CLONE3, clone_flags=bits("SIGHAND", "VM")))
    assert {signal.SIGPIPE, signal.SIGXFSZ} <= inside["SigIgn"]


class HandlerError(Exception):
    pass


# subprocess has this hole: a handler that raises (as Ctrl-C's does) before the pid is stored
@pytest.mark.parametrize("call", [Mechanism.CLONE3, Mechanism.CLONE])
def test_a_handler_that_raises_as_the_child_is_made_leaves_nothing(call: Mechanism, nothing_left: Census) -> None:
    def interrupt(_number: int, _frame: object) -> None:
        raise HandlerError

    # The child fails at once and tells us with SIGUSR1, which waits until the call that made it has returned.
    spec = Spec(args=("/bin/true",), via=call, exit_signal=signal.SIGUSR1, stdio=Stdio.PIPE)
    with disposition(signal.SIGUSR1, interrupt), pytest.raises(HandlerError):
        launch(spec, inject=("execve", 5))


# Python runs handlers between any two instructions, so also amid the clean-up after a failed launch
def test_a_handler_that_raises_amid_the_clean_up_leaves_nothing(
    nothing_left: Census, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_number: int, _frame: object) -> None:
        raise HandlerError

    def interrupted(birth: Birth) -> None:
        os.kill(os.getpid(), signal.SIGUSR1)
        release(birth)

    release = Birth._release
    monkeypatch.setattr(Birth, "_release", interrupted)
    with disposition(signal.SIGUSR1, interrupt), pytest.raises(HandlerError):
        launch(Spec(args=("/bin/true",), stdio=Stdio.PIPE, pdeathsig=signal.SIGKILL), inject=("execve", 5))


def test_a_handler_that_raises_while_a_held_child_is_resumed_leaves_nothing(nothing_left: Census) -> None:
    def interrupt(_number: int, _frame: object) -> None:
        raise HandlerError

    spec = Spec(args=("/bin/true",), exit_signal=signal.SIGUSR1, stdio=Stdio.PIPE)

    def held() -> None:
        with launch(spec, hold=0) as child:
            child.signal(signal.SIGKILL)
            child.resume()

    with disposition(signal.SIGUSR1, interrupt), pytest.raises(HandlerError):
        held()


# kill(2): a stop is not an end; waitid without WSTOPPED must not take it for one
@pytest.mark.parametrize("call", HOLDING)
def test_a_child_stopped_in_set_up_goes_on_when_continued(call: Mechanism, nothing_left: Census) -> None:
    with launch(via(STATUS, call, args=("/bin/sh", "-c", "exit 3"), stdio=Stdio.NULL), hold="close on exec") as child:
        child.signal(signal.SIGSTOP)
        child.signal(signal.SIGCONT)
        child.step()
        child.signal(signal.SIGSTOP)
        assert child.poll() is None
        child.signal(signal.SIGCONT)
        child.resume()
        ended = child.wait()
    assert ended is not None
    assert ended.code == 3


# pthread_create(3) of glibc: the first thread makes it handle signals 32 and 33, whenever that is
@pytest.mark.parametrize("call", [Mechanism.CLONE, Mechanism.FORK])
def test_a_plan_is_not_too_old_once_there_is_a_thread(call: Mechanism) -> None:
    script = f"""
import threading
from spawner import Mechanism, Spec, compile_spec, launch
plan = compile_spec(Spec(args=("/bin/true",), via=Mechanism({str(call)!r})))
assert len(threading.enumerate()) == 1
threading.Thread(target=int).start()
with launch(plan) as child:
    print(child.wait().code)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == ("0\n", "")
