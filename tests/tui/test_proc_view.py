"""The model of the process table: filter, sort, folds, tags, threads, kernel threads, boundaries, audit, endings."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from machine import HOST, PLAIN, SECOND, history, in_namespaces, record, snapshot

from nsview.host.events.event import Event
from nsview.host.history import advance
from nsview.host.snapshot import PF_KTHREAD, TICKS_PER_SECOND
from nsview.host.threads import Thread
from nsview.tui.processes.arrangement import BOUNDARY
from nsview.tui.processes.detail import Detail, ThreadSeen
from nsview.tui.processes.filter_line import parsed
from nsview.tui.processes.kept import kept, recalled
from nsview.tui.processes.presets import presets
from nsview.tui.processes.rows import Rows
from nsview.tui.processes.scene import CommandLines
from nsview.tui.processes.view import AS_TREE, Reference, Sort, View


def drawn(rows: Rows) -> list[str]:
    return [f"{row.branch}{row.record.comm}" for row in rows]


def pids(rows: Rows) -> list[int]:
    return [row.record.pid for row in rows]


FAMILY = (record(5, comm="shell"), record(6, 5, "make"), record(7, 6, "cc"), record(8, 5, "top"), record(9, 1, "cron"))


def family(view: View, **more: object) -> Rows:
    return Rows(history(snapshot(*FAMILY)), view, **more)  # type: ignore[arg-type]


# Filter.


def test_in_a_flat_list_a_filter_leaves_what_matches():
    rows = family(View(tree=False, filter=parsed("pid>=7")))
    assert pids(rows) == [7, 8, 9]
    assert (rows.arranged.found, rows.arranged.total) == (3, 6)


def test_in_the_tree_a_filter_keeps_the_way_to_a_match_and_says_it_is_no_match():
    rows = family(View(filter=parsed("pid=7")))
    assert drawn(rows) == ["init", "└─ shell", "   └─ make", "      └─ cc"]
    assert [row.aside for row in rows] == [True, True, True, False]


def test_a_filter_opens_folds():
    view = AS_TREE.fold((5, 5), True)
    assert pids(family(view)) == [1, 5, 9]
    assert pids(family(replace(view, filter=parsed("pid=7")))) == [1, 5, 6, 7]


def test_followed_process_is_shown_whatever_filter_and_fold_say():
    view = replace(AS_TREE.fold((5, 5), True).fold((6, 6), True), follow=(7, 7))
    assert 7 in pids(family(view))
    assert 8 in pids(family(view))
    assert pids(family(View(tree=False, filter=parsed("pid=9"), follow=(7, 7)))) == [7, 9]


def test_launched_is_what_nsview_launched_all_below_it_and_what_was_left_to_nsview():
    own = record(os.getpid(), 1, "nsview", start_time=50)
    child = record(900_001, own.pid, "sh", start_time=60)
    grandchild = record(900_002, child.pid, "yes", start_time=61)
    stray = record(900_003, 1, "stray", start_time=62)
    below = record(900_004, stray.pid, "below", start_time=63)
    other = record(900_005, 1, "other", start_time=64)
    past = history(snapshot(own, child, grandchild, stray, below, other))
    view = View(tree=False, filter=parsed("launched=yes"))
    rows = Rows(past, view, launches={child.identity: None, stray.identity: None})
    assert [row.record.comm for row in rows] == ["sh", "yes", "stray", "below"]


def test_tags_can_be_filtered_by():
    view = View(tree=False, tagged=frozenset([(6, 6), (9, 9)]), filter=parsed("tagged=yes"))
    assert pids(family(view)) == [6, 9]


def test_presets_are_filters_that_find_what_they_say():
    net, uts = 4026532099, 4026532098
    box = record(20, ns=in_namespaces(n=net), comm="box")
    inside = record(21, 20, ns=in_namespaces(n=net, u=uts), comm="inside", uid=7)
    past = history(snapshot(box, inside, record(22)))
    found = {
        title: pids(Rows(past, View(tree=False, filter=parsed(text) if text else None)))
        for title, text in presets(inside)
    }
    assert found["everything"] == [1, 20, 21, 22]
    assert found["not in the machine's own namespaces"] == [20, 21]
    assert found["where namespaces begin"] == [20, 21]
    assert found["same network namespace as 21 inside"] == [20, 21]
    assert found["same uts namespace as 21 inside"] == [21]
    assert found["same user as 21 inside"] == [21]
    assert found["ended but not reaped"] == found["tagged"] == found["only what nsview launched"] == []


# Order.


def at_work(*ticks: int) -> tuple[Rows, Rows]:
    """Two looks a second apart at processes that used so much CPU time meanwhile: as a list, as a tree, by CPU."""
    then = [record(5 + n) for n in range(len(ticks))]
    now = [one._replace(utime=used) for one, used in zip(then, ticks, strict=True)]
    past = history(snapshot(*then), snapshot(*now, at=1))
    sort = Sort("cpu")
    return Rows(past, View(tree=False, flat_sort=sort)), Rows(past, View(flat_sort=sort))


def test_list_sorted_by_cpu_has_the_busiest_first_and_leaves_the_tree_alone():
    as_list, as_tree = at_work(1, 9, 5)
    assert pids(as_list) == [6, 7, 5, 1]
    assert pids(as_tree) == [1, 5, 6, 7]


def test_tree_sorted_when_asked_has_siblings_sorted_below_their_parent():
    rss = {5: 10, 6: 1, 7: 1, 8: 5, 9: 20}
    records = [one._replace(rss=rss[one.pid]) for one in FAMILY]
    rows = Rows(history(snapshot(*records)), View(tree_sort=Sort("rss")))
    assert pids(rows) == [1, 9, 5, 8, 6, 7]
    assert drawn(rows)[2] == "└─ shell"


def test_what_is_unknown_stands_last_both_ways_round():
    records = (record(5, uid=None), record(6, uid=3), record(7, uid=9))
    past = history(snapshot(*records))
    assert pids(Rows(past, View(tree=False, flat_sort=Sort("uid")))) == [1, 6, 7, 5]
    assert pids(Rows(past, View(tree=False, flat_sort=Sort("uid", True)))) == [7, 6, 1, 5]


def test_equal_rows_stand_by_start_both_ways_round():
    assert pids(family(View(tree=False, flat_sort=Sort("rss")))) == [1, 5, 6, 7, 8, 9]
    assert pids(family(View(tree=False, flat_sort=Sort("rss", True)))) == [1, 5, 6, 7, 8, 9]
    assert pids(family(View(tree=False, flat_sort=Sort("start", True)))) == [9, 8, 7, 6, 5, 1]


def test_choosing_a_sort_twice_turns_it_round():
    once = AS_TREE.sorted_by(AS_TREE.sort.by("cpu"))
    twice = once.sorted_by(once.sort.by("cpu"))
    assert (once.sort, twice.sort) == (Sort("cpu"), Sort("cpu", True))
    assert (once.sort.arrow, twice.sort.arrow) == ("▼", "▲")
    assert once.flat_sort == AS_TREE.flat_sort


def test_frozen_order_holds_while_values_change_and_new_ones_come_last():
    as_list, _ = at_work(1, 9, 5)
    frozen = replace(as_list.view, order=as_list.order())
    later = [record(pid, utime=used) for pid, used in ((5, 500), (6, 10), (7, 300))]
    past = advance(as_list.history, snapshot(*later, record(8, utime=900), at=2))
    assert pids(Rows(past, frozen)) == [6, 7, 5, 1, 8]
    assert pids(Rows(past, as_list.view)) == [5, 7, 6, 1, 8]


# Folds.


def test_fold_hides_what_is_below_and_counts_it():
    rows = family(AS_TREE.fold((5, 5), True))
    assert pids(rows) == [1, 5, 9]
    assert [row.below for row in rows] == [None, 3, None]
    assert rows.record_of((7, 7)) is not None
    assert rows.parent_of((7, 7)) == (6, 6)
    assert pids(family(AS_TREE.fold((5, 5), True).fold((5, 5), False))) == [1, 5, 6, 7, 8, 9]


def test_fold_all_leaves_the_top_open_and_once_more_opens_everything():
    view = AS_TREE.fold_all(family(AS_TREE).roots())
    assert pids(family(view)) == [1, 5, 9]
    assert pids(family(view.fold((5, 5), False))) == [1, 5, 6, 8, 9]
    assert pids(family(view.fold_all(()))) == [1, 5, 6, 7, 8, 9]


def test_subtree_is_a_process_and_all_below_it_in_tree_and_list():
    wanted = [(5, 5), (6, 6), (7, 7), (8, 8)]
    assert family(AS_TREE).subtree_of((5, 5)) == wanted
    assert family(View(tree=False)).subtree_of((5, 5)) == wanted
    assert family(AS_TREE).subtree_of((9, 9)) == [(9, 9)]


def test_tagging_all_twice_takes_the_tags_away():
    tagged = AS_TREE.tag((9, 9)).tag_all([(5, 5), (6, 6)])
    assert tagged.tagged == {(9, 9), (5, 5), (6, 6)}
    assert tagged.tag_all([(5, 5), (6, 6)]).tagged == {(9, 9)}
    assert tagged.tag((9, 9)).tagged == {(5, 5), (6, 6)}


def test_arranged_again_from_the_last_rows_it_is_the_same_as_anew():
    def step(rss: int, *others: object) -> object:
        return snapshot(*(one._replace(rss=rss) for one in FAMILY), *others, at=float(rss))

    views = [AS_TREE, View(tree=False), AS_TREE.fold((5, 5), True), View(tree=False, flat_sort=Sort("start", True))]
    views += [View(tree=False, flat_sort=Sort("rss")), View(filter=parsed("rss>2")), View(boundaries=True)]
    moved = snapshot(*(one._replace(ppid=1) if one.pid == 8 else one for one in FAMILY), at=5)
    for view in views:
        last = past = None
        for picture in (step(1), step(2), step(3, record(20, 6)), step(4), moved, moved):
            past = advance(past, picture)
            again, anew = Rows(past, view, last=last), Rows(past, view)
            assert [*again] == [*anew]
            assert again.arranged.below == anew.arranged.below
            last = again


PROCESSES = st.dictionaries(
    st.integers(2, 9),
    st.builds(
        lambda ppid, start, rss, kernel, ns: {
            "ppid": ppid,
            "start_time": start,
            "rss": rss,
            "flags": PF_KTHREAD * kernel,
            "ns": in_namespaces(n=ns),
            "threads": 1 + rss,
        },
        st.integers(0, 9),
        st.integers(1, 3),
        st.integers(0, 2),
        st.booleans(),
        st.sampled_from((12, 99)),
    ),
    max_size=6,
)
SORTS = st.builds(Sort, st.sampled_from(("start", "rss", "comm")), st.booleans())
VIEWS = st.builds(
    View,
    tree=st.booleans(),
    filter=st.sampled_from((None, parsed("rss>0"), parsed("ns.net!=init"))),
    flat_sort=SORTS,
    tree_sort=SORTS,
    threads=st.booleans(),
    kernel=st.booleans(),
    boundaries=st.booleans(),
    folded=st.frozensets(st.tuples(st.integers(1, 9), st.integers(1, 3)), max_size=3),
    folds_others=st.booleans(),
    follow=st.sampled_from((None, (3, 1))),
) | st.builds(
    View, tree=st.booleans(), folded=st.frozensets(st.tuples(st.integers(1, 9), st.integers(1, 3)), max_size=3)
)


@given(st.lists(PROCESSES, min_size=2, max_size=7), st.lists(VIEWS, min_size=1, max_size=2))
def test_whatever_is_born_ends_or_changes_the_rows_arranged_from_the_last_are_those_arranged_anew(machines, views):
    last = past = None
    known: dict[int, object] = {}
    for number, machine in enumerate(machines):
        made = {pid: record(pid, **facts) for pid, facts in machine.items()}
        # As take() has it: who did nothing has the same record.
        known = {pid: known[pid] if known.get(pid) == one else one for pid, one in made.items()}
        past = advance(past, snapshot(*known.values(), at=number))
        view = views[number * len(views) // len(machines)]
        again, anew = Rows(past, view, last=last), Rows(past, view)
        assert [*again] == [*anew]
        for line in range(len(anew)):
            identity = anew.identity_at(line)
            assert again.line_of(identity) == anew.line_of(identity)
            assert again.subtree_of(identity) == anew.subtree_of(identity)
            assert again.is_parent(identity) == anew.is_parent(identity)
        assert (again.roots(), again.arranged.below) == (anew.roots(), anew.arranged.below)
        last = again


def test_what_stays_the_same_is_not_arranged_again():
    past = history(snapshot(*FAMILY))
    last = Rows(past)
    again = Rows(advance(past, snapshot(*(one._replace(rss=9) for one in FAMILY), at=1)), last=last)
    assert again.arranged.tree is last.arranged.tree
    assert again[1].record.rss == 9


# Kernel threads, boundaries, audit, threads.

KTHREADD = record(2, 0, "kthreadd", flags=PF_KTHREAD)
WORKER = record(3, 2, "kworker/0:0", flags=PF_KTHREAD)


def test_kernel_threads_are_hidden_and_counted_until_asked_for():
    past = history(snapshot(KTHREADD, WORKER, record(5)))
    assert pids(Rows(past)) == [1, 5]
    assert Rows(past).arranged.kernel_threads == 2
    assert pids(Rows(past, View(kernel=True))) == [1, 5, 2, 3]
    assert pids(Rows(past, View(tree=False, filter=parsed("kernel=yes")))) == [2, 3]


def test_boundary_lines_stand_above_where_namespaces_begin():
    box = record(20, comm="box", ns=in_namespaces(n=99, u=98))
    rows = Rows(history(snapshot(box, record(21, 20, "in", ns=box.ns), record(22))), View(boundaries=True))
    assert [row.thread for row in rows] == [0, BOUNDARY, 0, 0, 0]
    assert rows.changed_kinds(box) == (1, 4)
    assert rows.line_of(box.identity) == 2
    assert rows.is_boundary(1)
    assert not rows.is_boundary(2)


def test_audit_marks_what_a_contained_process_shares_with_the_machine_and_nobody_else():
    box = record(20, comm="box", ns=in_namespaces(n=99, p=98))
    hidden = record(22, ns=(None, *HOST[1:7], 99))
    rows = Rows(history(snapshot(box, record(21), hidden)), View(audit=True, tree=False))
    assert [row.cells for row in rows] == ["········", "=np=====", "········", "?======T"]


def thread(tid: int, **facts: object) -> Thread:
    return replace(Thread(tid, f"t{tid}", "S", (tid,), None, None, 0, {}), **facts)  # type: ignore[arg-type]


def test_threads_have_lines_below_their_process_with_facts_of_their_own():
    many = record(20, comm="many", threads=3, ns=in_namespaces(n=99))
    past = history(snapshot(many, record(21, 20, "child", ns=many.ns), record(22)))
    rows = Rows(past, View(threads=True))
    assert [row.thread for row in rows] == [0, 0, 1, 2, 0, 0]
    assert [row.branch for row in rows][1:5] == ["├◆ ", "│  ├╴ ", "│  ├╴ ", "│  └─ "]
    assert rows.line_of(many.identity, 2) == 3
    assert rows.line_of(many.identity, 9) == 3
    moved = ThreadSeen(thread(201, cpu_ns=2 * SECOND, state="R", namespaces={"net": 55}), 12.5)
    detail = Detail(threads=(moved,))
    row = rows.detailed(2, detail)
    assert (row.record.pid, row.record.comm, row.record.state, row.cpu) == (201, "t201", "R", 12.5)
    assert row.record.utime == 2 * TICKS_PER_SECOND
    assert row.cells == "·n······", "compared with its own process"
    assert rows.detailed(3, detail).record.state == "?", "not read yet"


def test_the_dead_and_the_folded_have_no_threads():
    many = record(20, comm="many", threads=3)
    past = history(snapshot(many, record(21, 20)), snapshot(record(21, 20), at=1))
    assert [row.thread for row in Rows(past, View(threads=True))] == [0, 0, 0]
    alive = history(snapshot(many, record(21, 20)))
    assert [row.thread for row in Rows(alive, View(threads=True).fold((20, 20), True))] == [0, 0]


# Endings.


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "exited 0"),
        (3 << 8, "exited 3"),
        (signal.SIGKILL, "killed by SIGKILL"),
        (139, "killed by SIGSEGV (core dumped)"),
    ],
)
def test_how_any_process_ended_is_told_by_its_exit_event(status: int, words: str):
    first, second = snapshot(record(5), at=1), snapshot(at=2)
    ended = Event(int(1.5 * SECOND), "exit", 5, 5, exit_code=status)
    rows = Rows(advance(advance(None, first), second, [ended]))
    row = next(row for row in rows if row.record.pid == 5)
    assert (row.gone, row.exit) == (True, words)


def test_a_zombie_says_how_it_ended_before_it_is_reaped():
    first, second = snapshot(record(5), at=1), snapshot(record(5, state="Z"), at=2)
    ended = Event(int(1.5 * SECOND), "exit", 5, 5, exit_code=3 << 8)
    row = Rows(advance(advance(None, first), second, [ended]))[1]
    assert (row.gone, row.exit) == (False, "exited 3")


def test_without_events_the_end_is_all_that_is_known():
    rows = Rows(history(snapshot(record(5), at=1), snapshot(at=2)))
    assert (rows[1].gone, rows[1].exit) == (True, None)


# What is remembered.


def test_view_comes_back_from_json_as_it_was_liked_without_what_was_looked_for():
    liked = View(Reference.INIT, tree=False, flat_sort=Sort("rss", True), threads=True, kernel=True, boundaries=True)
    looked = replace(liked, filter=parsed("pid=7"), tagged=frozenset([(5, 5)]), audit=True, follow=(5, 5))
    stored = json.loads(json.dumps(kept(looked, ("cwd", "pss"))))
    assert recalled(stored, AS_TREE) == (liked, ("cwd", "pss"))
    assert recalled(json.loads(json.dumps(kept(AS_TREE, None))), AS_TREE) == (AS_TREE, None)


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "x",
        {"tree": 1, "reference": "me", "sorts": [["nowhere", True], 3], "columns": 5},
        {"sorts": [[]], "reference": [], "kernel": None},
        {"reference": "marked", "sorts": {"a": 1}},
    ],
)
def test_view_is_as_new_where_the_file_makes_no_sense(value: object):
    assert recalled(value, AS_TREE) == (AS_TREE, None)


def test_columns_that_are_no_more_are_left_out():
    assert recalled({"columns": ["cwd", "gone", 3]}, AS_TREE) == (AS_TREE, ("cwd",))


# Command lines.


def test_command_lines_are_kept_until_another_name_or_another_process_is_there():
    kept = CommandLines()
    kept.seen_from({5: record(5, comm="sh")})[5, 5] = "sh -c x"
    assert kept.seen_from({5: record(5, comm="sh")})[5, 5] == "sh -c x"
    assert (5, 5) not in kept.seen_from({5: record(5, comm="sleep")})
    assert (5, 9) not in kept.seen_from({5: record(5, comm="sh", start_time=9)})
    kept.forget(5)
    assert (5, 5) not in kept.seen_from({5: record(5, comm="sh")})


def test_command_lines_of_the_gone_are_forgotten_when_there_are_many():
    kept = CommandLines()
    many = {pid: record(pid) for pid in range(2, 3000)}
    seen = kept.seen_from(many)
    for one in many.values():
        seen[one.identity] = "x"
    kept.keep_only(many)
    assert len(kept) == len(many)
    kept.keep_only({5: many[5]})
    assert len(kept) == 1


def test_every_view_keeps_every_process_that_matches_exactly_once():
    views = [
        View(tree=tree, boundaries=boundaries, threads=threads, tree_sort=sort, flat_sort=sort)
        for tree in (True, False)
        for boundaries in (True, False)
        for threads in (True, False)
        for sort in (Sort(), Sort("pid", True), Sort("user"), Sort("ns"))
    ]
    records = [one._replace(threads=1 + one.pid % 3) for one in FAMILY]
    past = history(snapshot(*records))
    for view in views:
        rows = Rows(past, view)
        assert sorted(row.record.pid for row in rows if row.thread == 0) == [1, 5, 6, 7, 8, 9]
        for line, row in enumerate(rows):
            if row.thread == 0:
                assert rows.line_of(row.identity) == line
    assert PLAIN.identity == (1, 1)
