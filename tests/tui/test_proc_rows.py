"""The model of the process table: order, marks, rates and references, from made-up snapshots."""

from __future__ import annotations

import os

import pytest
from machine import PLAIN, history, in_namespaces, record, snapshot

from nsview.host.history import GONE_MOST, advance
from nsview.host.snapshot import TICKS_PER_SECOND
from nsview.tui.processes.rows import Rows
from nsview.tui.processes.view import Reference, View


def drawn(rows: Rows) -> list[str]:
    return [f"{row.branch}{row.record.comm}" for row in rows]


def row_of(rows: Rows, pid: int):
    return next(row for row in rows if row.record.pid == pid)


def test_tree_draws_children_below_their_parent_by_start_time():
    late = record(20, 1, "late")
    early = record(30, 1, "early", start_time=5)
    rows = Rows(history(snapshot(late, early, record(40, 30, "grandchild"))))
    assert drawn(rows) == ["init", "├─ early", "│  └─ grandchild", "└─ late"]


def test_boundary_glyph_stands_where_any_namespace_differs_from_the_parents():
    contained = record(20, 1, "contained", ns=in_namespaces(u=99))
    inside = record(21, 20, "inside", ns=in_namespaces(u=99))
    rows = Rows(history(snapshot(contained, inside)))
    assert drawn(rows) == ["init", "└◆ contained", "   └─ inside"]


def test_unknown_namespaces_are_no_boundary():
    assert drawn(Rows(history(snapshot(record(20, 1, "hidden", ns=(None,) * 8))))) == ["init", "└─ hidden"]


def test_process_whose_parent_is_out_of_sight_is_a_root():
    assert drawn(Rows(history(snapshot(record(20, 777, "lost"))))) == ["init", "lost"]


def test_flat_list_is_in_order_of_start_and_keeps_the_boundary_glyph():
    records = record(20, 1, "b"), record(10, 20, "a", start_time=9, ns=in_namespaces(n=99))
    assert drawn(Rows(history(snapshot(*records)), View(tree=False))) == ["init", "a", "b"]
    assert drawn(Rows(history(snapshot(record(20, 1, "c", ns=in_namespaces(n=9)))), View(tree=False))) == [
        "init",
        "◆ c",
    ]


def test_rows_keep_their_order_when_values_change():
    first = [record(pid, utime=0) for pid in (5, 6, 7)]
    second = [record(pid, utime=1000 * (8 - pid)) for pid in (7, 5, 6)]
    before = Rows(history(snapshot(*first)))
    after = Rows(history(snapshot(*first), snapshot(*second, at=1)))
    assert drawn(before) == drawn(after)


def test_first_snapshot_knows_no_rates_and_no_births():
    row = Rows(history(snapshot(record(5))))[1]
    assert (row.cpu, row.faults, row.switches, row.born) == (None, None, None, False)


def test_rates_are_per_second_between_the_two_newest_snapshots():
    then = record(5, utime=10, stime=5, minflt=100, majflt=1, voluntary=7, involuntary=3)
    now = then._replace(utime=10 + TICKS_PER_SECOND, minflt=140, majflt=3, voluntary=17, involuntary=5)
    row = row_of(Rows(history(snapshot(then, at=1), snapshot(now, at=3))), 5)
    assert row.cpu == pytest.approx(50.0)
    assert row.faults == pytest.approx(21.0)
    assert row.switches == pytest.approx(6.0)


def test_rate_of_an_unknown_counter_is_unknown():
    hidden = record(5, voluntary=None)
    assert row_of(Rows(history(snapshot(hidden), snapshot(hidden, at=1))), 5).switches is None


def test_rate_never_mixes_two_processes_with_the_same_pid():
    old, new = record(5, utime=0), record(5, utime=500, start_time=99)
    assert row_of(Rows(history(snapshot(old), snapshot(new, at=1))), 5).cpu is None


def test_birth_is_marked_for_some_seconds():
    steps = [snapshot(), snapshot(record(5), at=1), snapshot(record(5), at=3), snapshot(record(5), at=4.5)]
    marks = [row_of(Rows(history(*steps[: count + 1])), 5).born for count in (1, 2, 3)]
    assert marks == [True, True, False]


def test_birth_is_marked_however_long_the_interval():
    assert row_of(Rows(history(snapshot(), snapshot(record(5), at=60))), 5).born


