"""Any text over the columns of processes is a filter or refused, and a filter over them answers, whatever it says."""

from __future__ import annotations

import os

from hypothesis import given, settings
from hypothesis import strategies as some

from nsview.host.columns import FREE, by_name
from nsview.host.columns.process_row import Scene, refer
from nsview.host.columns.processes import PROCESS_COLUMNS
from nsview.host.filter import FilterError, parse
from nsview.host.snapshot import take

CHEAP = tuple(column for column in PROCESS_COLUMNS if column.cost == FREE)
SCENE = Scene(take(), take(), commands={})
ROWS = [row for row in SCENE.rows() if row.record.pid in (1, 2, os.getppid(), os.getpid())]

NAMES = some.sampled_from(sorted(by_name(CHEAP))) | some.text(max_size=6)
OPERATORS = some.sampled_from(["=", "!=", "<", "<=", ">", ">=", "~", "!~", ":", "==", "=~", "≠", "≤", "≥"])
ODD = [
    "?", "@parent", "init", "1", "1.pid", "@1.ns.net", "0x1f", "-5", "5%", "10M", "1h30m", "99:99", "1-1:1:1", "12:30",
    "2026-02-30", "9999999999-01-01", "root", "running", "yes", "NET_ADMIN", "all", "1e999", "nan", "inf", "٣", "²",
    ".", "9" * 40,
]  # fmt: skip
VALUES = some.one_of(
    some.text(max_size=10),
    some.sampled_from(ODD),
    some.from_regex(r"[-+0-9a-zA-Z.:%µ]{1,12}", fullmatch=True),
)
QUOTED = VALUES.map(lambda value: '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"')
TERMS = some.tuples(NAMES, OPERATORS, VALUES | QUOTED).map("".join)


@settings(max_examples=500)
@given(
    some.lists(some.tuples(some.sampled_from(["", "!", "not ", "or ", "(", "| "]), TERMS).map("".join), max_size=4).map(
        " ".join
    )
)
def test_any_terms_over_processes_are_a_filter_or_refused(text):
    try:
        filter = parse(text, CHEAP, refer)
    except FilterError as error:
        refusal = str(error)
    else:
        refusal = None
        assert parse(str(filter), CHEAP, refer) == filter
        assert {filter.matches(row) for row in ROWS} <= {True, False, None}
    assert refusal is None or refusal.isprintable()


@given(some.sampled_from(CHEAP), VALUES)
def test_what_a_kind_reads_can_be_compared_or_is_refused_with_the_reason(column, word):
    try:
        value = column.kind.read(word)
    except ValueError as error:
        reason = str(error)
    else:
        reason = "-"
        if column.kind.ordered:
            assert (value < 1 << 80) in (True, False)
    assert reason
