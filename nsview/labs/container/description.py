"""The container, as one Spec: what this lab makes and tries, and what the launch panel's preset launches.

What of it this machine refuses to make is left out here, and said.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from spawner import IDMapping, LaunchError, Spec, SpecError, Stdio, launch
from spawner.namespaces import KINDS
from spawner.oci import (
    Bind,
    Capabilities,
    Cgroup,
    Dev,
    File,
    FileOperation,
    Landlock,
    Proc,
    Resources,
    Rlimit,
    Seccomp,
    Symlink,
    Tmpfs,
)

PROGRAM = Path(__file__).with_name("inside.py")
"""What makes the attempts."""
HOST = "box"
FILES, TASKS, MEMORY = 64, 24, 64 << 20
_NONE: frozenset[str] = frozenset()
_ALONE = Spec(args=(), stdio=Stdio.NULL)
TELLING = ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sysrq-trigger")
"""Files that tell of the machine, or move it; a kernel need not have them all."""


@dataclass(frozen=True, slots=True)
class Container:
    """What is launched, and why some of the whole is left out, by the name of the part."""

    spec: Spec
    left_out: Mapping[str, str]
    refused: str = ""
    """Why no container at all can be made here."""


def described() -> Container:
    """Describe it, without those parts that a throw-away child could not be given here."""
    whole = contained()
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


def contained() -> Spec:
    """The whole container, with no program: all that a launch can be given, for this user."""
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
        capabilities=Capabilities(bounding=_NONE, effective=_NONE, inheritable=_NONE, permitted=_NONE, ambient=_NONE),
        seccomp=(Seccomp("default"),),
        landlock=Landlock(read=("/",), write=("/tmp", "/dev")),
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


def with_program(spec: Spec) -> Spec:
    """The container with what makes the attempts in it: a file, and this Python where that is not in /usr."""
    python = os.path.realpath(sys.executable)
    homes = {path for path in (os.path.dirname(os.path.dirname(python)), sys.base_prefix) if not _in_usr(path)}
    files = [Bind(source=path, destination=path, read_only=True) for path in sorted(homes)]
    program = "/attempts.py"
    return replace(
        spec,
        args=(python, "-I", "-S", program),
        env=(("PATH", "/usr/bin:/bin"),),
        mounts=(*spec.mounts, *files, File(destination=program, content=PROGRAM.read_bytes())),
        stdio=Stdio.PIPE,
    )


def unconfined() -> Spec:
    """The same program with nothing around it."""
    return Spec(args=(os.path.realpath(sys.executable), "-I", "-S", str(PROGRAM)), stdio=Stdio.PIPE)


def _in_usr(path: str) -> bool:
    return f"{path}/".startswith("/usr/")


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
