"""The lab: on which stack a child runs, what lies below it, what an overflow does, and what clone's function is."""

from __future__ import annotations

import mmap
import signal
from collections.abc import Callable, Generator, Iterator, Sequence

from nsview.labs.judging import judged, left_out, with_conclusions
from nsview.labs.lab import Event, Finding, Scene, Setting, Stage
from nsview.labs.parent import Parent, parent
from nsview.labs.stack.conclusions import conclusions
from nsview.labs.stack.standing import MAIN, NOT_TOLD, Standing, standing
from spawner.flags import BY_NAME
from spawner.mechanism import WAYS, Stack
from spawner.signals import signal_name
from spawner.spec import Mechanism

KIB = 1024
SIZES = (8 * KIB, 64 * KIB, 64 * KIB + 1, 1024 * KIB, 64 * 1024 * KIB)
_SIZE = 128 * KIB
"""Of the stack that is used up."""
_SUBJECT = "nsview.labs.stack.subject"
_PAGE = mmap.PAGESIZE
_MEMORIES = (("vm", ("VM",), "with CLONE_VM"), ("copy", (), "without CLONE_VM"))
_OVERFLOWN = f"ended by {signal_name(signal.SIGSEGV)}; its parent lives, and made another that ended with status 0"
_WITHIN = "it returned and ended with status 0; its parent lives, and made another that ended with status 0"


def run(_setting: Setting) -> Generator[Event, None, None]:
    """Tell it; nothing is left of it when closed early."""
    yield from with_conclusions(_experiments(), conclusions)


def _experiments() -> Generator[Event, None, None]:
    for title, says, experiment in STAGES:
        yield Stage(title, says)
        with parent(_SUBJECT) as ours:
            yield from experiment(ours)


def whose(child: Standing, its_parent: Standing) -> str:
    """Say what a child's stack is to its parent, by the mappings in which the two stand."""
    if child.mapping.end == its_parent.mapping.end:  # the start moves: a main stack grows
        return str(Stack.COPY)
    return str(Stack.OWN)


def _where(key: str, done: str, expected: str, ours: Parent, pid: int, why: str, flag: str | None = None) -> Finding:
    child, its_parent = standing(pid), standing(ours.pid)
    if child is None or its_parent is None:
        return left_out(key, done, expected, NOT_TOLD, flag)
    return judged(key, done, expected, whose(child, its_parent), why, flag)


# ---- which stack, how large, and what is below ----


def _own(ours: Parent) -> Iterator[Event]:
    for name, flags, words in _MEMORIES:
        done = f"give a child a stack of {_SIZE // KIB} KiB, {words}: where does its stack pointer lie?"
        answer = ours.ask("hold", _SIZE, flags)
        if "refused" in answer:
            yield left_out(f"own.{name}", done, Stack.OWN, answer["refused"], "CLONE_VM")
            continue
        yield Scene(
            f"A child on a stack of its own, {words}", ours.pid, answer["pid"], "memory: a mapping, a guard page below"
        )
        yield _where(f"own.{name}", done, Stack.OWN, ours, answer["pid"], "clone(2): stack", "CLONE_VM")
        ours.ask("end")
    answer = ours.ask("clone")
    yield _where(
        "own.none",
        "the same by clone(2) with no stack (NULL), as fork does: where does it lie?",
        Stack.COPY,
        ours,
        answer["pid"],
        "the child goes on where its parent stood, on its copy of the same stack",
    )


