"""Probes of what a launch may be refused for: limits, a changed root, ids, control groups, file systems, links."""

from __future__ import annotations

import errno
import os
import resource
import shutil
from collections.abc import Callable

from nsview.commands import doctor_reading as reading
from nsview.commands import doctor_trials as trials
from nsview.commands.doctor_finding import Finding, State, more_privileges
from spawner import subids
from spawner.cgroups.hierarchies import Hierarchy, hierarchies
from spawner.namespaces import BY_NAME, KINDS

_FEW_MOUNTS = 1000


def namespace_limits() -> Finding:
    """Read the limits of namespaces, and create one of each kind: a limit further out is not to be read here."""
    read = {kind: reading.text(f"/proc/sys/user/max_{kind.proc}_namespaces") for kind in KINDS}
    if not any(read.values()):
        return Finding(State.UNKNOWN, "/proc/sys/user cannot be read", "mount /proc, unmasked")
    zero = [f"user.max_{kind.proc}_namespaces" for kind, value in read.items() if value == "0"]
    full = [
        f"user.max_{kind.proc}_namespaces"
        for kind, value in read.items()
        if value not in (None, "0") and _exhausted(trials.create(kind))
    ]
    if not zero and not full:
        return Finding(State.OK, f"none is reached; {_least(list(read.values()))} of each kind at least")
    said = [f"{name} is 0" for name in zero] + [f"{name} is reached, here or further out" for name in full]
    settings = "; ".join(f"sysctl -w {name}=10000" for name in (*zero, *full))
    return Finding(State.NO, ", ".join(said), f"{settings} (and end what holds them)" if full else settings)


def _exhausted(refusal: trials.Refusal | None) -> bool:
    return refusal is not None and refusal.errno in (errno.ENOSPC, errno.EUSERS)


def _least(values: list[str | None]) -> str:
    return min((value for value in values if value is not None), key=int)


def root_directory() -> Finding:
    """Look whether we are in a chroot, where the kernel makes no user namespace, and try to change the root."""
    changed = trials.outside_of_chroot()
    if changed:
        return Finding(
            State.LIMITED,
            "we are in a chroot: the kernel makes no user namespace here (EPERM, user_namespaces(7))",
            "run outside of it, or enter it by pivot_root(8) in a mount namespace of its own",
        )
    plain, inside = trials.both_ways(BY_NAME["mount"].flag, *trials.change_root())
    if plain is None or inside is None:
        return Finding(State.OK, "a child can have another (pivot_root)" + ("" if inside is None else ", of root's"))
    kinds = {point: kind for point, kind, _, _ in reading.mounts()}
    if plain.errno == errno.EINVAL and kinds.get("/") in ("rootfs", None):
        remedy = "start from a real file system (switch_root(8)); a container's --no-pivot is less safe"
        return Finding(State.NO, "the root is the initramfs, which pivot_root cannot leave (EINVAL)", remedy)
    return Finding(State.NO, str(inside), more_privileges())


def mount_limit() -> Finding:
    """Compare the mounts we have with fs.mount-max, which a copy of them in a new namespace is subject to as well."""
    most, count = reading.text("/proc/sys/fs/mount-max"), len(reading.mounts())
    if most is None:
        return Finding(State.UNKNOWN, f"{count} mounts; fs.mount-max cannot be read", None)
    said = f"{count} of at most {most} in a mount namespace"
    if int(most) - count < _FEW_MOUNTS:
        return Finding(State.LIMITED, said, "sysctl -w fs.mount-max=100000")
    return Finding(State.OK, said)


def setgroups() -> Finding:
    """Read whether groups can be set in our user namespace."""
    said = reading.text("/proc/self/setgroups")
    if said == "deny":
        return Finding(
            State.LIMITED,
            "denied for good in our user namespace: no child can have other supplementary groups",
            "have whoever made the namespace map groups with newgidmap(1), or run outside of it",
        )
    if said is None:
        return Finding(State.UNKNOWN, "/proc/self/setgroups cannot be read", "mount /proc, unmasked")
    return Finding(State.OK, "may be set by who has the privilege")


def subordinate_ids() -> Finding:
    """Look for newuidmap(1) and newgidmap(1), and for our rows in /etc/subuid and /etc/subgid."""
    if os.geteuid() == 0 and trials.capable("SETUID"):
        return Finding(State.OK, "not needed: we may write maps of many ids ourselves")
    missing = [name for name in ("newuidmap", "newgidmap") if shutil.which(name) is None]
    if missing:
        return Finding(State.LIMITED, f"no {' and no '.join(missing)}: a map of one id only", "apt install uidmap")
    rows = {kind: subids.ranges(kind) for kind in subids.FILES}
    without = [subids.FILES[kind] for kind, found in rows.items() if not found]
    if without:
        return Finding(
            State.LIMITED,
            f"{' and '.join(without)} give us no ids: a map of one id only",
            f"sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {_own_name()}",
        )
    counts = " and ".join(f"{sum(row.count for row in found)} {kind} ids" for kind, found in rows.items())
    return Finding(State.OK, f"{counts} are ours to map")


