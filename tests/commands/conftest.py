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


@pytest.fixture(autouse=True)
def _state_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what a lab measures out of the home of who runs the tests."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
