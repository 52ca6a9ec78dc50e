"""A launch in the foreground: attend to the child, pass on what is for it, end as it ends."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

from nsview.commands.run_report import ReportFile, report_of, timeline_lines
from nsview.commands.status_file import StatusFiles
from spawner import Child, Exit, LaunchError, Plan, Spec, SpecError, Stdio, compile_spec, launch
from spawner.plan import Networker

ENGINE_FAILED = 125
NOT_EXECUTABLE = 126
NOT_FOUND = 127
_FORWARDED = (signal.SIGINT, signal.SIGTERM)
# A key such as Ctrl-C reaches the child by itself: it is in the terminal's foreground group, as we are.
_FROM_KEYS = (signal.SIGINT, signal.SIGQUIT)


def run_in_foreground(command: str, asked: argparse.Namespace, spec_of: Callable[[argparse.Namespace], Spec]) -> int:
    """Launch the Spec that the options of ``nsview COMMAND`` ask for, and return the exit status."""
    try:
        ended = _run(asked, spec_of)
    except SpecError as error:
        for problem in error.problems:
            _complain(command, str(problem))
        return ENGINE_FAILED
    except LaunchError as error:
        _complain(command, str(error))
        return _status_of(error)
    except BrokenPipeError:  # the reader of our output went away: told by the status alone
        raise
    except OSError as error:
        _complain(command, f"{error.filename or command}: {error.strerror}")
        return ENGINE_FAILED
    if ended is None:
        return 0
    if not ended.executed:
        _complain(command, "execve: the child was killed before the program began")
        return ENGINE_FAILED
    # Somebody else's child (CLONE_PARENT) on an older kernel: how it ended is not ours to know.
    return ENGINE_FAILED if ended.status is None else ended.status


def _run(asked: argparse.Namespace, spec_of: Callable[[argparse.Namespace], Spec]) -> Exit | None:
    """Do what was asked for; None where that was to run nothing."""
    forwarding = _Forwarding()
    # From before there is a child, so that no signal is lost; while stepping they mean us.
    with forwarding.instead_of_default() if asked.forward_signals and not asked.step else nullcontext():
        plan = compile_spec(spec_of(asked), hold=asked.step)
        if asked.dry_run:
            _print_plan(plan)
            return None
        with (
            ReportFile(asked.report) as report,
            StatusFiles(asked.info_fd, asked.json_status_fd) as status,
            launch(plan, hold=0 if asked.step else None, network=_networker(plan)) as child,
        ):
            if asked.step:
                _single_step(child)
            status.began(child)
            started = child.start_time  # while there is something to read it from
            forwarding.begin(child)
            ended = _attend(child, forwarding, asked)
            status.ended(ended)
            if child.cgroup is not None and (killed := child.cgroup.oom_kills):
                _complain(asked.command, f"out of memory: the kernel killed {killed} in the child's control group")
            if asked.timeline:
                for line in timeline_lines(child.timeline):
                    _say(line)
            report.write(report_of(child, started, ended))
            return ended


def _networker(plan: Plan) -> Networker | None:
    if plan.veth is None:
        return None
    from nsview.network import Connector

    return Connector()


def _say(text: str, end: str = "\n") -> None:
    if sys.stderr is not None:  # closed, as by a shell's 2>&-
        print(text, end=end, file=sys.stderr, flush=True)


def _complain(command: str, message: str) -> None:
    from nsview.host.text import printable  # a path may hold anything

    _say(f"nsview {command}: {printable(message)}")


def _status_of(error: LaunchError) -> int:
    of_the_program = error.step in ("execve", "posix_spawn")
    if not of_the_program or error.errno in (None, errno.EAGAIN, errno.ENOMEM):
        return ENGINE_FAILED
    return NOT_FOUND if error.errno in (errno.ENOENT, errno.ENOTDIR) else NOT_EXECUTABLE


def _print_plan(plan: Plan) -> None:
    print(f"# {plan.mechanism}: {plan.why}")
    for note in plan.notes:
        print(f"# {note}")
    print(plan)


def _single_step(child: Child) -> None:
    """Print each step and wait for Enter; at end of file the child runs on."""
    while child.held is not None:
        _say(f"{child.held:3}  {child.plan.steps[child.held]}", end=" ")
        answer = _line_of_input()
        if not answer.endswith(b"\n") or not os.isatty(0):  # where nobody's Enter ends the line
            _say("")
        if answer.endswith(b"\n"):
            child.step()
        else:
            child.resume()


def _line_of_input() -> bytes:
    """Read one line byte by byte: what comes after it is for the program."""
    line = b""
    while sys.stdin is not None and not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            break
        line += byte
    return line


class _Forwarding:
    """A signal handler that passes signals on to the child; those that come before there is one wait."""

    def __init__(self) -> None:
        self._child: Child | None = None
        self._waiting: list[int] = []

    def __call__(self, number: int, _frame: object) -> None:
        if self._child is None:
            self._waiting.append(number)
        elif self._child.poll() is None:
            with suppress(ProcessLookupError):  # it has ended this moment
                self._child.signal(number)

    def begin(self, child: Child) -> None:
        """From now on signals go to ``child``, first those that waited."""
        self._child = child
        while self._waiting:
            self(self._waiting.pop(0), None)

    @contextmanager
    def instead_of_default(self) -> Iterator[None]:
        """Handle the forwarded signals meanwhile."""
        with _handling(_FORWARDED, self):
            yield


@contextmanager
def _handling(numbers: Sequence[int], handler: Any) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def _attend(child: Child, forwarding: _Forwarding, asked: argparse.Namespace) -> Exit:
    """Wait for the child, passing on what the terminal and the options say."""
    forward = asked.forward_signals
    with _handling(_FORWARDED if forward else _FROM_KEYS, forwarding if forward else signal.SIG_IGN):
        if child.plan.stdio is Stdio.PTY:
            from nsview.commands.pty_relay import relay

            ended = relay(child, asked.timeout)
        else:
            ended = child.wait(asked.timeout)
        if ended is None:
            _complain(asked.command, f"killed after {asked.timeout:g} s")
            with suppress(ProcessLookupError):  # it has ended this moment
                child.signal(signal.SIGKILL)
            ended = child.wait()
    assert ended is not None
    return ended
