"""`nsview run`: launch a program in the foreground and end as it ends."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from nsview.commands import run_options
from nsview.commands.run_report import report_of, timeline_lines, write_report
from spawner import Child, Exit, LaunchError, Plan, SpecError, Stdio, compile_spec, launch

ENGINE_FAILED = 125
NOT_EXECUTABLE = 126
NOT_FOUND = 127


def add_parser(subparsers: Any) -> None:
    """Add the command to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "run",
        help="launch a program with any clone flags, in the foreground",
        usage="nsview run [OPTIONS] [--] PROGRAM [ARG…]",
        description="Launch a program through the engine, its stdio passed through. Exit status: the program's own, "
        "128+N where signal N killed it, 125 where the launch failed, 126 not executable, 127 not found.",
    )
    run_options.add_options(parser)
    parser.set_defaults(run=run)


def prepare(argv: Sequence[str]) -> list[str]:
    """Mark where the options end, before argparse reads them."""
    return run_options.end_options(argv)


def run(asked: argparse.Namespace) -> int:
    """Launch what the options ask for and return the exit status."""
    try:
        plan = compile_spec(run_options.spec_of(asked), hold=asked.step)
        if asked.dry_run:
            _print_plan(plan)
            return 0
        if asked.report not in (None, "-"):
            # Before anything runs: a report that cannot be written is bad input.
            with open(asked.report, "a"):
                pass
        child = launch(plan, hold=0 if asked.step else None)
        with child:
            if asked.step:
                _single_step(child)
            started = child.start_time  # while there is something to read it from
            ended = _attend(child, asked)
            _tell(child, started, ended, asked)
    except SpecError as error:
        for problem in error.problems:
            _complain(str(problem))
        return ENGINE_FAILED
    except LaunchError as error:
        _complain(str(error))
        return _status_of(error)
    except OSError as error:
        _complain(f"{error.filename or 'run'}: {error.strerror}")
        return ENGINE_FAILED
    # Somebody else's child (CLONE_PARENT) on an older kernel: how it ended is not ours to know.
    return ENGINE_FAILED if ended.status is None else ended.status


def _complain(message: str) -> None:
    print(f"nsview run: {message}", file=sys.stderr)


def _status_of(error: LaunchError) -> int:
    if error.step not in ("execve", "posix_spawn"):
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
        print(f"{child.held:3}  {child.plan.steps[child.held]}", end=" ", file=sys.stderr, flush=True)
        answer = _line_of_input()
        if not answer.endswith(b"\n"):
            child.resume()
            print(file=sys.stderr)
        else:
            child.step()


def _line_of_input() -> bytes:
    """Read one line byte by byte: what comes after it is for the program."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            break
        line += byte
    return line


def _attend(child: Child, asked: argparse.Namespace) -> Exit:
    """Wait for the child, passing on what the terminal and the options say."""
    # A key such as Ctrl-C reaches the child by itself: it is in the terminal's foreground group, as we are.
    handler: Any = signal.SIG_IGN
    numbers = [signal.SIGINT, signal.SIGQUIT]
    if asked.forward_signals:
        numbers = [signal.SIGINT, signal.SIGTERM]

        def handler(number: int, _frame: object) -> None:
            if child.poll() is None:
                child.signal(number)

    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        if child.plan.stdio is Stdio.PTY:
            from nsview.commands.pty_relay import relay

            ended = relay(child, asked.timeout)
        else:
            ended = child.wait(asked.timeout)
        if ended is None:
            _complain(f"killed after {asked.timeout:g} s")
            child.signal(signal.SIGKILL)
            ended = child.wait()
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
    assert ended is not None
    return ended


def _tell(child: Child, started: int | None, ended: Exit, asked: argparse.Namespace) -> None:
    if asked.timeline:
        for line in timeline_lines(child.timeline):
            print(line, file=sys.stderr)
    if asked.report is not None:
        write_report(report_of(child, started, ended), asked.report)
