"""The lab: a child changes something, the parent looks, with the flag and without; then the same after execve."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from signal import SIGCHLD

from nsview.host import kcmp
from nsview.labs.judging import judged, left_out, with_conclusions
from nsview.labs.lab import Event, Finding, Scene, Setting, Stage
from nsview.labs.parent import Parent, parent
from nsview.labs.sharing.conclusions import ONE, TWO, conclusions
from nsview.labs.sharing.things import OFFSET, OFFSET_APART, THINGS, Thing
from spawner.dangers import DANGERS
from spawner.flags import BY_NAME, Flag
from spawner.rules import refusals

_WORDS = {True: "shared: the parent sees the change", False: "apart: the parent sees nothing of it"}
_KCMP = {True: ONE, False: TWO}
_THREAD = ("VM", "SIGHAND", "THREAD")
_EXECUTED = {
    True: "the process and its threads go on",
    False: "the program alone is left, with the process's id; the other threads are gone",
}
_SUBJECT = "nsview.labs.sharing.subject"
DEADLINE = 30.0
"""Seconds after which a program that is to be executed counts as not."""


def run(_setting: Setting) -> Generator[Event, None, None]:
    """One throw-away parent for each question: what is shared would show in the next."""
    yield from with_conclusions(_experiments(), conclusions)


def _experiments() -> Generator[Event, None, None]:
    for part in PARTS:
        yield from part()


def _things() -> Generator[Event, None, None]:
    for thing in THINGS:
        flag = BY_NAME[f"CLONE_{thing.name}"]
        yield Stage(flag.name, flag.does)
        yield from _seen(thing, flag, True)
        yield from _seen(thing, flag, False)
        yield from _after_exec(thing, flag)


def _needing() -> Generator[Event, None, None]:
    yield Stage("Flags that need others", "Sent as they are, though the rules say that the kernel refuses them.")
    for name in ("SIGHAND", "THREAD"):
        yield _alone(BY_NAME[f"CLONE_{name}"])


def _without() -> Generator[Event, None, None]:
    yield Stage("Without any flag", "What fork copies is the table of descriptors, not the open files behind it.")
    yield from _seen(OFFSET, None, True)
    yield from _seen(OFFSET_APART, None, False)


def _seen(thing: Thing, flag: Flag | None, shared: bool) -> Generator[Event, None, None]:
    flags = [*thing.beside, *([thing.name] if flag is not None and shared else [])]
    way = "with" if shared else "without"
    key = thing.name.lower() if flag is None else f"{thing.name.lower()}.{way}"
    name = None if flag is None else flag.name
    done = thing.done if flag is None else f"{thing.done}, {way} {flag.name}"
    with parent(_SUBJECT) as ours:
        answer = ours.ask("change", thing.name, flags)
        if "refused" in answer or answer["failed"]:
            why = answer.get("refused") or f"the child's calls were answered {answer['failed']}"
            yield left_out(key, done, _WORDS[shared], why, name)
            return
        if flag is not None:
            yield Scene(f"A child {way} {flag.name}", ours.pid, answer["pid"], "sharing: one object, or two?")
            yield _compared(f"{key}.kcmp", thing, flag, ours.pid, answer["pid"], shared, f"a child {way} {flag.name}")
        changed = ours.ask("ended")["changed"] if thing.ended else answer["changed"]
    yield judged(key, done, _WORDS[shared], _WORDS[changed], "", name)


def _compared(key: str, thing: Thing, flag: Flag, one: int, two: int, shared: bool, who: str) -> Finding:
    answer = kcmp.compare(one, two)[thing.name]
    done = f"{who}: ask kcmp(2), KCMP_{thing.name}"
    if answer is None:
        why = "kcmp(2) does not tell: neither has one yet, or it takes CONFIG_KCMP and the rights of ptrace"
        return left_out(key, done, _KCMP[shared], why, flag.name)
    return judged(key, done, _KCMP[shared], _KCMP[answer], "", flag.name)


def _after_exec(thing: Thing, flag: Flag) -> Generator[Event, None, None]:
    key = f"{thing.name.lower()}.exec"
    with parent(_SUBJECT) as ours:
        answer = ours.ask("execute", thing.name, [*thing.beside, thing.name])
        if "refused" in answer:
            done = f"launch a program with {flag.name}"
            yield left_out(key, done, _KCMP[flag.stays], answer["refused"], flag.name)
            return
        yield Scene(f"After execve, with {flag.name}", ours.pid, answer["pid"], flag.after_exec)
        yield _compared(key, thing, flag, ours.pid, answer["pid"], flag.stays, f"with {flag.name}, after execve")


def _thread() -> Generator[Event, None, None]:
    flag = BY_NAME["CLONE_THREAD"]
    yield Stage(flag.name, flag.does)
    for thread in (True, False):
        flags = [name for name in _THREAD if thread or name != "THREAD"]
        with parent(_SUBJECT) as ours:
            answer = ours.ask("thread", flags)
        one = answer["said"] == answer["ours"], answer["listed"]
        words = {True: "the parent's, among whose threads it is", False: "its own"}
        yield judged(
            f"thread.{'with' if thread else 'without'}",
            f"the child asks getpid(2), {'with' if thread else 'without'} {flag.name}",
            words[thread],
            words[one[0]] if one[0] == one[1] else f"{answer['said']}, listed: {answer['listed']}",
            "",
            flag.name,
        )


def _ruin() -> Generator[Event, None, None]:
    """What execve in a thread does to its process, which is a throw-away one: the engine refuses to do it."""
    flag = BY_NAME["CLONE_THREAD"]
    done = "another thread of a process calls execve: who is left?"
    why = next(danger.harm for danger in DANGERS if danger.name == "thread-execs")
    with parent(_SUBJECT) as ours:
        tid = ours.ask("another")["tid"]
        before = _threads(ours.pid)
        ours.tell("ruin")
        answered = "nothing came of it"
        if _until_it_is("cat", ours):
            yield Scene("A program in a process's place", os.getpid(), ours.pid, f"one thread; before, {len(before)}")
            after = _threads(ours.pid)
            gone = before == {ours.pid, tid} and after == {ours.pid}
            answered = _EXECUTED[False] if gone else f"threads {sorted(after)}; before, {sorted(before)}"
    yield judged("thread.exec", done, _EXECUTED[flag.stays], answered, why, flag.name)
    with parent(_SUBJECT) as ours:
        answer = ours.ask("execute", "FS", [])
        if "refused" in answer:
            yield left_out("thread.exec-control", "the same by a child", _EXECUTED[True], answer["refused"], flag.name)
            return
        still = _name(ours.pid) != "cat" and ours.ask("another")["tid"] in _threads(ours.pid)
    done = "a child that is no thread calls execve: is its parent left?"
    yield judged("thread.exec-control", done, _EXECUTED[True], _EXECUTED[still], "", flag.name)


def _threads(pid: int) -> set[int]:
    try:
        return {int(name) for name in os.listdir(f"/proc/{pid}/task")}
    except (FileNotFoundError, ProcessLookupError):
        return set()


def _name(pid: int) -> str | None:
    try:
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").rstrip("\n")
    except (FileNotFoundError, ProcessLookupError):
        return None


def _until_it_is(name: str, ours: Parent) -> bool:
    end = time.monotonic() + DEADLINE
    never = threading.Event()
    while (found := _name(ours.pid)) != name:
        if found is None or time.monotonic() >= end:
            return False
        never.wait(0.002)
    return True


def _alone(flag: Flag) -> Finding:
    expected = next(iter(refusals(flag.bit, "clone3", SIGCHLD)), None)
    with parent(_SUBJECT) as ours:
        answer = ours.ask("refused", [flag.short])["errno"]
    said = errno.errorcode.get(answer, str(answer)) if answer else "a child"
    told = "a child" if expected is None else errno.errorcode[expected.errno]
    done = f"make a child with {flag.name} and no other flag"
    key = f"{flag.short.lower()}.alone"
    return judged(key, done, told, said, "" if expected is None else expected.rule.why, flag.name)


PARTS: tuple[Callable[[], Generator[Event, None, None]], ...] = (_things, _thread, _ruin, _needing, _without)
"""In the order of the lab."""
