"""The parts of a plan, in the order in which the child goes through them: each adds its steps to a draft.

What the order rests on: id maps before anything that needs the ids; /proc/self/ns opened before mounts can hide
it and read after the last change; descriptors 0 to 2 late, so that nothing opened on the way lands there;
PR_SET_PDEATHSIG after the last change of credentials, which clears it; the signal mask last, when no handler of
ours is left to run.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field

from spawner import mechanism as ways
from spawner.flags import BY_NAME, format_mask
from spawner.namespaces import KINDS
from spawner.plan import PLAIN, Argument, Bearing, Named, Out, Packed, Result, Slot, Step, Strings
from spawner.program import NOT_HERE, vectors
from spawner.spec import IDMapping, Spec, Stdio

_AT_FDCWD = Named(-100, "AT_FDCWD")
_O_CLOEXEC = os.O_CLOEXEC
_O_PATH_DIR = Named(os.O_PATH | os.O_DIRECTORY | _O_CLOEXEC, "O_PATH|O_DIRECTORY|O_CLOEXEC")
_O_WRITE = Named(os.O_WRONLY | _O_CLOEXEC, "O_WRONLY|O_CLOEXEC")
_MS_REC = 0x4000
_PROPAGATION = {
    "private": (1 << 18, "MS_PRIVATE"),
    "slave": (1 << 19, "MS_SLAVE"),
    "shared": (1 << 20, "MS_SHARED"),
}
_MS_PROC = Named(2 | 4 | 8, "MS_NOSUID|MS_NODEV|MS_NOEXEC")
_SIOCSIFFLAGS = Named(0x8914, "SIOCSIFFLAGS")
_IFF_UP = 0x1 | 0x40
_TIOCSCTTY = Named(0x540E, "TIOCSCTTY")
_PR_SET_PDEATHSIG = Named(1, "PR_SET_PDEATHSIG")
_POLLIN = 1
_FOREVER_IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)
_SIGSET_SIZE = 8
_LINK_SIZE = 64


@dataclass(slots=True)
class Draft:
    """A plan under construction: what it is made for, and the steps so far.

    ``flags`` are those of the call that makes the child (0: it takes none), ``caught`` the signals this process
    handles, ``paths`` where the program may be. add() returns a reference to the new step's result.
    """

    spec: Spec
    flags: int
    asked: frozenset[str]
    hold: bool
    caught: int
    paths: tuple[str, ...]
    steps: list[Step] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    ns_directory: Result | None = None
    read_back: list[tuple[str, int]] = field(default_factory=list)

    def add(
        self,
        label: str,
        syscall: str,
        *args: Argument,
        phase: str,
        why: str = "",
        path: str | None = None,
        tolerated: tuple[int, ...] = (),
        bearing: Bearing = PLAIN,
    ) -> Result:
        """Append a step; the fields are Step's."""
        self.steps.append(Step(label, syscall, args, phase, why, path, tolerated, bearing))
        return Result(len(self.steps) - 1)

    def write_file(self, path: str, text: str, *, phase: str, label: str) -> None:
        """Three steps: open, one write(2) for the whole text (the kernel demands it of id maps), close."""
        raw = text.encode()
        fd = self.add(f"open {label}", "openat", _AT_FDCWD, path, _O_WRITE, 0, phase=phase, path=path)
        self.add(f"write {label}", "write", fd, raw, len(raw), phase=phase, path=path)
        self.add(f"close {label}", "close", fd, phase=phase, path=path)


def _own_descriptors(draft: Draft) -> None:
    files = BY_NAME["CLONE_FILES"].bit
    if draft.flags & files:
        draft.add(
            "unshare descriptors",
            "unshare",
            Named(files, "CLONE_FILES"),
            phase="descriptors",
            why="what the child opens and closes from here on must not happen to the parent too",
        )
        draft.notes.append("CLONE_FILES ends at the first step: execve would unshare the table anyway")


