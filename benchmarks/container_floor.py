"""The floor under a launch: its very plan, run by plain C (container_floor.c) without Python, checks or a timeline.

The plan's memory image and the control groups that the launch makes are handed to the C program, which does the same
system calls in the same order, the read-backs of the child included. What the engine does besides (it compares what was
read back, notes times, words errors) is what the two differ in.
"""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Protocol

from spawner import Spec, compile_spec
from spawner.cgroups.entrance import FD_SLOT, Entrance, procs_slot
from spawner.cgroups.settings import settings
from spawner.image import lay_out
from spawner.oci import Resources
from spawner.plan import Plan

HERE = Path(__file__).parent


class Floor(Protocol):
    """Launches as often as told, and gives the nanoseconds of each."""

    def __call__(self, count: int) -> list[int]:
        """Launch ``count`` times."""
        ...


def floor(spec: Spec, scratch: Path, name: str) -> tuple[Floor, Callable[[], object]]:
    """Build the program for one Spec and start it; the second value ends it."""
    program = scratch / "container_floor"
    if not program.exists():
        sources = [str(HERE / "container_floor.c"), str(HERE.parent / "spawner" / "_child.c")]
        subprocess.run(
            ["cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(program), *sources], check=True
        )
    plan = compile_spec(spec)
    layout = lay_out(plan)
    image, relocations = scratch / f"{name}.image", scratch / f"{name}.relocations"
    template = bytearray(layout.template)
    for offset, packing in layout.slots.get("sigmask", ()):
        struct.pack_into(packing, template, offset, 0)
    image.write_bytes(template)
    relocations.write_bytes(layout.relocations)
    flags, waits = str(plan.clone_flags), str(int(plan.confirms))
    command = [str(program), str(image), str(relocations), flags, waits, *_groups(plan, spec)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def launch(count: int) -> list[int]:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{count}\n")
        process.stdin.flush()
        answer = process.stdout.readline().split()
        if len(answer) != count:
            raise SystemExit("container.py: the C program failed; its message is above")
        return [int(word) for word in answer]

    return launch, process.communicate


def _groups(plan: Plan, spec: Spec) -> list[str]:
    """Let the engine make the groups once, to see where they are and what is written there; then take them away."""
    slots = lay_out(plan).slots
    words: list[str] = []
    resources = spec.cgroup.resources if spec.cgroup else Resources()
    for preparation in plan.preparations:
        prepared = preparation.does()
        assert isinstance(prepared, Entrance)
        for fd in prepared.lend():
            os.close(fd)
        with closing(_Undone(prepared)):
            for place in prepared.group.places:
                slot = procs_slot(place.seat)
                words += [str(slots[slot][0][0]) if slot in slots else "0", f"{place.directory}-floor"]
                for setting in settings(resources, unified=place.seat.hierarchy.unified):
                    if setting.controller in place.seat.controllers and (Path(place.directory) / setting.file).exists():
                        words.append(f"{setting.file}={setting.text}")
        assert FD_SLOT in prepared.slots or "0" not in words
    return words


class _Undone:
    def __init__(self, prepared: Entrance) -> None:
        self.close = prepared.undo
