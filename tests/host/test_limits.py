"""Resource limits are those of getrlimit(2)."""

from __future__ import annotations

import os
import resource

import pytest

from nsview.host.difference import compare_processes
from nsview.host.limits import ATTRIBUTES, Limit, limits_of, parse, words
from nsview.host.process import PinnedProcess

NAMES = {attribute.name for attribute in ATTRIBUTES}


def test_every_limit_is_what_getrlimit_says():
    with PinnedProcess(os.getpid()) as process:
        limits = limits_of(process)
    assert set(limits) == NAMES
    for name, limit in limits.items():
        number = getattr(resource, f"RLIMIT_{name.upper()}", None)
        if number is None:
            continue
        said = tuple("unlimited" if it == resource.RLIM_INFINITY else it for it in resource.getrlimit(number))
        assert (limit.soft, limit.hard) == said, name


def test_the_kernel_has_no_limit_that_we_do_not_know():
    with PinnedProcess(os.getpid()) as process:
        assert not set(limits_of(process)) - NAMES


def test_a_lowered_limit_is_told_with_its_difference(forked):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    pid, _ = forked(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 7, hard)))
    rows = {row.attribute: row for row in compare_processes(os.getpid(), pid, wanted=["limits"])}
    assert rows["nofile"].delta == "−7"
    assert [row.attribute for row in rows.values() if row.same is False] == ["nofile"]


def test_a_limit_set_on_what_was_unlimited_is_told(forked):
    if resource.getrlimit(resource.RLIMIT_CPU)[0] != resource.RLIM_INFINITY:
        pytest.skip("CPU time is limited here already: ulimit -t unlimited")
    pid, _ = forked(lambda: resource.setrlimit(resource.RLIMIT_CPU, (3600, resource.RLIM_INFINITY)))
    row = next(row for row in compare_processes(os.getpid(), pid, wanted=["limits"]) if row.attribute == "cpu")
    assert (row.parent, row.child, row.delta) == ("unlimited", "3 600 s of unlimited", "limited")


def test_a_limit_newer_than_we_are_goes_by_the_kernels_title():
    text = "Limit                     Soft Limit           Hard Limit           Units     \n"
    text += "Max new things            12                   unlimited            things    \n"
    text += "Max nice priority         0                    0                    \n"
    assert parse(text) == {"new things": Limit(12, "unlimited", "things"), "nice": Limit(0, 0, "")}
    assert words(Limit(12, "unlimited", "things")) == "12 of unlimited"
