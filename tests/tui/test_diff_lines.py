"""What the diff panel draws, as values: lines and widths, trails and sparklines, marks, subtrees."""

from __future__ import annotations

from dataclasses import replace

import pytest
from machine import PLAIN, record, snapshot

from nsview.host.difference import MORE, DiffRow
from nsview.host.usage import Usage
from nsview.tui.diff.choice import chosen
from nsview.tui.diff.lines import Heading, Waiting, brief, first_difference, numbered, widths
from nsview.tui.diff.lines import lines_of as group
from nsview.tui.diff.mark import mark, since
from nsview.tui.diff.pair import Pair
from nsview.tui.diff.subtree import subtree_rows, subtrees
from nsview.tui.diff.trail import KEPT, Look, Trail, io_rate, sparkline
from nsview.tui.hues import Ordinals


def row(section: str, attribute: str, parent: str | None, child: str | None, **more: object) -> DiffRow:
    same = None if parent is None or child is None else parent == child
    facts = {"delta": None, "why": f"why {attribute}", "source": f"/proc/PID/{attribute}", "same": same}
    return DiffRow(section, attribute, parent, child, **{**facts, **more})  # type: ignore[arg-type]


ROWS = (
    row("identity", "pid", "4701", "4711"),
    row("namespaces", "uts", "uts:[4026531838]", "uts:[4026532257]", delta="own"),
    row("namespaces", "time", "time:[4026531834]", "time:[4026531834]"),
    row("system", "host name", "host1", "demo"),
    row("sharing", "IO", None, None),
    row("usage", "rss", "48M", "1.2M", delta="−47M"),
    row("files", "umask", "0022", "0022"),
)


def headings(lines):
    return [(line.section, line.different, line.total) for line in lines if isinstance(line, Heading)]


def test_rows_are_grouped_with_what_a_launch_is_about_first():
    assert headings(group(ROWS, False)) == [
        ("namespaces", 1, 2),
        ("system", 1, 1),
        ("sharing", 0, 1),
        ("usage", 1, 1),
        ("files", 0, 1),
        ("identity", 1, 1),
        *((section, None, None) for section in MORE),
    ]


def test_only_differences_leaves_out_what_is_the_same_but_not_what_is_unknown():
    lines = group(ROWS, True, MORE)
    shown = [line.attribute for line in lines if isinstance(line, DiffRow)]
    assert shown == ["uts", "host name", "IO", "rss", "pid"]
    assert "files" not in [section for section, _, _ in headings(lines)]


def test_a_folded_section_is_its_heading_alone_and_one_not_read_yet_waits():
    lines = group(ROWS, False, {"namespaces", *MORE} - {"limits"})
    assert headings(lines)[0] == ("namespaces", 1, 2)
    assert not [line for line in lines if isinstance(line, DiffRow) and line.section == "namespaces"]
    assert [line.section for line in lines if isinstance(line, Waiting)] == ["limits"]


def test_the_cursor_begins_at_the_first_difference():
    lines = group((row("files", "umask", "1", "1"), row("identity", "pid", "1", "2")), False, MORE)
    assert lines[first_difference(lines)].attribute == "pid"
    alike = group((row("files", "umask", "1", "1"),), False, MORE)
    assert alike[first_difference(alike)].attribute == "umask"


def test_long_values_keep_the_part_that_tells():
    assert brief("uts:[4026531838]", 16) == "uts:[4026531838]"
    assert brief("#2 4026531838", 12) == "#2          "
    assert brief("/usr/bin/python3.11", 12) == "…/python3.11"
    assert brief("sh -c true; false", 10) == "sh -c tru…"
    assert brief("?", 3) == "?  "


def test_namespaces_have_the_numbers_of_the_tree():
    ordinals = Ordinals()
    assert numbered("uts:[11]", ordinals, False) == "#1 uts:[11]"
    assert numbered("uts:[12]", ordinals, True) == "#2 12"
    assert numbered("net:[12]", ordinals, True) == "#1 12"
    assert numbered("pid:[11]", ordinals, False) == "#1 pid:[11]"
    assert numbered("other:[11]", ordinals, False) == "other:[11]"
    assert numbered(None, ordinals, False) == "?"


def test_namespaces_go_by_their_number_alone_where_it_is_narrow():
    lines = group(ROWS, False)
    assert not widths(lines, 70).bare
    assert widths(lines, 48).bare


@pytest.mark.parametrize("width", [30, 48, 64, 78, 200])
def test_columns_never_take_more_than_there_is(width):
    sizes = widths(group(ROWS, False), width)
    assert 2 + sizes.attribute + 1 + 2 * (sizes.value + 1) + sizes.delta <= width


def test_sparklines_have_gaps_where_unknown_and_zero_is_the_lowest():
    assert sparkline([0, 1, None, 50, 100], 6, 100) == " ▁▂ ▅█"
    assert sparkline([0.0, 0.0], 2, 0.0) == "▁▁"
    assert sparkline([None], 2, None) == "  "
    assert sparkline([1, 2, 3], 0, 3) == ""


def test_twins_are_drawn_on_the_scale_of_the_larger():
    trail = Trail()
    for parent, child in ((10.0, 20.0), (None, 40.0)):
        trail.note(Look(parent, 100.0, 1.0, 1.0), Look(child, 300.0, 1.0, None))
    cpu = trail.lines()[0]
    assert cpu.top(10) == 40.0
    assert cpu.top_text(10) == "≤ 40 %"
    assert sparkline(cpu.parent, 2, cpu.top(2)) == "▃ "
    assert sparkline(cpu.child, 2, cpu.top(2)) == "▄█" or sparkline(cpu.child, 2, cpu.top(2)) == "▅█"
    assert cpu.newest() == ("?", "40 %")
    assert trail.lines()[4].top_text(10) == "?"


