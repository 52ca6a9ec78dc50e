"""Taskstats is asked by netlink; what it does not count is unknown, never zero."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nsview.host.taskstats import DELAYS, TaskStats, accounts
from nsview.host.taskstats_record import FIELDS

SWITCH = Path("/proc/sys/kernel/task_delayacct")


def packed(version: int = 16, size: int = 560, **numbers: int) -> bytes:
    """A struct taskstats with some numbers in it."""
    found = bytearray(size)
    struct.pack_into("=H", found, 0, version)
    for name, number in numbers.items():
        struct.pack_into("=Q", found, FIELDS[name].offset, number)
    return bytes(found)


def test_zeros_of_delays_are_unknown_unless_they_were_counted_from_the_start():
    assert set(accounts(packed(), False).delays.values()) == {None}
    assert set(accounts(packed(), True).delays.values()) == {0}
    found = accounts(packed(blkio_delay_total=5), False)
    assert found.delays["blkio"] == 5
    assert found.delays["swapin"] == 0, "it is counted, so this is zero"


def test_a_delay_that_this_version_does_not_have_is_unknown_and_the_rest_is_read():
    found = accounts(packed(13, 416, nvcsw=3, cpu_delay_total=4, blkio_delay_total=5), True)
    assert (found.voluntary, found.wait_ns) == (3, 4)
    assert found.delays["irq"] is None
    assert found.delays["blkio"] == 5


def test_the_one_version_that_moved_its_fields_is_not_read():
    assert accounts(packed(15, 560, nvcsw=3), True) is None


@pytest.mark.needs("root", "taskstats")
def test_the_kernel_answers_for_a_process_and_for_a_thread(nothing_left):
    with TaskStats() as stats:
        group, task = stats.of_group(os.getpid()), stats.of_task(os.getpid())
        assert stats.why_not is None
        assert stats.of_group(4194305) is None, "no such process"
        assert stats.why_not is None, "that is no refusal"
    assert group.cpu_ns >= task.cpu_ns > 0
    assert group.voluntary >= task.voluntary
    assert set(group.delays) == set(DELAYS)


@pytest.fixture
def switched() -> Iterator[Callable[[bool], None]]:
    """Switch delay accounting for what is born from now on; as it was when the test is over."""
    before = SWITCH.read_text()
    yield lambda on: SWITCH.write_text(str(int(on)))  # type: ignore[misc]
    SWITCH.write_text(before)


def copy_on_write() -> None:
    """Write to memory that a child has too."""
    memory = bytearray(1 << 20)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    memory[:] = b"x" * len(memory)
    os.close(writing)
    os.waitpid(child, 0)


@pytest.mark.needs("root", "taskstats", "delay_accounting")
def test_what_the_kernel_counts_is_told(switched, forked):
    switched(True)
    pid, _ = forked(copy_on_write)
    with TaskStats() as stats:
        delays = stats.of_group(pid).delays
    assert delays["wpcopy"] > 0
    assert delays["swapin"] is not None, "one is counted, so all are"


@pytest.mark.needs("root", "taskstats", "delay_accounting")
def test_a_process_born_before_the_switch_has_unknown_delays(switched, forked):
    """The kernel never counts for it, and answers zeros."""
    switched(False)
    pid, _ = forked(copy_on_write)
    switched(True)
    with TaskStats() as stats:
        assert set(stats.of_group(pid).delays.values()) == {None}


@pytest.mark.needs("root")
def test_without_privilege_it_says_why_not_and_answers_nothing(as_nobody):
    def ask() -> tuple[object, int | None]:
        with TaskStats() as stats:
            return stats.of_group(os.getpid()), stats.why_not

    assert as_nobody(ask) == (None, errno.EPERM)


def test_after_closing_it_answers_nothing():
    stats = TaskStats()
    stats.close()
    assert stats.of_group(os.getpid()) is None