def _namespaces_by_unshare(draft: Draft) -> None:
    spaces, _others = ways.wanted_flags(draft.spec)
    spaces &= ~ways.NEWTIME
    if draft.flags or not spaces:
        return
    draft.add(
        "unshare",
        "unshare",
        Named(spaces, format_mask(spaces)),
        phase="namespaces",
        why="fork cannot make them",
    )
    if spaces & ways.NEWPID:
        mask = ways.PARENT | signal.SIGCHLD
        draft.add(
            "second fork",
            "clone",
            Named(mask, "CLONE_PARENT|SIGCHLD"),
            0,
            0,
            0,
            0,
            phase="namespaces",
            why="unshare(CLONE_NEWPID) does not move the caller: only its next child is pid 1 inside",
            bearing=Bearing.FORKS,
        )


def _open_namespace_links(draft: Draft) -> None:
    draft.ns_directory = draft.add(
        "open /proc/self/ns",
        "openat",
        _AT_FDCWD,
        "/proc/self/ns",
        _O_PATH_DIR,
        0,
        phase="read back",
        why="opened before mounts can hide it; where there is no /proc the namespaces stay unknown",
        path="/proc/self/ns",
        bearing=Bearing.TOLERATE_ALL,
    )


def _map_text(mappings: tuple[IDMapping, ...]) -> str:
    return "".join(f"{line.container_id} {line.host_id} {line.size}\n" for line in mappings)


def _ids(draft: Draft) -> None:
    setgroups = draft.spec.setgroups or ("deny" if draft.spec.gid_mappings else None)
    if setgroups:
        draft.write_file("/proc/self/setgroups", setgroups, phase="ids", label="setgroups")
    if draft.spec.uid_mappings:
        draft.write_file("/proc/self/uid_map", _map_text(draft.spec.uid_mappings), phase="ids", label="uid_map")
    if draft.spec.gid_mappings:
        draft.write_file("/proc/self/gid_map", _map_text(draft.spec.gid_mappings), phase="ids", label="gid_map")


def _names(draft: Draft) -> None:
    for label, name in (("sethostname", draft.spec.hostname), ("setdomainname", draft.spec.domainname)):
        if name is not None:
            draft.add(label, label, name, len(os.fsencode(name)), phase="system")


def _loopback(draft: Draft) -> None:
    if "network" not in draft.asked or not draft.spec.loopback:
        return
    kind = Named(2 | _O_CLOEXEC, "SOCK_DGRAM|SOCK_CLOEXEC")
    request = Packed("=16sh14x8x", (b"lo", _IFF_UP), '{"lo", IFF_UP|IFF_RUNNING}')
    fd = draft.add("socket for lo", "socket", Named(2, "AF_INET"), kind, 0, phase="network")
    draft.add(
        "lo up",
        "ioctl",
        fd,
        _SIOCSIFFLAGS,
        request,
        phase="network",
        why="a new network namespace has lo down",
    )
    draft.add("close socket", "close", fd, phase="network")


def _time(draft: Draft) -> None:
    if "time" not in draft.asked:
        return
    draft.add(
        "unshare time",
        "unshare",
        Named(ways.NEWTIME, "CLONE_NEWTIME"),
        phase="time",
        why="entered at execve; until then its offsets can be written",
    )
    if draft.spec.time_offsets:
        text = "".join(f"{clock} {value.secs} {value.nanosecs}\n" for clock, value in draft.spec.time_offsets)
        draft.write_file("/proc/self/timens_offsets", text, phase="time", label="timens_offsets")


def _mounts(draft: Draft) -> None:
    if "mount" in draft.asked and draft.spec.rootfs_propagation in _PROPAGATION:
        bit, name = _PROPAGATION[draft.spec.rootfs_propagation]
        draft.add(
            f"{draft.spec.rootfs_propagation} mounts",
            "mount",
            Named(0, "NULL"),
            "/",
            Named(0, "NULL"),
            Named(_MS_REC | bit, f"MS_REC|{name}"),
            Named(0, "NULL"),
            phase="mounts",
            why="the copy's mounts are still peers of the original's: without this, changes would leak out",
            path="/",
        )
    if draft.spec.mount_proc is not None:
        draft.add(
            "mount proc",
            "mount",
            "proc",
            draft.spec.mount_proc,
            "proc",
            _MS_PROC,
            Named(0, "NULL"),
            phase="mounts",
            why="a procfs shows the pid namespace of whoever mounts it",
            path=draft.spec.mount_proc,
        )


