"""Regular expressions of a filter: found in time that grows as the text does, whatever either says.

Names and arguments are written by the processes that are looked at, and Python's re may take exponential time on
a text made for it (``(a+)+$``), during which nothing else runs. So an expression becomes an automaton that goes
over the text once (K. Thompson, 1968; R. Cox, "Regular Expression Matching Can Be Simple And Fast"). Its states
are worked out when a text first leads there. Python's re, faster on short texts, does the expressions that have
no more than one choice to make: with one, its time is at most quadratic.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from nsview.host.filtering.regex_parser import Char, Program, Where, compiled, is_word

LONGEST = 256
"""Characters a regular expression may have."""
_SHORT = 512
"""Characters of a text up to which quadratic time is no matter."""
_MOST_STATES = 1000
_SETS = ("[[", "--", "&&", "~~", "||")
"""What Python keeps for operations on sets, and warns of (re, "Regular Expression Syntax")."""


def searcher(regex: str, any_case: bool = False) -> Callable[[str], object]:
    """Return a function that is true for texts in which ``regex`` is found; ValueError when it is none.

    The language is Python's, without groups that are referred to, look further or set flags.
    """
    if len(regex) > LONGEST:
        raise ValueError(f"a regular expression has at most {LONGEST} characters")
    program = compiled(regex, any_case)
    sure = Automaton(program).search
    quick = _in_python(regex, any_case) if program.choices <= 1 else None
    if quick is None:
        return sure
    return lambda text: quick(text) if len(text) <= _SHORT else sure(text)


def _in_python(regex: str, any_case: bool) -> Callable[[str], object] | None:
    """Return Python's search for the same; None where it would see something else in the expression."""
    if any(pair in regex for pair in _SETS):
        return None
    try:
        return re.compile(regex, re.IGNORECASE if any_case else 0).search
    except re.error:  # it does not repeat places, as ^*
        return None


class _State:
    """Where the program may be after some text, and what came last: the next states are noted by character."""

    __slots__ = ("final", "last", "moves", "places")

    def __init__(self, places: frozenset[int], last: str | None) -> None:
        self.places = places
        self.last = last
        self.moves: dict[str, _State | None] = {}
        self.final: bool | None = None


class Automaton:
    """A program run over texts, all its ways at once."""

    def __init__(self, program: Program) -> None:
        """Begin with no state but the first."""
        self._program = program
        self._states: dict[tuple[frozenset[int], str | None], _State] = {}
        self._first = _State(frozenset((0,)), None)

    def search(self, text: str) -> bool:
        """Tell whether the expression is found anywhere in ``text``."""
        state = self._first
        for char in text:
            try:
                following = state.moves[char]
            except KeyError:
                following = self._follow(state, char)
            if following is None:
                return True
            state = following
        if state.final is None:
            state.final = self._reached(state, None) is None
        return state.final

    def _follow(self, state: _State, char: str) -> _State | None:
        """Return the state after one more character, None once the expression has been found before it."""
        reached = self._reached(state, char)
        following = None
        if reached is not None:
            # Every place of the text is a place to begin.
            places = frozenset([0, *(at + 1 for at, takes in reached if takes(char))])
            last = "w" if is_word(char) else " "
            following = self._states.get((places, last))
            if following is None:
                if len(self._states) >= _MOST_STATES:
                    self._states.clear()
                    self._first.moves.clear()
                following = self._states[places, last] = _State(places, last)
        state.moves[char] = following
        return following

    def _reached(self, state: _State, ahead: str | None) -> list[tuple[int, Char]] | None:
        """Follow what takes no character to what takes one; None when it leads to the end."""
        steps, seen = self._program.steps, set(state.places)
        reached: list[tuple[int, Char]] = []
        pending = list(state.places)
        while pending:
            at = pending.pop()
            if at == len(steps):
                return None
            step = steps[at]
            if isinstance(step, tuple):
                ways: tuple[int, ...] = step
            elif isinstance(step, Where):
                ways = (at + 1,) if step.holds(state.last, ahead) else ()
            else:
                reached.append((at, step))
                continue
            for way in ways:
                if way not in seen:
                    seen.add(way)
                    pending.append(way)
        return reached
