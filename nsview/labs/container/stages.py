"""The stages of making a container: the step each ends before, and what the kernel must say then and afterwards."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from nsview.host import limits
from nsview.host.content.entered import NotEnteredError
from nsview.host.content.mount_info import parse
from nsview.host.content.user import parse_map
from nsview.host.content.uts import UtsNames, names_of
from nsview.host.content.visitor import read_by_owner
from nsview.host.process import PinnedProcess
from nsview.host.standing import mount_of
from spawner import Child, Plan, Spec
from spawner.flags import format_mask
from spawner.namespaces import ALL_FLAGS, KINDS

Asked = Iterator[tuple[str, str, str, str | None]]
"""A key for good, what is asked, what the Spec makes one expect, what the kernel said (None: it said nothing)."""


@dataclass(frozen=True, slots=True)
class Making:
    """One stage. ``phases``: the plan's phases that make it up to its end; ``asks`` looks at the process."""

    key: str
    title: str
    phases: tuple[str, ...]
    asks: Callable[[Spec, Child, PinnedProcess], Asked]

    def end(self, plan: Plan) -> int | None:
        """The step before which this stage is done; None where the plan has nothing of it."""
        steps = [index for index, step in enumerate(plan.steps) if step.phase in self.phases]
        return max(steps) + 1 if steps else None


def _other(link: str, process: PinnedProcess) -> str | None:
    inode = process.namespace(link)
    return None if inode is None else "another" if inode != os.stat(f"/proc/self/ns/{link}").st_ino else "ours"


def born(_spec: Spec, child: Child, process: PinnedProcess) -> Asked:
    """The namespaces that the call itself made; limits and privileges are the caller's still."""
    for kind in KINDS:
        if child.plan.clone_flags & ALL_FLAGS & kind.flag:
            yield (
                kind.name,
                f"{format_mask(kind.flag)}: whose {kind.name} namespace",
                "another",
                _other(kind.proc, process),
            )
    with PinnedProcess(os.getpid()) as caller:
        ours, theirs = caller.status() or {}, process.status() or {}
        limit, found = _nofile(caller), _nofile(process)
    for name in ("NoNewPrivs", "Seccomp"):
        if name in ours:
            yield name, f"{name} as the call leaves it: the caller's", ours[name], theirs.get(name)
    if limit is not None:
        yield "nofile", "RLIMIT_NOFILE as the call leaves it, soft of hard: the caller's", limit, found


def _nofile(process: PinnedProcess) -> str | None:
    found = limits.limits_of(process)
    return None if found is None else f"{found['nofile'].soft} of {found['nofile'].hard}"


def others(process: PinnedProcess) -> int:
    """How many of its namespaces are others than ours."""
    return sum(_other(kind.proc, process) == "another" for kind in KINDS)


def grouped(spec: Spec, child: Child, process: PinnedProcess) -> Asked:
    """Membership and limits of the control group."""
    if spec.cgroup is None or child.cgroup is None:
        return
    members = child.cgroup.processes
    yield "members", "who is in its new control group", str(child.pid), " ".join(map(str, members))
    found = dict(child.cgroup.paths)
    for files, wanted in (
        (("memory.max", "memory.limit_in_bytes"), spec.cgroup.resources.memory),
        (("pids.max",), spec.cgroup.resources.pids),
    ):
        yield files[0].replace(".", "-"), f"{files[0]} of the group", str(wanted), _first(found.values(), files)
    yield "namespace", "whose cgroup namespace", "another", _other("cgroup", process)


def _first(directories: Iterable[str], files: tuple[str, ...]) -> str | None:
    for directory in directories:
        for file in files:
            try:
                with open(os.path.join(directory, file)) as opened:
                    return opened.read().strip()
            except FileNotFoundError:
                continue
    return None


def mapped(spec: Spec, _child: Child, process: PinnedProcess) -> Asked:
    """Both id maps."""
    for name, lines in (("uid_map", spec.uid_mappings), ("gid_map", spec.gid_mappings)):
        said = parse_map(process.read(name))
        wanted = " ".join(f"{line.container_id}={line.host_id}+{line.size}" for line in lines)
        found = None if said is None else " ".join(f"{each.inside}={each.outside}+{each.count}" for each in said)
        yield name, f"/proc/PID/{name}, inside=outside+count", wanted, found


def named(spec: Spec, _child: Child, process: PinnedProcess) -> Asked:
    """Its host name, read in its own uts namespace; its clocks are another namespace's from execve on."""
    if spec.hostname is not None:
        yield "hostname", "the host name inside", spec.hostname, _hostname(process)
    if "time" in spec.namespaces:
        yield "time", "whose time namespace its next program gets", "another", _for_children(process)


