"""Lay a plan out as the memory image its child reads: header, records, steps, arena (see _child.h)."""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from spawner import _native
from spawner.plan import Argument, At, Bearing, Out, Packed, Plan, Result, Slot, Step, Strings, Text

HEADER = struct.Struct("=IIiiIIiIiIQiiIi")
RECORD = struct.Struct("=QQq")
STEP = struct.Struct("=6QI6BBx4hiII")
NEVER = 0xFFFFFFFF
PASSED_OVER = -125
"""The result of a step whose condition did not hold (see _child.h)."""

if (HEADER.size, RECORD.size, STEP.size) != (_native.HEADER_SIZE, _native.RECORD_SIZE, _native.STEP_SIZE):
    raise ImportError("spawner._native was built from another layout: build it anew")

_VALUE, _OFFSET, _RESULT = 0, 1, 2
_FAILED = struct.Struct("=i")
_FAILED_AT = 32
_HOLD_AT = 16
_CURRENT_AT = 28
_OPTIONS_AT = 36
_BORN_AT = 40
_CHILD_TID_AT = 52
_STORE_AT = 72  # within a step

TELL_END = 1
"""Let the child say by a word when the plan is over (enum option in _child.h)."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A plan's image before any launch: the bytes, and where numbers known only then belong.

    ``relocations`` are the offsets (packed native u32) of pointers still relative to the image's start;
    ``slots`` maps a name to (offset, struct format) of each place it fills; ``outs`` maps a step's index to
    the (offset, size) of the memory the kernel writes there; several pieces of it lie 16 bytes apart or more.
    """

    template: bytes
    relocations: bytes
    slots: Mapping[str, tuple[tuple[int, str], ...]]
    outs: Mapping[int, tuple[int, int]]


class _Arena:
    """Memory that arguments point into, growing behind the steps.

    Noted on the way: ``relocations``, offsets of pointers; ``slots``, places to fill at the launch; ``outs``, where the
    kernel writes for a step; ``stores``, where a step's result is to be written, by its index, and the size of the text
    that it is to be written as (0: as a number of 32 bits).
    """

    def __init__(self, base: int) -> None:
        self.base = base
        self.data = bytearray()
        self.relocations: list[int] = []
        self.slots: dict[str, list[tuple[int, str]]] = {}
        self.outs: dict[int, tuple[int, int]] = {}
        self.stores: dict[int, tuple[int, int]] = {}

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

    def place_struct(self, packed: Packed) -> int:
        fields = [(f"={layout}", value) for layout, value in packed.fields()]
        offset = self.place(bytes(sum(struct.calcsize(layout) for layout, _ in fields)))
        place = offset
        for layout, value in fields:
            match value:
                case Slot(name=name):
                    self.slots.setdefault(name, []).append((place, layout))
                case Result(step=step):
                    if step in self.stores:
                        raise ValueError(f"the result of step {step} is wanted in two structs")
                    self.stores[step] = place, struct.calcsize(layout) if layout.endswith("s") else 0
                case At(data=data):
                    target = self.place(data) if isinstance(data, bytes) else self.place_struct(data)
                    struct.pack_into("=Q", self.data, place - self.base, target)
                    self.relocations.append(place)
                case None:
                    pass
                case plain:
                    struct.pack_into(layout, self.data, place - self.base, plain)
            place += struct.calcsize(layout)
        return offset

    def lower(self, argument: Argument, place: int) -> tuple[int, int]:
        """Give (value, kind) of an argument; ``place`` is where its value stands in the image."""
        match argument:
            case int():
                return argument & 0xFFFFFFFFFFFFFFFF, _VALUE
            case Result(step=step):
                return step, _RESULT
            case Slot(name=name):
                self.slots.setdefault(name, []).append((place, "=q"))
                return 0, _VALUE
            case Text(name=name, size=size):
                offset = self.place(bytes(size))
                self.slots.setdefault(name, []).append((offset, f"={size - 1}s"))
                return offset, _OFFSET
            case str():
                return self.place(os.fsencode(argument) + b"\0"), _OFFSET
            case bytes():
                return self.place(argument), _OFFSET
            case Strings(values=values):
                return self.place_strings(values), _OFFSET
            case Out(size=size, begins=begins):
                return self.place(begins.ljust(size, b"\0")), _OFFSET
            case Packed():
                return self.place_struct(argument), _OFFSET


