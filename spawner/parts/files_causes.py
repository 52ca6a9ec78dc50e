"""Why the kernel refuses a mount or another root, for people."""

from __future__ import annotations

from errno import (
    EACCES,
    EBUSY,
    EEXIST,
    EINVAL,
    EISDIR,
    ELOOP,
    ENODEV,
    ENOENT,
    ENOSPC,
    ENOSYS,
    ENOTDIR,
    ENXIO,
    EOVERFLOW,
    EPERM,
    EROFS,
    EXDEV,
)

from spawner.cause import Cause
from spawner.plan import Plan

_PROC = ("open file system proc", "create file system proc", "mount proc")
_ATTACH = ("attach", "mask file")
_MOUNTS = ("open tree", "mount tmpfs", "mount overlay", "mount mqueue", "mount devpts", "mask directory", *_ATTACH)
_MAKES = ("mkdir", "make file", "make link", "create file", "open directory")
_NO_PLACE = "there is no such path inside, and a launch makes none in the host's directories"
_NO_PLACE_REMEDY = "make it beforehand, or put a tmpfs or an overlay there"


def _without_pid(plan: Plan, path: str | None) -> bool:
    return "pid" not in plan.asked and "user" in plan.asked


def _in_user(plan: Plan, path: str | None) -> bool:
    return "user" in plan.asked


def _without_user(plan: Plan, path: str | None) -> bool:
    return "user" not in plan.asked


