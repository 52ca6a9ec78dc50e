"""Lay a plan out as the memory image its child reads: header, records, steps, arena (see _child.h)."""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from spawner import _native
from spawner.plan import Argument, Out, Packed, Plan, Result, Slot, Step, Strings

HEADER = struct.Struct("=IIiiIIiIi4xQii")
RECORD = struct.Struct("=QQq")
STEP = struct.Struct("=6QI6BBx4h4x")
NEVER = 0xFFFFFFFF

if (HEADER.size, RECORD.size, STEP.size) != (_native.HEADER_SIZE, _native.RECORD_SIZE, _native.STEP_SIZE):
    raise ImportError("spawner._native was built from another layout: build it anew")

_VALUE, _OFFSET, _RESULT = 0, 1, 2
_FAILED = struct.Struct("=i")
_FAILED_AT = 32
_HOLD_AT = 16
_CURRENT_AT = 28
_BORN_AT = 40


@dataclass(frozen=True, slots=True)
class Layout:
    """A plan's image before any launch: the bytes, and where numbers known only then belong.

    ``relocations`` are the offsets (packed native u32) of pointers still relative to the image's start;
    ``slots`` maps a name to (offset, struct format) of each place it fills; ``outs`` maps a step's index to
    the (offset, size) of the memory the kernel writes there.
    """

    template: bytes
    relocations: bytes
    slots: Mapping[str, tuple[tuple[int, str], ...]]
    outs: Mapping[int, tuple[int, int]]


class _Arena:
    """Memory that arguments point into, growing behind the steps; pointers are noted for relocation."""

    def __init__(self, base: int) -> None:
        self.base = base
        self.data = bytearray()
        self.relocations: list[int] = []

    def place(self, raw: bytes) -> int:
        self.data += bytes(-len(self.data) % 16)
        offset = self.base + len(self.data)
        self.data += raw
        return offset

    def place_strings(self, values: tuple[bytes, ...]) -> int:
        table = self.place(bytes(8 * (len(values) + 1)))
        joined = self.place(b"".join(value + b"\0" for value in values))
        start = table - self.base
        for position, value in enumerate(values):
            struct.pack_into("=Q", self.data, start + 8 * position, joined)
            self.relocations.append(table + 8 * position)
            joined += len(value) + 1
        return table


def _lower_argument(
    arena: _Arena, argument: Argument, place: int, slots: dict[str, list[tuple[int, str]]]
) -> tuple[int, int]:
    """Give (value, kind) of an argument; ``place`` is where its value stands in the image."""
    match argument:
        case int():
            return argument & 0xFFFFFFFFFFFFFFFF, _VALUE
        case Result(step=step):
            return step, _RESULT
        case Slot(name=name):
            slots.setdefault(name, []).append((place, "=q"))
            return 0, _VALUE
        case str():
            return arena.place(os.fsencode(argument) + b"\0"), _OFFSET
        case bytes():
            return arena.place(argument), _OFFSET
        case Strings(values=values):
            return arena.place_strings(values), _OFFSET
        case Out(size=size):
            return arena.place(bytes(size)), _OFFSET
        case Packed(format=layout, values=values):
            plain = tuple(0 if isinstance(value, Slot) else value for value in values)
            offset = arena.place(struct.pack(layout, *plain))
            if values and isinstance(values[0], Slot):
                slots.setdefault(values[0].name, []).append((offset, "=" + layout.lstrip("=@")[0]))
            return offset, _OFFSET


@lru_cache(maxsize=256)
def lay_out(plan: Plan) -> Layout:
    """Lower a plan. ValueError for a system call this build does not know."""
    steps_offset = HEADER.size + RECORD.size * len(plan.steps)
    steps_offset += -steps_offset % 8
    arena = _Arena(steps_offset + STEP.size * len(plan.steps))
    slots: dict[str, list[tuple[int, str]]] = {}
    outs: dict[int, tuple[int, int]] = {}
    rows = bytearray()
    for index, step in enumerate(plan.steps):
        rows += _lower_step(arena, step, index, steps_offset, slots, outs)
    header = HEADER.pack(len(plan.steps), steps_offset, -1, -1, NEVER, NEVER, 0, 0, -1, 0, 0, 0)
    head = header.ljust(steps_offset, b"\0")
    return Layout(
        template=bytes(head + rows + arena.data),
        relocations=struct.pack(f"={len(arena.relocations)}I", *arena.relocations),
        slots={name: tuple(places) for name, places in slots.items()},
        outs=outs,
    )