def test_a_trail_keeps_the_newest_and_can_be_turned_round():
    trail = Trail()
    for number in range(KEPT + 5):
        trail.note(Look(float(number), None, None, None), None)
    trail.note_io(5.0, None)
    assert len(trail) == KEPT
    trail.swap()
    cpu, io = trail.lines()[0], trail.lines()[4]
    assert cpu.child[-1] == KEPT + 4
    assert cpu.parent[-1] is None
    assert io.child[-1] == 5.0
    assert io.child[-2] is None


BEFORE = Usage(5, 5, 1_000_000_000, cpu_ns=1_000, rss=100, minflt=7, read_chars=10, write_chars=0)
LATER = replace(BEFORE, when_ns=3_000_000_000, cpu_ns=2_001_000, rss=60, minflt=7, read_chars=30, write_chars=4)


def test_io_is_what_went_through_calls_in_a_second():
    assert io_rate(BEFORE, LATER) == 12.0
    assert io_rate(LATER, BEFORE) is None
    assert io_rate(None, LATER) is None
    assert io_rate(replace(BEFORE, start_time=4), LATER) is None
    assert io_rate(replace(BEFORE, read_chars=None), LATER) is None


def test_since_a_mark_counters_show_what_was_added_and_amounts_how_they_changed():
    rows = {row.attribute: row for row in since((BEFORE, None), (LATER, LATER), frozenset())}
    assert rows["cpu"].parent == "2 000 µs"
    assert "at a rate of 0.1 % → ?" in rows["cpu"].why
    assert rows["rss"].parent == "−40"
    assert rows["minor faults"].parent == "0"
    assert rows["cpu"].child is None
    assert rows["cpu"].same is None
    assert {row.section for row in rows.values()} == {"usage"}
    both = since((BEFORE, replace(BEFORE, pid=6)), (LATER, replace(LATER, pid=6, cpu_ns=1_000)), frozenset(("delays",)))
    assert next(row for row in both if row.attribute == "cpu").delta == "−2 000 µs"
    assert {row.section for row in both} == {"usage", "delays"}


def test_a_mark_knows_which_values_are_others_now():
    set_then = mark("12:01:02", (None, None), ROWS, None)
    assert not set_then.changed(ROWS[3])
    assert set_then.changed(replace(ROWS[3], child="other"))
    assert not set_then.changed(row("limits", "nofile", "1", "2")), "it was not read then"
    assert set_then.swapped.values["system", "host name"] == ("demo", "host1")


def test_a_subtree_is_all_below_and_the_parent_s_has_the_child_s_in_it():
    machine = snapshot(
        record(5, rss=10, threads=2, utime=3, minflt=1, voluntary=4),
        record(6, ppid=5, rss=20, utime=4, stime=1, voluntary=1),
        record(7, ppid=6, rss=30, voluntary=None),
        record(9, rss=99),
    )
    parent, child = subtrees(((5, 5), (6, 6)), machine, None, None).now
    assert (parent.processes, parent.threads, parent.rss, parent.minflt) == (3, 4, 60, 1)
    assert parent.cpu_ns == 80_000_000
    assert (child.processes, child.rss) == (2, 50)
    assert parent.voluntary is None, "the sum of what is unknown is unknown"
    assert subtrees(((5, 4), (6, 6)), machine, None, None).now[0] is None


def test_since_a_mark_a_subtree_counts_the_newly_born_in_full_and_nothing_of_the_dead():
    then = snapshot(record(5, utime=10, rss=8), record(6, ppid=5, utime=50, rss=8), at=0)
    now = snapshot(record(5, utime=11, rss=8), record(7, ppid=5, utime=4, rss=1), at=2)
    found = subtrees(((5, 5), (7, 7)), now, then, then)
    assert found.since[0].cpu_ns == 50_000_000
    assert (found.since[0].processes, found.since[0].rss) == (0, -7)
    assert found.since[1] is None, "it was not there at the mark"
    assert found.looks[0].cpu == 2.5
    rows = {row.attribute: row for row in subtree_rows(found)}
    assert rows["cpu"].parent == "50 000 µs"
    assert rows["cpu"].child is None
    assert "since the mark" in rows["cpu"].why


def test_a_circle_of_parents_is_summed_once():
    machine = snapshot(record(5, ppid=6, start_time=9, rss=1), record(6, ppid=5, start_time=9, rss=2))
    assert subtrees(((5, 9), PLAIN.identity), machine, None, None).now[0].rss == 3


def test_two_that_are_tagged_are_meant_or_the_marked_one_and_the_cursor_s():
    old, young, third = (9, 1), (3, 7), (5, 8)
    assert chosen({young, old}, None, third) == Pair(old, young)
    assert chosen((), old, young) == Pair(old, young)
    assert chosen({young}, None, third) == Pair(young, third)
    assert chosen({young}, old, third) == Pair(old, third), "the mark is set on purpose"
    assert chosen((), None, young) is None
    assert chosen((), young, young) is None
    assert chosen({young}, None, young) is None
    assert chosen((), old, None) is None
    assert chosen({old, young, third}, None, young) is None