@lru_cache(maxsize=256)
def lay_out(plan: Plan) -> Layout:
    """Lower a plan. ValueError for a system call this build does not know."""
    steps_offset = HEADER.size + RECORD.size * len(plan.steps)
    steps_offset += -steps_offset % 8
    arena = _Arena(steps_offset + STEP.size * len(plan.steps))
    rows = [_lower_step(arena, step, index, steps_offset) for index, step in enumerate(plan.steps)]
    for index, (place, size) in arena.stores.items():
        struct.pack_into("=II", rows[index], _STORE_AT, place, size)
    divides = any(step.bearing & Bearing.INIT for step in plan.steps)
    header = HEADER.pack(len(plan.steps), steps_offset, -1, -1, NEVER, NEVER, 0, 0, -1, 0, 0, 0, -1, int(divides), 0)
    head = header.ljust(steps_offset, b"\0")
    return Layout(
        template=bytes(head + b"".join(rows) + arena.data),
        relocations=struct.pack(f"={len(arena.relocations)}I", *arena.relocations),
        slots={name: tuple(places) for name, places in arena.slots.items()},
        outs=arena.outs,
    )


def _lower_step(arena: _Arena, step: Step, index: int, steps_offset: int) -> bytearray:
    number = _native.SYSCALLS.get(step.syscall, _native.PSEUDO_CALLS.get(step.syscall))
    if number is None:
        raise ValueError(f"{step.syscall}(2) is not in the native table")
    here = steps_offset + STEP.size * index
    values, kinds = [0] * 6, [0] * 6
    for position, argument in enumerate(step.args):
        values[position], kinds[position] = arena.lower(argument, here + 8 * position)
        if isinstance(argument, Out):
            first, _ = arena.outs.get(index, (values[position], 0))
            arena.outs[index] = (first, values[position] + argument.size - first)
    tolerated = tuple(step.tolerated) + (0,) * (4 - len(step.tolerated))
    guard = 0
    if step.only_if is not None:
        guard = step.only_if.step + 1
    elif step.unless is not None:
        guard = -(step.unless.step + 1)
    return bytearray(STEP.pack(*values, number, *kinds, int(step.bearing), *tolerated, guard, 0, 0))


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
        slots: Mapping[str, int | bytes],
        *,
        sync_fd: int = -1,
        parent_pidfd: int = -1,
        hold_at: int = NEVER,
        inject: tuple[int, int] | None = None,
        options: int = 0,
    ) -> None:
        self.layout = layout
        self.map: mmap.mmap | bytes = (shared := _take(len(layout.template)))
        shared[: len(layout.template)] = layout.template
        inject_at, inject_errno = inject or (NEVER, 0)
        struct.pack_into("=iiIIi", shared, 8, sync_fd, parent_pidfd, hold_at, inject_at, inject_errno)
        struct.pack_into("=I", shared, _OPTIONS_AT, options)
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

    @property
    def child_tid(self) -> int:
        """What CLONE_CHILD_SETTID and CLONE_CHILD_CLEARTID have written."""
        return int(struct.unpack_from("=i", self.map, _CHILD_TID_AT)[0])

    @property
    def child_tid_offset(self) -> int:
        """Where they write."""
        return _CHILD_TID_AT

    def record(self, index: int) -> tuple[int, int, int]:
        """(start_ns, end_ns, result) of a step, CLOCK_MONOTONIC; 0 for what has not happened."""
        return RECORD.unpack_from(self.map, HEADER.size + RECORD.size * index)

    def out(self, index: int) -> bytes:
        """What the kernel wrote for a step: as many bytes as it returned; empty where it failed."""
        offset, size = self.layout.outs[index]
        length = min(max(self.record(index)[2], 0), size)
        return self.map[offset : offset + length]

    def written(self, index: int) -> bytes:
        """All the memory that the kernel had to write into for a step; empty where the step has none."""
        offset, size = self.layout.outs.get(index, (0, 0))
        return self.map[offset : offset + size]

    def hold_at_once(self) -> None:
        """Let the child wait before its next step, whichever it is."""
        if isinstance(self.map, mmap.mmap):
            struct.pack_into("=I", self.map, _HOLD_AT, 0)

    def freeze(self) -> None:
        """Give the mapping back and keep a copy; only when the child can no longer run on it."""
        if isinstance(self.map, mmap.mmap):
            shared, self.map = self.map, self.map[: len(self.layout.template)]
            _give_back(shared)
