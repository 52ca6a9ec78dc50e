"""The container, as one Spec: the launch panel's preset of the name launches it, and this lab proves what it holds."""

from __future__ import annotations

import os

from spawner import IDMapping, Spec
from spawner.namespaces import KINDS
from spawner.oci import (
    Bind,
    Capabilities,
    Cgroup,
    Dev,
    FileOperation,
    Landlock,
    Proc,
    Resources,
    Rlimit,
    Seccomp,
    Symlink,
    Tmpfs,
)
from spawner.parts.landlock import version

HOST = "box"
FILES, TASKS, MEMORY = 64, 24, 64 << 20
_NONE: frozenset[str] = frozenset()
TELLING = ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sysrq-trigger")
"""Files that tell of the machine, or move it; a kernel need not have them all."""


def contained() -> Spec:
    """The container, with no program: of all that a launch can be given what this kernel has, for this user.

    Of capabilities the ambient set is left alone: none can be in it that is not in the inheritable one.
    """
    return Spec(
        args=(),
        cwd="/",
        namespaces=frozenset(kind.name for kind in KINDS if os.path.exists(f"/proc/self/ns/{kind.proc}")),
        uid_mappings=(IDMapping(0, os.geteuid()),),
        gid_mappings=(IDMapping(0, os.getegid()),),
        hostname=HOST,
        mounts=(
            *programs(),
            Proc(destination="/proc"),
            Dev(destination="/dev"),
            Tmpfs(destination="/tmp", mode=0o1777),
        ),
        rootfs_readonly=True,
        masked_paths=tuple(filter(os.path.exists, TELLING)),
        readonly_paths=("/proc/sys",),
        rlimits=(Rlimit("RLIMIT_NOFILE", FILES, FILES),),
        cgroup=Cgroup(resources=Resources(memory=MEMORY, pids=TASKS)),
        no_new_privs=True,
        capabilities=Capabilities(
            bounding=_NONE,
            effective=_NONE,
            inheritable=_NONE,
            permitted=_NONE,
        ),
        seccomp=(Seccomp("default"),),
        landlock=Landlock(read=("/",), write=("/tmp", "/dev")) if version() else None,
        new_session=True,
    )


def programs() -> tuple[FileOperation, ...]:
    """The machine's programs and libraries, read-only.

    Where /bin and the like are links into /usr, as on nearly every distribution today, they are made links again.
    """
    files: list[FileOperation] = [Bind(source="/usr", destination="/usr", read_only=True)]
    for name in ("bin", "sbin", "lib", "lib32", "lib64"):
        path = f"/{name}"
        if os.path.islink(path):
            files.append(Symlink(target=os.readlink(path), destination=path))
        elif os.path.isdir(path):
            files.append(Bind(source=path, destination=path, read_only=True))
    return tuple(files)
