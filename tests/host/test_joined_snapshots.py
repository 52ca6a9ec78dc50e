"""A snapshot is joined with the one before it: the same as unpacking it anew, but for the work."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from leftovers import until

from nsview.host import _scan
from nsview.host.layout import HEADER, MAGIC, RECORD, VERSION
from nsview.host.model import Interval
from nsview.host.snapshot import Turnover, _record, decode, take, turnover


def _joined(before, records, now):
    made = []
    joined = _scan.join(before, records, now, lambda raw: made.append(raw) or RECORD.unpack(raw))
    return joined, made


def test_records_are_used_again_only_for_the_same_bytes(forked):
    packed = _scan.scan("/proc", sorted((os.getpid(), forked()[0])))
    (records, *turnover), made = _joined(b"", {}, packed)
    assert (len(made), turnover) == (2, [[*records], [], []])
    (again, *turnover), made = _joined(packed, records, packed)
    assert (made, turnover) == ([], [[], [], []])
    assert all(again[pid] is record for pid, record in records.items())
    body = bytearray(packed)
    body[-1] ^= 1  # the end of the last one's name
    (changed, *turnover), made = _joined(packed, records, bytes(body))
    assert [changed[pid] is record for pid, record in records.items()] == [True, False]
    assert turnover == [[], [], [max(records)]]


def _packed(processes):
    """Pack made-up processes: pid to (start time, CPU time)."""
    head = [MAGIC, VERSION, RECORD.size, len(processes), 0, 1, 2, 100, 4096, *(0,) * 16]
    rest = [0] * 16
    bodies = [
        RECORD.pack(0, pid, 1, 0, 0, 0, 0, 0, 1, 0, 0, b"S", start, used, *rest, b"x")
        for pid, (start, used) in processes.items()
    ]
    return HEADER.pack(*head) + b"".join(bodies)


MACHINES = st.dictionaries(st.integers(1, 12), st.tuples(st.integers(0, 2), st.integers(0, 2))).map(
    lambda found: dict(sorted(found.items()))
)


@given(st.lists(MACHINES, min_size=1, max_size=6))
def test_joined_with_the_last_a_snapshot_is_as_unpacked_anew_and_its_turnover_as_found_by_comparing(machines):
    last = (b"", {})
    before = None
    for at, machine in enumerate(machines):
        packed = _packed(machine)
        joined = _scan.join(*last, packed, lambda raw: _record(RECORD.unpack(raw)))
        records, *noted = joined
        plain = replace(decode(packed), when_ns=at)
        assert [*records.items()] == [*plain.records.items()]
        if before is not None:
            found = turnover(before, plain)
            assert [sorted(found.born), sorted(found.gone), sorted(found.changed)] == noted
            told = Turnover(before.when_ns, *map(tuple, noted))
            assert Interval(before, plain).births == Interval(before, replace(plain, turnover=told)).births
            assert Interval(before, plain).deaths == Interval(before, replace(plain, turnover=told)).deaths
        last, before = (packed, records), plain


@pytest.mark.parametrize("pids", [(2, 1), (1, 1), (3, 3, 4)])
def test_pids_that_do_not_ascend_are_not_joined(pids):
    one = _packed({1: (0, 0)})[HEADER.size :]
    body = b"".join(one[:4] + pid.to_bytes(4, "little") + one[8:] for pid in pids)
    head = bytearray(_packed({})[: HEADER.size])
    head[8:12] = len(pids).to_bytes(4, "little")
    assert _scan.join(b"", {}, bytes(head) + body, RECORD.unpack) is None


def test_what_does_not_belong_together_is_not_joined():
    one, two = _packed({1: (0, 0)}), _packed({1: (0, 0), 2: (0, 0)})
    for before, records, now in (
        (one, {}, two),
        (two, {1: 1}, one),
        (one, {2: 2}, two),
        (one[:-1], {1: 1}, two),
        (b"", {}, b"x"),
    ):
        with pytest.raises(ValueError, match="snapshot"):
            _scan.join(before, records, now, RECORD.unpack)


def test_an_error_in_making_a_record_is_passed_on():
    with pytest.raises(ZeroDivisionError):
        _scan.join(b"", {}, _packed({1: (0, 0)}), lambda raw: 1 // 0)


def test_a_snapshot_knows_what_is_other_than_in_the_last(forked):
    pid, _ = forked()
    first = take()
    os.kill(pid, signal.SIGSTOP)
    assert until(lambda: take((pid,)).records[pid].state == "T")
    second = take()
    assert second.turnover is not None
    assert second.turnover.since_ns == first.when_ns
    assert pid in second.turnover.changed
    assert second.turnover == turnover(first, replace(second, turnover=None))
