"""The container of this lab, as one Spec, and what of it this machine refuses to make."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

from spawner import IDMapping, LaunchError, Spec, SpecError, Stdio, launch
from spawner.namespaces import KINDS
from spawner.oci import Bind, Capabilities, Cgroup, Dev, Landlock, Proc, Resources, Rlimit, Seccomp, Symlink, Tmpfs

HOST = "box"
FILES, TASKS, MEMORY = 64, 24, 64 << 20
_NONE: frozenset[str] = frozenset()
_ALONE = Spec(args=(), stdio=Stdio.NULL)
_TELLING = ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sysrq-trigger")
"""Files that tell of the machine, or move it; a kernel need not have them all."""
PROGRAM = ("/usr/bin/sleep", "infinity")


@dataclass(frozen=True, slots=True)
class Container:
    """What is launched, and why some of the whole is left out, by the name of the part."""

    spec: Spec
    left_out: Mapping[str, str]
    refused: str = ""
    """Why no container at all can be made here."""


def described() -> Container:
    """Describe it, without those parts that a throw-away child could not be given here."""
    whole = _whole()
    base = replace(
        _ALONE, namespaces=frozenset({"user"}), uid_mappings=whole.uid_mappings, gid_mappings=whole.gid_mappings
    )
    if refusal := _refusal(base):
        return Container(whole, {}, refusal)
    parts: dict[str, dict[str, object]] = {
        "cgroup": {"cgroup": whole.cgroup},
        "seccomp": {"seccomp": whole.seccomp, "no_new_privs": True},
        "landlock": {"landlock": whole.landlock, "no_new_privs": True},
    }
    lacking: dict[str, object] = {"cgroup": None, "seccomp": (), "landlock": None}
    left_out: dict[str, str] = {}
    for name, fields in parts.items():
        if refusal := _refusal(replace(base, **fields)):  # type: ignore[arg-type]
            left_out[name] = refusal
            whole = replace(whole, **{name: lacking[name]})  # type: ignore[arg-type]
    return Container(whole, left_out)


def _whole() -> Spec:
    files: list[Bind | Symlink | Proc | Dev | Tmpfs] = [Bind(source="/usr", destination="/usr", read_only=True)]
    for name in ("bin", "sbin", "lib", "lib32", "lib64"):
        path = f"/{name}"
        if os.path.islink(path):
            files.append(Symlink(target=os.readlink(path), destination=path))
        elif os.path.isdir(path):
            files.append(Bind(source=path, destination=path, read_only=True))
    files += [Proc(destination="/proc"), Dev(destination="/dev"), Tmpfs(destination="/tmp", mode=0o1777)]
    return Spec(
        args=PROGRAM,
        env=(("PATH", "/usr/bin:/bin"),),
        cwd="/",
        namespaces=frozenset(kind.name for kind in KINDS if os.path.exists(f"/proc/self/ns/{kind.proc}")),
        uid_mappings=(IDMapping(0, os.geteuid()),),
        gid_mappings=(IDMapping(0, os.getegid()),),
        hostname=HOST,
        mounts=tuple(files),
        rootfs_readonly=True,
        masked_paths=tuple(filter(os.path.exists, _TELLING)),
        readonly_paths=("/proc/sys",),
        rlimits=(Rlimit("RLIMIT_NOFILE", FILES, FILES),),
        cgroup=Cgroup(resources=Resources(memory=MEMORY, pids=TASKS)),
        no_new_privs=True,
        capabilities=Capabilities(bounding=_NONE, effective=_NONE, inheritable=_NONE, permitted=_NONE, ambient=_NONE),
        seccomp=(Seccomp("default"),),
        landlock=Landlock(read=("/",), write=("/tmp", "/dev")),
        stdio=Stdio.NULL,
    )


def _refusal(spec: Spec) -> str:
    """Why a child cannot be launched so; empty where it can."""
    try:
        with launch(spec, entry=_nothing) as child:
            child.wait()
    except (SpecError, LaunchError) as error:
        return str(error)
    return ""


def _nothing() -> int:
    return 0
