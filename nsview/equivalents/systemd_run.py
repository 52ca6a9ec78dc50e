"""systemd-run(1): the program as a transient service of the service manager; properties of systemd 252.

Sources: systemd-run(1), systemd.exec(5), systemd.resource-control(5).
"""

from __future__ import annotations

from nsview.equivalents import shell
from nsview.equivalents.account import Account, new_namespaces
from nsview.equivalents.equivalent import Caller, Equivalent, equivalent
from nsview.equivalents.nsview_run import kept_capabilities
from spawner import Spec, Stdio
from spawner.oci import Bind, IDMapping, Tmpfs

Properties = list[tuple[str, str]]

_SPACES = {
    "mount": "PrivateMounts",
    "network": "PrivateNetwork",
    "ipc": "PrivateIPC",
    "uts": "ProtectHostname",
    "user": "PrivateUsers",
}
_PATHS = {"network": "NetworkNamespacePath", "ipc": "IPCNamespacePath"}
_POLICIES = {
    "SCHED_OTHER": "other",
    "SCHED_BATCH": "batch",
    "SCHED_IDLE": "idle",
    "SCHED_FIFO": "fifo",
    "SCHED_RR": "rr",
}
_IO_CLASSES = {"IOPRIO_CLASS_RT": "realtime", "IOPRIO_CLASS_BE": "best-effort", "IOPRIO_CLASS_IDLE": "idle"}


def write(spec: Spec, caller: Caller) -> Equivalent:
    """Put a Spec into a systemd-run command."""
    account = Account(spec, "systemd-run(1)")
    line = shell.Line("systemd-run")
    if caller.uid:
        line.add("--user")
        account.note("The service manager of a user has no privilege: what needs one is refused or left out.")
    line.add("--quiet", "--wait", "--collect", *_streams(account))
    if spec.cgroup is not None:
        account.said("cgroup.name")
        if spec.cgroup.name is not None:
            line.add(f"--unit={spec.cgroup.name}")
    account.said("cgroup.name", "new_session")
    line.add("--same-dir" if spec.cwd is None else f"--working-directory={spec.cwd}")
    account.said("cwd")
    _environment(account, caller, line)
    for name, value in properties(account, caller):
        line.add("-p", f"{name}={value}")
    line.add("--", *(word.replace("$", "$$") for word in spec.args))
    _explain(account)
    return equivalent(line.text(), account)


def _streams(account: Account) -> list[str]:
    match account.spec.stdio:
        case Stdio.PTY:
            account.said("stdio", "window")
            return ["--pty"]
        case Stdio.NULL:
            account.said("stdio")
            return []
        case Stdio.PIPE:
            account.cannot("stdio", "the shell's | and > make pipes")
    return ["--pipe"]


def _environment(account: Account, caller: Caller, line: shell.Line) -> None:
    account.note("The program has the environment of the service manager; --setenv=NAME passes a variable on.")
    env = account.spec.env
    if env is None:
        return
    account.said("env")
    for name, value in shell.environment_changes(env, caller.environment)[1]:
        line.add(f"--setenv={name}={value}")


def properties(account: Account, caller: Caller) -> Properties:
    """The unit's settings, claimed from the account."""
    return [
        *_namespaces(account, caller),
        *_resources(account),
        *_limits(account),
        *_security(account, caller),
        *_files(account),
    ]


