"""What the answers on process 1 come to, beside what the document says of isolation. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from nsview.labs.judging import among, concluded
from nsview.labs.lab import Conclusion, Finding, Verdict
from nsview.labs.pid1.part import Heard
from nsview.labs.pid1.words import acting

_INIT = {
    "signals.init": "a SIGTERM from outside",
    "orphan.init": "the parent of an orphan",
    "zombie.init": "an orphan that ends",
}


def conclusions(heard: Heard) -> Iterator[Conclusion]:
    """Each from the answers that it speaks of; nothing follows where none of them was asked."""
    yield _signals(heard)
    orphans = among(heard.findings, "orphan")
    yield concluded(
        "orphans-go-to-process-1-or-a-subreaper",
        f"Who took in {len(orphans)} orphans: " + _listed(orphans) + ".",
        orphans,
        {"orphans": len(orphans), "as_expected": _right(orphans)},
    )
    zombies = among(heard.findings, "zombie")
    stayed = [each for each in zombies if each.answered.startswith("a zombie stays")]
    yield concluded(
        "zombies-stay-where-nobody-waits",
        f"Of {len(zombies)} orphans that ended, {len(stayed)} stayed zombies ({_where(stayed)}), "
        f"{len(zombies) - len(stayed)} were waited for at once ({_where([z for z in zombies if z not in stayed])}).",
        zombies,
        {"ended": len(zombies), "stayed": len(stayed)},
    )
    init = among(heard.findings, *_INIT)
    yield concluded(
        "an-init-does-what-process-1-has-to",
        "With --init, " + "; ".join(f"{_INIT[each.key]}: {each.answered}" for each in init) + ".",
        init,
        {"asked": len(init), "as_expected": _right(init)},
    )
    end = among(heard.findings, "end")
    yield concluded(
        "a-pid-namespace-ends-with-its-process-1",
        "One after the other, " + "; ".join(f"{each.done}: {each.answered}" for each in end) + ".",
        end,
        {"asked": len(end), "as_expected": _right(end)},
    )
    document = [*among(heard.findings, "number"), *among(heard.findings, "signals.above", "zombie.pid1")]
    yield concluded(
        "one-call-isolates-pids-and-leaves-a-duty",
        "The document's 3.1 holds as far as it goes: one clone makes the namespace, and after fork it takes unshare, "
        "which moves only the next child, so a second fork. What it leaves out: the program is process 1 then, spared "
        f"most signals and answerable for orphans. {_right(document)} of {len(document)} answers say so.",
        document,
        {"asked": len(document), "as_expected": _right(document)},
    )


def _signals(heard: Heard) -> Conclusion:
    keys = ("signals.control", "signals.itself", "signals.child", "signals.above")
    asked = among(heard.findings, *keys)
    if {each.key for each in asked} != {*keys}:
        asked = []
    ordinary, above = (heard.signals.get(key, {}) for key in ("signals.control", "signals.above"))
    inside = max((acting(heard.signals.get(key, {})) for key in ("signals.itself", "signals.child")), default=0)
    return concluded(
        "pid1-is-spared-signals",
        f"An ordinary process is ended or stopped by {acting(ordinary)} of the {len(ordinary)} standard signals; "
        f"process 1 without handlers by {acting(above)} when they come from outside, by {inside} from inside, so to "
        "stop a container by SIGTERM takes a handler or --init.",
        asked,
        {
            "standard": len(ordinary),
            "acting_on_ordinary": acting(ordinary),
            "acting_from_above": acting(above),
            "acting_from_inside": inside,
        },
    )


def _right(findings: list[Finding]) -> int:
    return sum(each.verdict is Verdict.AS_EXPECTED for each in findings)


def _where(findings: list[Finding]) -> str:
    return "; ".join(each.done.removeprefix("the orphan ends ") for each in findings) or "none"


def _listed(findings: list[Finding]) -> str:
    asked = (each.done.removeprefix("an orphan ").removesuffix(": who is its parent?") for each in findings)
    return "; ".join(f"{where}: {each.answered}" for where, each in zip(asked, findings, strict=True))
