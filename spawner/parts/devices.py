"""A /dev of its own: the device files every program expects, its own terminals, and a console."""

from __future__ import annotations

import stat

from spawner.draft import AT_FDCWD, Draft
from spawner.filling import DEVICE_LINKS, DEVICES, Settled
from spawner.oci import IDMapping
from spawner.parts.sources import Sources, attach
from spawner.plan import Named

_TTY_GROUP = 5  # the group of terminals on Debian and most others; devpts(5)
_MS_NOSUID = Named(2, "MS_NOSUID")
_MS_NOSUID_NOEXEC = Named(2 | 8, "MS_NOSUID|MS_NOEXEC")
_FILE_444 = Named(stat.S_IFREG | 0o444, "S_IFREG|0444")


def _maps(lines: tuple[IDMapping, ...], number: int) -> bool:
    return any(line.container_id <= number < line.container_id + line.size for line in lines)


def furnish(draft: Draft, sources: Sources, item: Settled) -> None:
    """Fill the directory of a Dev, which is there."""
    phase, path = "mounts", item.place.path
    draft.add("mount tmpfs", "mount", "tmpfs", path, "tmpfs", _MS_NOSUID, "mode=755", phase=phase, path=path)
    for name in (*DEVICES, "console"):
        device = sources.devices.get((item.number, name))
        if device is not None:
            at = f"{path}/{name}"
            draft.add("make file", "mknodat", AT_FDCWD, at, _FILE_444, 0, phase=phase, path=at)
            attach(draft, device, at)
            draft.add("close", "close", device, phase=phase, path=at)
    for name, target in DEVICE_LINKS:
        draft.add("make link", "symlinkat", target, AT_FDCWD, f"{path}/{name}", phase=phase, path=f"{path}/{name}")
    for name, mode in (("shm", 0o1777), ("pts", 0o755)):
        at = f"{path}/{name}"
        draft.add("mkdir", "mkdirat", AT_FDCWD, at, Named(mode, f"0{mode:o}"), phase=phase, path=at)
    _terminals(draft, f"{path}/pts")


def _terminals(draft: Draft, path: str) -> None:
    spec, options = draft.spec, "newinstance,ptmxmode=0666,mode=620"
    if "user" in draft.asked:
        if not (_maps(spec.uid_mappings, 0) and _maps(spec.gid_mappings, 0)):
            # devpts_fill_super() gives ptmx to root, and refuses where there is none.
            draft.notes.append(f"{path} is empty: terminals of its own need user and group 0 to be mapped")
            return
        if not _maps(spec.gid_mappings, _TTY_GROUP):
            draft.add(
                "mount devpts", "mount", "devpts", path, "devpts", _MS_NOSUID_NOEXEC, options, phase="mounts", path=path
            )
            return
    options += f",gid={_TTY_GROUP}"
    draft.add("mount devpts", "mount", "devpts", path, "devpts", _MS_NOSUID_NOEXEC, options, phase="mounts", path=path)
