"""What a test needs and what it may leave: skips for people, failures in CI, and a census before and after.

A test that lacks something (``@pytest.mark.needs("tmux")``) is skipped with a reason a person can act on. With
NSVIEW_NO_SKIP=1 in the environment that skip, and any other, is a failure: CI cannot pass by skipping.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import nobody as other_user
import pytest
from features import FEATURES, lacking
from hypothesis import HealthCheck, settings
from leftovers import OF_THE_MACHINE, Census

from nsview.host import producer

NO_SKIP = os.environ.get("NSVIEW_NO_SKIP") == "1"

# How long an example takes, or making one up, says nothing on a machine that is busy.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers."""
    config.addinivalue_line("markers", f"needs(feature, …): what the test needs, of {', '.join(sorted(FEATURES))}")
    config.addinivalue_line("markers", "needs_root: the same as needs('root')")


def _needed(item: pytest.Item) -> list[str]:
    names = [name for marker in item.iter_markers("needs") for name in marker.args]
    if item.get_closest_marker("needs_root") is not None:
        names.append("root")
    return names


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a feature that is not in the table before anything runs."""
    for item in items:
        for name in _needed(item):
            if name not in FEATURES:
                known = ", ".join(sorted(FEATURES))
                raise pytest.UsageError(f"{item.nodeid} needs {name!r}; tests/features.py has {known}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what lacks something, with all that it lacks."""
    if reasons := [reason for name in _needed(item) if (reason := lacking(name)) is not None]:
        pytest.skip("; ".join(reasons))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Turn a skip into a failure where skipping is not allowed; a strict xfail stays what it is."""
    report = yield
    if NO_SKIP and report.skipped and not hasattr(report, "wasxfail"):
        _fail(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """Do the same with a module that skips itself as a whole."""
    report = yield
    if NO_SKIP and report.skipped:
        _fail(report)
    return report


def _fail(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"skipped, which NSVIEW_NO_SKIP=1 forbids: {reason}"


@pytest.fixture
def nothing_left() -> Iterator[Census]:
    """Fail the test if it leaves a process, fd, thread, mount, cgroup or network link, or takes one away."""
    producer.refusal()  # the task iterator, once loaded, stays for later snapshots: a descriptor that is nobody's leak
    census = Census()
    yield census
    if left := census.difference():
        pytest.fail("\n".join(left), pytrace=False)


@pytest.fixture(autouse=True, scope="session")
def _nothing_left_on_the_machine() -> Iterator[None]:
    """The same for the whole session, of what outlives a process that ends badly."""
    census = Census(OF_THE_MACHINE)
    yield
    if left := census.difference():
        pytest.fail("the tests as a whole:\n" + "\n".join(left), pytrace=False)


@pytest.fixture(scope="session")
def nobody() -> other_user.Runner:
    """Run commands as a user without any privilege: ``nobody("nsview", "doctor")``; the test needs root."""
    return other_user.Runner()
