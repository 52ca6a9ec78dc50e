"""What the answers on sharing come to, beside what the document says of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nsview.labs.judging import among, concluded
from nsview.labs.lab import Conclusion, Finding, Verdict

ONE, TWO = "one object", "two objects"
"""What kcmp(2) says of a thing of two processes."""
_THE_DOCUMENTS = ("CLONE_VM", "CLONE_FILES", "CLONE_SIGHAND")
"""The flags that its 2.1 names."""


def conclusions(findings: Sequence[Finding]) -> Iterator[Conclusion]:
    """Each from the findings that it speaks of; nothing follows where none of them was asked."""
    asked = [each for each in findings if each.verdict is not Verdict.LEFT_OUT]
    looks = [each for each in asked if each.key.endswith((".with", ".without"))]
    right = sum(each.verdict is Verdict.AS_EXPECTED for each in looks)
    yield concluded(
        "each-flag-shares-one-thing",
        f"{right} of {len(looks)} looks were as the table of flags says: with its flag each thing is one, without it "
        "the child has its own.",
        looks,
        {"looks": len(looks), "as_expected": right},
    )
    after = [each for each in asked if each.key.endswith(".exec")]
    shared = _flags(after, shared=True)
    apart = _flags(after, shared=False)
    yield concluded(
        "some-sharing-outlives-execve",
        f"After execve {len(shared)} of {len(after)} things are shared still ({', '.join(shared) or 'none'}), "
        f"{len(apart)} no longer ({', '.join(apart) or 'none'}).",
        after,
        {"things": len(after), "stay": len(shared)},
    )
    theirs = [each for each in after if each.flag in _THE_DOCUMENTS]
    lost = _flags(theirs, shared=False)
    beyond = [flag for flag in shared if flag not in _THE_DOCUMENTS]
    yield concluded(
        "the-documents-flags-end-at-execve",
        f"The document's 2.1 names {', '.join(_THE_DOCUMENTS)} as what chooses between sharing and copying. That "
        f"holds up to execve, which undid {len(lost)} of these {len(theirs)}; for fork and exec together those that "
        f"count are others: {', '.join(beyond) or 'none here'}.",
        theirs,
        {"flags": len(theirs), "undone": len(lost)},
    )
    offsets = among(findings, "offset")
    yield concluded(
        "fork-copies-descriptors-not-open-files",
        "The document's 2.1 says that fork copies all descriptors: the table, yes; the open files behind it are one. "
        + "; ".join(f"{each.done}: {each.answered}" for each in offsets)
        + ".",
        offsets,
        {"looks": len(offsets)},
    )
    alone = [each for each in asked if each.key.endswith(".alone")]
    refused = [each for each in alone if each.answered != "a child"]
    yield concluded(
        "flags-are-not-chosen-one-by-one",
        "The document's 2.1 has each flag choose for its own resource; the choice is not quite free, some need others: "
        + ", ".join(f"{each.flag} alone was answered {each.answered}" for each in alone)
        + ".",
        alone,
        {"asked": len(alone), "refused": len(refused)},
    )


def _flags(after: Sequence[Finding], *, shared: bool) -> list[str]:
    return [str(each.flag) for each in after if (each.answered == ONE) is shared]
