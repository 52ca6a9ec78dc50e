"""The inspector's values: two sources as one, the list's order, a detail's lines, the way back, words and marks."""

from __future__ import annotations

from dataclasses import replace

import ns_machine as made
import pytest
from ns_machine import BOUND, DEMO, OWN, SHELL, SOCKETS, WORKER

from nsview.host.columns.namespaces import NAMESPACE_COLUMNS, rows_of
from nsview.host.content.mount_difference import difference
from nsview.host.content.mount_info import parse
from nsview.host.filter import parse as filter_of
from nsview.host.namespaces import Keepers, Namespace
from nsview.tui.hues import Ordinals
from nsview.tui.namespaces import titles
from nsview.tui.namespaces.about import about
from nsview.tui.namespaces.arranging import Shape, View, arranged, counts
from nsview.tui.namespaces.detail import FEW, Part, detail_of, table_of
from nsview.tui.namespaces.list_columns import COLUMNS, fit
from nsview.tui.namespaces.marking import marked, pair
from nsview.tui.namespaces.merging import merged
from nsview.tui.namespaces.places import InList, Inside, Linked, Way
from nsview.tui.namespaces.reader import Searched
from nsview.wording.inside.mount_changes import marks_of, propagation
from nsview.wording.inside.section import Lead, Section
from nsview.wording.table import Column, fitting
from spawner.namespaces import BY_LETTER

FOUND = merged(made.members(), made.searched().namespaces)
RECORDS = made.shot().records


# ---- two sources -------------------------------------------------------------------------------------------------


def test_what_no_process_is_in_stays_as_the_search_found_it() -> None:
    assert FOUND[BOUND].held_by == ("mount",)
    assert FOUND[SOCKETS].held_by == ("sock",)
    assert FOUND[BOUND].name == "quiet"
    assert [one.kind.letter for one in FOUND.values()] == sorted(
        (one.kind.letter for one in FOUND.values()), key="mnpUuiCT".index
    )


def test_who_is_inside_is_told_by_the_newer_source_and_what_else_keeps_it_by_the_search() -> None:
    found = merged(made.members(WORKER.pid), made.searched().namespaces)[OWN["n"]]
    assert found.members == (DEMO.pid,)
    assert found.held_by == ("proc", "fd", "mount")
    assert found.name == "web"


def test_what_processes_alone_kept_has_ended_with_them() -> None:
    found = merged(made.members(DEMO.pid, WORKER.pid), made.searched().namespaces)
    assert OWN["u"] not in found
    left = found[OWN["n"]]
    assert (left.members, left.leader, left.held_by) == ((), None, ("fd", "mount"))


def test_an_inode_that_is_used_again_has_no_keepers_of_the_one_before() -> None:
    now = made.members()
    now[OWN["n"]] = replace(now[OWN["n"]], id=4711)
    found = merged(now, made.searched().namespaces)[OWN["n"]]
    assert found.held_by == ("proc",)
    assert found.name is None


def test_a_new_leader_is_a_reason_to_ask_for_the_name_anew() -> None:
    now = made.members()
    now[OWN["u"]] = replace(now[OWN["u"]], leader=WORKER.pid, leader_start_time=WORKER.start_time)
    assert merged(now, made.searched().namespaces)[OWN["u"]].name is None


# ---- the list ----------------------------------------------------------------------------------------------------


def inodes(view: View) -> list[tuple[str, int]]:
    return [(line.branches, line.row.namespace.inode) for line in arranged(FOUND, RECORDS, view)]


def test_the_list_has_all_or_one_kind() -> None:
    assert len(inodes(View())) == len(FOUND)
    assert inodes(View("n")) == [("", made.INITIAL["n"]), ("", OWN["n"]), ("", BOUND), ("", SOCKETS)]


def test_the_owner_tree_has_what_a_user_namespace_owns_below_it() -> None:
    lines = inodes(View(shape=Shape.OWNER))
    assert lines[0] == ("", made.TOP_USER)
    branches = {inode: branches for branches, inode in lines}
    assert (branches[OWN["U"]], branches[OWN["n"]]) == ("├─ ", "│  ├─ ")
    assert len(lines) == len(FOUND)


