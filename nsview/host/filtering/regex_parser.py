"""From a regular expression to a program of single steps: characters, places, and choices where to go on. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

Char = Callable[[str], bool]
"""Whether a character is one that is meant."""

_MOST_STEPS = 2000
_DEEPEST = 40


@dataclass(frozen=True, slots=True)
class Where:
    """A place between characters: ``^``, ``$``, ``b`` (the edge of a word) or ``B`` (none)."""

    kind: str

    def holds(self, last: str | None, ahead: str | None) -> bool:
        """Tell whether the place is here; ``last`` is None at the begin, else "w" after a word's character."""
        if self.kind == "^":
            return last is None
        if self.kind == "$":
            return ahead is None
        return ((last == "w") != (ahead is not None and is_word(ahead))) == (self.kind == "b")


Step = Char | Where | tuple[int, ...]
"""What to do at a place of the program: take a character, be somewhere, or go on at any of these."""


@dataclass(frozen=True, slots=True)
class Program:
    """The steps, the end being after the last; how many choices (repeats, alternatives) the expression has."""

    steps: tuple[Step, ...]
    choices: int


def is_word(char: str) -> bool:
    """Tell whether a character may be in a word."""
    return char.isalnum() or char == "_"


def is_any(char: str) -> bool:
    """Take any character but the end of a line."""
    return char != "\n"


_CLASSES: dict[str, Char] = {
    "d": str.isdecimal,
    "w": is_word,
    "s": str.isspace,
    "D": lambda char: not char.isdecimal(),
    "W": lambda char: not is_word(char),
    "S": lambda char: not char.isspace(),
}
_PLACES = {"b": "b", "B": "B", "A": "^", "Z": "$"}
_SIGNS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_HEX = {"x": 2, "u": 4, "U": 8}


def compiled(regex: str, any_case: bool) -> Program:
    """Return the program of an expression; ValueError, with the place, when it is none."""
    return _Parser(regex, any_case).program()