def _directory(draft: Draft) -> None:
    if draft.spec.cwd is not None:
        draft.add("chdir", "chdir", draft.spec.cwd, phase="directory", path=draft.spec.cwd)


def _session(draft: Draft) -> None:
    if draft.spec.new_session or draft.spec.stdio is Stdio.PTY:
        draft.add("setsid", "setsid", phase="session")
    if draft.spec.stdio is Stdio.PTY:
        draft.add("controlling terminal", "ioctl", Slot("stdin"), _TIOCSCTTY, 0, phase="session")


def _read_back(draft: Draft) -> None:
    assert draft.ns_directory is not None
    for kind in KINDS:
        link = "time_for_children" if kind.name == "time" else kind.proc
        read = draft.add(
            f"read ns/{link}",
            "readlinkat",
            draft.ns_directory,
            link,
            Out(_LINK_SIZE),
            _LINK_SIZE,
            phase="read back",
            path=f"/proc/self/ns/{link}",
            bearing=Bearing.TOLERATE_ALL,
        )
        draft.read_back.append((kind.name, read.step))


def _stdio(draft: Draft) -> None:
    if draft.spec.stdio is not Stdio.INHERIT:
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            draft.add(f"dup {name}", "dup3", Slot(name), number, 0, phase="stdio")
    draft.add(
        "close on exec",
        "close_range",
        3,
        0xFFFFFFFF,
        Named(4, "CLOSE_RANGE_CLOEXEC"),
        phase="stdio",
        why="no descriptor of ours may reach the program (CVE-2024-21626)",
    )


def _parent(draft: Draft) -> None:
    if draft.spec.pdeathsig is None:
        return
    draft.add("parent death signal", "prctl", _PR_SET_PDEATHSIG, draft.spec.pdeathsig, 0, 0, 0, phase="parent")
    draft.add(
        "parent alive",
        "ppoll",
        Packed("=ihh", (Slot("parent_pidfd"), _POLLIN, 0), "[{parent's pidfd, POLLIN}]"),
        1,
        Packed("=qq", (0, 0), "{0, 0}"),
        Named(0, "NULL"),
        _SIGSET_SIZE,
        phase="parent",
        why="had it died before prctl, no signal would ever come; getppid() cannot tell across pid namespaces",
        bearing=Bearing.EXPECT_ZERO,
    )


def _signals(draft: Draft) -> None:
    if draft.flags & ways.SIGHAND:
        draft.notes.append("CLONE_SIGHAND: SIGPIPE and SIGXFSZ stay ignored as in Python, for the table is shared")
    else:
        handled = 0 if draft.flags & ways.CLEAR_SIGHAND else draft.caught
        numbers = {number for number in range(1, 65) if handled >> (number - 1) & 1} | set(_FOREVER_IGNORED)
        for number in sorted(numbers):
            name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
            draft.add(
                f"default {name}",
                "rt_sigaction",
                Named(number, name),
                Packed("=32x", (), "{SIG_DFL}"),
                Named(0, "NULL"),
                _SIGSET_SIZE,
                phase="signals",
                why="Python ignores it and that would survive execve" if number in _FOREVER_IGNORED else "",
            )
    draft.add(
        "signal mask",
        "rt_sigprocmask",
        Named(2, "SIG_SETMASK"),
        Packed("=Q", (Slot("sigmask"),), "[the caller's]"),
        Named(0, "NULL"),
        _SIGSET_SIZE,
        phase="signals",
        why="all signals were blocked since before the child was made",
    )


def _exec(draft: Draft) -> None:
    argv, envp = vectors(draft.spec)
    for number, path in enumerate(draft.paths):
        last = number == len(draft.paths) - 1
        draft.add(
            "execve",
            "execve",
            path,
            Strings(argv),
            Strings(envp, f"[{len(envp)} variables]"),
            phase="exec",
            path=path,
            tolerated=() if last else NOT_HERE,
        )


SECTIONS: tuple[Callable[[Draft], None], ...] = (
    _own_descriptors,
    _namespaces_by_unshare,
    _open_namespace_links,
    _ids,
    _names,
    _loopback,
    _time,
    _mounts,
    _directory,
    _session,
    _read_back,
    _stdio,
    _parent,
    _signals,
    _exec,
)
