"""How processes end, told by the kernel between two snapshots; and where it does not tell."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from leftovers import Census, until
from machine import PLAIN, record, snapshot

from nsview.host.events.event import Event
from nsview.host.events.refusal import SourceRefusedError
from nsview.host.history import History
from nsview.host.snapshot import Snapshot
from nsview.tui.collecting.collector import Collector
from nsview.tui.collecting.listener import Listener
from nsview.tui.processes.rows import Row


class Told:
    """A source that has these events, some at each time it is asked; it says if it was closed."""

    lost = 0
    without_accounts = None
    describes_itself = "made up"

    def __init__(self, *batches: list[Event]) -> None:
        self.batches = [*batches]
        self.closed = 0

    def read(self, timeout: float | None = None, gather: float = 0.0) -> list[Event]:
        assert timeout == 0, "the snapshot's thread must not wait"
        return self.batches.pop(0) if self.batches else []

    def __iter__(self) -> Iterator[Event]:
        return iter(())

    def stop(self) -> None:
        pass

    def close(self) -> None:
        self.closed += 1


def ended(pid: int, status: int, when_ns: int = 1) -> Event:
    return Event(when_ns, "exit", pid, pid, exit_code=status)


def test_all_that_waits_is_taken_at_once() -> None:
    first, second, third = ended(5, 0), ended(6, 0), ended(7, 0)
    listener = Listener(lambda: Told([first], [second, third]))
    assert listener.told() is None, "nobody listens yet"
    listener.begin()
    assert listener.told() == [first, second, third]
    assert listener.told() == []


def test_events_without_end_do_not_keep_the_snapshot_waiting() -> None:
    endless = Told(*([ended(n, 0)] for n in range(1000)))
    listener = Listener(lambda: endless)
    listener.begin()
    assert 0 < len(listener.told() or []) < 1000


def test_a_refusal_is_kept_in_words_and_not_asked_again() -> None:
    asked = []

    def refuse() -> Any:
        asked.append(1)
        raise SourceRefusedError(errno.EPERM, "needs CAP_NET_ADMIN")

    listener = Listener(refuse)
    for _ in range(2):
        listener.begin()
        assert listener.told() is None
    assert listener.unheard == "needs CAP_NET_ADMIN"
    assert len(asked) == 1


def test_source_is_closed_once_and_not_opened_again() -> None:
    source = Told()
    listener = Listener(lambda: source)
    listener.begin()
    listener.close()
    listener.close()
    listener.begin()
    assert source.closed == 1
    assert listener.told() is None


class Nobody:
    """Takes a collector's messages."""

    def post_message(self, message: object) -> bool:
        return True


def collecting(events: Any, *steps: Snapshot) -> tuple[Collector, Any]:
    """A collector over these snapshots, driven by hand; and a function from its next look to the history."""
    left = [*steps]
    collector = Collector(Nobody(), snapshot=lambda _pids: left.pop(0), events=events)  # type: ignore[arg-type]

    def look() -> History:
        collector._scan()
        assert collector._history is not None
        return collector._history

    return collector, look


def test_a_snapshot_takes_what_was_told_before_it_was_over() -> None:
    source = Told([ended(5, 3 << 8, 1_500_000_000)])
    collector, look = collecting(lambda: source, snapshot(record(5), at=1), snapshot(at=2))
    look()
    death = look().gone[5].death
    assert death is not None
    assert death.exit_code == 3 << 8
    collector.stop()
    assert source.closed == 1


def test_a_new_program_has_its_command_line_read_anew() -> None:
    source = Told([Event(1, "exec", 5, 5)])
    collector, look = collecting(lambda: source, snapshot(record(5), at=1), snapshot(record(5), at=2))
    records = look().newest.records
    seen = collector._commands.seen_from(records)
    seen[5, 5] = "old arguments"
    seen[PLAIN.identity] = "init"
    look()
    assert (5, 5) not in seen
    assert seen[PLAIN.identity] == "init"
    collector.stop()


@pytest.mark.needs("root", "proc_connector")
@pytest.mark.parametrize(("ending", "words"), [("exit 3", "exited 3"), ("kill -9 $$", "killed by SIGKILL")])
def test_how_a_process_of_somebody_else_ended_is_told_by_the_kernel(
    ending: str, words: str, nothing_left: Census
) -> None:
    collector = Collector(Nobody(), interval=0.05)  # type: ignore[arg-type]
    with subprocess.Popen(["sh", "-c", f"read line; {ending}"], stdin=subprocess.PIPE) as child:
        collector.start()
        try:

            def row() -> Row | None:
                frame = collector.take_frame()
                rows = () if frame is None else frame.rows
                return next((row for row in rows if row.record.pid == child.pid), None)

            assert until(row)
            assert until(lambda: collector._listener._source is not None)
            assert child.stdin is not None
            child.stdin.write(b"\n")
            child.stdin.close()
            child.wait()
            gone = until(lambda: found if (found := row()) is not None and found.gone else None)
            assert gone is not None
            assert gone.exit == words
        finally:
            collector.stop()
