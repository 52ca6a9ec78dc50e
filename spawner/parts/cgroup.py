"""A control group for the child: made and removed by the parent, entered by the child."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Iterator
from functools import partial

from spawner import mechanism as ways
from spawner.cause import Cause
from spawner.cgroups.entrance import PATHS_SLOT, prepare, procs_slot, worded
from spawner.cgroups.hierarchies import parse_groups
from spawner.cgroups.place import LABEL
from spawner.cgroups.seats import choose
from spawner.cgroups.settings import quota
from spawner.draft import AT_FDCWD, O_READ, Draft
from spawner.errors import Problem
from spawner.flags import BY_NAME
from spawner.kernel import Facts
from spawner.oci import IOMax, Resources
from spawner.plan import Bearing, Named, Out, Plan, Preparation, Slot
from spawner.spec import Spec

INTO_CGROUP = ways.INTO_CGROUP
_PAGE = os.sysconf("SC_PAGE_SIZE")
_LEAST_QUOTA = 1000  # microseconds, min_cfs_quota_period in kernel/sched/core.c
_MOST_PIDS = 4194304  # PID_MAX_LIMIT of 64 bits; one more means no limit
_MOST_IOPS = 2**32 - 1
_OWN_GROUPS = "/proc/self/cgroup"
_OWN_GROUPS_SIZE = 8192


def enter(draft: Draft) -> None:
    """The child goes into the groups that were made for it."""
    wanted, known = draft.spec.cgroup, draft.facts.cgroups
    if wanted is None:
        return
    seats, _missing = choose(known, wanted.resources)
    into = bool(draft.flags & INTO_CGROUP)
    draft.prepare(
        Preparation(
            LABEL,
            f"make the cgroup {wanted.name or 'nsview-…'} in {', '.join(seat.hierarchy.own for seat in seats)}",
            partial(prepare, wanted.name, seats, wanted.resources, known, into=into),
            phase="cgroup",
        )
    )
    for seat in seats:
        if not (into and seat.hierarchy.unified):
            draft.add(
                f"enter {seat.hierarchy.key or 'version 2'} cgroup",
                "write",
                Slot(procs_slot(seat)),
                b"0",
                1,
                phase="cgroup",
                why="0 is whoever writes, whatever its number is in a new pid namespace",
            )
    keys = tuple(seat.hierarchy.key for seat in seats)
    fd = draft.add(
        "open own cgroups",
        "openat",
        AT_FDCWD,
        _OWN_GROUPS,
        O_READ,
        0,
        phase="cgroup",
        path=_OWN_GROUPS,
        bearing=Bearing.TOLERATE_ALL,
    )
    size = _OWN_GROUPS_SIZE
    read = draft.add("read own cgroups", "read", fd, Out(size), size, phase="cgroup", path=_OWN_GROUPS, only_if=fd)
    draft.add("close own cgroups", "close", fd, phase="cgroup", path=_OWN_GROUPS, only_if=fd)

    def found(result: int, seen: bytes) -> str | None:
        if not 0 < result < size:  # no /proc, or more than we have room for
            return None
        groups = parse_groups(os.fsdecode(seen[:result]))
        return worded((key, groups.get(key, "?")) for key in keys)

    draft.expect("cgroup", read, Slot(PATHS_SLOT), found)


def namespace(draft: Draft) -> None:
    """Make a cgroup namespace in the child, where the call that made it was not to."""
    bit = ways.NEWCGROUP
    if draft.spec.cgroup is not None and draft.flags and "cgroup" in draft.asked:
        draft.add(
            "unshare cgroup",
            "unshare",
            Named(bit, "CLONE_NEWCGROUP"),
            phase="cgroup",
            why="its root is where the child is at that moment: so not before it is in its groups",
        )


def problems(spec: Spec, asked: frozenset[str]) -> Iterator[Problem]:
    """What is wrong with this part of a Spec that asks for these new namespaces."""
    if spec.cgroup is None:
        return
    name = spec.cgroup.name
    if name is not None and (name in ("", ".", "..") or "/" in name or "\n" in name or "\0" in name or len(name) > 255):
        yield Problem(f"{name!r} is no name for a cgroup", "use one name of at most 255 characters, without a slash")
    elif name is not None and name.startswith("nsview-"):
        yield Problem(f"the cgroup name {name!r} looks like one that was made up", "names of nsview- are given by us")
    yield from _wrong_resources(spec.cgroup.resources)


def _wrong_resources(wanted: Resources) -> Iterator[Problem]:
    if wanted.memory is not None and not _PAGE <= wanted.memory < 2**63 - _PAGE:
        yield Problem(f"a memory limit of {wanted.memory} bytes", f"it is at least one page of {_PAGE} bytes")
    if wanted.pids is not None and not 1 <= wanted.pids <= _MOST_PIDS:
        yield Problem(f"a limit of {wanted.pids} tasks", f"it goes from 1 to {_MOST_PIDS}")
    if wanted.cpus is not None and not (math.isfinite(wanted.cpus) and _LEAST_QUOTA <= quota(wanted.cpus) < 2**43):
        yield Problem(f"a share of {wanted.cpus} processors", "it is at least 0.01")
    seen: set[tuple[int, int]] = set()
    for device in wanted.io_max:
        yield from _wrong_io(device)
        if (device.major, device.minor) in seen:
            yield Problem(f"the device {device.major}:{device.minor} is limited twice", "give all its limits at once")
        seen.add((device.major, device.minor))


def _wrong_io(device: IOMax) -> Iterator[Problem]:
    named = f"{device.major}:{device.minor}"
    if device.major < 0 or device.minor < 0:
        yield Problem(f"no device {named}", "lsblk shows their numbers")
    rates = (device.read_bps, device.write_bps), (device.read_iops, device.write_iops)
    for values, most in zip(rates, (2**64 - 2, _MOST_IOPS), strict=True):
        for value in values:
            if value is not None and not 1 <= value <= most:
                yield Problem(f"a limit of {value} for the device {named}", f"it goes from 1 to {most}, per second")
    if all(value is None for values in rates for value in values):
        yield Problem(f"no limit for the device {named}", "give at least one of its four rates")


def lacking(spec: Spec, facts: Facts) -> Iterator[Problem]:
    """What this machine does not have that a cgroup needs."""
    asked_into = bool(spec.clone_flags & INTO_CGROUP)
    if spec.cgroup is None:
        if asked_into:
            yield Problem("CLONE_INTO_CGROUP needs a cgroup to go into", "ask for one, and it is made for the child")
        return
    seats, missing = choose(facts.cgroups, spec.cgroup.resources)
    if not seats:
        yield Problem("no cgroup hierarchy is mounted here", "mount -t cgroup2 none /sys/fs/cgroup")
    elif missing:
        yield Problem(
            f"no cgroup hierarchy here has the {' and '.join(missing)} controller{'s' if len(missing) > 1 else ''}",
            "leave that limit out, or have it enabled: cgroup.controllers at the top of the cgroup2 mount lists what "
            "there is, and cgroup_enable=memory on the kernel's command line brings memory back",
        )
    if asked_into and not any(seat.hierarchy.unified for seat in seats):
        yield Problem("CLONE_INTO_CGROUP needs a cgroup of version 2", "mount -t cgroup2 none /sys/fs/cgroup/unified")


def _is_into(plan: Plan, _path: str | None) -> bool:
    return bool(plan.clone_flags & BY_NAME["CLONE_INTO_CGROUP"].bit)


_DENIED = "the cgroup hierarchy is not ours to write to"
_REMOVED = "somebody has removed the group meanwhile"
_AS_OWNER = "run as root, or in a group that is yours: systemd-run --user --scope -p Delegate=yes nsview"

CAUSES: tuple[Cause, ...] = (
    Cause((LABEL,), errno.EACCES, _DENIED, _AS_OWNER),
    Cause((LABEL,), errno.EPERM, _DENIED, _AS_OWNER),
    Cause((LABEL,), errno.EROFS, "the cgroup file system is mounted read-only", "mount it writable (a container?)"),
    Cause((LABEL,), errno.ENOSPC, "too many groups", "remove empty ones, or see /proc/cgroups"),
    Cause((LABEL,), errno.EAGAIN, "cgroup.max.depth or cgroup.max.descendants is reached", "raise it"),
    Cause((LABEL,), errno.ENODEV, "there is no such block device", "give a whole disk by its number: lsblk"),
    Cause((LABEL,), errno.ESRCH, "there is no /proc that shows this process", "mount /proc"),
    Cause(
        (LABEL,),
        errno.EINVAL,
        "the kernel does not take this limit: a share of processors above that of the group we are in, say, or a "
        "part of a disk instead of a whole one",
        "ask for less, or for the whole disk",
    ),
    Cause((LABEL,), errno.ERANGE, "the kernel does not take a limit that large", "ask for less"),
    Cause(
        ("clone3",),
        errno.EACCES,
        "going into that cgroup takes the right to write cgroup.procs of it and of a group above both it and ours",
        _AS_OWNER,
        _is_into,
    ),
    Cause(
        ("clone3",),
        errno.EBUSY,
        "the group shares controllers out, so that it may have no processes",
        "leave its cgroup.subtree_control alone",
        _is_into,
    ),
    Cause(("clone3",), errno.ENODEV, _REMOVED, "try again", _is_into),
    Cause(("* cgroup",), errno.ENODEV, _REMOVED, "try again"),
    Cause(
        ("enter cpu cgroup", "enter cpu,cpuacct cgroup"),
        errno.EINVAL,
        "a process of real-time policy may not go into a group that has no real-time share",
        "leave the limit on processors out",
    ),
)
