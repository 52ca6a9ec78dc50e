"""What the answers on stacks come to, beside what the document says of them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nsview.labs.judging import among, concluded
from nsview.labs.lab import Conclusion, Finding, Verdict
from spawner.mechanism import Stack


def conclusions(findings: Sequence[Finding]) -> Iterator[Conclusion]:
    """Each from the findings that it speaks of; nothing follows where none of them was asked."""
    own = among(findings, "own", "way")
    on_own = [each for each in own if each.answered == Stack.OWN]
    copies = [each for each in own if each.answered == Stack.COPY]
    holds = all(each.verdict is Verdict.AS_EXPECTED for each in own)
    yield concluded(
        "a-child-may-have-a-stack-of-its-own",
        f"The document's 2.2 {'holds' if holds else 'does not hold'} here: {len(on_own)} of {len(own)} children stood "
        f"on a stack of their own, and {len(copies)} (by fork, or with no stack given) on a copy of their parent's at "
        "the same address. It takes no CLONE_VM: a child with memory of its own may be given a stack too.",
        own,
        {"children": len(own), "own": len(on_own), "copy": len(copies)},
    )
    sized = [each for each in among(findings, "size") if each.key != "size.main"]
    exact = [each for each in sized if each.verdict is Verdict.AS_EXPECTED]
    sizes = [int(each.key.partition(".")[2]) for each in sized]
    yield concluded(
        "a-stack-is-what-was-asked-for",
        f"{len(exact)} of {len(sized)} stacks, of {min(sizes, default=0)} to {max(sizes, default=0)} bytes, were as "
        "large as asked for, rounded up to pages, above a page that nobody may touch: mapped by who calls clone, "
        "not by clone.",
        sized,
        {"stacks": len(sized), "exact": len(exact)},
    )
    dug = among(findings, "dig")
    ended = [each for each in dug if each.answered.startswith("ended by")]
    lived = [each for each in dug if "its parent lives" in each.answered]
    yield concluded(
        "an-overflow-ends-the-child-alone",
        f"{len(ended)} of {len(dug)} children, those that used more than their stack, were ended by SIGSEGV, told by "
        "their wait status, also in memory shared with their parent; the parent lived and made another "
        f"{len(lived)} times of {len(dug)}. With the guard page opened the same use goes "
        "through: clone itself checks nothing.",
        dug,
        {"children": len(dug), "ended": len(ended), "parents_alive": len(lived)},
    )
    calls = among(findings, "call", "entry")
    statuses = sum(each.verdict is Verdict.AS_EXPECTED for each in among(findings, "entry.status"))
    yield concluded(
        "clone-takes-no-function",
        "The document's 2.2 shows the prototype of libc's wrapper, clone(fn, stack, …): the system call returns twice, "
        "as fork does, and with no stack given the child goes on upon a copy of its parent's. A function as entry is "
        f"what the wrapper, or the engine, calls in the child; its return value was the exit status {statuses} times.",
        calls,
        {"statuses": statuses},
    )
    after = among(findings, "exec", "size.main")
    yield concluded(
        "execve-makes-a-new-stack",
        "A stack given to clone serves until execve, which makes the program another, [stack], that grows on demand "
        "and has a gap below it in place of a guard page: "
        f"{sum(each.verdict is Verdict.AS_EXPECTED for each in after)} of {len(after)} looks were so.",
        after,
        {"looks": len(after)},
    )
    written = among(findings, "memory")
    yield concluded(
        "a-stack-is-no-memory-of-its-own",
        "A stack of one's own does not part the memory: what a child wrote was "
        + ", ".join(f"{each.answered} ({each.key.partition('.')[2]} CLONE_VM)" for each in written)
        + ".",
        written,
        {"looks": len(written)},
    )
