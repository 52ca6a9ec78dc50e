"""Regular expressions of filters: Python's language, in time that grows as the text does."""

from __future__ import annotations

import re
import warnings

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as some

from nsview.host.filtering.regex import Automaton, searcher
from nsview.host.filtering.regex_parser import compiled

ATOMS = some.sampled_from(
    [*"abcA.^$ 1_", r"\b", r"\B", r"\w", r"\d", r"\s", r"\.", "[ab]", "[^a]", "[a-c_]", r"[\d-]", "[]x]"]
)
EXPRESSIONS = some.recursive(
    ATOMS,
    lambda inner: some.one_of(
        some.lists(inner, max_size=4).map("".join),
        inner.map(lambda one: f"({one})"),
        some.tuples(inner, inner).map("({0[0]}|{0[1]})".format),
        some.tuples(inner, inner).map("{0[0]}|{0[1]}".format),
        some.tuples(inner, some.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{2,}", "{,2}", "*?", "+?"])).map(
            "(?:{0[0]}){0[1]}".format
        ),
    ),
    max_leaves=8,
)
TEXTS = some.text(alphabet="aabbcAB 1_.-x", max_size=12)


@settings(max_examples=400)
@given(EXPRESSIONS, TEXTS, some.booleans())
def test_an_automaton_finds_what_python_finds(expression, text, any_case):
    assume(text or r"\B" not in expression)  # which Python finds in no text since 3.14
    found = re.search(expression, text, re.IGNORECASE if any_case else 0) is not None
    assert Automaton(compiled(expression, any_case)).search(text) is found
    assert bool(searcher(expression, any_case)(text)) is found


@given(some.text(alphabet="ab()[]{}|*+?\\.^$-,1/:dwx", max_size=12))
def test_what_is_accepted_means_the_same_to_python(expression):
    try:
        program = compiled(expression, False)
    except ValueError:
        return
    try:
        with warnings.catch_warnings(action="ignore"):  # of sets in sets, which may come
            theirs = re.compile(expression)
    except re.error:
        assume(False)  # places that are repeated, as ^*
    automaton = Automaton(program)
    for text in ("", "a", "ab", "aab1", "-,a/x:", "dw bb", "a\\b{1}"):
        assert automaton.search(text) is (theirs.search(text) is not None), text


@pytest.mark.parametrize(
    ("expression", "text", "end"),
    [
        ("(a+)+$", "a" * 20_000 + "b", "a"),
        ("(a|a)*c", "a" * 20_000, "c"),
        ("(a|aa)+$", "a" * 20_000 + "b", "a"),
        ("(.*)*x", "a" * 20_000, "x"),
        ("(a*)*(b*)*c", "ab" * 10_000, "c"),
        ("a?" * 40 + "a" * 40 + "b", "a" * 20_000, "b"),
        ("a.*b.*c.*d.*e", "abcd" * 10_000, "e"),
        ("x*y", "x" * 100_000, "y"),
        ("(a|a)" * 40 + "b", "a" * 20_000, "b"),
        ("([a-z]+[0-9]*)*!", "abc1" * 10_000, "!"),
    ],
)
def test_no_text_takes_more_time_than_its_length(expression, text, end):
    """Each would take Python's re from minutes to the age of the universe."""
    found = searcher(expression)
    assert not found(text)
    assert found(text + end)


def test_an_automaton_of_very_many_states_stays_small():
    automaton = Automaton(compiled("(a|b)*a" + "(a|b)" * 14 + "c", False))
    text = "".join("ab"[int(bit)] for number in range(3000) for bit in f"{number:b}")
    assert not automaton.search(text)
    assert automaton.search(text + "a" + "b" * 14 + "c")
    assert len(automaton._states) <= 1000


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("(", "not closed"),
        (")", "without its '('"),
        ("[a", "not closed"),
        ("*a", "nothing to repeat"),
        ("a**", "a repeat of a repeat"),
        ("a*+", "a repeat of a repeat"),
        ("a{2}{3}", "a repeat of a repeat"),
        ("a{3,2}", "at least more than at most"),
        ("a{999999999}", "repeats too much"),
        ("((a{99}){99}){99}", "repeats too much"),
        ("(a{999}b{999}c{999})", "repeats too much"),
        ("(?=a)", "only (?:…) is known"),
        ("(?i)a", "only (?:…) is known"),
        (r"(a)\1", r"\1 is not known"),
        (r"\q", r"\q is not known"),
        (r"\x1", "2 hexadecimal digits"),
        (r"\U00ffffff", "8 hexadecimal digits"),
        ("a\\", "nothing after it"),
        ("[z-a]", "no range"),
        (r"[\d-z]", "no range"),
        ("(" * 41 + ")" * 41, "in one another"),
        ("a" * 257, "at most 256 characters"),
    ],
)
def test_what_is_no_expression_is_refused_with_the_reason(expression, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        searcher(expression)


@given(some.text(max_size=60))
def test_any_text_is_an_expression_or_refused(expression):
    try:
        found = searcher(expression)
    except ValueError as error:
        message = str(error)
    else:
        message = ""
        found("a text")
    assert message == "" or "regular expression" in message
