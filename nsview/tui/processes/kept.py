"""What of a view is worth keeping for the next start, as plain values of JSON; and back, whatever is in the file. Pure.

Kept is how a person likes the table: not what was looked for in it, which filters, tags, folds and audit are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nsview.tui.processes.scene import TABLE_COLUMNS
from nsview.tui.processes.view import BY_START, Reference, Sort, View

_SWITCHES = ("tree", "threads", "kernel", "boundaries")
_MOST_COLUMNS = 40


def kept(view: View, chosen: tuple[str, ...] | None) -> dict[str, Any]:
    """Return what to keep of a view and of the chosen columns."""
    return {
        **{name: getattr(view, name) for name in _SWITCHES},
        "reference": None if view.reference is Reference.MARKED else view.reference.value,
        "sorts": [[sort.column, sort.inverted] for sort in (view.tree_sort, view.flat_sort)],
        "columns": None if chosen is None else [*chosen],
    }


def recalled(value: object, view: View) -> tuple[View, tuple[str, ...] | None]:
    """Return a view, and chosen columns, with what was kept as far as it makes sense."""
    if not isinstance(value, Mapping):
        return view, None
    switches = {name: value[name] for name in _SWITCHES if isinstance(value.get(name), bool)}
    references = {one.value: one for one in Reference if one is not Reference.MARKED}
    reference, sorts, columns = value.get("reference"), value.get("sorts"), value.get("columns")
    if isinstance(reference, str):
        view = replace(view, reference=references.get(reference, view.reference))
    if isinstance(sorts, list) and len(sorts) == 2:
        view = replace(view, tree_sort=_sort(sorts[0]), flat_sort=_sort(sorts[1]))
    chosen = None
    if isinstance(columns, list):
        chosen = tuple(name for name in columns[:_MOST_COLUMNS] if isinstance(name, str) and name in TABLE_COLUMNS)
    return replace(view, **switches), chosen


def _sort(value: object) -> Sort:
    match value:
        case [str() as column, bool() as inverted] if column in TABLE_COLUMNS:
            return Sort(column, inverted)
    return BY_START