CAUSES: tuple[Cause, ...] = (
    Cause(
        _PROC,
        EPERM,
        "a procfs belongs to the pid namespace, and that is not this user namespace's own",
        "add a new pid namespace (-p), or bind /proc",
        _without_pid,
    ),
    Cause(
        _PROC,
        EPERM,
        "parts of /proc are masked out here, as in most containers, and a user namespace may not see more than is "
        'seen outside (the kernel\'s log says "VFS: Mount too revealing")',
        "bind /proc instead, or run where /proc is whole",
        _in_user,
    ),
    Cause(
        (*_MOUNTS, "set mount attributes", "pivot_root", *_PROC),
        EPERM,
        "mounting needs CAP_SYS_ADMIN",
        "run as root, or add a user namespace (-U, or -r to be root inside)",
        _without_user,
    ),
    Cause(
        ("mount mqueue",),
        EPERM,
        "message queues belong to the ipc namespace, and that is not this user namespace's own",
        "add a new ipc namespace (-i)",
    ),
    Cause(
        ("set mount attributes", "remount"),
        EPERM,
        "flags of this mount are locked: it comes from a more privileged mount namespace",
        "bind it as it is, or run as root",
    ),
    Cause(
        ("mount overlay",),
        EPERM,
        "this kernel mounts no overlay in a user namespace (it does since 5.11), or a security module refuses",
        "run as root",
        _in_user,
    ),
    Cause((*_MOUNTS, *_PROC), ENOSPC, "the limit of mounts is reached (not of a disk): fs.mount-max", "raise it"),
    Cause(
        ("open tree", *_PROC, *_ATTACH, "open directory"),
        ENOSYS,
        "this kernel (before 5.6) or a seccomp filter lacks the call",
        "see nsview doctor",
    ),
    Cause(("open tree",), ENOENT, "the source does not exist", "check the path, or make the bind optional"),
    Cause(("open tree",), ENOTDIR, "a part of the source's path is no directory", "check the path"),
    Cause(("open tree",), EACCES, "a directory on the way to the source may not be searched", "check its permissions"),
    Cause(("open tree",), ELOOP, "too many symbolic links on the way to the source", "check the path"),
    Cause(
        ("open tree",),
        EINVAL,
        "the source cannot be bound: it is unbindable, or not in this mount namespace",
        "bind another directory",
    ),
    Cause(_ATTACH, ENOENT, _NO_PLACE, _NO_PLACE_REMEDY),
    Cause(("mount tmpfs", "mount mqueue", "mount devpts", "look for a directory"), ENOENT, _NO_PLACE, _NO_PLACE_REMEDY),
    Cause(
        (*_ATTACH, "mount tmpfs", "mount mqueue", "mount devpts", "look for a directory", "mkdir"),
        ENOTDIR,
        "a directory and a file do not go together: one of the source and the destination is a directory, the other "
        "is none, or a part of the path is none",
        "check what is there",
    ),
    Cause(_ATTACH, EISDIR, "a file cannot be mounted on a directory", "name a file"),
    Cause(
        (*_ATTACH, "mount tmpfs", "mount mqueue", "mount devpts", *_MAKES, "chdir", "look for a directory"),
        ELOOP,
        "too many symbolic links on the way",
        "check the path",
    ),
    Cause(
        _ATTACH,
        EINVAL,
        "source and destination do not go together: only one of the two is a directory, or the mount holds the "
        "destination itself",  # do_move_mount() in fs/namespace.c
        "check what is there, or choose another destination",
    ),
    Cause(
        ("set mount attributes", "remount"),
        EINVAL,
        "nothing is mounted there, so there are no flags to set",
        "bind something there first",
    ),
    Cause(
        ("open directory", "open for chmod"),
        EXDEV,
        "a link or a mount on the way leads out of the file system that the plan made",
        "choose a path without it",
    ),
    Cause(
        ("open working directory",),
        ELOOP,
        "a link of /proc that leads to what a process has open is on the way, and so leads out of the root",
        "name the directory by its path inside",
    ),
    Cause(
        ("look at the program",),
        ELOOP,
        "the path leads through a link of /proc to a file that is open outside (/proc/self/exe, which is ours), or in "
        "a circle of links",
        "name a program that is inside",
    ),
    Cause(("open working directory",), ENOENT, "there is no such directory inside", "check the path"),
    Cause(("open working directory",), ENOTDIR, "it is not a directory", "check the path"),
    Cause(("open working directory",), EACCES, "a directory on the way may not be searched", "check its permissions"),
    Cause(
        ("look at root",),
        EXDEV,
        "something was mounted on the root itself, by way of a link that leads there, and would not be seen",
        "choose a destination that is not /",
    ),
    Cause(_MAKES, EROFS, "the file system there is read-only by now", "make it before it becomes so"),
    Cause(_MAKES, EEXIST, "something is there already", "choose another path, or bind over it"),
    Cause(
        _MAKES,
        EOVERFLOW,
        "our own user or group id is not mapped in the user namespace, so it cannot own a file",
        "map it (-r, -c)",
    ),
    Cause(("write file", *_MAKES), ENOSPC, "the tmpfs is full", "give it a larger size"),
    Cause(("find the file's end",), ENXIO, "the tmpfs is full: only a part was written", "give it a larger size"),
    Cause(
        ("mount overlay",),
        EINVAL,
        "overlayfs refuses these directories: upper must not lie on an overlay itself, upper and work must be in one "
        "file system and not one below the other",
        "choose others; the kernel's log has the details",
    ),
    Cause(
        ("mount overlay",),
        EXDEV,
        "upper and work are not on the same mount",
        "put work beside upper",
    ),
    Cause(("mount overlay",), ENOENT, "a directory of the overlay does not exist", "check the paths"),
    Cause(("mount overlay",), ENOTDIR, "lower, upper and work must be directories", "check the paths"),
    Cause(("mount overlay",), EBUSY, "upper or work is in use by another overlay", "choose others"),
    Cause(
        ("mount overlay",),
        ELOOP,
        "directories of an overlay lie in one another, or overlays are too deep",
        "choose others",
    ),
    Cause(("mount overlay", "mount mqueue"), ENODEV, "this kernel lacks the file system", "load its module"),
    Cause(("mount tmpfs",), EINVAL, "the kernel does not take this size or mode", "choose another"),
    Cause(
        ("mount devpts",),
        EINVAL,
        "the group of terminals (5), or user or group 0, is not mapped in our user namespace",
        "map it",
    ),
    Cause(
        ("private mounts", "slave mounts", "shared mounts"),
        EINVAL,
        "our root is no mount, as after chroot(2) into a plain directory, and only mounts can be cut off from others",
        "make the directory a mount before the chroot (mount --bind DIR DIR), or launch from outside",
    ),
    Cause(
        ("pivot_root",),
        EINVAL,
        "the root cannot be exchanged: the old one is mounted on nothing, or a mount is shared or locked",
        "see nsview doctor",
    ),
)
