"""The header counts namespaces again only where there may be others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from machine import in_namespaces, record, snapshot

from nsview.tui.header import has_other_namespaces, namespace_count

MACHINES = st.dictionaries(
    st.integers(2, 5), st.tuples(st.integers(1, 2), st.sampled_from((12, 98, 99)), st.integers(0, 2)), max_size=4
)


def seen(machine, at):
    made = (
        record(pid, start_time=start, ns=in_namespaces(n=net), utime=used)
        for pid, (start, net, used) in machine.items()
    )
    return snapshot(*made, at=at)


def test_namespaces_are_counted_by_kind_and_what_is_unknown_is_not():
    assert namespace_count(snapshot()) == 8
    assert namespace_count(snapshot(record(2, ns=in_namespaces(n=99, m=None)))) == 9


@given(MACHINES, MACHINES)
def test_where_none_are_said_to_be_other_the_count_is_the_same(before, after):
    earlier, later = seen(before, 1), seen(after, 2)
    assert has_other_namespaces(earlier, later) or namespace_count(earlier) == namespace_count(later)


def test_only_the_use_of_time_is_no_reason_to_count_again():
    assert not has_other_namespaces(snapshot(record(2), at=1), snapshot(record(2, utime=5), at=2))
    assert has_other_namespaces(snapshot(record(2), at=1), snapshot(record(2, ns=in_namespaces(u=9)), at=2))
    assert has_other_namespaces(snapshot(record(2), at=1), snapshot(record(2), record(3), at=2))