def _namespaces(account: Account, caller: Caller) -> Properties:
    spec = account.spec
    found: Properties = []
    for name in (name for name in _SPACES if name in new_namespaces(spec)):
        account.said(f"namespaces[{name}]")
        found.append((_SPACES[name], "yes"))
    if "network" in new_namespaces(spec) and spec.loopback:
        account.said("loopback")
    if "uts" in new_namespaces(spec):
        account.note("ProtectHostname= makes a uts namespace and also forbids to change the names in it.")
    if "user" in new_namespaces(spec):
        same = ((IDMapping(caller.uid, caller.uid),), (IDMapping(caller.gid, caller.gid),))
        if (spec.uid_mappings, spec.gid_mappings) == same:
            account.said("uid_mappings", "gid_mappings")
        else:
            account.cannot("uid_mappings", "PrivateUsers= maps root and the unit's own user, each to itself")
            account.cannot("gid_mappings", "PrivateUsers= maps root and the unit's own group, each to itself")
    for each in spec.join:
        if each.type in _PATHS:
            found.append((_PATHS[each.type], each.path))
    if spec.join and all(each.type in _PATHS for each in spec.join):
        account.said("join")
    return found


def _resources(account: Account) -> Properties:
    if account.spec.cgroup is None:
        return []
    wanted = account.spec.cgroup.resources
    found: Properties = []
    account.said("cgroup")
    if wanted.memory is not None:
        # Ours bounds memory and swap together.
        found += [("MemoryMax", str(wanted.memory)), ("MemorySwapMax", "0")]
    if wanted.pids is not None:
        found.append(("TasksMax", str(wanted.pids)))
    if wanted.cpus is not None:
        found.append(("CPUQuota", f"{wanted.cpus * 100:g}%"))
    for each in wanted.io_max:
        device = f"/dev/block/{each.major}:{each.minor}"
        rates = (
            ("IOReadBandwidthMax", each.read_bps),
            ("IOWriteBandwidthMax", each.write_bps),
            ("IOReadIOPSMax", each.read_iops),
            ("IOWriteIOPSMax", each.write_iops),
        )
        found += [(name, f"{device} {rate}") for name, rate in rates if rate is not None]
    return found


def _limits(account: Account) -> Properties:
    spec = account.spec
    found: Properties = []
    for each in spec.rlimits:
        both = [("infinity" if value is None else str(value)) for value in (each.soft, each.hard)]
        found.append((f"Limit{each.type.removeprefix('RLIMIT_')}", ":".join(both)))
    account.said("rlimits")
    if spec.nice is not None:
        found.append(("Nice", str(spec.nice)))
    if spec.cpu_affinity:
        found.append(("CPUAffinity", " ".join(map(str, sorted(spec.cpu_affinity)))))
    if spec.oom_score_adj is not None:
        found.append(("OOMScoreAdjust", str(spec.oom_score_adj)))
    account.said("nice", "cpu_affinity", "oom_score_adj")
    wanted = spec.scheduler
    if wanted is not None and wanted.policy in _POLICIES and (not wanted.nice or wanted.nice == spec.nice):
        account.said("scheduler")
        found.append(("CPUSchedulingPolicy", _POLICIES[wanted.policy]))
        if wanted.priority:
            found.append(("CPUSchedulingPriority", str(wanted.priority)))
    if spec.io_priority is not None and spec.io_priority.type in _IO_CLASSES:
        account.said("io_priority")
        found.append(("IOSchedulingClass", _IO_CLASSES[spec.io_priority.type]))
        found.append(("IOSchedulingPriority", str(spec.io_priority.priority)))
    return found


def _security(account: Account, caller: Caller) -> Properties:
    spec, user = account.spec, account.spec.user
    found: Properties = []
    if spec.no_new_privs:
        found.append(("NoNewPrivileges", "yes"))
    if user.uid is not None:
        found.append(("User", str(user.uid)))
    if user.gid is not None:
        found.append(("Group", str(user.gid)))
    if user.additional_gids:
        found.append(("SupplementaryGroups", " ".join(map(str, user.additional_gids))))
    if user.umask is not None:
        found.append(("UMask", f"{user.umask:04o}"))
    account.said("no_new_privs", "user")
    if user.uid is not None:
        account.note("User= also gives the program the groups that the user database has for its user.")
    names = kept_capabilities(spec, caller)
    if names is not None and spec.capabilities is not None:
        account.said("capabilities")
        kept = " ".join(sorted(names))
        found.append(("CapabilityBoundingSet", kept))
        if spec.capabilities.ambient is not None:
            found.append(("AmbientCapabilities", kept))
    return found


