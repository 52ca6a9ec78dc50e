"""The lab: what fork copies and what it does not, by the kernel's word; then what every way costs."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing

from nsview.host import kcmp
from nsview.labs.chart.scale import value_text
from nsview.labs.judging import left_out, verdict
from nsview.labs.lab import Axis, Conclusion, Event, Finding, Measurement, Scene, Setting, Stage
from nsview.labs.mechanisms.measuring import PLAIN, SIX, TIME, WAYS, Times, by_namespaces, by_size, series, sizes
from nsview.labs.mechanisms.parents import MIB, Parent, mapping_of, page_tables, parents
from nsview.labs.mechanisms.subject import PROGRAM, SUBPROCESS
from spawner import Mechanism
from spawner.mechanism import WAYS as TABLE

QUICK = (16 * MIB, 64 * MIB, 256 * MIB)
THOROUGH = (16 * MIB, 64 * MIB, 256 * MIB, 1024 * MIB, 4096 * MIB)
ROUNDS, MANY_ROUNDS = 7, 40
LOOKED_AT = 64 * MIB
"""The size of the parent whose children are looked into."""
ENTRY = 8
"""Bytes of a page table's entry on every 64-bit architecture there is."""
WRITTEN = 512
"""Pages written to, to count the faults."""
HOLDS = (Mechanism.FORK, Mechanism.FORK_UNSHARE, Mechanism.CLONE, Mechanism.CLONE3)


def run(setting: Setting) -> Generator[Event, None, None]:
    """Look into held children first, then measure."""
    with closing(Parent(LOOKED_AT)) as parent:
        yield from _looked_into(parent)
        yield from _written(parent)
    rounds = MANY_ROUNDS if setting.thorough else ROUNDS
    yield from _huge(rounds)
    yield from _measured(THOROUGH if setting.thorough else QUICK, rounds)


def _judged(key: str, done: str, expected: str, answered: str, right: bool, why: str = "") -> Finding:
    return Finding(key, done, expected, answered, verdict(right), why)


# ---- what is copied ----


def _looked_into(parent: Parent) -> Generator[Event, None, None]:
    least = parent.pages * ENTRY
    yield Stage(
        "What the call copies",
        f"A parent with {LOOKED_AT // MIB} MiB of memory of its own makes a child, which waits before execve. "
        f"To map {parent.pages} pages takes {least} bytes of page tables.",
    )
    tables: dict[str, int] = {}
    private = 0
    address = parent.ask("where")["address"]
    for way in (*map(str, HOLDS), "plain"):
        name = PLAIN if way == "plain" else way
        with parent.holding(way) as child:
            if child is None:
                yield left_out(f"{_key(name)}.memory", f"hold a child of {name}", "held", "it could not be made here")
                continue
            yield Scene(f"A child of {name}, before execve", parent.pid, child, "memory: shared, or a copy?")
            shares = kcmp.compare(parent.pid, child)["VM"]
            copies = way == "plain" or not TABLE[Mechanism(way)].shares
            told = "no flag was passed" if way == "plain" else TABLE[Mechanism(way)].cost
            yield _same_memory(_key(name), name, not copies, shares, told)
            if copies and shares is False:
                size = page_tables(child)
                if size is None:
                    continue
                tables[name] = size
                done = f"{name}: read the size of the child's page tables (VmPTE)"
                key = f"{_key(name)}.page-tables"
                yield _judged(key, done, f"at least {least} bytes", f"{size} bytes", size >= least)
                mapping = mapping_of(child, address)
                private = mapping.get("Private_Clean", 0) + mapping.get("Private_Dirty", 0)
                yield _judged(
                    f"{_key(name)}.pages",
                    f"{name}: read how much of that memory is the child's alone (smaps, Private_*)",
                    "0 bytes",
                    f"{private} bytes of {mapping.get('Rss', 0)}",
                    private == 0 and mapping.get("Rss", 0) >= parent.size,
                    "the pages themselves are shared until one side writes: copy-on-write",
                )
    for way in (Mechanism.VFORK, Mechanism.POSIX_SPAWN):
        why = f"{way}: {TABLE[way].cost}; a child of it cannot be held, so this follows from CLONE_VM's above"
        yield left_out(f"{_key(way)}.memory", f"hold a child of {way}", "the parent's own memory", why)
    if "fork" in tables:
        yield Conclusion(
            "fork-copies-page-tables-not-pages",
            f"fork copied {value_text(tables['fork'], 'bytes')} of page tables for {LOOKED_AT // MIB} MiB of memory, "
            f"and {private} bytes of the memory itself: a copy of everything, but only when somebody writes.",
            numbers={"tables": tables["fork"], "memory": parent.size, "copied": private},
        )
    if "fork" in tables and PLAIN in tables:
        yield Conclusion(
            "clone-without-vm-copies-what-fork-copies",
            f"clone3 without CLONE_VM copied {value_text(tables[PLAIN], 'bytes')} of page tables, fork "
            f"{value_text(tables['fork'], 'bytes')}: it is the flag that saves the copy, not the name of the call.",
            numbers={"clone3": tables[PLAIN], "fork": tables["fork"]},
        )


