"""The labs there are."""

from __future__ import annotations

import difflib

from nsview.labs.lab import Lab

LABS: tuple[Lab, ...] = (
    Lab(
        "sharing",
        "What a child shares",
        "Which things does a child share with its parent, flag by flag, and what is left of it after execve?",
        "2.1",
        "sharing.experiment:run",
    ),
    Lab(
        "mechanisms",
        "The ways to make a child",
        "What do fork, vfork, clone, clone3, fork+unshare and posix_spawn cost, and when does the parent's size count?",
        "1, 2, 5.1",
        "mechanisms.experiment:run",
    ),
    Lab(
        "isolation",
        "Eight namespaces, one by one",
        "What does each namespace hide, what still leaks, and is one clone better than fork and unshare?",
        "3.1",
        "isolation.experiment:run",
    ),
    Lab(
        "container",
        "A container from end to end",
        "Is every stage of making a container in force, and what happens to who tries to get out?",
        "3.2, 4.1, 6.1 to 6.5",
        "container.experiment:run",
    ),
    Lab(
        "stack",
        "A function and a stack of its own",
        "What does clone's own entry and stack mean, and what happens when the stack overflows?",
        "2.2",
        "stack.experiment:run",
    ),
    Lab(
        "pid1",
        "The first process of a pid namespace",
        "Which signals does pid 1 ignore, who reaps its orphans, and what does an init change?",
        "3.1",
        "pid1.experiment:run",
    ),
)
"""In the order in which they teach best."""


class UnknownLab(ValueError):  # noqa: N818 - an error by its base, named for what is wrong
    """There is no lab of this ``name``; ``matches`` are names it may have been meant to be."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.matches = tuple(difflib.get_close_matches(name, [lab.name for lab in LABS], n=2))
        hint = f"; did you mean {' or '.join(self.matches)}?" if self.matches else ""
        super().__init__(f"no lab is called {name!r}{hint} (there are {', '.join(lab.name for lab in LABS)})")


def find(name: str) -> Lab:
    """Return the lab of this name; raises UnknownLab."""
    for lab in LABS:
        if lab.name == name:
            return lab
    raise UnknownLab(name)
