"""What labs measure is kept, in tests not in the home of who runs them; and which tests ask the kernel alone."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _state_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep it in a directory of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", "answers: looks at what the running kernel answered a lab, and concludes")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that share a lab's one run: those are worth their time on an emulated machine."""
    for item in items:
        if isinstance(item, pytest.Function) and "report" in item.fixturenames:
            item.add_marker("answers")