def _files(account: Account) -> Properties:
    spec = account.spec
    found: Properties = []
    if "mount" in new_namespaces(spec) and spec.rootfs_propagation != "unchanged":
        account.said("rootfs_propagation")
        found.append(("MountFlags", spec.rootfs_propagation))
    if spec.rootfs is not None:
        account.said("rootfs")
        found.append(("RootDirectory", spec.rootfs))
        if spec.mount_proc == "/proc":
            account.said("mount_proc")
            account.note("MountAPIVFS= mounts /sys, /dev and /run too.")
            found.append(("MountAPIVFS", "yes"))
    elif spec.mounts:
        found.append(("TemporaryFileSystem", "/"))
        account.note("Mounts are made in the order of their paths, not in that in which they are given.")
    for number, operation in enumerate(spec.mounts):
        if (said := _operation(operation)) is not None:
            account.said(f"mounts[{number}]")
            found.append(said)
    found += [("InaccessiblePaths", f"-{path}") for path in spec.masked_paths]
    found += [("ReadOnlyPaths", f"-{path}") for path in spec.readonly_paths]
    if spec.rootfs_readonly:
        found.append(("ReadOnlyPaths", "/"))
    account.said("masked_paths", "readonly_paths", "rootfs_readonly")
    return found


def _operation(operation: object) -> tuple[str, str] | None:
    match operation:
        case Bind(devices=False) if not (set(operation.source + operation.destination) & set(": \\\"'")):
            optional = "-" if operation.optional else ""
            name = "BindReadOnlyPaths" if operation.read_only else "BindPaths"
            return name, f"{optional}{operation.source}:{operation.destination}"
        case Tmpfs() if not (set(operation.destination) & set(": \\\"'")):
            size = "" if operation.size is None else f",size={operation.size}"
            return "TemporaryFileSystem", f"{operation.destination}:mode={operation.mode:04o}{size}"
        case _:
            return None


def _explain(account: Account) -> None:
    account.cannot("namespaces[pid]", "PrivatePIDs= is there only since systemd 257")
    account.cannot(
        "namespaces[cgroup]", "a unit has one only with Delegate= of a newer systemd (257, ProtectControlGroups=)"
    )
    account.cannot("namespaces[time]", "systemd makes no time namespaces")
    account.cannot("time_offsets", "systemd makes no time namespaces")
    account.cannot("hostname", "ProtectHostname= takes a name only since systemd 258")
    account.cannot("domainname", "systemd sets no domain name")
    account.cannot("loopback", "PrivateNetwork= always sets lo up")
    account.cannot("rootfs_propagation", "MountFlags= is shared, slave or private")
    account.cannot("mount_proc", "systemd mounts /proc anew only with RootDirectory= and MountAPIVFS=")
    account.cannot("mounts", "systemd has BindPaths= without devices, and TemporaryFileSystem=")
    account.cannot("join", "systemd has NetworkNamespacePath= and IPCNamespacePath= alone")
    account.cannot("seccomp", "SystemCallFilter= takes names of calls and has its own rules")
    account.cannot("landlock", "ReadOnlyPaths= and InaccessiblePaths= are mounts, not landlock")
    account.cannot("pdeathsig", "the service manager is its parent; the unit ends when it is stopped")
    account.cannot("init", "the service manager reaps orphans")
    account.cannot("scheduler", "CPUSchedulingPolicy= has no deadlines")
    account.cannot("personality", "Personality= takes names of architectures")
    account.cannot("capabilities", "CapabilityBoundingSet= and AmbientCapabilities= set these two alone")
    account.cannot("via", "the service manager makes the process")
    account.cannot("clone_flags", "the service manager makes the process")
    account.cannot("exit_signal", "the service manager makes the process")
