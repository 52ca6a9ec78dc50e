"""The layers that hold a container, and how each is taken away from its Spec. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial

from spawner import Spec
from spawner.oci import Bind, FileOperation, Proc


def _without_namespace(name: str, spec: Spec) -> Spec:
    return replace(spec, namespaces=spec.namespaces - {name})


def _without_user(spec: Spec) -> Spec:
    return replace(_without_namespace("user", spec), uid_mappings=(), gid_mappings=())


def _without_pid(spec: Spec) -> Spec:
    """The procfs is then the caller's: no new one of a pid namespace that is not its own may be mounted."""
    files = tuple(
        Bind(source="/proc", destination=each.destination) if isinstance(each, Proc) else each for each in spec.mounts
    )
    return replace(_without_namespace("pid", spec), mounts=files)


def _without_mount(spec: Spec) -> Spec:
    """All that is done to files goes with it."""
    return replace(
        _without_namespace("mount", spec), mounts=(), rootfs_readonly=False, masked_paths=(), readonly_paths=()
    )


def _writable(spec: Spec) -> Spec:
    files = tuple(map(_writable_one, spec.mounts))
    return replace(spec, mounts=files, rootfs_readonly=False, readonly_paths=())


def _writable_one(operation: FileOperation) -> FileOperation:
    return replace(operation, read_only=False) if isinstance(operation, Bind) else operation


PID, NETWORK, MOUNT, USER, CGROUPS = (f"{name} namespace" for name in ("pid", "network", "mount", "user", "cgroup"))
SECCOMP, LANDLOCK, CAPABILITIES, NO_NEW_PRIVS = "seccomp", "landlock", "capabilities", "no_new_privs"
READ_ONLY, MASKS, RLIMITS, CGROUP = "read-only mounts", "masked paths", "rlimits", "control group"
SESSION = "session of its own"

LAYERS: Mapping[str, Callable[[Spec], Spec]] = {
    PID: _without_pid,
    NETWORK: partial(_without_namespace, "network"),
    MOUNT: _without_mount,
    USER: _without_user,
    CGROUPS: partial(_without_namespace, "cgroup"),
    SECCOMP: partial(replace, seccomp=()),
    LANDLOCK: partial(replace, landlock=None),
    CAPABILITIES: partial(replace, capabilities=None),
    NO_NEW_PRIVS: partial(replace, no_new_privs=False),
    READ_ONLY: _writable,
    MASKS: partial(replace, masked_paths=()),
    SESSION: partial(replace, new_session=False),
    RLIMITS: partial(replace, rlimits=()),
    CGROUP: partial(replace, cgroup=None),
}
"""By name, what a Spec is without it; all else stays as it was."""


def without(spec: Spec, layers: Iterable[str]) -> Spec:
    """The container without these layers. Taking one away that it does not have changes nothing."""
    for name in LAYERS:
        if name in layers:
            spec = LAYERS[name](spec)
    return spec


def in_force(spec: Spec) -> frozenset[str]:
    """The layers that the container has."""
    return frozenset(name for name, take in LAYERS.items() if take(spec) != spec)