def _key(name: str) -> str:
    return "plain" if name == PLAIN else name.replace("+", "-").replace("_", "-")


def _same_memory(key: str, name: str, expected: bool, answer: bool | None, why: str) -> Finding:
    words = {True: "the parent's own memory", False: "memory of its own"}
    done = f"{name}: ask kcmp(2) whether parent and child have one memory"
    if answer is None:
        why = "kcmp(2) does not tell here: it takes CONFIG_KCMP, and the rights of ptrace"
        return left_out(f"{key}.memory", done, words[expected], why)
    return _judged(f"{key}.memory", done, words[expected], words[answer], answer is expected, why)


def _written(parent: Parent) -> Generator[Event, None, None]:
    yield Stage(
        "What is copied later",
        f"The parent writes to {WRITTEN} of its pages: first alone, then while a child of fork has them too.",
    )
    parent.ask(
        "write", 0, WRITTEN
    )  # the children above have left the entries write-protected, which costs a fault, too
    alone = parent.ask("write", 0, WRITTEN)["faults"]
    done = f"write to {WRITTEN} pages that nobody shares, count minor faults (getrusage)"
    yield _judged(
        "write.alone", done, f"fewer than {WRITTEN}", str(alone), alone < WRITTEN, "they are there and its own"
    )
    with parent.holding(str(Mechanism.FORK)) as child:
        if child is None:
            done = "write beside a child of fork"
            yield left_out("write.after-fork", done, f"at least {WRITTEN}", "it could not be held")
            return
        faults = parent.ask("write", 0, WRITTEN)["faults"]
        yield Scene("The parent has written", parent.pid, child, "memory: what was shared is the parent's alone now")
        done = f"write to the same {WRITTEN} pages beside a child of fork"
        why = "each first write finds a page that two have, and copies it"
        yield _judged("write.after-fork", done, f"at least {WRITTEN}", str(faults), faults >= WRITTEN, why)
    yield Conclusion(
        "writes-after-fork-cost-faults",
        f"To write to {WRITTEN} pages cost {alone} faults alone and {faults} after fork: what fork did not copy is "
        "paid for by whoever writes first.",
        numbers={"pages": WRITTEN, "alone": alone, "after_fork": faults},
    )


def _huge(rounds: int) -> Generator[Event, None, None]:
    yield Stage("Huge pages", "The same memory in transparent huge pages, each as large as 512 small ones.")
    done = f"map {LOOKED_AT // MIB} MiB with MADV_HUGEPAGE and fork"
    with closing(Parent(LOOKED_AT, huge=True)) as large, closing(Parent(LOOKED_AT)) as small:
        address = large.ask("where")["address"]
        huge = mapping_of(large.pid, address).get("AnonHugePages", 0)
        if huge < LOOKED_AT // 2:
            why = (
                f"the kernel gave {huge // MIB} MiB of them (/sys/kernel/mm/transparent_hugepage/enabled, free memory)"
            )
            yield left_out("huge.fork", done, "faster than with small pages", why)
            return
        times: Times = {}
        for _ in range(rounds):
            for x, parent in enumerate((small, large)):
                times.setdefault(("fork", x), []).extend(parent.ask("times", "fork", [], 1)["call"])
        (line,) = series(times, ("fork",))
        labels = {0.0: "small pages", 1.0: "huge pages"}
        title = f"fork returns to a parent of {LOOKED_AT // MIB} MiB"
        yield Measurement("huge-pages", title, Axis("pages", ""), TIME, (line,), labels)
        (_, few), (_, many) = line.points
        yield Conclusion(
            "huge-pages-shrink-the-copy",
            f"fork took {value_text(few.median, 'ns')} with small pages and {value_text(many.median, 'ns')} with "
            f"{huge // MIB} MiB in huge ones: one entry is copied for 512.",
            numbers={"small_ns": few.median, "huge_ns": many.median, "huge_bytes": huge},
        )


