"""What is special about process 1 of a pid namespace: signals, orphans, zombies, its end; what an init changes.

Sources: pid_namespaces(7), signal(7), prctl(2) PR_SET_CHILD_SUBREAPER.
"""

from __future__ import annotations

import errno
import os
import select
import signal
from collections.abc import Iterator
from contextlib import suppress

from nsview.labs.lab import Conclusion, Event, Finding, Scene, Setting, Stage, Verdict
from nsview.labs.pid1 import rules
from nsview.labs.pid1.subject import CATCHABLE, ENDED, STOPPED, WENT_ON
from nsview.labs.pid1.talk import DEADLINE, Subject, parent, state, stopped, subject_in, unprivileged, until
from spawner import LaunchError, Spec, Stdio, launch
from spawner.ending import signal_name, wait_readable
from spawner.oci import Join

_FLAG = "CLONE_NEWPID"


def run(setting: Setting) -> Iterator[Event]:
    """Tell of process 1; nothing is left of it when closed early."""
    del setting  # nothing is measured
    try:
        with subject_in(namespace=True) as first:
            yield from _number(first)
    except LaunchError as error:
        yield Finding(
            "number",
            "make a process in a new pid namespace",
            "it is process 1",
            "",
            Verdict.LEFT_OUT,
            f"{error}; without a pid namespace there is nothing to ask",
            _FLAG,
        )
        return
    yield from _signals()
    yield from _orphans()
    yield from _the_end()


def _finding(key: str, done: str, expected: str, answered: str, why: str = "") -> Finding:
    verdict = Verdict.AS_EXPECTED if expected == answered else Verdict.OTHERWISE
    return Finding(key, done, expected, answered, verdict, why, _FLAG)


def _number(first: Subject) -> Iterator[Event]:
    yield Stage("Process 1", "A child made with CLONE_NEWPID, which is called otherwise inside and outside.")
    own, above = first.ask("identity")
    yield _finding(
        "number",
        "getpid() and getppid() in the child",
        "1, and 0 for a parent that it cannot see",
        f"{own}, and {above} for a parent that it cannot see",
        "the first process of a pid namespace is 1 there, and outside has a pid like any",
    )
    yield Scene(
        "One process with two pids", os.getpid(), first.child.pid, f"NSpid: {first.child.pid} here, {own} inside"
    )


# ---- signals ----


def _signals() -> Iterator[Event]:
    yield Stage("Signals without a handler", "All 31 standard signals, each with its default action.")
    with subject_in(namespace=True) as first:
        ordinary: dict[int, str] = {int(n): what for n, what in first.ask("trial", list(rules.STANDARD)).items()}
        yield _finding(
            "signals.control",
            "send each to an ordinary process of the same namespace",
            rules.worded({number: rules.by_default(number) for number in rules.STANDARD}),
            rules.worded(ordinary),
            "signal(7): the default actions",
        )
        first.ask("default")
        inside = {number: rules.to_process_1(number, from_above=False) for number in rules.STANDARD}
        for key, done, question in (
            ("signals.itself", "process 1 sends each to itself", "to_itself"),
            ("signals.child", "its child sends each to process 1", "by_child"),
        ):
            answered = _one_by_one(first, lambda n, question=question: first.ask(question, [n]))
            yield _finding(
                key, done, rules.worded(inside), rules.worded(answered), "pid_namespaces(7): no handler, no signal"
            )
    yield from _from_above()
    with subject_in(namespace=True) as first:
        first.ask("catch")
        first.ask("to_itself", list(CATCHABLE))
        yield _finding(
            "signals.handler.inside",
            "the same with a handler for each, sent by itself",
            f"caught: {rules.names(CATCHABLE)}",
            f"caught: {rules.names(first.ask('taken'))}",
        )
        for number in CATCHABLE:
            first.child.signal(number)
            first.ask("identity")  # one by one: a signal that stops takes away a SIGCONT that waits
        yield _finding(
            "signals.handler.above",
            "the same with a handler for each, sent from outside",
            f"caught: {rules.names(CATCHABLE)}",
            f"caught: {rules.names(first.ask('taken'))}",
        )
    with subject_in(namespace=True) as first:
        first.tell("crash")
        yield _finding(
            "signals.crash",
            "process 1 reads memory that is not there",
            "ended by SIGSEGV",
            _ended(first),
            "a fault of one's own is forced (force_sig() in kernel/signal.c): not even process 1 goes on",
        )
    with subject_in(namespace=True, init=True) as below:
        below.ask("default")
        below.child.signal(signal.SIGTERM)
        yield _finding(
            "signals.init",
            "with --init: SIGTERM from outside",
            f"ended with status {128 + signal.SIGTERM}",
            _ended(below),
            "process 1 is the init, which passes it on; the program is an ordinary process",
        )


def _from_above() -> Iterator[Event]:
    with subject_in(namespace=True) as first:
        first.ask("default")
        answered = _one_by_one(first, first.child.signal, [n for n in rules.STANDARD if n not in rules.FROM_ABOVE])
        if len(answered) == len(rules.STANDARD) - len(rules.FROM_ABOVE):
            first.child.signal(signal.SIGSTOP)
            answered[signal.SIGSTOP] = STOPPED if until(lambda: stopped(first.child.pid)) else WENT_ON
            first.child.signal(signal.SIGKILL)
            ended = first.child.wait(10)
            answered[signal.SIGKILL] = WENT_ON if ended is None else ENDED
        yield _finding(
            "signals.above",
            "we send each to process 1 from outside",
            rules.worded({number: rules.to_process_1(number, from_above=True) for number in rules.STANDARD}),
            rules.worded(answered),
            "of what has no handler only SIGKILL and SIGSTOP act, and only from an ancestor namespace",
        )
    others = sum(what != WENT_ON for what in answered.values())
    ordinary = sum(rules.by_default(number) != WENT_ON for number in rules.STANDARD)
    yield Conclusion(
        "pid1-is-spared-signals",
        "An ordinary process is ended or stopped by "
        f"{ordinary} of the 31 standard signals; process 1 without "
        f"handlers by {others} when they come from outside, "
        "so to stop a container by SIGTERM takes a handler or --init.",
        numbers={"standard": len(rules.STANDARD), "acting_on_ordinary": ordinary, "acting_from_above": others},
    )


