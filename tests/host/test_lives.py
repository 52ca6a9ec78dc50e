"""What events and looks make of lives: pure, on made-up events."""

from __future__ import annotations

import pytest
from records import record

from nsview.host.events.clock import TICK_NS, asleep_ns
from nsview.host.events.event import LOST, Event
from nsview.host.lives import Life, Lives
from nsview.host.snapshot import Snapshot

MS = 1_000_000
SECOND = 1000 * MS
BASE = 1000 * SECOND
"""Events are at BASE and later; CLOCK_MONOTONIC."""


def at(ms: float) -> int:
    return BASE + int(ms * MS)


def fork(ms: float, pid: int, parent: int = 1, tid: int | None = None) -> Event:
    return Event(at(ms), "fork", pid, tid or pid, parent, parent)


def exit_(ms: float, pid: int, code: int = 0, last: bool | None = True, tid: int | None = None, **more: int) -> Event:
    return Event(at(ms), "exit", pid, tid or pid, 1, 1, exit_code=code, last=last, **more)  # type: ignore[arg-type]


def comm(ms: float, pid: int, name: str, tid: int | None = None) -> Event:
    return Event(at(ms), "comm", pid, tid or pid, comm=name)


def started(ms: float) -> int:
    """The start time in ticks of what is born then."""
    return (at(ms) + asleep_ns()) // TICK_NS


def look(ms: float, *processes: tuple[int, float], took: float = 1) -> Snapshot:
    """A look at (pid, born)."""
    records = {pid: record(pid, 1, started(born), comm=f"c{pid}") for pid, born in processes}
    return Snapshot(at(ms), at(ms + took), records, 0, ())


def folded(lives: Lives, *events: Event) -> list[Life]:
    return [life for event in events for life in lives.fold(event)]


def test_a_life_is_told_from_birth_to_end():
    end = exit_(9, 7, 256, cpu_ns=5, cpu_most_ns=6, utime_us=2, stime_us=3, comm="sh")
    events = fork(1, 7, 5), Event(at(2), "exec", 7, 7, comm="cat"), comm(3, 7, "other"), end
    (life,) = folded(Lives(), *events)
    assert (life.pid, life.parent, life.names, life.execs) == (7, 5, ["cat", "other", "sh"], 1)
    assert (life.born_ns, life.died_ns, life.lasted_ns, life.ended) == (at(1), at(9), 8 * MS, True)
    assert (life.exit_code, life.cpu_ns, life.cpu_most_ns, life.utime_us, life.stime_us) == (256, 5, 6, 2, 3)


def test_a_child_is_called_as_its_parent_at_its_birth():
    lives = Lives()
    folded(lives, fork(1, 5), comm(2, 5, "a"), fork(3, 7, 5), comm(4, 5, "b"))
    assert lives.going[7].names == ["a"]


def test_a_pid_used_again_is_another_life():
    first, second = folded(Lives(), fork(1, 7), exit_(2, 7, 1), fork(3, 7, 8), exit_(4, 7, 2))
    assert (first.parent, first.exit_code, second.parent, second.exit_code) == (1, 1, 8, 2)


def test_a_birth_under_a_pid_in_use_means_that_an_end_was_missed():
    (life,) = folded(Lives(), fork(1, 7), fork(5, 7))
    assert (life.born_ns, life.ended, life.died_ns, life.exit_code) == (at(1), True, None, None)


def test_what_nobody_told_of_an_end_alone_is_unknown():
    (life,) = folded(Lives(), exit_(4, 7, 9))
    assert (life.born_ns, life.parent, life.lasted_ns, life.exit_code) == (None, None, None, 9)


@pytest.mark.parametrize("told", [True, False], ids=["with accounts", "by counting"])
def test_a_process_ends_with_its_last_thread(told):
    lives = Lives()
    folded(lives, fork(1, 7), fork(2, 7, tid=8))
    assert not folded(lives, exit_(3, 7, 0, False if told else None))
    (life,) = folded(lives, exit_(4, 7, 512, True if told else None, tid=8))
    assert (life.exit_code, life.died_ns) == (512, at(4))


def test_threads_that_end_an_exec_leaves_behind_are_no_end():
    lives = Lives()
    folded(lives, fork(1, 7), fork(2, 7, tid=8), Event(at(3), "exec", 7, 7))
    (life,) = folded(lives, exit_(4, 7, 1, None))
    assert life.exit_code == 1