def _hostname(process: PinnedProcess) -> str | None:
    """Enter its uts namespace; where we may not, by way of the user namespace that owns it, which we made."""
    if (names := names_of(process)) is not None:
        return names.hostname
    fd = process.open("ns/uts")
    if fd is None:
        return None
    try:
        found: UtsNames = read_by_owner(fd)
    except (NotEnteredError, ChildProcessError):  # a visitor that could not go there, or not even begin
        return None
    finally:
        os.close(fd)
    return found.hostname


def _for_children(process: PinnedProcess) -> str | None:
    inode = process.namespace("time_for_children")
    ours = os.stat("/proc/self/ns/time_for_children").st_ino
    return None if inode is None else "ours" if inode == ours else "another"


def rooted(spec: Spec, _child: Child, process: PinnedProcess) -> Asked:
    """The root, and how the mounts in it are."""
    text = process.read("mountinfo")
    mounts = None if text is None else parse(text)
    at = None if mounts is None else mount_of(mounts, "/")
    yield "type", "the file system at /", "tmpfs", None if at is None else at.fs_type
    for path in ("/", "/usr", "/proc/sys"):
        on = None if mounts is None else mount_of(mounts, path)
        yield (
            f"read-only{path}",
            f"the mount at {path}",
            "read-only",
            None if on is None else "read-only" if on.read_only else "writable",
        )
    proc = None if mounts is None else mount_of(mounts, "/proc")
    yield "type/proc", "the file system at /proc", "proc", None if proc is None else proc.fs_type
    points = None if mounts is None else {each.point for each in mounts}
    for path in spec.masked_paths:
        yield (
            f"masked{path}",
            f"what covers {path}",
            "a mount",
            None if points is None else "a mount" if path in points else "nothing",
        )


def bounded(spec: Spec, _child: Child, process: PinnedProcess) -> Asked:
    """Limits of resources."""
    found = limits.limits_of(process)
    for each in spec.rlimits:
        name = each.type.removeprefix("RLIMIT_").lower()
        said = None if found is None or name not in found else f"{found[name].soft} of {found[name].hard}"
        yield name, f"{each.type}, soft of hard", f"{each.soft} of {each.hard}", said


def unprivileged(_spec: Spec, _child: Child, process: PinnedProcess) -> Asked:
    """No new privileges, and an empty bounding set."""
    status = process.status() or {}
    yield "no-new-privs", "NoNewPrivs", "1", status.get("NoNewPrivs")
    yield "CapBnd", "CapBnd", _NO_CAPABILITY, status.get("CapBnd")


def landlocked(spec: Spec, child: Child, _process: PinnedProcess) -> Asked:
    """What the kernel answered the child: from outside it shows nobody whom Landlock holds."""
    if spec.landlock is None:
        return
    answers = [event.result for event in child.timeline if event.label == "landlock"]
    yield "restrict", "landlock_restrict_self(2), as the child was answered", "[0]", str(answers)


def powerless(_spec: Spec, _child: Child, process: PinnedProcess) -> Asked:
    """The four sets of capabilities that a process has besides the bounding set."""
    status = process.status() or {}
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        yield name, name, _NO_CAPABILITY, status.get(name)


_NO_CAPABILITY = "0000000000000000"


def finished(spec: Spec, child: Child, process: PinnedProcess) -> Asked:
    """What only the last steps bring: the filter, which would filter the others too, the program, a time namespace."""
    if spec.seccomp:
        yield "seccomp", "Seccomp (2 is a filter)", "2", (process.status() or {}).get("Seccomp")
    if spec.new_session:
        stat = process.read("stat")
        session = None if stat is None else os.fsdecode(stat[stat.rindex(b")") + 2 :].split()[3])
        yield "session", "whose session it is in, by its first process", str(child.pid), session
    line = process.read("cmdline")
    said = None if line is None else os.fsdecode(line.rstrip(b"\0").replace(b"\0", b" "))
    yield "program", "the program", " ".join(spec.args), said
    for kind in KINDS:
        if kind.name in spec.namespaces:
            yield kind.name, f"whose {kind.name} namespace", "another", _other(kind.proc, process)


MAKING: tuple[Making, ...] = (
    Making("control-group", "A control group with limits", ("cgroup",), grouped),
    Making("ids", "Who it is: maps of ids", ("ids",), mapped),
    Making("system", "Host name, loopback, clocks", ("system", "network", "time"), named),
    Making("root", "A root of its own", ("mounts", "root", "masks", "read-only"), rooted),
    Making("limits", "Limits of resources", ("limits",), bounded),
    Making("privileges", "No way to new privileges", ("security",), unprivileged),
    Making("landlock", "Landlock: paths that may be used, and no others", ("landlock",), landlocked),
    Making("capabilities", "No capability", ("capabilities",), powerless),
)
"""In the order of the plan."""
