"""Types of the native scanner; the layout of what ``scan`` returns is in layout.py."""

from collections.abc import Iterable

LAYOUT_VERSION: int
HEADER_SIZE: int
RECORD_SIZE: int

def scan(proc: str = "/proc", pids: Iterable[int] | None = None) -> bytes: ...