def _own_name() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def libseccomp() -> Finding:
    """Load the library that compiles seccomp profiles."""
    from spawner.seccomp import compile as compiler

    try:
        loaded = compiler.library()
    except OSError as error:
        return Finding(State.NO, f"profiles cannot be compiled: {error}", "apt install libseccomp2")
    return Finding(State.OK, f"compiles profiles ({loaded._name})")


def own_control_groups() -> Finding:
    """Make a control group below ours in each hierarchy, and remove it."""
    found = hierarchies()
    if not found:
        return Finding(State.NO, "no hierarchy is mounted that has us in it", "mount -t cgroup2 none /sys/fs/cgroup")
    refused = {_called(row): refusal for row in found if (refusal := _made_and_removed(row.own)) is not None}
    can = [_called(row) for row in found if _called(row) not in refused]
    said = [f"may be made in {' '.join(can)}"] if can else []
    if not refused:
        return Finding(State.OK, said[0])
    said += [f"not in {name} ({text})" for name, text in refused.items()]
    remedy = f"{more_privileges()}, or run in a delegated group: systemd-run --user --scope -p Delegate=yes nsview"
    return Finding(State.LIMITED if can else State.NO, ", ".join(said), remedy)


def _called(hierarchy: Hierarchy) -> str:
    return hierarchy.key or "version 2"


def _made_and_removed(directory: str) -> str | None:
    path = os.path.join(directory, f"nsview-doctor-{os.getpid()}")
    try:
        os.mkdir(path)
    except OSError as error:
        return str(error.strerror)
    os.rmdir(path)
    return None


_LOW: dict[str, int] = {
    "NPROC": 512,
    "NOFILE": 1024,
    "STACK": 1 << 20,
    "FSIZE": 1 << 30,
    "AS": 1 << 32,
    "DATA": 1 << 30,
}
"""Hard limits below which a program may notice: by name, bytes where they are."""


def hard_limits() -> Finding:
    """Read the hard limits of resources: only CAP_SYS_RESOURCE raises them, so a child's can only be lower."""
    hard = {name: resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))[1] for name in _LOW}
    low = [f"{name} {value}" for name, value in hard.items() if 0 <= value < _LOW[name]]
    raises = trials.raise_a_hard_limit() is None
    if low and not raises:
        return Finding(
            State.LIMITED, f"low, and not ours to raise: {', '.join(low)}", "ulimit -H as root, limits.conf(5)"
        )
    may = "may be raised" if raises else "a child's can be lowered, not raised (CAP_SYS_RESOURCE)"
    return Finding(State.OK, may + (f"; low: {', '.join(low)}" if low else ""))


def overlayfs() -> Finding:
    """Mount an overlay in a throw-away mount namespace, and write through it."""
    return _either(
        trials.both_ways(BY_NAME["mount"].flag, *trials.mount_overlay()),
        "layers can be mounted",
        "modprobe overlay, or use a kernel built with CONFIG_OVERLAY_FS",
    )


def veth() -> Finding:
    """Make a pair of links in a throw-away network namespace."""
    from nsview.network import trial  # imports pyroute2

    return _in_new_network(
        trial.make_pair, "pairs of links can be made", "modprobe veth, or use a kernel built with CONFIG_VETH"
    )


def masquerade() -> Finding:
    """Write the rules of a masquerade in a throw-away network namespace."""
    from nsview.network import trial

    return _in_new_network(
        trial.make_rules,
        "nftables has what it takes",
        "modprobe -a nf_tables nft_masq nft_ct, or use a kernel built with CONFIG_NFT_MASQ",
    )


def _in_new_network(action: Callable[[], None], works: str, remedy: str) -> Finding:
    return _either(trials.both_ways(BY_NAME["network"].flag, ("trying it", action)), works, remedy)


def _either(both: tuple[trials.Refusal | None, trials.Refusal | None], works: str, remedy: str) -> Finding:
    plain, inside = both
    if plain is None and inside is None:
        return Finding(State.OK, f"{works}, in a user namespace too")
    if inside is None:
        return Finding(
            State.LIMITED, f"{works}, but only inside a new user namespace", f"add -U -r, or {more_privileges()}"
        )
    if plain is None:
        return Finding(
            State.LIMITED, f"{works}, but not inside a user namespace ({inside})", "leave the user namespace out"
        )
    privilege = plain.errno in (errno.EPERM, errno.EACCES)
    return Finding(State.NO, str(inside), more_privileges() if privilege else remedy)