class _Parser:
    """Recursive descent that writes steps as it reads. Pieces of program are lists with relative choices."""

    def __init__(self, regex: str, any_case: bool) -> None:
        self.regex = regex
        self.any_case = any_case
        self.at = 0
        self.depth = 0
        self.choices = 0

    def program(self) -> Program:
        piece = self.alternatives()
        if self.at < len(self.regex):
            self.refuse("a ')' without its '('")
        steps = [_absolute(step, at) for at, step in enumerate(piece)]
        return Program(tuple(steps), self.choices)

    def alternatives(self) -> list[Step]:
        piece = self.sequence()
        while self.take("|"):
            self.choices += 1
            other = self.sequence()
            # Choose between the two; after the first go past the second.
            piece = self.bounded([(1, len(piece) + 2), *piece, (len(other) + 1,), *other])
        return piece

    def sequence(self) -> list[Step]:
        piece: list[Step] = []
        while self.at < len(self.regex) and self.regex[self.at] not in "|)":
            piece += self.repeated(self.one())
            self.bounded(piece)
        return piece

    def repeated(self, piece: list[Step]) -> list[Step]:
        begin = self.at
        times = self.times()
        if times is None:
            return piece
        least, most = times
        self.choices += 1
        self.take("?")  # as few as possible: found is found
        if self.at < len(self.regex) and (self.regex[self.at] in "*+?" or self.sees_times()):
            self.refuse("a repeat of a repeat", begin)
        if len(piece) * max(least, most or 1, 1) > _MOST_STEPS:
            self.refuse("it repeats too much", begin)
        many = piece * least
        if most is None:
            # Once more, as often as it goes: back to the choice after each.
            return self.bounded([*many, (1, len(piece) + 2), *piece, (-len(piece) - 1,)])
        for left in range(most - least, 0, -1):
            many = [*many, (1, left * (len(piece) + 1)), *piece]
        return self.bounded(many)

    def times(self) -> tuple[int, int | None] | None:
        """Read ``*``, ``+``, ``?`` or ``{…}``; None when there is none."""
        for sign, times in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self.take(sign):
                return times
        end = self.sees_times()
        if not end:
            return None
        begin, inside = self.at, self.regex[self.at + 1 : end - 1]
        self.at = end
        low, comma, high = inside.partition(",")
        least = int(low or 0)
        most = least if not comma else int(high) if high else None
        if least > _MOST_STEPS or (most is not None and most > _MOST_STEPS):
            self.refuse("it repeats too much", begin)
        if most is not None and most < least:
            self.refuse("it repeats at least more than at most", begin)
        return least, most

    def sees_times(self) -> int:
        """Return where ``{2}``, ``{2,}``, ``{,3}`` or ``{2,3}`` ends; 0 when what is here is no such thing."""
        if not self.regex.startswith("{", self.at):
            return 0
        end = self.regex.find("}", self.at)
        inside = self.regex[self.at + 1 : end] if end > 0 else ""
        low, comma, high = inside.partition(",")
        good = all(part == "" or (part.isascii() and part.isdecimal()) for part in (low, high))
        return end + 1 if good and (low or comma) and inside.count(",") <= 1 else 0

    def one(self) -> list[Step]:
        begin = self.at
        char = self.next()
        if char == "(":
            return self.group(begin)
        if char == "[":
            return [self.cased(self.char_class(begin))]
        if char == "\\":
            return self.escape()
        if char == ".":
            return [is_any]
        if char in "^$":
            return [Where(char)]
        if char in "*+?":
            self.refuse("there is nothing to repeat", begin)
        return [self.cased(_exactly(char))]

    def group(self, begin: int) -> list[Step]:
        if self.take("?") and not self.take(":"):
            self.refuse("of the groups with '?' only (?:…) is known", begin)
        self.depth += 1
        if self.depth > _DEEPEST:
            self.refuse(f"more than {_DEEPEST} groups in one another", begin)
        piece = self.alternatives()
        self.depth -= 1
        if not self.take(")"):
            self.refuse("this '(' is not closed", begin)
        return piece

    def escape(self) -> list[Step]:
        begin = self.at - 1
        letter = self.peek(begin)
        if letter in _PLACES:
            self.at += 1
            return [Where(_PLACES[letter])]
        found = self.escaped(begin)
        return [self.cased(_exactly(found) if isinstance(found, str) else found)]

    def escaped(self, begin: int) -> str | Char:
        """Read what is after a backslash: a character, or one of a class."""
        letter = self.peek(begin)
        self.at += 1
        if letter in _CLASSES:
            return _CLASSES[letter]
        if letter in _SIGNS:
            return _SIGNS[letter]
        if letter in _HEX:
            digits = self.regex[self.at : self.at + _HEX[letter]]
            self.at += _HEX[letter]
            try:
                if len(digits) == _HEX[letter] and digits.isalnum():
                    return chr(int(digits, 16))
            except (ValueError, OverflowError):  # no digits, or no such character
                pass
            self.refuse(f"\\{letter} takes {_HEX[letter]} hexadecimal digits", begin)
        if letter.isascii() and letter.isalnum():
            self.refuse(f"\\{letter} is not known", begin)
        return letter

    def char_class(self, begin: int) -> Char:
        """Read ``[…]``, its '[' being read."""
        denied = self.take("^")
        tests: list[Char] = []
        first = True
        while first or not self.sees("]"):
            first = False
            low = self.class_member(begin)
            if self.sees("-") and self.at + 1 < len(self.regex) and self.regex[self.at + 1] != "]":
                dash = self.at
                self.at += 1
                high = self.class_member(begin)
                if not isinstance(low, str) or not isinstance(high, str) or high < low:
                    self.refuse("no range of characters", dash)
                tests.append(_range(low, high))
            else:
                tests.append(_exactly(low) if isinstance(low, str) else low)
        self.at += 1
        if denied:
            # Not by any case of it: the contrary is of the whole.
            inner = self.cased(lambda char: any(test(char) for test in tests))
            return _Settled(lambda char: not inner(char))
        return lambda char: any(test(char) for test in tests)

    def class_member(self, begin: int) -> str | Char:
        if self.at >= len(self.regex):
            self.refuse("this '[' is not closed", begin)
        char = self.next()
        if char != "\\":
            return char
        if self.sees("b"):
            self.at += 1
            return "\b"
        return self.escaped(self.at - 1)

    def cased(self, test: Char) -> Char:
        if not self.any_case or isinstance(test, _Settled):
            return test
        return lambda char: test(char) or test(char.lower()) or test(char.upper())

    def bounded(self, piece: list[Step]) -> list[Step]:
        if len(piece) > _MOST_STEPS:
            self.refuse("it repeats too much")
        return piece

    def next(self) -> str:
        self.at += 1
        return self.regex[self.at - 1]

    def peek(self, begin: int) -> str:
        if self.at >= len(self.regex):
            self.refuse("a backslash with nothing after it", begin)
        return self.regex[self.at]

    def sees(self, sign: str) -> bool:
        return self.regex.startswith(sign, self.at)

    def take(self, sign: str) -> bool:
        if not self.sees(sign):
            return False
        self.at += len(sign)
        return True

    def refuse(self, message: str, at: int | None = None) -> NoReturn:
        place = self.at if at is None else at
        raise ValueError(f"no regular expression: {message}, at its character {place + 1}")


class _Settled:
    """A test in which the case of letters has been seen to."""

    def __init__(self, test: Char) -> None:
        self.test = test

    def __call__(self, char: str) -> bool:
        return self.test(char)


def _absolute(step: Step, at: int) -> Step:
    return tuple(at + way for way in step) if isinstance(step, tuple) else step


def _exactly(wanted: str) -> Char:
    return lambda char: char == wanted


def _range(low: str, high: str) -> Char:
    return lambda char: low <= char <= high
