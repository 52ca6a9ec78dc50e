"""Whose parent process 1 becomes: its number, orphans and zombies, and who ends with it."""

from __future__ import annotations

import errno
import os
import select
import signal
from collections.abc import Generator
from contextlib import suppress

from nsview.labs.judging import left_out
from nsview.labs.lab import Event, Scene
from nsview.labs.pid1.part import FLAG, Heard, finding
from nsview.labs.pid1.talk import DEADLINE, Subject, parent, state, subject_in, unprivileged, until
from spawner import LaunchError, Spec, Stdio, launch
from spawner.ending import wait_readable
from spawner.oci import Join

_NUMBERED = "1, and 0 for a parent that it cannot see"
_UNSHARED = "it keeps its pid, and its next child is 1"


def number(_heard: Heard) -> Generator[Event, None, None]:
    """What it is called inside and outside."""
    with subject_in(namespace=True) as first:
        own, above = first.ask("identity")
        yield finding(
            "number",
            "getpid() and getppid() in the child",
            _NUMBERED,
            f"{own}, and {above} for a parent that it cannot see",
            "the first process of a pid namespace is 1 there, and outside has a pid like any",
        )
        yield Scene(
            "One process with two pids", os.getpid(), first.child.pid, f"NSpid: {first.child.pid} here, {own} inside"
        )


def unshared(_heard: Heard) -> Generator[Event, None, None]:
    """The same by unshare(2), which the document has a forked process call."""
    with subject_in(namespace=False, privileged=True) as ordinary:
        answer = ordinary.ask("unshare")
        done = "an ordinary process calls unshare(CLONE_NEWPID), then fork(): which of them is process 1?"
        if len(answer) == 1:
            why = f"unshare(2) answers {errno.errorcode.get(answer[0], answer[0])}: it takes CAP_SYS_ADMIN"
            yield left_out("number.unshare", done, _UNSHARED, why, FLAG)
            return
        before, after, child = answer
        kept = "it keeps its pid" if before == after else f"it was {before} and is {after}"
        yield finding(
            "number.unshare",
            done,
            _UNSHARED,
            f"{kept}, and its next child is {child}",
            "pid_namespaces(7): the pid of a process never changes; only its children are born into the new namespace",
        )


def orphans(
    key: str, done: str, expected: str, options: dict[str, bool], *, reaps: bool, heard: Heard
) -> Generator[Event, None, None]:
    """Who becomes the parent of an orphan, and what is left when it ends too."""
    del heard
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
            yield finding(f"orphan.{key}", f"an orphan {done}: who is its parent?", expected, whom)
            yield Scene(
                "An orphan and who took it in", above or 0, pid, f"pid {inside} inside; its first parent is gone"
            )
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            wait_readable(pidfd)  # it has ended: a zombie, or reaped already
            gone = until(lambda: state(pid) is None) if reaps else False
            if not reaps:
                subject.ask("identity")
                gone = state(pid) is None
            yield finding(
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


_WHO = {
    (True, False): ("process 1, the program", "a child of the program"),
    (True, True): ("process 1, the init", "the program"),
    (False, True): ("the init, past the program", "the program"),
}
"""Who the process is that we launched, and who its child: in a pid namespace or not, with an init or without."""


def _gone(subject: Subject, pid: int, pidfd: int, *, reaps: bool) -> None:
    """End the orphan while somebody is there to wait for it: the machine's process 1 may not."""
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    os.close(pidfd)
    if reaps:
        until(lambda: state(pid) is None)
    else:
        with suppress(ConnectionError, TimeoutError):  # it is gone itself, and so is its namespace
            subject.ask("reap")


def the_end(_heard: Heard) -> Generator[Event, None, None]:
    """What process 1 takes with it, and what comes of its namespace."""
    kinds = ("user", "pid") if unprivileged() else ("pid",)
    fds: list[int] = []
    try:
        with subject_in(namespace=True) as first:
            _inside, pid = first.ask("orphan", True)
            other = os.pidfd_open(pid)
            fds.append(other)
            fds += [os.open(f"/proc/{first.child.pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in kinds]
            joins = tuple(Join(kind, f"/proc/{os.getpid()}/fd/{fd}") for kind, fd in zip(kinds, fds[1:], strict=True))
            yield finding("end.born-before", "join the namespace while it lives", "born", _born(joins))
            yield finding(
                "end.control",
                "an ordinary process of the namespace was killed, the other's first parent",
                "the other lives on",
                "the other ended too" if _over(other, 0) or state(pid) in (None, "Z") else "the other lives on",
                "the control: it ignores every signal, and outlives an ordinary parent",
            )
            first.child.signal(signal.SIGKILL)
            first.child.wait()
            yield finding(
                "end.others",
                "process 1 is killed",
                "the other ended too",
                "the other ended too" if _over(other, DEADLINE) else "the other lives on",
                "zap_pid_ns_processes() in kernel/pid_namespace.c kills all that is left",
            )
            yield finding(
                "end.born-after",
                "join the namespace after that",
                "ENOMEM",
                _born(joins),
                "clone(2): a pid namespace without process 1 takes no other",
            )
    finally:
        for fd in fds:
            os.close(fd)


def _over(pidfd: int, seconds: float) -> bool:
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(seconds * 1000))


def _born(joins: tuple[Join, ...]) -> str:
    try:
        with launch(Spec(args=("/bin/true",), join=joins, stdio=Stdio.NULL)) as child:
            child.wait()
    except LaunchError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "born"
