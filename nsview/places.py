"""Where settings and remembered things are kept: in the home of the person who invoked us (nsview/invoker.py)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from nsview.invoker import Invoker, append, as_invoker, invoker, read, write

__all__ = ["Invoker", "append", "as_invoker", "config_directory", "invoker", "read", "state_directory", "write"]

_NAME = "nsview"


def config_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Where settings and profiles are (XDG base directory specification); it need not exist yet."""
    return _base("XDG_CONFIG_HOME", ".config", environ) / _NAME


def state_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Where it is remembered what was done; it need not exist yet."""
    return _base("XDG_STATE_HOME", ".local/state", environ) / _NAME


def _base(variable: str, otherwise: str, environ: Mapping[str, str]) -> Path:
    told = environ.get(variable, "")
    # The specification: a path that is not absolute is to be ignored.
    return Path(told) if told.startswith("/") else invoker(environ).home / otherwise
