"""What of the container this machine refuses to make, and the program that makes the attempts in it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from nsview.labs.container.contained import contained
from spawner import LaunchError, Spec, SpecError, Stdio, launch
from spawner.oci import Bind, File

PROGRAM = Path(__file__).with_name("inside.py")
"""What makes the attempts."""
_ALONE = Spec(args=(), stdio=Stdio.NULL)


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
    if whole.landlock is None:
        del parts["landlock"]
        left_out["landlock"] = "this kernel has no landlock, or it is switched off; see nsview doctor"
    for name, fields in parts.items():
        if refusal := _refusal(replace(base, **fields)):  # type: ignore[arg-type]
            left_out[name] = refusal
            whole = replace(whole, **{name: lacking[name]})  # type: ignore[arg-type]
    return Container(whole, left_out)


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
