"""Types of the native scanner; the layout of what ``scan`` and ``tasks`` return is in layout.py."""

from collections.abc import Callable, Iterable
from typing import TypeVar

Record = TypeVar("Record")

LAYOUT_VERSION: int
HEADER_SIZE: int
RECORD_SIZE: int

def scan(proc: str = "/proc", pids: Iterable[int] | None = None) -> bytes: ...
def tasks(link: int, told: bytes) -> tuple[bytes, bytes]: ...
def load(library: str, object: bytes) -> int: ...
def join(
    before: bytes, records: dict[int, Record], now: bytes, make: Callable[[bytes], Record]
) -> tuple[dict[int, Record], list[int], list[int], list[int]] | None: ...
