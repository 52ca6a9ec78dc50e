"""The comparer: two processes read in a thread of its own, as ordered; one that is gone, or another's pid, is told."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from machine import PLAIN, record, snapshot
from screen import DEADLINE, until
from textual import on
from textual.app import App

from nsview.host.difference import Compared
from nsview.host.process import ProcessGoneError
from nsview.host.snapshot import Snapshot, take
from nsview.tui.collecting.collector import Collector
from nsview.tui.diff.comparer import Comparer, Comparison, Order
from nsview.tui.diff.pair import Pair


class ComparingApp(App[None]):
    """Takes what its comparer has to say."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.comparer = Comparer(self, **options)
        self.comparisons: list[Comparison] = []
        self.failures: list[Collector.Failed] = []

    @on(Comparer.Compared)
    def take_comparison(self) -> None:
        comparison = self.comparer.take()
        if comparison is not None:
            self.comparisons.append(comparison)

    @on(Collector.Failed)
    def note_failure(self, event: Collector.Failed) -> None:
        self.failures.append(event)


def compare(script: Callable[[ComparingApp], Awaitable[None]], **options: Any) -> None:
    """Run an app with a comparer and ``script`` beside it; no thread of it is left afterwards."""
    app = ComparingApp(**options)

    async def run() -> None:
        async with app.run_test():
            app.comparer.start()
            try:
                await script(app)
            finally:
                app.comparer.stop()

    asyncio.run(run())
    assert not [thread.name for thread in threading.enumerate() if thread.name == "nsview-compare"]


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


@pytest.fixture
def pair(child: subprocess.Popen[bytes]) -> Pair:
    records = take().records
    return Pair(records[os.getpid()].identity, records[child.pid].identity)


def made_up(*records: Any) -> Callable[[Any], Snapshot]:
    return lambda pids: snapshot(*records)


def test_a_pair_is_compared_with_what_both_have_used(pair):
    async def script(app: ComparingApp) -> None:
        app.comparer.ask(Order(pair))
        found = await until(lambda: app.comparisons and app.comparisons[0])
        row = next(row for row in found.rows if row.section == "identity")
        assert (row.attribute, row.child) == ("pid", str(pair.child[0]))
        assert [usage.identity for usage in found.usages] == [pair.parent, pair.child]
        assert found.subtrees is None

    compare(script)


def test_only_the_sections_ordered_are_read(pair):
    async def script(app: ComparingApp) -> None:
        app.comparer.ask(Order(pair, frozenset(("identity", "limits"))))
        found = await until(lambda: app.comparisons and app.comparisons[0])
        assert {row.section for row in found.rows} == {"identity", "limits"}

    compare(script)


def test_subtrees_are_summed_up_when_ordered(pair):
    async def script(app: ComparingApp) -> None:
        app.comparer.ask(Order(pair, machine=(take(), None, None)))
        found = await until(lambda: app.comparisons and app.comparisons[0])
        assert found.subtrees.now[1].processes == 1
        assert found.subtrees.now[0].processes >= 2

    compare(script)


def test_the_end_of_one_of_the_two_is_told(pair, child):
    async def script(app: ComparingApp) -> None:
        app.comparer.ask(Order(pair))
        await until(lambda: app.comparisons and app.comparisons[-1].rows)
        child.kill()

        def told() -> bool:
            app.comparer.ask(Order(pair))
            return app.comparisons[-1].missing == pair.child

        await until(told)
        assert app.comparisons[-1].rows is None

    compare(script)


def test_a_reused_pid_is_not_compared_in_place_of_the_one_wanted(pair):
    former = (pair.child[0], pair.child[1] - 1)

    async def script(app: ComparingApp) -> None:
        app.comparer.ask(Order(Pair(pair.parent, former)))
        await until(lambda: app.comparisons)
        assert app.comparisons[0].missing == former

    compare(script)


def test_a_process_that_ends_while_it_is_compared_is_missing():
    def gone(parent: int, child: int, *_: Any) -> Any:
        raise ProcessGoneError(child)

    async def script(app: ComparingApp) -> None:
        app.comparer.ask(Order(Pair(PLAIN.identity, (5, 5))))
        await until(lambda: app.comparisons)
        assert app.comparisons[0].missing == (5, 5)

    compare(script, snapshot=made_up(record(5)), compare=gone)


def test_a_comparison_of_a_pair_no_longer_wanted_is_not_given():
    released, entered = threading.Event(), threading.Event()

    def slow(parent: int, child: int, *_: Any) -> Any:
        if child == 5:
            entered.set()
            assert released.wait(DEADLINE)
        return Compared((), (None, None))

    async def script(app: ComparingApp) -> None:
        app.comparer.ask(Order(Pair(PLAIN.identity, (5, 5))))
        await until(entered.is_set)
        app.comparer.ask(Order(Pair(PLAIN.identity, (6, 6))))
        released.set()
        await until(lambda: app.comparisons)
        assert [comparison.order.pair.child for comparison in app.comparisons] == [(6, 6)]

    compare(script, snapshot=made_up(record(5), record(6)), compare=slow)


def test_a_refusal_of_the_kernel_is_told_and_the_next_order_carried_out():
    answers = [OSError(errno.EMFILE, os.strerror(errno.EMFILE))]

    def look(pids: Any) -> Snapshot:
        if answers:
            raise answers.pop()
        return snapshot(record(5))

    async def script(app: ComparingApp) -> None:
        order = Order(Pair(PLAIN.identity, (5, 5)))
        app.comparer.ask(order)
        await until(lambda: app.failures)
        assert "comparing two processes" in str(app.failures[0])
        app.comparer.ask(order)
        await until(lambda: app.comparisons)

    compare(script, snapshot=look, compare=lambda *_: Compared((), (None, None)))