def _one_by_one(first: Subject, send: object, numbers: list[int] | None = None) -> dict[int, str]:
    """What came of each signal; of those after the one that acted, nothing."""
    assert callable(send)
    answered: dict[int, str] = {}
    for number in numbers or rules.STANDARD:
        try:
            send(number)
        except (ConnectionError, ProcessLookupError):
            answered[number] = ENDED
            break
        if not first.answers:
            answered[number] = STOPPED if stopped(first.child.pid) else ENDED
            break
        answered[number] = WENT_ON
    return answered


def _ended(subject: Subject) -> str:
    found = subject.child.wait(30)
    if found is None:
        return "it goes on"
    return f"ended by {signal_name(found.signal)}" if found.signal else f"ended with status {found.code}"


# ---- orphans and zombies ----


def _orphans() -> Iterator[Event]:
    yield Stage("Orphans and zombies", "A child leaves a child behind; then that one ends too.")
    for key, done, expected, options, reaps in (
        ("pid1", "in a pid namespace", "process 1, the program", {"namespace": True}, False),
        ("init", "with --init", "process 1, the init", {"namespace": True, "init": True}, True),
        ("control", "an ordinary process below an init", "the init, past the program", {"init": True}, True),
        ("subreaper", "the same, a subreaper", "the program", {"init": True, "subreaper": True}, False),
    ):
        yield from _orphan(key, done, expected, options, reaps=reaps)


def _gone(subject: Subject, pid: int, pidfd: int, *, reaps: bool) -> None:
    """End the orphan while somebody is there to wait for it: the machine's process 1 may not."""
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    os.close(pidfd)
    if reaps:
        until(lambda: state(pid) is None)
    else:
        subject.ask("reap")


_WHO = {
    (True, False): ("process 1, the program", "a child of the program"),
    (True, True): ("process 1, the init", "the program"),
    (False, True): ("the init, past the program", "the program"),
}
"""Who the process is that we launched, and who its child: in a pid namespace or not, with an init or without."""


def _orphan(key: str, done: str, expected: str, options: dict[str, bool], *, reaps: bool) -> Iterator[Event]:
    init = options.get("init", False)
    with subject_in(namespace=options.get("namespace", False), init=init) as subject:
        if options.get("subreaper"):
            subject.ask("subreaper")
        inside, pid = subject.ask("orphan")
        pidfd = os.pidfd_open(pid)
        try:
            above = parent(pid)
            top, below = _WHO[options.get("namespace", False), init]
            whom = top if above == subject.child.pid else f"process {above}"
            if above is not None and parent(above) == subject.child.pid:
                whom = below
            yield _finding(f"orphan.{key}", f"an orphan {done}: who is its parent?", expected, whom)
            yield Scene(
                "An orphan and who took it in", above or 0, pid, f"pid {inside} inside; its first parent is gone"
            )
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            wait_readable(pidfd)  # it has ended: a zombie, or reaped already
            gone = until(lambda: state(pid) is None) if reaps else False
            if not reaps:
                subject.ask("identity")
                gone = state(pid) is None
            yield _finding(
                f"zombie.{key}",
                f"the orphan ends {done}",
                "it is gone" if reaps else "a zombie stays",
                "it is gone" if gone else f"a zombie stays{'' if state(pid) == 'Z' else f' ({state(pid)})'}",
                "whoever takes in orphans has to wait for them: the init does, this program does not",
            )
            if key == "pid1":
                yield Scene("A zombie", subject.child.pid, pid, "state Z until process 1 waits for it, or ends")
        finally:
            _gone(subject, pid, pidfd, reaps=reaps)


# ---- the end ----


def _the_end() -> Iterator[Event]:
    yield Stage("The end of process 1", "It ends while another process of its namespace ignores every signal.")
    kinds = ("user", "pid") if unprivileged() else ("pid",)
    fds: list[int] = []
    try:
        with subject_in(namespace=True) as first:
            _inside, pid = first.ask("orphan")
            fds += [os.open(f"/proc/{first.child.pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in kinds]
            joins = tuple(Join(kind, f"/proc/{os.getpid()}/fd/{fd}") for kind, fd in zip(kinds, fds, strict=True))
            yield _finding("end.born-before", "join the namespace while it lives", "born", _born(joins))
            other = os.pidfd_open(pid)
            fds.append(other)
            first.child.signal(signal.SIGKILL)
            first.child.wait()
            poller = select.poll()
            poller.register(other, select.POLLIN)
            ready = poller.poll(DEADLINE * 1000)
            yield _finding(
                "end.others",
                "process 1 is killed",
                "the other ended too",
                "the other ended too" if ready else "the other lives on",
                "zap_pid_ns_processes() in kernel/pid_namespace.c kills all that is left",
            )
            yield _finding(
                "end.born-after",
                "join the namespace after that",
                "ENOMEM",
                _born(joins),
                "clone(2): a pid namespace without process 1 takes no other",
            )
    finally:
        for fd in fds:
            os.close(fd)


def _born(joins: tuple[Join, ...]) -> str:
    try:
        with launch(Spec(args=("/bin/true",), join=joins, stdio=Stdio.NULL)) as child:
            child.wait()
    except LaunchError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "born"
