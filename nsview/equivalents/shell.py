"""Command lines for a shell: words quoted, options a line each, contents fed through descriptors."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence

from nsview.equivalents.account import Account
from nsview.equivalents.equivalent import Caller

_WIDTH = 72
"""Cells that a command line of one line may have."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Words = Sequence[str]


def quoted(word: str) -> str:
    """A word as the shell reads it, printable whatever is in it."""
    if word.isprintable():
        return shlex.quote(word)
    return "$'" + "".join(map(_escaped, os.fsencode(word).decode("utf-8", "surrogateescape"))) + "'"


def _escaped(letter: str) -> str:
    if letter in "\\'":
        return "\\" + letter
    if letter.isprintable():
        return letter
    return "".join(f"\\{byte:03o}" for byte in letter.encode("utf-8", "surrogateescape"))


def printf(content: bytes) -> str:
    """A bash process substitution whose file has just this content."""
    text = "".join(_in_format(byte) for byte in content)
    return f"<(printf '{text}')"


def _in_format(byte: int) -> str:
    if byte == 10:
        return "\\n"
    if byte == 37:
        return "%%"
    if byte in (39, 92) or not 32 <= byte < 127:
        return f"\\{byte:03o}"
    return chr(byte)


def here_document(text: str) -> str:
    """A bash process substitution whose file has this text, readable."""
    end = "END"
    while any(line == end for line in text.splitlines()):
        end += "_"
    return f"<(cat <<'{end}'\n{text}{'' if text.endswith(chr(10)) else chr(10)}{end}\n)"


class Line:
    """A command line under construction: groups of words that stay together, what is raw shell, and descriptors."""

    def __init__(self, *program: str) -> None:
        """Begin with a program and what belongs right behind it."""
        self._groups: list[str] = [" ".join(map(quoted, program))] if program else []
        self._redirections: list[str] = []
        self._next = 10

    def add(self, *words: str) -> None:
        """Add an option with its values."""
        self._groups.append(" ".join(map(quoted, words)))

    def raw(self, text: str) -> None:
        """Add what the shell is to read itself."""
        self._groups.append(text)

    def feed(self, content: bytes) -> str:
        """The number of a descriptor from which the program will read this content."""
        return self.feed_text(printf(content))

    def feed_text(self, source: str) -> str:
        """The number of a descriptor that is open on a process substitution."""
        number = self._next
        self._next += 1
        self._redirections.append(f"{number}< {source}")
        return str(number)

    def __bool__(self) -> bool:
        return bool(self._groups)

    @property
    def groups(self) -> list[str]:
        """The groups so far."""
        return [*self._groups]

    def text(self) -> str:
        """On one line where it fits, else a group each."""
        return joined([*self._groups, *self._redirections])


def joined(groups: Iterable[str]) -> str:
    """Groups of words on one line where that is not too long, else a line each."""
    found = [*groups]
    one = " ".join(found)
    if len(one) <= _WIDTH and "\n" not in one:
        return one + "\n"
    return " \\\n    ".join(found) + "\n"


def environment_changes(
    env: tuple[tuple[str, str], ...], around: Mapping[str, str]
) -> tuple[list[str], list[tuple[str, str]], bool]:
    """(variables to take away, those to set, whether to begin from none) that make ``env`` of what is around.

    The shorter way: nobody wants to read thirty variables that are as they were.
    """
    wanted = dict(env)
    gone = [name for name in around if name not in wanted]
    changed = [(name, value) for name, value in wanted.items() if around.get(name) != value]
    if len(gone) + len(changed) <= len(wanted):
        return gone, changed, False
    return [], list(wanted.items()), True


def env_words(account: Account, caller: Caller) -> list[str]:
    """The words of env(1) before the program, for the environment asked for; none where it is the caller's."""
    env = account.spec.env
    if env is None:
        return []
    if any("=" in name or not name for name, _ in env) or len(dict(env)) != len(env):
        account.cannot("env", "a variable is there twice, or has a name that env(1) cannot set")
        return []
    account.said("env")
    gone, changed, empty = environment_changes(env, caller.environment)
    words = ["-i"] if empty else [word for name in gone for word in ("-u", name)]
    words += [f"{name}={value}" for name, value in changed]
    return ["env", *words] if words else []


def is_name(text: str) -> bool:
    """Whether a shell could set a variable of this name."""
    return _NAME.fullmatch(text) is not None
