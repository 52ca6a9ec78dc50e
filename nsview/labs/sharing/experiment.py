"""The lab: a child changes something, the parent looks, with the flag and without; then the same after execve."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any

from nsview.host import kcmp
from nsview.labs.lab import Conclusion, Event, Finding, Scene, Setting, Stage, Verdict
from nsview.labs.sharing.things import OFFSET, THINGS, Thing
from spawner.flags import BY_NAME, Flag

_WORDS = {True: "shared: the parent sees the change", False: "apart: the parent sees nothing of it"}
_KCMP = {True: "one object", False: "two objects"}
_THREAD = ("VM", "SIGHAND", "THREAD")


class _Parent:
    """A throw-away process that makes the children (subject.py)."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "nsview.labs.sharing.subject"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid

    def ask(self, request: str, *arguments: object) -> dict[str, Any]:
        """Its answer; BrokenPipeError when it is gone."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([request, *arguments]), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise BrokenPipeError("the parent of the lab's children has ended; its message is above")
        found: dict[str, Any] = json.loads(answer)
        return found

    def close(self) -> None:
        """Let it end, and its child with it."""
        with suppress(BrokenPipeError):  # it is gone already
            self._process.communicate()


@contextmanager
def _parent() -> Iterator[_Parent]:
    parent = _Parent()
    try:
        yield parent
    finally:
        parent.close()


def run(_setting: Setting) -> Generator[Event, None, None]:
    """One throw-away parent for each question: what is shared would show in the next."""
    findings: list[Finding] = []
    with closing(_experiments()) as told:
        for event in told:
            if isinstance(event, Finding):
                findings.append(event)
            yield event
    yield from _concluded(findings)


def _experiments() -> Generator[Event, None, None]:
    for thing in THINGS:
        flag = BY_NAME[f"CLONE_{thing.name}"]
        yield Stage(flag.name, flag.does)
        yield from _seen(thing, flag, True)
        yield from _seen(thing, flag, False)
        yield from _after_exec(thing, flag)
    yield from _thread()
    yield Stage("Without any flag", "What fork copies is the table of descriptors, not the open files behind it.")
    yield from _seen(OFFSET, None, True)


def _concluded(findings: Sequence[Finding]) -> Iterator[Conclusion]:
    """What the kernel's answers come to; of what was left out nothing follows."""
    asked = [each for each in findings if each.verdict is not Verdict.LEFT_OUT]
    looks = [each for each in asked if each.key.endswith((".with", ".without"))]
    right = sum(each.verdict is Verdict.AS_EXPECTED for each in looks)
    yield Conclusion(
        "each-flag-shares-one-thing",
        f"{right} of {len(looks)} looks were as the table of flags says: with its flag each thing is one, without it "
        "the child has its own.",
        _summed_up(looks),
        {"looks": len(looks), "as_expected": right},
    )
    after = [each for each in asked if each.key.endswith(".exec")]
    shared, apart = ([str(each.flag) for each in after if each.answered == _KCMP[one]] for one in (True, False))
    yield Conclusion(
        "execve-ends-most-sharing",
        f"After execve {len(shared)} of {len(after)} things are shared still ({', '.join(shared) or 'none'}), "
        f"{len(apart)} no longer ({', '.join(apart) or 'none'}).",
        _summed_up(after),
        {"things": len(after), "stay": len(shared)},
    )


def _summed_up(asked: Sequence[Finding]) -> Verdict:
    if not asked:
        return Verdict.LEFT_OUT
    return _verdict(all(each.verdict is Verdict.AS_EXPECTED for each in asked))


def _verdict(right: bool) -> Verdict:
    return Verdict.AS_EXPECTED if right else Verdict.OTHERWISE


def _seen(thing: Thing, flag: Flag | None, shared: bool) -> Generator[Event, None, None]:
    flags = [*thing.beside, *([thing.name] if flag is not None and shared else [])]
    way = "with" if shared else "without"
    key = thing.name.lower() if flag is None else f"{thing.name.lower()}.{way}"
    name = None if flag is None else flag.name
    done = thing.done if flag is None else f"{thing.done}, {way} {flag.name}"
    with _parent() as parent:
        answer = parent.ask("change", thing.name, flags)
        if "refused" in answer or answer["failed"]:
            why = answer.get("refused") or f"the child's calls were answered {answer['failed']}"
            yield Finding(key, done, _WORDS[shared], "?", Verdict.LEFT_OUT, why, name)
            return
        if flag is not None:
            yield Scene(f"A child {way} {flag.name}", parent.pid, answer["pid"], "sharing: one object, or two?")
            yield _compared(f"{key}.kcmp", thing, flag, parent.pid, answer["pid"], shared, f"a child {way} {flag.name}")
        changed = parent.ask("ended")["changed"] if thing.ended else answer["changed"]
    yield Finding(key, done, _WORDS[shared], _WORDS[changed], _verdict(changed is shared), "", name)


def _compared(key: str, thing: Thing, flag: Flag, one: int, two: int, shared: bool, who: str) -> Finding:
    answer = kcmp.compare(one, two)[thing.name]
    done = f"{who}: ask kcmp(2), KCMP_{thing.name}"
    if answer is None:
        why = "kcmp(2) does not tell: neither has one yet, or it takes CONFIG_KCMP and the rights of ptrace"
        return Finding(key, done, _KCMP[shared], "?", Verdict.LEFT_OUT, why, flag.name)
    return Finding(key, done, _KCMP[shared], _KCMP[answer], _verdict(answer is shared), "", flag.name)


def _after_exec(thing: Thing, flag: Flag) -> Generator[Event, None, None]:
    key = f"{thing.name.lower()}.exec"
    with _parent() as parent:
        answer = parent.ask("execute", thing.name, [*thing.beside, thing.name])
        if "refused" in answer:
            done = f"launch a program with {flag.name}"
            yield Finding(key, done, _KCMP[flag.stays], "?", Verdict.LEFT_OUT, answer["refused"], flag.name)
            return
        yield Scene(f"After execve, with {flag.name}", parent.pid, answer["pid"], flag.after_exec)
        yield _compared(key, thing, flag, parent.pid, answer["pid"], flag.stays, f"with {flag.name}, after execve")


def _thread() -> Generator[Event, None, None]:
    flag = BY_NAME["CLONE_THREAD"]
    yield Stage(flag.name, flag.does)
    for thread in (True, False):
        flags = [name for name in _THREAD if thread or name != "THREAD"]
        with _parent() as parent:
            answer = parent.ask("thread", flags)
        one = answer["said"] == answer["ours"], answer["listed"]
        words = {True: "the parent's, among whose threads it is", False: "its own"}
        right = one == (thread, thread)
        yield Finding(
            f"thread.{'with' if thread else 'without'}",
            f"the child asks getpid(2), {'with' if thread else 'without'} {flag.name}",
            words[thread],
            words[one[0]] if one[0] == one[1] else f"{answer['said']}, listed: {answer['listed']}",
            _verdict(right),
            "",
            flag.name,
        )
