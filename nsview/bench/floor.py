"""The floor under a launch: its very plan, run by plain C (plan.c) without Python, checks or a timeline.

The plan's memory image and the control groups that the launch makes are handed to the C program, which does the same
system calls in the same order, the read-backs of the child included. What the engine does besides (it compares what was
read back, notes times, words errors) is what the two differ in.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path

from nsview.bench.compiler import CHILD, YARDSTICKS, build
from nsview.bench.side import Side
from spawner import Spec, compile_spec
from spawner.cgroups.entrance import FD_SLOT, Entrance, procs_slot
from spawner.cgroups.settings import settings
from spawner.image import lay_out
from spawner.oci import Resources
from spawner.plan import Plan


def floor(spec: Spec, scratch: Path, name: str, stack: ExitStack) -> Side:
    """Start the program for one Spec; ``name`` tells its files from others'. Raises UnavailableError."""
    program = build(scratch / "plan", [YARDSTICKS / "plan.c", CHILD])
    plan = compile_spec(spec)
    layout = lay_out(plan)
    image, relocations = scratch / f"{name}.image", scratch / f"{name}.relocations"
    template = bytearray(layout.template)
    for offset, packing in layout.slots.get("sigmask", ()):
        struct.pack_into(packing, template, offset, 0)
    image.write_bytes(template)
    relocations.write_bytes(layout.relocations)
    groups, directories = _groups(plan, spec)
    stack.callback(_removed, directories)
    command = [str(program), str(image), str(relocations), str(plan.clone_flags), str(int(plan.confirms)), *groups]
    side = Side(command)
    stack.callback(side.close)
    return side


def _groups(plan: Plan, spec: Spec) -> tuple[list[str], list[str]]:
    """Let the engine make the groups once, to see where they are and what is written there; then take them away.

    Returns plan.c's words about them, and their directories.
    """
    slots = lay_out(plan).slots
    words: list[str] = []
    directories: list[str] = []
    resources = spec.cgroup.resources if spec.cgroup else Resources()
    for preparation in plan.preparations:
        prepared = preparation.does()
        assert isinstance(prepared, Entrance)
        for fd in prepared.lend():
            os.close(fd)
        with closing(_Undone(prepared)):
            for place in prepared.group.places:
                slot = procs_slot(place.seat)
                directories.append(f"{place.directory}-floor")
                words += [str(slots[slot][0][0]) if slot in slots else "0", directories[-1]]
                for setting in settings(resources, unified=place.seat.hierarchy.unified):
                    if setting.controller in place.seat.controllers and (Path(place.directory) / setting.file).exists():
                        words.append(f"{setting.file}={setting.text}")
        assert FD_SLOT in prepared.slots or "0" not in words
    return words, directories


def _removed(directories: Sequence[str]) -> None:
    """Remove the groups of a program that failed before it did."""
    for directory in reversed(directories):
        with suppress(FileNotFoundError):
            os.rmdir(directory)


class _Undone:
    def __init__(self, prepared: Entrance) -> None:
        self.close = prepared.undo