def test_the_parent_tree_nests_pid_and_user_namespaces() -> None:
    assert inodes(View("p", Shape.PARENT)) == [("", made.TOP_PID), ("└─ ", OWN["p"])]
    assert inodes(View("n", Shape.PARENT)) == inodes(View("n"))


def test_shapes_follow_one_another_round() -> None:
    view = View()
    seen = []
    for _ in range(4):
        seen.append(view.shape.value)
        view = view.next_shape()
    assert seen == ["flat", "parent tree", "owner tree", "flat"]


def test_a_filter_leaves_what_matches_in_every_shape() -> None:
    wanted = filter_of("held=mount", NAMESPACE_COLUMNS)
    assert {inode for _, inode in inodes(View(wanted=wanted))} == {OWN["n"], BOUND}
    assert [inode for _, inode in inodes(View("p", Shape.PARENT, filter_of(f"ns={OWN['p']}", NAMESPACE_COLUMNS)))] == [
        OWN["p"]
    ]


def test_kinds_are_counted() -> None:
    assert counts(FOUND) == made.amounts()
    assert counts(FOUND)["n"] == 4


@pytest.mark.parametrize("width", range(20, 200, 7))
def test_columns_of_the_list_fill_a_width_exactly(width: int) -> None:
    columns, name = fit(width)
    taken = sum(column.width + 1 for column in columns)
    assert taken + name == width or name == 0
    shown = [column.title for column in columns]
    assert shown == [column.title for column in COLUMNS if column.title in shown]


# ---- the detail --------------------------------------------------------------------------------------------------


def told(inode: int, here: bool = True) -> dict[str, tuple[str, Lead | None]]:
    (row,) = rows_of((FOUND[inode],), RECORDS)
    section = about(row, FOUND, here)
    return {name: (value, lead) for (name, value), lead in zip(section.rows, section.leads, strict=True)}


def test_owners_are_told_up_to_the_initial_one() -> None:
    facts = told(OWN["n"])
    assert facts["owner"] == ("user:[24] of uid 3000000", Lead("namespace", OWN["U"]))
    assert facts["above it"] == (f"user:[{made.TOP_USER}], the initial one", Lead("namespace", made.TOP_USER))
    assert facts["leader"] == ("4711 demo", Lead("process", DEMO.pid))
    assert facts["name"] == ("web", None)
    assert facts["alive by"][0] == "proc 2, fd 1, mount 1"


def test_parents_of_a_pid_namespace_are_told_beside_its_owner() -> None:
    facts = told(OWN["p"])
    assert facts["parent"] == (f"pid:[{made.TOP_PID}], the initial one", Lead("namespace", made.TOP_PID))
    assert facts["owner"][1] == Lead("namespace", OWN["U"])


def test_the_initial_ones_have_nothing_above() -> None:
    assert told(made.TOP_USER)["parent"] == ("none: it is the machine's initial one", None)


def test_an_owner_that_cannot_be_asked_for_is_unknown() -> None:
    lost = Namespace(BY_LETTER["u"], 77, (), owner=None)
    (row,) = rows_of((lost,), RECORDS)
    assert ("owner", "? outside of our own, or not to be read") in about(row, FOUND).rows
    assert ("made by", "uid ?") in about(row, FOUND).rows


def test_a_circle_of_parents_ends() -> None:
    one, two = (Namespace(BY_LETTER["p"], number, (), parent=3 - number, owner=made.TOP_USER) for number in (1, 2))
    (row,) = rows_of((one,), RECORDS)
    assert [name for name, _ in about(row, {1: one, 2: two}).rows].count("above it") == 0


def test_what_is_gone_says_so() -> None:
    assert told(OWN["n"], here=False)["gone"][0] == "nothing keeps it alive any more"
    assert "alive by" not in told(OWN["n"], here=False)


MANY = Section("many", (Column("N"),), [(str(number),) for number in range(30)], ("a note", "x" * 30))
FACTS = Section("", (Column(""), Column("", gives=True)), [("name", "value")], (), [Lead("namespace", 5)])