# ---- what it costs ----


def _measured(wanted: Sequence[int], rounds: int) -> Generator[Event, None, None]:
    yield Stage(
        "What it costs",
        f"Parents of several sizes launch {PROGRAM} by every way in turns, {rounds} times each: the time until the "
        "call has returned (vfork and posix_spawn return when the child has executed), and until the child has been "
        "waited for.",
    )
    with parents(tuple(wanted)) as made:
        for size in wanted[len(made) :]:
            done = f"measure from a parent of {size // MIB} MiB"
            yield left_out(f"size.{size // MIB}-mib", done, "measured", "there is not that much memory available")
        if not made:
            return
        call, whole = by_size(made, rounds)
        names = [way for way in WAYS if way != SUBPROCESS]
        yield sizes("call", "until the call has returned", call, names)
        yield sizes("whole", "until the child has been waited for", whole, (*WAYS, PLAIN))
        yield from _concluded(call, whole, made[0].size, made[-1].size)
        yield from _into_namespaces(made[0], rounds)


def _concluded(call: Times, whole: Times, small: int, large: int) -> Generator[Event, None, None]:
    def of(times: Times, name: str, size: int) -> float:
        (line,) = series({key: values for key, values in times.items() if key == (name, size)}, (name,))
        return line.points[0][1].median

    ends = f"from a parent of {small // MIB} MiB to one of {large // MIB} MiB"
    fork = of(call, "fork", small), of(call, "fork", large)
    yield Conclusion(
        "fork-cost-grows-with-the-parent",
        f"fork took {_both(fork)} {ends}: {fork[1] / fork[0]:.1f} times.",
        numbers={"small_bytes": small, "large_bytes": large, "small_ns": fork[0], "large_ns": fork[1]},
    )
    clone3 = of(call, "clone3", small), of(call, "clone3", large)
    yield Conclusion(
        "vm-sharing-is-flat",
        f"clone3 with CLONE_VM took {_both(clone3)} {ends}: {clone3[1] / clone3[0]:.1f} times.",
        numbers={"small_bytes": small, "large_bytes": large, "small_ns": clone3[0], "large_ns": clone3[1]},
    )
    plain, forked, shared = (of(whole, name, large) for name in (PLAIN, "fork", "clone3"))
    yield Conclusion(
        "clone-without-vm-costs-what-fork-costs",
        f"From the parent of {large // MIB} MiB a child of clone3 without flags took {value_text(plain, 'ns')} to its "
        f"end, though it executes nothing; one of fork that runs a program {value_text(forked, 'ns')}, one of clone3 "
        f"with CLONE_VM that does so {value_text(shared, 'ns')}.",
        numbers={"plain_ns": plain, "fork_ns": forked, "clone3_ns": shared, "bytes": large},
    )


def _both(pair: tuple[float, float]) -> str:
    return f"{value_text(pair[0], 'ns')} and {value_text(pair[1], 'ns')}"


def _into_namespaces(parent: Parent, rounds: int) -> Generator[Event, None, None]:
    yield Stage("With namespaces", f"The smallest parent launches into none, and into {', '.join(SIX)}.")
    times = by_namespaces(parent, rounds)
    lines = series(times, ("clone3", "clone", "fork+unshare"))
    labels = {0.0: "no namespace", 1.0: "six namespaces"}
    yield Measurement("namespaces", "until the child has been waited for", Axis("into", ""), TIME, lines, labels)
    medians = {(line.name, x): point.median for line in lines for x, point in line.points}
    if ("clone3", 0.0) in medians and ("clone3", 1.0) in medians:
        none, six = medians["clone3", 0.0], medians["clone3", 1.0]
        yield Conclusion(
            "namespaces-add-to-a-launch",
            f"A launch by clone3 took {value_text(none, 'ns')} into no namespace and {value_text(six, 'ns')} into six, "
            f"{six / none:.2f} times as long: what making them, and ending them, adds.",
            numbers={"none_ns": none, "six_ns": six},
        )
    if ("fork+unshare", 1.0) in medians and ("clone3", 1.0) in medians:
        two, one = medians["fork+unshare", 1.0], medians["clone3", 1.0]
        yield Conclusion(
            "one-call-or-two",
            f"Into six namespaces fork+unshare took {value_text(two, 'ns')}, one clone3 {value_text(one, 'ns')}: "
            f"{two / one:.2f} times.",
            numbers={"fork_unshare_ns": two, "clone3_ns": one},
        )