def test_names_of_threads_are_not_their_processes():
    lives = Lives()
    folded(lives, fork(1, 7), comm(2, 7, "main"), fork(3, 7, tid=8), comm(4, 7, "worker", tid=8))
    assert lives.going[7].comm == "main"


def test_a_look_adds_what_was_there_and_its_birth_told_later_is_its_own():
    lives = Lives(look(50, (7, 20)))
    assert not folded(lives, fork(20, 7, 5))
    life = lives.going[7]
    assert (life.born_ns, life.parent, life.start_time, life.names) == (at(20), 5, started(20), ["c7"])


def test_the_end_of_what_a_look_missed_is_told_when_nothing_more_can_come():
    lives = Lives(look(0, (7, -500)))
    assert lives.rescan(look(1000)) == []
    assert lives.settle(at(900)) == []
    (life,) = lives.settle(at(1002))
    assert (life.pid, life.ended, life.died_ns, life.exit_code) == (7, True, None, None)
    assert lives.settle(at(9999)) == []
    assert not lives.going


def test_the_end_of_what_a_look_missed_may_still_be_read():
    lives = Lives(look(0, (7, -500)))
    lives.rescan(look(1000))
    (life,) = folded(lives, exit_(999, 7, 3))
    assert life.exit_code == 3
    assert lives.settle(at(9999)) == []


def test_later_events_settle_what_was_missed():
    lives = Lives(look(0, (7, -500)))
    lives.rescan(look(1000))
    assert [life.pid for life in folded(lives, fork(1500, 9))] == [7]


def test_an_end_told_before_the_look_that_still_shows_it_is_the_end():
    lives = Lives()
    folded(lives, fork(10, 7), exit_(30, 7))
    assert lives.rescan(look(20, (7, 10), took=40)) == []
    assert not lives.going


def test_what_was_born_during_a_look_that_does_not_show_it_lives():
    lives = Lives()
    folded(lives, fork(25, 7))
    lives.rescan(look(20, took=40))
    assert lives.settle(at(9999)) == []
    assert 7 in lives.going


def test_a_predecessor_seen_by_the_look_says_nothing_of_who_was_born_since():
    lives = Lives()
    folded(lives, fork(-300, 7), exit_(30, 7), fork(35, 7))
    lives.rescan(look(20, (7, -300), took=40))
    life = lives.going[7]
    assert (life.born_ns, life.start_time, life.names) == (at(35), None, [])


def test_a_successor_seen_by_a_look_is_another_life_and_what_comes_late_is_not_its():
    """The first one's end is told after the look, or was lost."""
    for late in ((), (exit_(500, 7, 9),)):
        lives = Lives(look(0, (7, -500)))
        (successor,) = lives.rescan(look(1000, (7, 800)))
        assert lives.going[7] is successor
        assert folded(lives, *late) == []
        (first,) = lives.settle(at(2000))
        assert (first.start_time, first.exit_code) == (started(-500), None)
        assert lives.going[7] is successor
        assert folded(lives, exit_(2100, 7, 4)) == [successor]


def test_what_is_told_late_of_the_dead_does_not_bring_them_back():
    lives = Lives(look(0, (7, -500)))
    lives.rescan(look(1000))
    lives.settle(at(2000))
    assert folded(lives, comm(900, 7, "late"), exit_(950, 7, 1)) == []
    assert not lives.going


def test_a_zombie_seen_by_a_look_has_ended_but_not_one_with_living_threads():
    zombie = record(7, 1, started(0))._replace(state="Z")
    for threads, going in ((1, False), (2, True)):
        records = {7: zombie._replace(threads=threads)}
        assert (7 in Lives(Snapshot(at(50), at(51), records, 0, ())).going) is going


def test_a_loss_itself_changes_nothing():
    lives = Lives(look(0, (7, -500)))
    assert folded(lives, Event(at(5), LOST, 0, 0, count=3)) == []
    assert set(lives.going) == {7}


def test_the_dead_are_not_kept_for_ever():
    lives = Lives()
    folded(lives, *(event for ms in range(0, 300_000, 100) for event in (fork(ms, 7 + ms), exit_(ms + 1, 7 + ms))))
    assert len(lives._gone) < 1000
