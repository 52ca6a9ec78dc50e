"""Verdicts by comparison: of an answer with what was expected, and of what follows from several answers."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing

from nsview.labs.lab import Conclusion, Event, Finding, Verdict


def verdict(right: bool) -> Verdict:
    """As expected, or not."""
    return Verdict.AS_EXPECTED if right else Verdict.OTHERWISE


def judged(key: str, done: str, expected: str, answered: str, why: str = "", flag: str | None = None) -> Finding:
    """A finding that is right when the answer is word for word what was expected."""
    return Finding(key, done, expected, answered, verdict(expected == answered), why, flag)


def left_out(key: str, done: str, expected: str, why: str, flag: str | None = None) -> Finding:
    """A finding that could not be asked for, and why."""
    return Finding(key, done, expected, "?", Verdict.LEFT_OUT, why, flag)


def among(findings: Iterable[Finding], *beginnings: str) -> list[Finding]:
    """Those that were asked and whose keys begin so: with a whole part of the key, or with all of it."""
    return [
        each
        for each in findings
        if each.verdict is not Verdict.LEFT_OUT
        and any(each.key == begin or each.key.startswith(f"{begin}.") for begin in beginnings)
    ]


def concluded(
    key: str, says: str, asked: Sequence[Finding], numbers: Mapping[str, float | int | str] | None = None
) -> Conclusion:
    """What follows from these answers; from none, nothing."""
    if not asked:
        return Conclusion(key, "Nothing follows: none of it could be asked here.", Verdict.LEFT_OUT)
    return Conclusion(key, says, verdict(all(each.verdict is Verdict.AS_EXPECTED for each in asked)), numbers or {})


def with_conclusions(
    experiments: Generator[Event, None, None], conclude: Callable[[list[Finding]], Iterable[Event]]
) -> Generator[Event, None, None]:
    """What is told of experiments, then what follows from their findings; closed early, it closes them."""
    findings: list[Finding] = []
    with closing(experiments):
        for event in experiments:
            if isinstance(event, Finding):
                findings.append(event)
            yield event
    yield from conclude(findings)
