"""Processes for commands to list."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from shells import unshared_shell


@pytest.fixture
def contained() -> Iterator[int]:
    """The pid of a shell in uts and user namespaces of its own."""
    with unshared_shell("--user", "--map-root-user", "--uts") as pid:
        yield pid
