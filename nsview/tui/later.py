"""What is imported when it is first needed: the first picture waits for nothing that is not in it."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def find(place: str) -> Any:
    """Return what ``module:name`` names, importing the module if need be."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
