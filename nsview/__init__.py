"""nsview: see what Linux does when a process is born."""

from __future__ import annotations


def __getattr__(name: str) -> str:
    # Looked up when asked for: importlib.metadata costs more to import than most commands take to run.
    if name == "__version__":
        from importlib.metadata import version

        return version("nsview")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
