"""What two looks say must have happened between: pure."""

from __future__ import annotations

from records import by_pid, record

from nsview.host.events.clock import TICK_NS, asleep_ns
from nsview.host.events.polling import differences
from nsview.host.lives import Lives
from nsview.host.snapshot import ProcessRecord, Snapshot

OLD = record(7, 1, 100, comm="a")


def told(before: list[ProcessRecord], after: list[ProcessRecord]) -> list[tuple[object, ...]]:
    looks = Snapshot(10, 20, by_pid(*before), 0, ()), Snapshot(30, 40, by_pid(*after), 0, ())
    return [(event.what, event.pid, event.parent, event.comm, event.euid) for event in differences(*looks)]


def test_what_stays_the_same_is_no_event():
    assert told([OLD], [OLD._replace(utime=9, ppid=2)]) == []


def test_who_comes_is_born_and_named_and_who_goes_has_ended():
    new = record(8, 7, 200, comm="b")
    assert told([OLD], [OLD, new]) == [("fork", 8, 7, None, None), ("comm", 8, None, "b", None)]
    assert told([OLD, new], [OLD]) == [("exit", 8, 7, None, None)]


def test_a_pid_used_again_is_an_end_and_a_birth():
    successor = record(7, 5, 300, comm="c")
    assert [words[:3] for words in told([OLD], [successor])] == [("exit", 7, 1), ("fork", 7, 5), ("comm", 7, None)]


def test_a_zombie_has_ended_once_unless_threads_of_it_live():
    zombie = OLD._replace(state="Z")
    assert told([OLD], [zombie]) == [("exit", 7, 1, None, None)]
    assert told([zombie], [zombie]) == []
    assert told([zombie], []) == []
    assert told([], [zombie]) == []
    assert told([OLD], [zombie._replace(threads=2)]) == []


def test_names_users_and_sessions_that_change_are_told():
    assert told([OLD], [OLD._replace(comm="b")]) == [("comm", 7, None, "b", None)]
    assert told([OLD], [OLD._replace(uid=5)]) == [("uid", 7, None, None, 5)]
    assert told([OLD], [OLD._replace(uid=None)]) == []
    assert told([OLD], [OLD._replace(session=9)]) == [("sid", 7, None, None, None)]


def test_a_birth_is_at_the_end_of_its_tick_or_at_the_look_and_the_rest_at_the_look():
    tick = 100 * TICK_NS - asleep_ns()
    for when, born in ((tick + 5 * TICK_NS, tick + TICK_NS - 1), (tick + 3, tick + 3)):
        birth, name = differences(Snapshot(10, 20, {}, 0, ()), Snapshot(when, when + 9, by_pid(OLD), 0, ()))
        assert abs(birth.when_ns - born) < TICK_NS // 10  # both clocks run on
        assert birth.when_ns <= when
        assert name.when_ns == when


def test_a_look_of_before_that_shows_who_had_the_pid_says_nothing_of_who_has_it():
    tick = 100 * TICK_NS - asleep_ns()
    old, new = record(7, 1, 95, comm="old"), record(7, 1, 100, comm="new")
    looks = [
        Snapshot(tick + at, tick + at + 1, by_pid(shown), 0, ())
        for at, shown in ((-TICK_NS, old), (TICK_NS // 2, old), (TICK_NS, new))
    ]
    lives = Lives(looks[0])
    for event in differences(looks[0], looks[2]):
        lives.fold(event)
    lives.rescan(looks[1])
    assert lives.going[7].names[-1:] == ["new"]
    assert "old" not in lives.going[7].names
