"""Results, and the rows there are, as JSON, version 1; described in docs/json.md."""

from __future__ import annotations

from collections.abc import Sequence

from nsview.bench.outcome import Judgement, Result, Standing, p95
from nsview.bench.peer import PEERS
from nsview.bench.row import Aim, Contestant, Row, Setting
from nsview.labs.document import machine


def rows_document(rows: Sequence[Row]) -> dict[str, object]:
    """Return the rows there are."""
    return {"version": 1, "rows": [_row(row) for row in rows]}


def results_document(results: Sequence[Result], setting: Setting) -> dict[str, object]:
    """Return what was measured."""
    return {
        "version": 1,
        "machine": machine(),
        "quick": setting.quick,
        "failed": any(result.failed for result in results),
        "rows": [
            {
                "name": result.row.name,
                "question": result.row.question,
                "measures": result.row.measures,
                "unit": result.row.unit,
                "note": result.note,
                "left_out": result.why,
                "error": result.error,
                "contestants": [_standing(result, standing) for standing in result.standings],
                "aims": [_judgement(judgement) for judgement in result.judgements],
            }
            for result in results
        ],
    }


def _row(row: Row) -> dict[str, object]:
    return {
        "name": row.name,
        "question": row.question,
        "measures": row.measures,
        "unit": row.unit,
        "contestants": [_contestant(each) for each in row.contestants],
        "aims": [_aim(aim) for aim in row.aims],
    }


def _contestant(each: Contestant) -> dict[str, object]:
    peer = None if each.program is None else PEERS[each.program]
    return {
        "name": each.name,
        "does": each.does,
        "program": each.program,
        "package": None if peer is None else peer.package,
        "installed": peer is None or peer.path is not None,
        "version": None if peer is None else peer.version,
        "against": each.against,
    }


def _standing(result: Result, standing: Standing) -> dict[str, object]:
    spread, values = standing.spread, standing.values
    return {
        **_contestant(standing.contestant),
        "state": str(standing.state),
        "why": standing.why or None,
        "did": [what for what, done in standing.did.items() if done],
        "did_not": [what for what, done in standing.did.items() if not done],
        "count": len(values),
        "median": spread and spread.median,
        "lower": spread and spread.lower,
        "upper": spread and spread.upper,
        "least": min(values, default=None),
        "most": max(values, default=None),
        "p95": p95(values) if values else None,
        "ratio": result.ratio(standing),
    }


def _aim(aim: Aim) -> dict[str, object]:
    return {"of": aim.of, "against": aim.against, "by": str(aim.by), "figure": aim.figure, "least": aim.least}


def _judgement(judgement: Judgement) -> dict[str, object]:
    return {
        **_aim(judgement.aim),
        "value": judgement.value,
        "verdict": str(judgement.verdict),
        "why": judgement.why or None,
    }
