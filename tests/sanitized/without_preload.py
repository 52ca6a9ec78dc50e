"""Run pytest with the sanitizers' runtime loaded here and in forks of this process, and in no other program."""

from __future__ import annotations

import os
import sys

import pytest

os.environ.pop("LD_PRELOAD")
os.environ.pop("PYTHONMALLOC")
sys.executable = os.path.abspath("python")

from spawner import _native  # noqa: E402 - once the environment is right

if __name__ == "__main__":
    with open("/proc/self/maps") as maps:
        loaded = maps.read()
    if "libasan" not in loaded or not (_native.__file__ or "").startswith(os.getcwd()):
        sys.exit(f"not sanitized: {_native.__file__}")
    sys.exit(pytest.main(sys.argv[1:]))
