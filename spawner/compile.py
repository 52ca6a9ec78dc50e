"""Spec → Plan: every decision of a launch, taken before anything runs.

The order of the sections is the order in the child. What it rests on: id maps before anything that needs the
ids; open /proc/self/ns before mounts can hide it, read it after the last change; descriptors 0 to 2 late, so
that nothing opened on the way lands there; PR_SET_PDEATHSIG after the last change of credentials, which clears
it; the signal mask last, when no handler of ours is left to run.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from spawner import mechanism as ways
from spawner.check import malformed, problems_of, warnings_of
from spawner.errors import SpecError
from spawner.flags import BY_NAME, format_mask
from spawner.kernel import Facts, facts
from spawner.namespaces import KINDS, names_of
from spawner.plan import PLAIN, Argument, Bearing, Named, Out, Packed, Plan, Result, Slot, Step, Strings
from spawner.spec import IDMapping, Mechanism, Spec, Stdio

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

# execvp(3) goes on to the next directory of PATH after these.
NOT_HERE = (errno.ENOENT, errno.ENOTDIR, errno.EACCES)


class _Steps:
    """The plan under construction; add() returns a reference to the new step's result."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.notes: list[str] = []
        self.ns_directory: Result | None = None

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
        self.steps.append(Step(label, syscall, args, phase, why, path, tolerated, bearing))
        return Result(len(self.steps) - 1)

    def write_file(self, path: str, text: str, *, phase: str, label: str) -> None:
        """Three steps: open, one write(2) for the whole text (the kernel demands it of id maps), close."""
        raw = text.encode()
        fd = self.add(f"open {label}", "openat", _AT_FDCWD, path, _O_WRITE, 0, phase=phase, path=path)
        self.add(f"write {label}", "write", fd, raw, len(raw), phase=phase, path=path)
        self.add(f"close {label}", "close", fd, phase=phase, path=path)


Section = Callable[[_Steps, Spec, int], None]
"""One part of the plan: adds its steps for a Spec and the flags of the call."""


def _own_descriptors(out: _Steps, spec: Spec, flags: int) -> None:
    files = BY_NAME["CLONE_FILES"].bit
    if flags & files:
        out.add(
            "unshare descriptors",
            "unshare",
            Named(files, "CLONE_FILES"),
            phase="descriptors",
            why="what the child opens and closes from here on must not happen to the parent too",
        )
        out.notes.append("CLONE_FILES ends at the first step: execve would unshare the table anyway")


def _leave_parent(out: _Steps, spec: Spec, flags: int) -> None:
    """A held child waits for our word: our own end must not stay open in it, or it would outlive us waiting."""
    out.add("close parent's end", "close", Slot("parent_end"), phase="descriptors")


