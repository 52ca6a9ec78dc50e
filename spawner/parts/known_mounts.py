"""The flags of mounts in the new root, as far as the plan and the caller's mountinfo tell them.

Only needed where mount_setattr(2) lacks: a remount sets all flags of a mount anew, so those it has must be known.
"""

from __future__ import annotations

from spawner.draft import Draft
from spawner.filling import Filling
from spawner.mountinfo import MS_NODEV, MS_NOEXEC, MS_NOSUID, Mounts
from spawner.oci import Bind, Dev, Mqueue, Proc
from spawner.parts.sources import bind_attributes
from spawner.tree import LinkLoopError, absolute

_UNKNOWN: Mounts = (("", 0),)


def mounts_at(draft: Draft, filling: Filling | None, path: str) -> Mounts:
    """The mount that holds ``path`` (of the new root, or of ours where there is none) and those below."""
    if draft.facts.mount_setattr:
        return _UNKNOWN
    if filling is None:
        return dict(draft.facts.submounts).get(path, _UNKNOWN)
    try:
        ground = filling.tree.look(path).ground
    except LinkLoopError:
        return _UNKNOWN
    numbered = {item.number: item.operation for item in filling.settled}
    operation = filling.root if ground.operation is None else numbered.get(ground.operation)
    match operation:
        case Bind(source=source):
            return _below(draft, source, path, absolute(ground.at), bind_attributes(operation))
        case None if draft.spec.rootfs is not None:
            return _below(draft, draft.spec.rootfs, path, "/", 0)
        case Dev():
            return (("", MS_NOSUID),)
        case Proc() | Mqueue():
            return (("", MS_NOSUID | MS_NODEV | MS_NOEXEC),)
        case _:
            return (("", MS_NOSUID | MS_NODEV),)


def _below(draft: Draft, source: str, path: str, at: str, added: int) -> Mounts:
    """What is mounted at and below ``path`` of a tree copied from ``source`` to ``at``."""
    inside = f"/{path[len(at.rstrip('/')) :].strip('/')}".rstrip("/")
    known = dict(draft.facts.submounts).get(source, _UNKNOWN)
    holding = [(point, flags) for point, flags in known if inside == point or inside.startswith(f"{point}/")]
    below = [(point[len(inside) :], flags) for point, flags in known if point.startswith(f"{inside}/")]
    outer = max(holding, key=lambda entry: len(entry[0]), default=("", 0))
    return (("", outer[1] | added), *((point, flags | added) for point, flags in below))
