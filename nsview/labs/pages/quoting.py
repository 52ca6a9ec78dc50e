"""Numbers in a text that are a lab's: written by the lab's document and not by hand. Pure.

A link into a lab's page whose title says what it quotes has that as its text::

    [1.61 ms](labs/mechanisms.md#fork-cost-grows-with-the-parent "large_ns:ns")
    [12.3](labs/mechanisms.md#fork-cost-grows-with-the-parent "large_ns/small_ns:times")
    [4.2 ms](labs/mechanisms.md#chart-call "fork@4G:ns")
    [EPERM](labs/container.md#asked-attempt.bpf "answered")
    [6.18.0](labs/mechanisms.md#the-ways-to-make-a-child "kernel")

``#KEY`` is a conclusion and the title names one of its numbers, or two and the division; ``#chart-KEY`` is a
measurement, and the title a contestant and its place on the axis as the page writes it (``x@4.0G`` is the place
itself); ``#asked-KEY`` is a finding; the page's own heading is the machine that it was made on. After the colon is how
it is written (FORMATS); without one, as it is.

Words that follow from numbers may say so, for whoever runs the labs anew, where the numbers may come out otherwise::

    <!-- holds: labs/mechanisms.md#fork-cost-grows-with-the-parent "large_ns/small_ns > 10" -->
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from nsview.labs.chart.scale import value_text
from nsview.labs.document import measurement_of
from nsview.labs.pages.markdown import slug
from nsview.labs.pages.page import Document

LINK = re.compile(
    r'\[(?P<text>[^\[\]]*)\]\((?P<path>(?:\w+/)?(?P<lab>[\w-]+)\.md)#(?P<anchor>[^\s")]+) "(?P<what>[^"]*)"\)'
)
"""A link that quotes."""

HOLDS = re.compile(
    r"<!-- holds: (?:\w+/)?(?P<lab>[\w-]+)\.md#(?P<anchor>[^\s\")]+) "
    r'"(?P<left>[^"<>]+) (?P<sign>[<>]) (?P<right>[^"<>]+)" -->'
)
_UNIT = re.compile(r"(?<=[\d.])(?=[A-Za-zµ])")
_BINARY = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))


class QuoteError(ValueError):
    """``link`` quotes what no lab has told; ``why`` says what is missing."""

    def __init__(self, link: str, why: str) -> None:
        self.link, self.why = link, why
        super().__init__(f"{link}: {why}")


def _nanoseconds(value: float) -> str:
    return _UNIT.sub(" ", value_text(value, "ns"))


def _bytes(value: float) -> str:
    for name, size in _BINARY:
        if value >= size:
            return f"{value / size:.3g} {name}"
    return f"{value:.0f}"


def _times(value: float) -> str:
    return f"{value:.0f}" if value >= 99.5 else f"{value:.2g}"


FORMATS: Mapping[str, Callable[[float], str]] = {
    "ns": _nanoseconds,
    "bytes": _bytes,
    "times": _times,
    "id": lambda value: f"{value:.0f}",
    "percent": lambda value: f"{100 * value:.0f} %",
}
"""How a number is written: ``ns`` with the unit that fits, ``bytes`` in binary units, a ratio, a share; an ``id`` is
no amount and has no groups of digits."""


def quoted(text: str, documents: Mapping[str, Document]) -> str:
    """Return the text with every quotation as the documents, by the labs' names, have it now.

    Raises QuoteError, also where something does not hold that the text says holds.
    """
    for claim in HOLDS.finditer(text):
        left, right = (_side(claim, claim[side], documents) for side in ("left", "right"))
        if not (left < right if claim["sign"] == "<" else left > right):
            raise QuoteError(claim[0], f"it does not hold: {left} and {right}")

    def now(link: re.Match[str]) -> str:
        said = _said(link, documents)
        return f'[{said}]({link["path"]}#{link["anchor"]} "{link["what"]}")'

    return LINK.sub(now, text)


def _side(claim: re.Match[str], what: str, documents: Mapping[str, Document]) -> float:
    """Return a number, or what is called so."""
    if re.fullmatch(r"[0-9.]+", what):
        return float(what)
    value = _value(_of_lab(claim, documents), claim["anchor"], what, claim[0])
    if isinstance(value, str):
        raise QuoteError(claim[0], f"{what} is no number")
    return value


def _of_lab(place: re.Match[str], documents: Mapping[str, Document]) -> Document:
    if place["lab"] not in documents:
        raise QuoteError(place[0], "there is no such lab")
    return documents[place["lab"]]


def _said(link: re.Match[str], documents: Mapping[str, Document]) -> str:
    document = _of_lab(link, documents)
    what, _, form = link["what"].rpartition(":")
    if form not in FORMATS:  # a number's own name may have a colon
        what, form = link["what"], ""
    value = _value(document, link["anchor"], what, link[0])
    if form and not isinstance(value, str):
        return FORMATS[form](value)
    return value if isinstance(value, str) else value_text(value, "")


def _value(document: Document, anchor: str, what: str, link: str) -> float | str:
    if anchor.startswith("asked-"):
        finding = _of_key(document["findings"], anchor.removeprefix("asked-"), link)
        if what not in ("answered", "expected"):
            raise QuoteError(link, "of a finding there is what was answered, and what expected")
        said: str = finding[what]
        return said
    if anchor.startswith("chart-"):
        return _median(_of_key(document["measurements"], anchor.removeprefix("chart-"), link), what, link)
    numbers: Mapping[str, float | str] = (
        document["machine"]
        if anchor == slug(document["title"])
        else _of_key(document["conclusions"], anchor, link)["numbers"]
    )
    names = what.split("/")
    if missing := [name for name in names if name not in numbers]:
        raise QuoteError(link, f"it has no number called {', '.join(missing)}, but {', '.join(numbers)}")
    values = [numbers[name] for name in names]
    if len(values) == 1:
        return values[0]
    above, below = values
    if isinstance(above, str) or isinstance(below, str) or not below:
        raise QuoteError(link, "these cannot be divided")
    return above / below


def _of_key(told: list[Mapping[str, Any]], key: str, link: str) -> Mapping[str, Any]:
    for each in told:
        if each["key"] == key:
            return each
    raise QuoteError(link, "the lab has told nothing of this key")


def _median(kept: Mapping[str, Any], what: str, link: str) -> float:
    measurement = measurement_of(kept)
    name, _, place = what.partition("@")
    for series in measurement.series:
        for x, spread in series.points:
            if place == measurement.labels.get(x, value_text(x, measurement.x.unit)) and name in (series.name, "x"):
                return x if name == "x" else spread.median
    raise QuoteError(link, f"{name!r} was not measured at {place!r}")
