"""After execve: what was asked for against what the kernel says, through the child and from outside."""

from __future__ import annotations

import os
from collections.abc import Mapping

from spawner import procfs
from spawner.errors import LaunchError
from spawner.image import Image
from spawner.namespaces import BY_NAME, BY_PROC, KINDS
from spawner.parts.joining import OPENED, Opened
from spawner.plan import Held, Plan, Prepared, Slot


def compare(plan: Plan, image: Image, prepared: Mapping[str, Prepared], held: Held) -> None:
    """Raise LaunchError for the first difference; what is unknown is none."""
    for check in plan.checks:
        found = check.found(image.record(check.step)[2], image.written(check.step))
        wanted = _known(check.wanted, prepared)
        if found is not None and found != wanted:
            raise LaunchError(f"read back {check.what}", cause=f"{wanted} was asked for, the kernel says {found}")
    for look in plan.looks:
        if (wrong := look.wrong(held)) is not None:
            raise LaunchError(f"read back {look.what}", cause=wrong)
    if plan.asked:
        _compare_namespaces(plan, image, held)
    entered = prepared.get(OPENED)
    if isinstance(entered, Opened):
        entered.compare(namespaces_read(plan, image), plan.asked)


def _known(wanted: str | Slot, prepared: Mapping[str, Prepared]) -> str:
    """What was asked for, also where only the launch has settled it."""
    if isinstance(wanted, str):
        return wanted
    texts = (each.slots.get(wanted.name) for each in prepared.values())
    return next(os.fsdecode(text) for text in texts if isinstance(text, bytes))


def _compare_namespaces(plan: Plan, image: Image, held: Held) -> None:
    found = namespaces_read(plan, image)
    ours = procfs.namespaces("thread-self", [BY_NAME[name].proc for name in plan.asked])
    for name in plan.asked:
        inside, proc = found[name], BY_NAME[name].proc
        if inside is None or ours[proc] is None:
            continue
        if inside == ours[proc]:
            raise LaunchError(
                f"read back ns/{proc}",
                cause=f"the child is still in our {name} namespace, though the kernel reported no error",
            )
        if name == "time":
            entered = procfs.namespaces(procfs.number(held.pidfd), ["time"])["time"]
            if entered is not None and entered != inside:
                raise LaunchError(
                    "read back ns/time",
                    cause="this kernel does not enter a new time namespace at execve",
                )


def namespaces_read(plan: Plan, image: Image) -> dict[str, int | None]:
    """The child's namespaces by OCI name, as it read them itself just before execve; None: unknown."""
    found: dict[str, int | None] = dict.fromkeys(BY_NAME)
    for name, index in plan.read_back:
        found[name] = procfs.parse_link(image.out(index).decode("ascii", "replace"))
    return found


def namespaces_seen(pidfd: int) -> dict[str, int | None]:
    """The namespaces of a process by OCI name, as they are now; None: unknown."""
    seen = procfs.namespaces(procfs.number(pidfd) if pidfd >= 0 else 0, BY_PROC)
    return {kind.name: seen[kind.proc] for kind in KINDS}