def test_the_dead_keep_their_place_and_last_values_for_some_seconds():
    alive = snapshot(record(5, comm="sh", rss=8192), record(6, comm="next"))
    dead = [snapshot(record(6, comm="next"), at=at) for at in (1, 5, 7)]
    rows = Rows(history(alive, *dead[:2]))
    assert drawn(rows) == ["init", "├─ sh", "└─ next"]
    assert row_of(rows, 5).gone
    assert row_of(rows, 5).record.rss == 8192
    assert row_of(rows, 5).cpu is None
    assert drawn(Rows(history(alive, *dead))) == ["init", "└─ next"]


def test_own_launch_says_how_it_ended():
    shell = record(5)
    rows = Rows(history(snapshot(shell), snapshot(at=1)), launches={shell.identity: "exited 3"})
    assert (row_of(rows, 5).own, row_of(rows, 5).gone, row_of(rows, 5).exit) == (True, True, "exited 3")


def test_a_process_that_one_snapshot_missed_is_neither_born_nor_gone():
    there = snapshot(record(5))
    row = row_of(Rows(history(there, snapshot(at=1), snapshot(record(5), at=2))), 5)
    assert (row.born, row.gone) == (False, False)


def test_a_pid_in_use_again_has_one_row_the_living_ones():
    rows = Rows(history(snapshot(record(5, comm="old")), snapshot(record(5, comm="new", start_time=50), at=1)))
    assert drawn(rows) == ["init", "└─ new"]
    assert rows[1].born
    assert rows.is_gone((5, 5))


def test_rows_of_the_dead_are_bounded():
    crowd = snapshot(*(record(pid) for pid in range(2, 3000)))
    assert len(Rows(history(crowd, snapshot(at=1)))) == 1 + GONE_MOST


def test_cells_differ_from_the_reference():
    one = record(5, ns=in_namespaces(n=99))
    two = record(6, 5, ns=in_namespaces(n=99, u=98))
    us = record(os.getpid(), start_time=7, ns=in_namespaces(n=99))
    past = history(snapshot(one, two, us))

    def cells(reference: Reference) -> str:
        view = View(reference, marked=two.identity)
        return row_of(Rows(past, view), 6).cells

    assert cells(Reference.PARENT) == "····u···"
    assert cells(Reference.INIT) == "·n··u···"
    assert cells(Reference.SELF) == "····u···"
    assert cells(Reference.MARKED) == "········"


def test_cells_are_unknown_without_a_reference():
    rows = Rows(history(snapshot(record(5))), View(Reference.MARKED, marked=(77, 77)))
    assert row_of(rows, 5).cells == "????????"


def test_reference_cycles_and_passes_over_the_mark_when_there_is_none():
    view, seen = View(), []
    for _ in range(4):
        seen.append(view.reference)
        view = view.next_reference()
    assert seen == [Reference.PARENT, Reference.INIT, Reference.SELF, Reference.PARENT]
    assert View(Reference.SELF, marked=(1, 1)).next_reference().reference is Reference.MARKED


def test_marking_again_takes_the_mark_away():
    marked = View().mark((5, 5))
    assert (marked.marked, marked.reference) == ((5, 5), Reference.MARKED)
    assert marked.mark((5, 5)) == View()
    assert View(Reference.INIT, marked=(5, 5)).mark((5, 5)) == View(Reference.INIT)


def test_lines_and_parents_are_found_by_identity():
    rows = Rows(history(snapshot(record(5), record(6, 5))))
    assert rows.line_of((6, 6)) == 2
    assert rows.identity_at(2) == (6, 6)
    assert rows.parent_of((6, 6)) == (5, 5)
    assert rows.parent_of((5, 5)) == PLAIN.identity
    assert rows.parent_of(PLAIN.identity) is None
    assert rows.line_of((6, 99)) is None
    assert rows.parent_of((6, 99)) is None


def test_owner_is_named_or_numbered_or_unknown():
    records = record(5, uid=0), record(6, uid=7), record(7, uid=None)
    rows = Rows(history(snapshot(*records)), users={0: "root"})
    assert [row_of(rows, pid).user for pid in (5, 6, 7)] == ["root", "7", "?"]


def test_history_is_a_value():
    first = history(snapshot(record(5)))
    second = advance(first, snapshot(at=1))
    assert not first.gone
    assert 5 in second.gone