def test_long_sections_are_folded_until_they_are_asked_for() -> None:
    parts = [line.part for line in detail_of([table_of(MANY)]).lines]
    assert parts.count(Part.ROW) == FEW
    assert parts[:2] == [Part.TITLE, Part.COLUMNS]
    assert parts[-3:] == [Part.MORE, Part.NOTE, Part.NOTE]
    unfolded = [line.part for line in detail_of([table_of(MANY, frozenset({"many"}))]).lines]
    assert unfolded.count(Part.ROW) == 30
    assert Part.MORE not in unfolded


def test_one_row_more_than_few_is_not_worth_folding() -> None:
    section = Section("some", (Column("N"),), [("x",)] * (FEW + 1))
    assert table_of(section).shown == FEW + 1


def test_notes_are_wrapped_to_the_room_there_is() -> None:
    note = "cannot enter the network namespace: Operation not permitted"
    table = table_of(Section("", (), (), (note,)), room=30)
    assert " ".join(table.notes) == note
    assert max(map(len, table.notes)) <= 30


def test_sections_without_anything_are_left_out_and_facts_have_no_titles() -> None:
    detail = detail_of([table_of(FACTS), table_of(Section("empty", (Column("N"),), ()))])
    assert [line.part for line in detail.lines] == [Part.ROW]
    assert detail.lead(0) == Lead("namespace", 5)


def test_a_row_is_found_again_where_it_has_moved() -> None:
    before = detail_of([table_of(FACTS), table_of(MANY)])
    line = next(at for at in range(len(before.lines)) if before.cells(at) == ("3",))
    after = detail_of([table_of(replace(MANY, rows=MANY.rows[2:]))])
    place = after.place_of(before, line)
    assert place is not None
    assert after.cells(place) == ("3",)
    assert after.place_of(before, 999) is None


def test_a_row_with_new_values_is_found_by_its_first() -> None:
    one, other = (
        detail_of([table_of(Section("links", (Column("L"), Column("RX")), [("lo", "0"), ("eth0", rx)]))]) for rx in "17"
    )
    line = next(at for at in range(len(one.lines)) if one.cells(at) == ("eth0", "1"))
    assert other.cells(other.place_of(one, line) or 0) == ("eth0", "7")


def test_rows_are_found_by_a_name_in_them_and_sections_follow_one_another() -> None:
    detail = detail_of([table_of(FACTS), table_of(MANY)])
    assert detail.named("value") == 0
    assert detail.named("nobody") is None
    assert detail.next_section(0, 1) == 1
    assert detail.next_section(0, -1) is None


# ---- tables ------------------------------------------------------------------------------------------------------

WIDE = (Column("A"), Column("TEXT", gives=True), Column("MORE", gives=True, rank=1), Column("LEAST", rank=2))


def test_columns_of_the_highest_rank_go_first_and_empty_ones_always() -> None:
    assert fitting(WIDE, (3, 20, 10, 5), 80) == [3, 20, 10, 5]
    assert fitting(WIDE, (3, 20, 10, 5), 36) == [3, 20, 10, 0]
    assert fitting(WIDE, (3, 20, 10, 5), 26) == [3, 20, 0, 0]
    assert fitting(WIDE, (3, 20, 0, 5), 80) == [3, 20, 0, 5]
    assert fitting(WIDE, (3, 60, 0, 0), 30) == [3, 26, 0, 0]


# ---- mounts ------------------------------------------------------------------------------------------------------

HOST_MOUNTS = b"""20 1 8:1 / / rw shared:1 - ext4 /dev/sda rw
21 20 0:5 / /proc rw shared:2 - proc proc rw
22 20 0:6 / /home rw shared:3 - tmpfs tmpfs rw
23 20 0:7 / /tmp rw shared:4 - tmpfs tmpfs rw
"""
INNER_MOUNTS = b"""30 1 8:1 / / rw master:1 - ext4 /dev/sda rw
31 30 0:9 / /proc rw - proc proc rw
33 30 0:7 / /tmp rw shared:4 - tmpfs tmpfs rw
34 30 0:8 / /srv rw unbindable - tmpfs tmpfs rw
"""