def _namespaces_by_unshare(out: _Steps, spec: Spec, flags: int) -> None:
    spaces, _others = ways.wanted_flags(spec)
    spaces &= ~ways.NEWTIME
    if flags or not spaces:
        return
    out.add(
        "unshare",
        "unshare",
        Named(spaces, format_mask(spaces)),
        phase="namespaces",
        why="fork cannot make them",
    )
    if spaces & ways.NEWPID:
        mask = ways.PARENT | signal.SIGCHLD
        out.add(
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


def _open_namespace_links(out: _Steps, spec: Spec, flags: int) -> None:
    out.ns_directory = out.add(
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


def _ids(out: _Steps, spec: Spec, flags: int) -> None:
    setgroups = spec.setgroups or ("deny" if spec.gid_mappings else None)
    if setgroups:
        out.write_file("/proc/self/setgroups", setgroups, phase="ids", label="setgroups")
    if spec.uid_mappings:
        out.write_file("/proc/self/uid_map", _map_text(spec.uid_mappings), phase="ids", label="uid_map")
    if spec.gid_mappings:
        out.write_file("/proc/self/gid_map", _map_text(spec.gid_mappings), phase="ids", label="gid_map")


def _names(out: _Steps, spec: Spec, flags: int) -> None:
    for label, name in (("sethostname", spec.hostname), ("setdomainname", spec.domainname)):
        if name is not None:
            out.add(label, label, name, len(os.fsencode(name)), phase="system")


def _loopback(out: _Steps, spec: Spec, flags: int) -> None:
    if "network" not in asked(spec) or not spec.loopback:
        return
    kind = Named(2 | _O_CLOEXEC, "SOCK_DGRAM|SOCK_CLOEXEC")
    request = Packed("=16sh14x8x", (b"lo", _IFF_UP), '{"lo", IFF_UP|IFF_RUNNING}')
    fd = out.add("socket for lo", "socket", Named(2, "AF_INET"), kind, 0, phase="network")
    out.add(
        "lo up",
        "ioctl",
        fd,
        _SIOCSIFFLAGS,
        request,
        phase="network",
        why="a new network namespace has lo down",
    )
    out.add("close socket", "close", fd, phase="network")


def _time(out: _Steps, spec: Spec, flags: int) -> None:
    if "time" not in asked(spec):
        return
    out.add(
        "unshare time",
        "unshare",
        Named(ways.NEWTIME, "CLONE_NEWTIME"),
        phase="time",
        why="entered at execve; until then its offsets can be written",
    )
    if spec.time_offsets:
        text = "".join(f"{clock} {value.secs} {value.nanosecs}\n" for clock, value in spec.time_offsets)
        out.write_file("/proc/self/timens_offsets", text, phase="time", label="timens_offsets")


def _mounts(out: _Steps, spec: Spec, flags: int) -> None:
    if "mount" in asked(spec) and spec.rootfs_propagation in _PROPAGATION:
        bit, name = _PROPAGATION[spec.rootfs_propagation]
        out.add(
            f"{spec.rootfs_propagation} mounts",
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
    if spec.mount_proc is not None:
        out.add(
            "mount proc",
            "mount",
            "proc",
            spec.mount_proc,
            "proc",
            _MS_PROC,
            Named(0, "NULL"),
            phase="mounts",
            why="a procfs shows the pid namespace of whoever mounts it",
            path=spec.mount_proc,
        )


def _directory(out: _Steps, spec: Spec, flags: int) -> None:
    if spec.cwd is not None:
        out.add("chdir", "chdir", spec.cwd, phase="directory", path=spec.cwd)


def _session(out: _Steps, spec: Spec, flags: int) -> None:
    if spec.new_session or spec.stdio is Stdio.PTY:
        out.add("setsid", "setsid", phase="session")
    if spec.stdio is Stdio.PTY:
        out.add("controlling terminal", "ioctl", Slot("stdin"), _TIOCSCTTY, 0, phase="session")


def _read_back(out: _Steps, spec: Spec, flags: int) -> None:
    assert out.ns_directory is not None
    for kind in KINDS:
        link = "time_for_children" if kind.name == "time" else kind.proc
        out.add(
            f"read ns/{link}",
            "readlinkat",
            out.ns_directory,
            link,
            Out(_LINK_SIZE),
            _LINK_SIZE,
            phase="read back",
            path=f"/proc/self/ns/{link}",
            bearing=Bearing.TOLERATE_ALL,
        )


def _stdio(out: _Steps, spec: Spec, flags: int) -> None:
    if spec.stdio is not Stdio.INHERIT:
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            out.add(f"dup {name}", "dup3", Slot(name), number, 0, phase="stdio")
    out.add(
        "close on exec",
        "close_range",
        3,
        0xFFFFFFFF,
        Named(4, "CLOSE_RANGE_CLOEXEC"),
        phase="stdio",
        why="no descriptor of ours may reach the program (CVE-2024-21626)",
    )


def _parent(out: _Steps, spec: Spec, flags: int) -> None:
    if spec.pdeathsig is None:
        return
    out.add("parent death signal", "prctl", _PR_SET_PDEATHSIG, spec.pdeathsig, 0, 0, 0, phase="parent")
    out.add(
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


def _signals(caught: int) -> Section:
    def section(out: _Steps, spec: Spec, flags: int) -> None:
        if flags & ways.SIGHAND:
            out.notes.append("CLONE_SIGHAND: SIGPIPE and SIGXFSZ stay ignored as in Python, for the table is shared")
        else:
            handled = 0 if flags & ways.CLEAR_SIGHAND else caught
            numbers = {number for number in range(1, 65) if handled >> (number - 1) & 1} | set(_FOREVER_IGNORED)
            for number in sorted(numbers):
                name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
                out.add(
                    f"default {name}",
                    "rt_sigaction",
                    Named(number, name),
                    Packed("=32x", (), "{SIG_DFL}"),
                    Named(0, "NULL"),
                    _SIGSET_SIZE,
                    phase="signals",
                    why="Python ignores it and that would survive execve" if number in _FOREVER_IGNORED else "",
                )
        out.add(
            "signal mask",
            "rt_sigprocmask",
            Named(2, "SIG_SETMASK"),
            Packed("=Q", (Slot("sigmask"),), "[the caller's]"),
            Named(0, "NULL"),
            _SIGSET_SIZE,
            phase="signals",
            why="all signals were blocked since before the child was made",
        )

    return section


def candidates(program: str, path: str | None) -> tuple[str, ...]:
    """The files execvp(3) would try for a program, in order."""
    if "/" in program:
        return (program,)
    directories = (os.defpath if path is None else path).split(":")
    return tuple(f"{directory}/{program}" if directory else f"./{program}" for directory in dict.fromkeys(directories))


def _searched(spec: Spec) -> tuple[str, ...]:
    return candidates(spec.args[0], dict(spec.env or ()).get("PATH")) if spec.args and spec.args[0] else ()


def _exec(paths: tuple[str, ...]) -> Section:
    def section(out: _Steps, spec: Spec, flags: int) -> None:
        argv, envp = vectors(spec)
        for number, path in enumerate(paths):
            last = number == len(paths) - 1
            out.add(
                "execve",
                "execve",
                path,
                Strings(argv),
                Strings(envp, f"[{len(envp)} variables]"),
                phase="exec",
                path=path,
                tolerated=() if last else NOT_HERE,
            )

    return section


def vectors(spec: Spec) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """Argv and envp of a Spec whose environment is settled."""
    argv = (spec.argv0 if spec.argv0 is not None else spec.args[0], *spec.args[1:])
    env = tuple(os.fsencode(f"{name}={value}") for name, value in spec.env or ())
    return tuple(map(os.fsencode, argv)), env


def asked(spec: Spec) -> frozenset[str]:
    """The new namespaces a Spec asks for, by OCI name, whichever way it says so."""
    return names_of(ways.wanted_flags(spec)[0])


def compile_spec(spec: Spec, *, hold: bool = False, given: Facts | None = None) -> Plan:
    """Decide how to launch ``spec``. Equal input gives the same Plan object while it is remembered.

    ``hold``: the child will have to wait for the parent on the way, so the call must not suspend the parent.
    ``given``: the facts about the caller, probed if left out. Raises SpecError with every problem found.
    """
    if spec.env is None:
        spec = replace(spec, env=tuple(os.environ.items()))
    return _compile(spec, hold, facts(_searched(spec)) if given is None else given)


@lru_cache(maxsize=64)
def _compile(spec: Spec, hold: bool, given: Facts) -> Plan:
    if problems := tuple(malformed(spec)):
        raise SpecError(problems)
    mechanism, why = ways.choose(spec, given)
    flags = ways.call_flags(spec, mechanism, hold)
    # clone3 wants 0 with CLONE_PARENT: the child's exit is told to our own parent, by our leader's signal.
    inherited = mechanism is Mechanism.CLONE3 and flags & ways.PARENT
    exit_signal = 0 if inherited else spec.exit_signal
    if problems := tuple(problems_of(spec, mechanism, flags, exit_signal, hold)):
        raise SpecError(problems)
    paths = (given.program,) if given.program else _searched(spec)
    out = _Steps()
    if mechanism is not Mechanism.POSIX_SPAWN:
        for section in (
            _own_descriptors,
            *((_leave_parent,) if hold else ()),
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
            _signals(given.caught),
            _exec(paths),
        ):
            section(out, spec, flags)
    argv, envp = vectors(spec)
    return Plan(
        mechanism=mechanism,
        why=why,
        clone_flags=flags,
        flags_text=format_mask(flags) if flags else "",
        exit_signal=exit_signal,
        steps=tuple(out.steps),
        asked=asked(spec),
        stdio=spec.stdio,
        window=spec.window,
        pdeathsig=spec.pdeathsig,
        notes=(*out.notes, *warnings_of(spec, mechanism, flags, exit_signal)),
        argv=argv,
        envp=envp,
        new_session=spec.new_session or spec.stdio is Stdio.PTY,
        program=paths,
        second_fork=next((i for i, step in enumerate(out.steps) if step.bearing & Bearing.FORKS), None),
    )
