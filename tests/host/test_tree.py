"""The tree: everybody once, children below parents, in the order they were born."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st
from records import by_pid, record

from nsview.host.snapshot import take
from nsview.host.tree import ProcessTree, TreeRow


def drawn(tree: ProcessTree) -> list[str]:
    return [f"{row.branches}{row.record.pid}" for row in tree.walk()]


def test_tree_is_drawn_with_lines():
    tree = ProcessTree(by_pid(record(1, 0, 0), record(7, 1, 5), record(9, 7, 6), record(3, 1, 9), record(4, 3, 10)))
    assert drawn(tree) == ["1", "├─ 7", "│  └─ 9", "└─ 3", "   └─ 4"]


def test_children_stand_in_order_of_birth_not_of_pid():
    tree = ProcessTree(by_pid(record(1, 0, 0), record(2, 1, 50), record(9, 1, 10)))
    assert tree.children[1] == [9, 2]


def test_process_without_its_parent_is_a_root():
    tree = ProcessTree(by_pid(record(5, 4, 10), record(6, 5, 11)))
    assert tree.roots == [5]
    assert tree.parent(5) is None
    assert list(tree.ancestors(6)) == [5]


def test_younger_process_with_the_parents_number_is_not_the_parent():
    tree = ProcessTree(by_pid(record(5, 6, 10), record(6, 5, 20)))
    assert tree.roots == [5]
    assert tree.children == {5: [6]}


def test_circle_of_one_tick_is_opened():
    tree = ProcessTree(by_pid(record(5, 6, 10), record(6, 5, 10)))
    assert drawn(tree) == ["5", "└─ 6"]


def test_folded_process_hides_what_is_below_it():
    tree = ProcessTree(by_pid(record(1, 0, 0), record(2, 1, 1), record(3, 2, 2), record(4, 1, 3)))
    assert [row.record.pid for row in tree.walk(folded=frozenset((2,)))] == [1, 2, 4]
    assert list(tree.descendants(1)) == [2, 3, 4]


def test_chain_of_ten_thousand_is_walked_and_its_lines_stay_short():
    rows = list(ProcessTree(by_pid(*(record(pid, pid - 1, pid) for pid in range(1, 10_001)))).walk())
    assert rows[-1].depth == 9_999
    assert len(rows[-1].branches) < 200


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 12), st.integers(0, 4)), max_size=14))
def test_every_process_is_drawn_once_whatever_the_parents(triples):
    records = by_pid(*(record(*triple) for triple in triples))
    tree = ProcessTree(records)
    rows = [*tree.walk()]
    assert sorted(row.record.pid for row in rows) == sorted(records)
    assert tree.order() == [row.record.pid for row in rows]
    assert [tree.branches(row.record.pid) for row in rows] == [row.branches for row in rows]
    for row in rows:
        for is_last in (True, False):
            below = TreeRow(row.record, row.depth + 1, is_last, row)
            assert tree.branches(row.record.pid, below=is_last) == below.branches


def test_own_ancestors_are_the_kernels():
    tree = ProcessTree(take().records)
    assert next(tree.ancestors(os.getpid())) == os.getppid()