def test_mounts_that_came_went_and_are_otherwise_are_told_apart_from_mere_propagation() -> None:
    marks = marks_of(difference(parse(HOST_MOUNTS), parse(INNER_MOUNTS)))
    assert marks.came == {34}
    assert [mount.point for mount in marks.went] == ["/home"]
    assert marks.otherwise == {31}
    assert marks.passing_on == 1


def test_propagation_is_worded_as_mountinfo_has_it() -> None:
    assert [propagation(mount) for mount in parse(INNER_MOUNTS)] == ["master:1", "private", "shared:4", "unbindable"]


# ---- ways, words, marks ------------------------------------------------------------------------------------------


def test_the_way_leads_back_to_the_list() -> None:
    way = Way().to(Inside(5)).to(Inside(6))
    assert way.here == Inside(6)
    assert way.to(Inside(6)) == way
    assert [way.here, way.back().here, way.back().back().here] == [Inside(6), Inside(5), Linked()]
    assert way.back().back().back().here == InList()
    assert way.back().back().back().back().here == InList()
    assert Way().instead(Linked("n")).back().here == InList()


def test_a_long_way_forgets_its_middle_but_not_the_list() -> None:
    way = Way()
    for inode in range(200):
        way = way.to(Inside(inode))
    assert len(way.places) == 65
    while len(way.places) > 1:
        way = way.back()
    assert way.here == InList()


def test_tabs_of_a_process_have_numbers_and_a_star_where_its_children_go_elsewhere() -> None:
    ordinals = Ordinals()
    for at, inode in enumerate(made.INIT.ns):
        ordinals.number(at, inode or 0)
    tabs = titles.own_tabs(WORKER, ordinals)
    assert [tab.text for tab in tabs] == ["m2", "n2", "p2", "U2", "u2", "i1", "C1", "T1*"]
    assert [tab.faint for tab in tabs] == [False] * 5 + [True, True, False]
    assert {tab.text for tab in titles.own_tabs(None, ordinals)} == {f"{letter}?" for letter in "mnpUuiCT"}


def test_words_say_where_one_is_and_how_old_the_search_is() -> None:
    assert titles.place_words(Linked(), View(), DEMO) == "of 4711 demo"
    view = View(shape=Shape.OWNER, wanted=filter_of("held=mount", NAMESPACE_COLUMNS))
    assert titles.place_words(InList(), view, DEMO) == "· owner tree · / held=mount"
    done = Searched(made.searched(), 90.0, 0.5)
    assert titles.search_words(done, False, 10.0) == "searched 10 s ago, not all"
    assert titles.search_words(done, True, 10.0) == "searching the machine…"
    assert titles.search_words(None, False, None) == ""
    assert titles.title(FOUND[OWN["n"]], Ordinals(), True) == "net:[22] n1 web · 2 processes"
    assert titles.title(FOUND[BOUND], Ordinals(), True) == "net:[32] n1 quiet · no processes"
    assert titles.title(FOUND[BOUND], Ordinals(), True, 7) == "net:[32] n1 quiet · no processes, 7 unknown"
    assert titles.title(replace(FOUND[OWN["n"]], keepers=Keepers()), Ordinals(), False) == "net:[22] ✝ gone"


def test_marks_are_two_at_most_and_say_who_is_compared() -> None:
    demo, worker, shell = DEMO.identity, WORKER.identity, SHELL.identity
    assert marked((), demo) == (demo,)
    assert marked((demo,), demo) == ()
    assert marked(marked((demo,), worker), shell) == (worker, shell)
    assert pair((demo, worker), shell, RECORDS) == (demo, worker)
    assert pair((demo,), worker, RECORDS) == (demo, worker)
    assert pair((demo,), demo, RECORDS) == (shell, demo)
    assert pair((), worker, RECORDS) == (demo, worker)
    assert pair((), None, RECORDS) is None
    assert pair((), (DEMO.pid, 1), RECORDS) is None, "another process with that number"