def _lower_step(
    arena: _Arena,
    step: Step,
    index: int,
    steps_offset: int,
    slots: dict[str, list[tuple[int, str]]],
    outs: dict[int, tuple[int, int]],
) -> bytes:
    number = _native.SYSCALLS.get(step.syscall)
    if number is None:
        raise ValueError(f"{step.syscall}(2) is not in the native table")
    here = steps_offset + STEP.size * index
    values, kinds = [0] * 6, [0] * 6
    for position, argument in enumerate(step.args):
        values[position], kinds[position] = _lower_argument(arena, argument, here + 8 * position, slots)
        if isinstance(argument, Out):
            outs[index] = (values[position], argument.size)
    tolerated = tuple(step.tolerated) + (0,) * (4 - len(step.tolerated))
    return STEP.pack(*values, number, *kinds, int(step.bearing), *tolerated)


# Mappings between launches, by size: a new one costs as much as the rest of a launch's work in Python.
_spare: dict[int, list[mmap.mmap]] = {}
_SPARE_MOST = 4

os.register_at_fork(after_in_child=_spare.clear)  # shared with the parent, whose next launch would use them


def _take(size: int) -> mmap.mmap:
    size += -size % mmap.PAGESIZE
    try:
        return _spare[size].pop()  # atomic, as is append
    except (KeyError, IndexError):
        return mmap.mmap(-1, size)


def _give_back(shared: mmap.mmap) -> None:
    kept = _spare.setdefault(len(shared), [])
    if len(kept) < _SPARE_MOST:
        kept.append(shared)
    else:
        shared.close()


class Image:
    """The mapping of one launch, shared with the child; read back what the child wrote."""

    def __init__(
        self,
        layout: Layout,
        slots: Mapping[str, int],
        *,
        sync_fd: int = -1,
        parent_pidfd: int = -1,
        hold_at: int = NEVER,
        inject: tuple[int, int] | None = None,
    ) -> None:
        self.layout = layout
        self.map: mmap.mmap | bytes = (shared := _take(len(layout.template)))
        shared[: len(layout.template)] = layout.template
        inject_at, inject_errno = inject or (NEVER, 0)
        struct.pack_into("=iiIIi", shared, 8, sync_fd, parent_pidfd, hold_at, inject_at, inject_errno)
        for name, places in layout.slots.items():
            for offset, layout_format in places:
                struct.pack_into(layout_format, shared, offset, slots[name])

    @property
    def failed(self) -> int | None:
        """The index of the step that ended the plan, or None."""
        (index,) = _FAILED.unpack_from(self.map, _FAILED_AT)
        return None if index < 0 else int(index)

    @property
    def current(self) -> int:
        """The index of the step begun last."""
        return int(struct.unpack_from("=I", self.map, _CURRENT_AT)[0])

    @property
    def born_ns(self) -> int:
        """When the child began to run (CLOCK_MONOTONIC), 0 if it never did."""
        return int(struct.unpack_from("=Q", self.map, _BORN_AT)[0])

    def record(self, index: int) -> tuple[int, int, int]:
        """(start_ns, end_ns, result) of a step, CLOCK_MONOTONIC; 0 for what has not happened."""
        return RECORD.unpack_from(self.map, HEADER.size + RECORD.size * index)

    def out(self, index: int) -> bytes:
        """What the kernel wrote for a step: as many bytes as it returned; empty where it failed."""
        offset, size = self.layout.outs[index]
        length = min(max(self.record(index)[2], 0), size)
        return self.map[offset : offset + length]

    def hold_at_once(self) -> None:
        """Let the child wait before its next step, whichever it is."""
        if isinstance(self.map, mmap.mmap):
            struct.pack_into("=I", self.map, _HOLD_AT, 0)

    def freeze(self) -> None:
        """Give the mapping back and keep a copy; only when the child can no longer run on it."""
        if isinstance(self.map, mmap.mmap):
            shared, self.map = self.map, self.map[: len(self.layout.template)]
            _give_back(shared)