def _sizes(ours: Parent) -> Iterator[Event]:
    for size in SIZES:
        key, done = f"size.{size}", f"ask for a stack of {size} bytes"
        expected = f"{-(-size // _PAGE) * _PAGE} bytes, and right below them a page that nobody may touch"
        answer = ours.ask("hold", size, ["VM"])
        if "refused" in answer:
            yield left_out(key, done, expected, answer["refused"])
            continue
        child = standing(answer["pid"])
        ours.ask("end")
        if child is None:
            yield left_out(key, done, expected, NOT_TOLD)
            continue
        below = "a page that nobody may touch" if child.guarded else "no guard"
        yield judged(key, done, expected, f"{child.size} bytes, and right below them {below}", "rounded up to pages")
    done, expected = f"look below a program's first stack ({MAIN})", "no page; the kernel keeps a gap there instead"
    main = standing(ours.pid)
    if main is None or main.mapping.name != MAIN or main.gap is None:
        yield left_out("size.main", done, expected, NOT_TOLD)
        return
    answered = "a guard page" if main.guarded else "no page; the kernel keeps a gap there instead"
    if main.gap == 0 and not main.guarded:
        answered = "another mapping"
    yield judged(
        "size.main",
        done,
        expected,
        answered,
        f"{main.gap // _PAGE} pages here; it grows on demand (VM_GROWSDOWN), which a stack given to clone never does",
    )


def _ways(ours: Parent) -> Iterator[Event]:
    for way in (Mechanism.CLONE3, Mechanism.CLONE, Mechanism.FORK, Mechanism.FORK_UNSHARE):
        expected = WAYS[way].stack
        key, done = f"way.{str(way).replace('+', '-')}", f"launch by {way}: where does its stack pointer lie?"
        answer = ours.ask("way", str(way))
        if "refused" in answer:
            yield left_out(key, done, expected, answer["refused"])
            continue
        yield _where(key, done, expected, ours, answer["pid"], WAYS[way].cost)
        ours.ask("end")


# ---- overflow ----


