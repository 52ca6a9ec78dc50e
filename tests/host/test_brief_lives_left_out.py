"""What is told of lives that no snapshot has seen is left out, and nothing that is asked of others changes by it."""

from __future__ import annotations

import struct
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from records import by_pid, record

from nsview.host.events.brief import Known, without_brief
from nsview.host.events.proc_events import BITS, message
from nsview.host.history import advance
from nsview.host.snapshot import Snapshot


def datagram(what: str, when: int, *fields: int) -> bytes:
    body = struct.pack("=IIQ", BITS[what], 0, when) + struct.pack(f"={len(fields)}I", *fields).ljust(24, b"\0")
    return struct.pack("=IHHII", 76, 3, 0, 0, 0) + struct.pack("=IIIIHH", 1, 1, 0, 0, 40, 0) + body


def fork(when: int, pid: int, tid: int | None = None) -> bytes:
    return datagram("fork", when, 1, 1, pid if tid is None else tid, pid)


def execve(when: int, pid: int) -> bytes:
    return datagram("exec", when, pid, pid)


def end(when: int, pid: int, tid: int | None = None, status: int = 0) -> bytes:
    return datagram("exit", when, pid if tid is None else tid, pid, status, 17, 1, 1)


def known(*pids: int, until: int = 100) -> Known:
    return Known(pids, (), until)


def test_a_life_between_two_snapshots_is_left_out():
    brief = [fork(1, 7), execve(2, 7), end(3, 7)]
    others = [fork(1, 8), execve(4, 9), end(5, 8), fork(6, 6)]
    assert without_brief([*brief, *others], known(8)) == others


def test_it_is_told_whole_where_its_birth_or_end_is_missing_or_it_is_known():
    for told in ([fork(1, 7), execve(2, 7)], [execve(2, 7), end(3, 7)], [fork(1, 7), end(101, 7)]):
        assert without_brief(told, known()) == told
    whole = [fork(1, 7), end(2, 7)]
    assert without_brief(whole, known(7)) == whole
    assert without_brief(whole, Known((), {7}, 100)) == whole


def test_threads_neither_begin_nor_end_a_life():
    told = [fork(1, 7, tid=8), end(2, 7, tid=8), end(3, 7)]
    assert without_brief(told, known()) == told
    told = [fork(1, 7), end(2, 7, tid=8)]
    assert without_brief(told, known()) == told


def test_whoever_has_the_number_next_is_told():
    after = [fork(4, 7), execve(5, 7)]
    assert without_brief([fork(1, 7), end(2, 7), *after], known()) == after


PIDS = st.integers(2, 6)
TIMES = st.integers(1, 400)
TELLING = st.lists(
    st.builds(fork, TIMES, PIDS)
    | st.builds(execve, TIMES, PIDS)
    | st.builds(lambda when, pid, status: end(when, pid, status=status), TIMES, PIDS, st.integers(0, 3)),
    max_size=25,
)
LOOKS = st.lists(
    st.dictionaries(PIDS, st.tuples(st.integers(1, 3), st.sampled_from("SZ")), max_size=4), min_size=4, max_size=4
)


def snapshot(at: int, look: dict[int, tuple[int, str]]) -> Snapshot:
    seen = by_pid(*(record(pid, 1, start)._replace(state=state) for pid, (start, state) in look.items()))
    return Snapshot(100 * at, 100 * at + 20, seen, 0, ())


@given(TELLING, LOOKS)
def test_births_and_ends_of_those_seen_are_the_same_without(datagrams, looks):
    """With each snapshot comes all that was told until it had been read, some of it of the time after its beginning."""
    datagrams = sorted(datagrams, key=lambda one: message(one).when_ns)
    whole = spared = None
    for at, look in enumerate(looks):
        picture = snapshot(at, look)
        told = [one for one in datagrams if 100 * (at - 1) + 20 < message(one).when_ns <= 100 * at + 20]
        if spared is not None:
            left = without_brief(told, spared.known_with(picture))
            assert {*left} <= {*told}
            spared = advance(spared, picture, [message(one).event for one in left])
            whole = advance(whole, picture, [message(one).event for one in told])
            assert replace(spared, unsettled=()) == replace(whole, unsettled=())
        else:
            spared = whole = advance(None, picture)
