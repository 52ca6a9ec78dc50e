"""What two looks say must have happened between: pure."""

from __future__ import annotations

from records import by_pid, record

from nsview.host.events.clock import TICK_NS, asleep_ns
from nsview.host.events.polling import differences
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


def test_a_birth_is_at_the_start_time_and_the_rest_at_the_look():
    looks = Snapshot(10, 20, {}, 0, ()), Snapshot(30, 40, by_pid(OLD), 0, ())
    birth, name = differences(*looks)
    assert abs(birth.when_ns + asleep_ns() - 100 * TICK_NS) < TICK_NS
    assert name.when_ns == 30
