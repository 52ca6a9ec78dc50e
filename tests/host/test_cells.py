"""Eight cells: a letter where the namespaces differ, a dot where they are the same, a question mark
otherwise.
"""

from __future__ import annotations

import os

import pytest
from records import INITIAL, by_pid, record

from nsview.host.cells import HEADING, cells, initial_reference, parent_reference
from nsview.host.snapshot import PF_KTHREAD, take

HIDDEN = (None,) * 8


def test_heading_is_the_letters_of_unshare():
    assert HEADING == "mnpUuiCT"


def test_same_namespaces_are_dots():
    assert cells(record(2, 1, 1), record(1, 0, 0)) == "········"


def test_differing_namespaces_are_letters():
    assert cells(record(2, 1, 1, ns=(9, 2, 3, 4, 9, 6, 7, 9)), record(1, 0, 0)) == "m···u··T"


def test_unknown_is_never_the_same():
    assert cells(record(2, 1, 1, ns=HIDDEN), record(1, 0, 0, ns=HIDDEN)) == "????????"
    assert cells(record(2, 1, 1, ns=(9, None, 3, 4, 5, 6, 7, 8)), record(1, 0, 0)) == "m?······"
    assert cells(record(2, 1, 1), None) == "????????"


def test_first_process_and_kernel_threads_have_a_reference_orphans_none():
    first, kthreadd, orphan = record(1, 0, 0), record(2, 0, 0, flags=PF_KTHREAD), record(9, 0, 5)
    records = by_pid(first, kthreadd, orphan)
    assert parent_reference(first, records) is first
    assert parent_reference(kthreadd, records) is kthreadd
    assert parent_reference(orphan, records) is None


def test_kthreadd_stands_in_for_a_first_process_that_hides():
    first, kthreadd = record(1, 0, 0, ns=HIDDEN), record(2, 0, 0, flags=PF_KTHREAD)
    assert initial_reference(by_pid(first, kthreadd)) is kthreadd
    assert initial_reference(by_pid(record(1, 0, 0, ns=INITIAL), kthreadd)).pid == 1
    assert initial_reference({}) is None


@pytest.mark.needs("unshare", "user_namespace", "time_namespace")
def test_child_with_all_own_namespaces_shows_all_letters(unshared):
    pid = unshared("-mnpUuiCT", "--map-root-user", "--fork")
    records = take((os.getpid(), pid)).records
    assert cells(records[pid], records[os.getpid()]) == "mnpUuiCT"
