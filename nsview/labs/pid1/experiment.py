"""What is special about process 1 of a pid namespace: signals, orphans, zombies, its end; what an init changes.

Sources: pid_namespaces(7), signal(7), prctl(2) PR_SET_CHILD_SUBREAPER.
"""

from __future__ import annotations

from collections.abc import Generator
from functools import partial

from nsview.labs.lab import Event, Setting, Verdict
from nsview.labs.pid1 import family, signals
from nsview.labs.pid1.conclusions import conclusions
from nsview.labs.pid1.part import Heard, Part


def run(setting: Setting) -> Generator[Event, None, None]:
    """Tell of process 1; nothing is left of it when closed early."""
    del setting  # nothing is measured
    heard = Heard()
    for part in PARTS:
        yield from part.told(heard)
        if heard.findings[0].verdict is Verdict.LEFT_OUT:
            return  # without a pid namespace there is nothing to ask
    yield from conclusions(heard)


def _orphans(key: str, done: str, expected: str, options: dict[str, bool], *, reaps: bool, title: str = "") -> Part:
    ask = partial(family.orphans, key, done, expected, options, reaps=reaps)
    says = "A child leaves a child behind; then that one ends too." if title else ""
    return Part((f"orphan.{key}", f"zombie.{key}"), lambda heard: ask(heard=heard), title, says)


PARTS: tuple[Part, ...] = (
    Part(
        ("number",),
        family.number,
        "Process 1",
        "A child made with CLONE_NEWPID, which is called otherwise inside and outside.",
    ),
    Part(("number.unshare",), family.unshared),
    Part(
        ("signals.control", "signals.itself", "signals.child"),
        signals.from_inside,
        "Signals without a handler",
        "All 31 standard signals, each with its default action.",
    ),
    Part(("signals.above",), signals.from_above),
    Part(("signals.handler.inside", "signals.handler.above"), signals.caught),
    Part(("signals.crash",), signals.crash),
    Part(("signals.init",), signals.below_init),
    _orphans(
        "pid1",
        "in a pid namespace",
        "process 1, the program",
        {"namespace": True},
        reaps=False,
        title="Orphans and zombies",
    ),
    _orphans("init", "with --init", "process 1, the init", {"namespace": True, "init": True}, reaps=True),
    _orphans("control", "below an init, without a namespace", "the init, past the program", {"init": True}, reaps=True),
    _orphans(
        "subreaper", "below an init and a subreaper", "the program", {"init": True, "subreaper": True}, reaps=False
    ),
    Part(
        ("end.born-before", "end.control", "end.others", "end.born-after"),
        family.the_end,
        "The end of process 1",
        "It ends while another process of its namespace ignores every signal.",
    ),
)
"""In the order of the lab; the first says whether there are pid namespaces at all."""
