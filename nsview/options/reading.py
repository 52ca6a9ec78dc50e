"""Where the options end and which words are their values, as getopt(3) finds it: argparse alone would not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nsview.options.option import VALUE, Option


def end_options(argv: Sequence[str], options: Mapping[str, Option]) -> list[str]:
    """Put a ``--`` before the program, spell letters out, and tie each option's values to it.

    So no option with an optional value takes the program for it, and a value may begin with a dash. A letter's
    optional value is tied to it (``-m/path``, ``-m=path``): what else follows a letter are more letters.
    """
    words: list[str] = []
    position = 0
    while position < len(argv):
        word = argv[position]
        if word == "--":
            return [*words, *argv[position:]]
        if not word.startswith("-") or word == "-":
            return [*words, "--", *argv[position:]]
        position += 1
        following = argv[position:]
        taken = _long(word, following, options, words) if word[1] == "-" else _letters(word, following, options, words)
        position += taken
    return words


def _long(word: str, following: Sequence[str], options: Mapping[str, Option], words: list[str]) -> int:
    option = options.get(word)
    if option is None:
        # An unknown name with a space would be an operand to argparse, and the program.
        name, _, value = word.partition("=")
        known = name in options
        words.append(f"{name}={_marked(value)}" if known and value else word if known else word.split()[0])
        return 0
    words += _tied(option, following[: option.values])
    return option.values


def _letters(word: str, following: Sequence[str], options: Mapping[str, Option], words: list[str]) -> int:
    rest = word[1:]
    while rest:
        option = options.get(f"-{rest[0]}")
        if option is None:
            words.append(f"-{rest}".split()[0])
            return 0
        rest = rest[1:]
        if option.values:
            values = [rest.removeprefix("=")] if rest else following[:1]
            words += _tied(option, values)
            return 0 if rest else 1
        if option.attached and (rest.startswith("=") or "/" in rest):
            words.append(f"{option.long}={_marked(rest.removeprefix('='))}")
            return 0
        words.append(option.long)
    return 0


def _tied(option: Option, values: Sequence[str]) -> list[str]:
    if len(values) != option.values or not any(value.startswith("-") for value in values):
        return [option.long, *values]
    if option.values == 1:
        return [f"{option.long}={_marked(values[0])}"]
    return [option.long, *(f"{VALUE}{value}" for value in values)]


def _marked(value: str) -> str:
    """The value, told from what argparse drops wherever it reads it."""
    return VALUE + value if value == "--" else value
