"""The native core refuses an image that is none before there is a child: ValueError, and nobody is born."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable

import pytest
from leftovers import Census

from spawner import Spec, compile_spec
from spawner import _native as native
from spawner.image import HEADER, NEVER, RECORD, STEP, lay_out
from spawner.plan import Bearing

PLAN = compile_spec(Spec(args=("/bin/true",), env=(), init=True), hold=True)
LAYOUT = lay_out(PLAN)
COUNT = len(PLAN.steps)
STEPS_AT = struct.unpack_from("=I", LAYOUT.template, 4)[0]
INIT = next(i for i, step in enumerate(PLAN.steps) if step.bearing & Bearing.INIT)
KINDS_AT, GUARD_AT, STORE_AT = 52, 68, 72  # within a step
VM = 0x100


def at(step: int, offset: int) -> int:
    return STEPS_AT + STEP.size * step + offset


def spawn(image: object, relocations: bytes = b"", *, method: int = 0, flags: int = 0, stack: int = 0) -> None:
    made: list[tuple[int, int, int, int, object]] = []
    try:
        native.spawn(method, flags, 17, image, relocations, stack, -1, made)
    finally:
        assert made == [], "there is a child"


def image(*changes: tuple[int, str, int]) -> mmap.mmap:
    memory = mmap.mmap(-1, len(LAYOUT.template))
    memory[:] = LAYOUT.template
    for offset, layout, value in changes:
        struct.pack_into(layout, memory, offset, value)
    return memory


BROKEN: dict[str, tuple[tuple[int, str, int], ...]] = {
    "more steps than there are": ((0, "=I", COUNT + 1),),
    "steps without end": ((0, "=I", NEVER),),
    "steps outside": ((4, "=I", len(LAYOUT.template)),),
    "steps far outside": ((4, "=I", NEVER - 7),),
    "steps not aligned": ((4, "=I", STEPS_AT + 1),),
    "steps within the records": ((4, "=I", HEADER.size),),
    "an argument outside": ((at(0, KINDS_AT), "=B", 1), (at(0, 0), "=Q", len(LAYOUT.template))),
    "an argument far outside": ((at(0, KINDS_AT), "=B", 1), (at(0, 0), "=Q", 2**64 - 1)),
    "its own result": ((at(3, KINDS_AT), "=B", 2), (at(3, 0), "=Q", 3)),
    "a later result": ((at(3, KINDS_AT), "=B", 2), (at(3, 0), "=Q", 2**40)),
    "an unknown kind": ((at(2, KINDS_AT + 5), "=B", 3),),
    "a guard that is later": ((at(2, GUARD_AT), "=i", 3),),
    "a guard that failed later": ((at(2, GUARD_AT), "=i", -(2**31)),),
    "a result stored outside": ((at(2, STORE_AT), "=I", len(LAYOUT.template) - 2),),
    "a text stored outside": ((at(2, STORE_AT), "=I", len(LAYOUT.template) - 8), (at(2, STORE_AT + 4), "=I", 12)),
    "a result stored in the header": ((at(2, STORE_AT), "=I", 8),),
    "a stack outside": ((at(INIT, 8), "=Q", len(LAYOUT.template) - 16),),
    "a stack that is a number": ((at(INIT, KINDS_AT + 1), "=B", 0),),
}


@pytest.mark.parametrize("changes", BROKEN.values(), ids=BROKEN)
def test_an_image_that_is_none_is_refused(changes: tuple[tuple[int, str, int], ...], nothing_left: Census) -> None:
    with pytest.raises(ValueError, match=r"image|step|argument|result|stack"):
        spawn(image(*changes))


@pytest.mark.parametrize("size", [0, 1, HEADER.size - 1])
def test_a_buffer_smaller_than_the_header_is_refused(size: int, nothing_left: Census) -> None:
    with pytest.raises(ValueError, match="smaller"):
        spawn(bytearray(size))


@pytest.mark.parametrize(
    "relocations", [b"x", b"12345", struct.pack("=I", NEVER), struct.pack("=I", len(LAYOUT.template) - 7)]
)
def test_relocations_that_are_none_are_refused(relocations: bytes, nothing_left: Census) -> None:
    with pytest.raises(ValueError, match=r"relocation|offset"):
        spawn(image(), relocations)


@pytest.mark.parametrize(
    "fields",
    [{"method": -1}, {"method": 4}, {"stack": -1}, {"stack": 2**62}, {"flags": VM}, {"flags": VM, "method": 1}],
    ids=str,
)
def test_a_call_that_cannot_be_is_refused(fields: dict[str, int], nothing_left: Census) -> None:
    with pytest.raises(ValueError, match=r"method|stack"):
        spawn(image(), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(("method", "flags"), [(3, 0), (-1, 0), (0, VM), (0, 0x10000), (1, 0x4000)])
def test_a_child_in_python_that_cannot_be_is_refused(method: int, flags: int, nothing_left: Census) -> None:
    with pytest.raises(ValueError, match="memory of its own"):
        native.fork(method, flags, image(), b"", -1, [])


@pytest.mark.parametrize("wrong", [b"read-only", None, 5], ids=str)
def test_what_is_no_writable_buffer_is_refused(wrong: object, nothing_left: Census) -> None:
    with pytest.raises((TypeError, BufferError)):
        spawn(wrong)


@pytest.mark.parametrize("call", [lambda: native.call(b"39"), lambda: native.call(), lambda: native.call(39, *[0] * 7)])  # type: ignore[arg-type, call-arg]
def test_a_raw_call_without_a_number_or_of_too_much_is_refused(call: Callable[[], int]) -> None:
    with pytest.raises(TypeError):
        call()


def test_a_raw_call_takes_nothing_but_numbers_and_memory() -> None:
    with pytest.raises(TypeError):
        native.call(39, "text")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        native.call(39, 1.5)  # type: ignore[arg-type]


def test_the_layouts_are_the_native_ones() -> None:
    assert (HEADER.size, RECORD.size, STEP.size) == (native.HEADER_SIZE, native.RECORD_SIZE, native.STEP_SIZE)