def _overflow(ours: Parent) -> Iterator[Event]:
    for name, flags, words in _MEMORIES:
        asked: tuple[tuple[str, str, int, int, str, str], ...] = (
            ("within", f"use all but a page of {_SIZE // KIB} KiB", _SIZE, _SIZE - _PAGE, _WITHIN, ""),
            (
                "beyond",
                f"use half a page more than {_SIZE // KIB} KiB",
                _SIZE,
                _SIZE + _PAGE // 2,
                _OVERFLOWN,
                "the guard page: a fault, SIGSEGV, and a wait status that says so",
            ),
            ("larger", "use as much of a stack of twice the size", 2 * _SIZE, _SIZE + _PAGE // 2, _WITHIN, ""),
        )
        for what, done, size, depth, expected, why in asked:
            yield _dug(ours, f"dig.{what}.{name}", f"{done}, {words}", expected, why, size, depth, flags)
    yield _dug(
        ours,
        "dig.unguarded",
        "the same half page more, but with the guard page made ordinary by mprotect(2)",
        _WITHIN,
        "nothing but that page stops it: without, it writes to whatever is mapped below",
        _SIZE,
        _SIZE + _PAGE // 2,
        ("VM",),
        unguarded=True,
    )


def _dug(
    ours: Parent,
    key: str,
    done: str,
    expected: str,
    why: str,
    size: int,
    depth: int,
    flags: Sequence[str],
    unguarded: bool = False,
) -> Finding:
    try:
        answer = ours.ask("dig", size, depth, list(flags), unguarded)
    except BrokenPipeError:
        return judged(key, done, expected, "its parent ended with it", why)
    if "refused" in answer:
        return left_out(key, done, expected, answer["refused"])
    how = "it returned and " if answer["returned"] == depth else ""
    answered = f"{how}{answer['ended']}; its parent lives, and made another that {answer['another']}"
    return judged(key, done, expected, answered, why)


# ---- memory, functions, execve ----


def _memory(ours: Parent) -> Iterator[Event]:
    flag = BY_NAME["CLONE_VM"]
    words = {True: "seen by its parent", False: "not seen by its parent"}
    for name, flags, shared in (("with", ("VM", "VFORK"), True), ("without", ("VFORK",), False)):
        key, done = f"memory.{name}", f"the child writes, made with {'|'.join(f'CLONE_{each}' for each in flags)}"
        answer = ours.ask("store", flags)
        if "refused" in answer:
            yield left_out(key, done, words[shared], answer["refused"], flag.name)
            continue
        yield judged(key, done, words[shared], words[answer["seen"]], flag.does, flag.name)


def _function(ours: Parent) -> Iterator[Event]:
    answer = ours.ask("clone")
    yield judged(
        "call.returns-twice",
        "call clone(2) itself with no stack, as the document's 4.1 does",
        "it returned a pid here, and 0 in the child",
        f"it returned {'a pid' if answer['pid'] > 0 else answer['pid']} here, and {answer['child']} in the child",
        "there is no function among its arguments: libc's clone(fn, stack, …) is a wrapper that calls fn in the child",
    )
    for key, stack, size in (("call.stack-alone", 1 << 20, 0), ("call.size-alone", 0, 1 << 20)):
        done = f"clone3(2) with {'a stack of no size' if stack else 'the size of a stack and no stack'}"
        said = ours.ask("clone3", stack, size)["answer"]
        if said in ("ENOSYS", "EPERM"):
            yield left_out(key, done, "EINVAL", f"clone3 answers {said} here")
            continue
        yield judged(key, done, "EINVAL", said, "clone3_stack_valid() in kernel/fork.c: both or neither")
    for status in (0, 7, 255):
        key, done = f"entry.status.{status}", f"have a child run a Python function that returns {status}"
        answer = ours.ask("entry", status)
        if "refused" in answer:
            yield left_out(key, done, f"ended with status {status}", answer["refused"])
            continue
        yield judged(key, done, f"ended with status {status}", answer["ended"], "spawner.launch(entry=…)")
    answer = ours.ask("enter")
    done = "and its stack pointer, while the function runs?"
    if "refused" in answer:
        yield left_out("entry.stack", done, Stack.COPY, answer["refused"])
        return
    yield Scene("A child that runs a function of ours", ours.pid, answer["pid"], "a copy of its parent: no execve")
    yield _where(
        "entry.stack",
        done,
        Stack.COPY,
        ours,
        answer["pid"],
        "Python's own frames are on it: a function that needs the interpreter is forked, never cloned beside it",
    )


def _executed(ours: Parent) -> Iterator[Event]:
    answer = ours.ask("way", str(Mechanism.CLONE))
    done = "launch a program by clone, on a stack of its own; look after execve"
    expected = f"it stands on its own {MAIN}, with no guard page"
    before = None if "refused" in answer else standing(answer["pid"])
    if before is None:
        yield left_out("exec.stack", done, expected, answer.get("refused", NOT_TOLD))
        return
    yield judged(
        "exec.before",
        "launch a program by clone, on a stack of its own; look before execve",
        "it stands on a mapping without a name, with a guard page",
        _described(before),
        "what the parent mapped and gave to clone(2)",
    )
    answer = ours.ask("execute")
    after = None if "refused" in answer else standing(answer["pid"])
    if after is None:
        yield left_out("exec.stack", done, expected, answer.get("refused", NOT_TOLD))
        return
    yield Scene("After execve", ours.pid, answer["pid"], f"memory: {MAIN}, and nothing of its parent's")
    yield judged("exec.stack", done, expected, _described(after), BY_NAME["CLONE_VM"].after_exec)


def _described(place: Standing) -> str:
    name = f"its own {place.mapping.name}" if place.mapping.name else "a mapping without a name"
    return f"it stands on {name}, with {'a' if place.guarded else 'no'} guard page"


STAGES: tuple[tuple[str, str, Callable[[Parent], Iterator[Event]]], ...] = (
    ("A stack of one's choosing", "clone(2) lets the caller say where the child's stack is; fork does not.", _own),
    ("Its size and its guard", "Stacks of several sizes, as the kernel lists them in /proc/PID/maps.", _sizes),
    ("On which stack, by each call", "A program is launched each way and held before its first step.", _ways),
    ("The stack overflows", "A child uses more of its stack, a page after the other, than there is.", _overflow),
    ("Whose memory", "The child writes to a word that its parent looks at.", _memory),
    ("A function of its own", "The system call takes no function: libc's clone() and the engine call it.", _function),
    ("After execve", "The program gets a stack made for it; what its maker chose is gone.", _executed),
)
"""Title, what is about to be done, and what does it, asking a throw-away parent of its own."""
