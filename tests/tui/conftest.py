"""Tests of the UI may be coroutines; and the engine's own thread, which stays for good, is there from the start."""

from __future__ import annotations

import asyncio
import inspect
import threading

import pytest

import spawner.thread


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test on an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.fixture(autouse=True)
def _places_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what a test's UI remembers out of the home of who runs the tests."""
    home = tmp_path_factory.mktemp("xdg")
    for variable, name in (("XDG_CONFIG_HOME", "config"), ("XDG_STATE_HOME", "state")):
        monkeypatch.setenv(variable, str(home / name))


@pytest.fixture(autouse=True, scope="session")
def _thread_of_the_engine() -> None:
    """Have it started: a census before and after a test would find it to be left behind."""
    starter = threading.Thread(target=lambda: spawner.thread.call(lambda: None))
    starter.start()
    starter.join()
