"""The environment a process was given by its last execve(2): /proc/PID/environ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nsview.host.attribute import Attribute
from nsview.host.process import PinnedProcess
from nsview.host.text import printable

Environment = Mapping[str, str]
"""Values by name, both safe to print, in the order they were given."""


def environment_of(process: PinnedProcess) -> Environment | None:
    """Read the environment; None when we may not look or it is gone.

    The kernel shows the memory it put the variables into at execve. What setenv(3) adds later is elsewhere;
    a program that writes over that memory (as setproctitle does) shows what it wrote.
    """
    text = process.read("environ")
    return None if text is None else parse(text)


def parse(text: bytes) -> Environment:
    """Read variables that end with NUL; the first of a name counts, as for getenv(3). Pure.

    A word without ``=`` is kept by its name, with an empty value.
    """
    found: dict[str, str] = {}
    for word in text.split(b"\0"):
        if word:
            name, _, value = word.partition(b"=")
            found.setdefault(printable(name), printable(value))
    return found


def change(one: Environment, two: Environment) -> str:
    """Word what ``two`` has more, less and with another value: ``+2 −1 ~3``; empty when equal."""
    gained, lost = two.keys() - one.keys(), one.keys() - two.keys()
    other = [name for name in one.keys() & two.keys() if one[name] != two[name]]
    amounts = (("+", len(gained)), ("−", len(lost)), ("~", len(other)))
    return " ".join(f"{sign}{amount}" for sign, amount in amounts if amount)


COUNT: Attribute[Environment] = Attribute(
    "variables",
    lambda variables: str(len(variables)),
    "/proc/PID/environ",
    "the same environment was handed down",
    "execve gave them different environments",
    change,
    value=dict,
)


def attributes(one: Environment | None, two: Environment | None) -> Iterator[Attribute[Environment]]:
    """Yield the count, and each variable that either has, in the order of the names."""
    yield COUNT
    for name in sorted({*(one or ()), *(two or ())}):
        yield _variable(name)


def _variable(name: str) -> Attribute[Environment]:
    return Attribute(
        name,
        lambda variables: variables.get(name, "(not set)"),
        "/proc/PID/environ",
        "handed down by execve",
        "set, unset or changed for execve",
        lambda one, two: "+" if name not in one else "−" if name not in two else "~",
        value=lambda variables: (variables.get(name),),
    )
