"""The rules for clone flags say what the running kernel answers: each call is made, in a throw-away."""

from __future__ import annotations

import errno
import os
import random
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from signal import SIGCHLD

import pytest

from spawner.flags import FLAGS, Flag, bits, format_mask
from spawner.rules import DANGERS, RULES, Caller, When, dangers, exit_signal_for, refusals

INTO_CGROUP = bits("INTO_CGROUP")
A_SIGNAL_BIT = 1 << 4
NEVER_A_FLAG = 1 << 45
BEYOND_SIGNALS = 65
SEED = 20

CONTEXTS = {
    "plain": Caller(),
    "init": Caller(pid_namespace_init=True),
    "unprivileged": Caller(privileged=False),
    "chrooted": Caller(chrooted=True),
    "unmapped": Caller(ids_mapped=False),
    "pid-pending": Caller(pid_namespace_pending=True),
    "time-pending": Caller(time_namespace_pending=True),
    "threaded": Caller(threaded=True),
}


@dataclass(frozen=True, slots=True)
class Question:
    via: str
    mask: int
    exit_signal: int

    def __str__(self) -> str:
        return f"{self.via}({format_mask(self.mask)}), exit signal {self.exit_signal}"


@dataclass(frozen=True, slots=True)
class Kernel:
    """The running kernel: ``program`` asks it, ``cgroup`` is a directory for CLONE_INTO_CGROUP, or None."""

    program: Path
    cgroup: Path | None
    release: tuple[int, int]
    known_bits: int = 0

    def ask(self, context: str, questions: list[Question]) -> list[int]:
        """The errno of each question, 0 for accepted; the work is shared out among the processors."""
        share = -(-len(questions) // (os.cpu_count() or 1))
        parts = [questions[start : start + share] for start in range(0, len(questions), share)]
        with ThreadPoolExecutor(len(parts)) as pool:
            return [answer for part in pool.map(lambda part: self._ask(context, part), parts) for answer in part]

    def _ask(self, context: str, questions: list[Question]) -> list[int]:
        lines = "".join(f"{asked.via} {asked.mask:x} {asked.exit_signal}\n" for asked in questions)
        done = subprocess.run(
            [self.program, context, self.cgroup or "-"],
            input=lines,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        answers = [int(line) for line in done.stdout.split()]
        assert len(answers) == len(questions)
        return answers

    def caller(self, context: str) -> Caller:
        return replace(CONTEXTS[context], known_bits=self.known_bits, kernel=self.release)


def _own_cgroup() -> Path | None:
    """The directory of our own version 2 cgroup, which any child of ours may be put into."""
    own = next((line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line[:3] == "0::"), None)
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split(" ")
        if own is not None and fields[fields.index("-") + 1] == "cgroup2":
            return Path(fields[4], os.path.relpath(own, fields[3]))
    return None


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    program = tmp_path_factory.mktemp("kernel") / "raw_clone"
    source = Path(__file__).with_name("raw_clone.c")
    subprocess.run(["cc", "-std=gnu11", "-O1", "-Wall", "-pthread", source, "-o", program], check=True)
    major, minor, *_ = os.uname().release.split(".")
    asked = Kernel(program, _own_cgroup(), (int(major), int(minor)))
    candidates = [flag.bit for flag in FLAGS] + [NEVER_A_FLAG]
    answers = asked.ask("plain", [Question("probe", completed(bit), 0) for bit in candidates])
    # Every kernel knows these, but clone3 refuses the one, and before Linux 6.9 a pidfd of the other: no probing them.
    known = bits("DETACHED", "THREAD") | sum(
        bit for bit, answer in zip(candidates, answers, strict=True) if answer == errno.EFAULT
    )
    (placed,) = asked.ask("plain", [Question("clone3", INTO_CGROUP, SIGCHLD)]) if asked.cgroup else (None,)
    return replace(asked, known_bits=known, cgroup=asked.cgroup if placed == 0 else None)


def completed(mask: int) -> int:
    """The mask with the flags that its flags cannot be without, so that other rules come to bear."""
    if mask & bits("THREAD"):
        mask |= bits("SIGHAND")
    if mask & bits("SIGHAND"):
        mask |= bits("VM")
    if mask & bits("PIDFD_AUTOKILL"):
        mask |= bits("PIDFD", "AUTOREAP")
    return mask


def masks(candidates: list[int], size: int) -> Iterator[int]:
    """Every combination of up to ``size`` bits, as it is and completed."""
    for count in range(size + 1):
        for chosen in combinations(candidates, count):
            yield sum(chosen)
            yield completed(sum(chosen))


def flag_bits(via: str, kernel: Kernel, context: str) -> list[int]:
    """The bits to try: every flag and two that are none. What clone takes for a signal is no flag there."""
    tried = [flag.bit for flag in FLAGS if via != "clone" or "clone" in flag.via]
    if via != "clone":
        tried += [A_SIGNAL_BIT, NEVER_A_FLAG]
    if kernel.cgroup is None or context != "plain":  # where it may be placed depends on more than the caller
        return [bit for bit in tried if bit != INTO_CGROUP]
    return tried


def questions(via: str, kernel: Kernel, context: str, size: int) -> list[Question]:
    signals = (0,) if via == "unshare" else (SIGCHLD, 0)
    chosen = sorted(set(masks(flag_bits(via, kernel, context), size)))
    found = [Question(via, mask, exit_signal) for mask in chosen for exit_signal in signals]
    if via == "clone3":
        found.append(Question(via, 0, BEYOND_SIGNALS))
    return found


def mismatches(kernel: Kernel, context: str, asked: list[Question]) -> list[str]:
    """Where rules and kernel differ, readable."""
    found = []
    for question, answer in zip(asked, kernel.ask(context, asked), strict=True):
        said = refusals(question.mask, question.via, question.exit_signal, kernel.caller(context))
        expected = said[0].errno if said else 0
        if expected != answer:
            names = ", ".join(refusal.rule.name for refusal in said) or "no rule"
            found.append(
                f"{context}: {question}: the kernel says {errno.errorcode.get(answer, 'accepted')}, "
                f"the rules {errno.errorcode.get(expected, 'accepted')} ({names})"
            )
    return found


def none_of(found: list[str]) -> None:
    assert not found, "\n".join([f"{len(found)} answers differ", *found[:40]])


@pytest.mark.needs("root", "cc")
@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("via", ["clone3", "clone", "unshare"])
def test_kernel_agrees_on_every_flag_pair_and_triple(kernel: Kernel, via: str) -> None:
    none_of(mismatches(kernel, "plain", questions(via, kernel, "plain", 3)))


@pytest.mark.needs("root", "cc")
@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("context", [context for context in CONTEXTS if context != "plain"])
def test_kernel_agrees_on_every_pair_for_other_callers(kernel: Kernel, context: str) -> None:
    asked = [one for via in ("clone3", "clone", "unshare") for one in questions(via, kernel, context, 2)]
    none_of(mismatches(kernel, context, asked))


@pytest.mark.needs("root", "cc")
def test_kernel_agrees_on_large_masks(kernel: Kernel) -> None:
    chance = random.Random(SEED)
    known = [bit for bit in flag_bits("clone3", kernel, "plain") if bit & kernel.known_bits & ~bits("DETACHED")]
    asked = [
        Question("clone3", completed(sum(chance.sample(known, chance.randint(4, 9)))), chance.choice([0, SIGCHLD]))
        for _ in range(1500)
    ]
    none_of(mismatches(kernel, "plain", asked))


@pytest.mark.needs("root", "cc")
def test_every_rule_is_the_only_reason_for_some_refusal(kernel: Kernel) -> None:
    """No rule hides behind another: the comparisons above hold a mask that only this rule explains."""
    proven = set()
    for context in CONTEXTS:
        for via in ("clone3", "clone", "unshare"):
            for asked in questions(via, kernel, context, 2):
                said = refusals(asked.mask, asked.via, asked.exit_signal, kernel.caller(context))
                if len(said) == 1:
                    proven.add(said[0].rule.name)

    def can_be_proven(name: str) -> bool:
        rule = next(rule for rule in RULES if rule.name == name)
        known = not rule.has & ~kernel.known_bits
        return known and rule.in_force(kernel.release) and rule.when not in (When.UNKNOWN_NAMESPACE, When.AUTOREAP)

    assert [rule.name for rule in RULES if rule.name not in proven and can_be_proven(rule.name)] == []


@pytest.mark.needs("root", "cc")
def test_child_can_be_started_in_our_own_cgroup(kernel: Kernel) -> None:
    if kernel.cgroup is None:
        pytest.skip("needs a version 2 cgroup that we may put a child into: CLONE_INTO_CGROUP is left out")
    assert kernel.ask("plain", [Question("clone3", INTO_CGROUP, SIGCHLD)]) == [0]


@pytest.mark.needs("root", "cc")
@pytest.mark.parametrize("lost", [flag.name for flag in FLAGS if "clone" not in flag.via])
def test_clone_drops_a_flag_without_a_word_and_the_dangers_stop_it(kernel: Kernel, lost: str) -> None:
    mask = bits(lost.removeprefix("CLONE_"))
    # Since Linux 7 the kernel checks the exit signal into which CLONE_NEWTIME falls.
    assert kernel.ask("plain", [Question("clone", mask, SIGCHLD)])[0] in (0, errno.EINVAL)
    assert [hazard.danger.name for hazard in dangers(mask, "clone") if hazard.danger.stops] == ["clone-loses-flags"]


def test_first_refusal_is_the_kernels_and_the_rest_are_kept() -> None:
    said = refusals(bits("THREAD", "NEWNS", "FS"))
    assert [refusal.rule.name for refusal in said] == [
        "thread-exit-signal",
        "fs-across-mounts",
        "thread-needs-sighand",
    ]
    assert str(said[1]) == (
        "EINVAL (CLONE_FS|CLONE_NEWNS): one root and working directory cannot lie in two mount namespaces; "
        "drop CLONE_FS or CLONE_NEWNS"
    )


def test_missing_flag_is_not_pointed_at() -> None:
    (refusal,) = refusals(bits("SIGHAND"))
    assert refusal.flags == bits("SIGHAND")


def test_only_probed_bits_decide_what_this_kernel_does_not_know() -> None:
    mask = bits("AUTOREAP", "NEWUTS")
    assert refusals(mask, exit_signal=0, caller=Caller(kernel=(5, 10))) == ()
    (refusal,) = refusals(mask, exit_signal=0, caller=Caller(known_bits=bits("NEWUTS")))
    assert (refusal.rule.name, refusal.flags) == ("unknown-bit", bits("AUTOREAP"))


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.short)
def test_fitting_exit_signal_is_never_the_reason(flag: Flag) -> None:
    said = refusals(flag.bit, exit_signal=exit_signal_for(flag.bit))
    assert not [refusal for refusal in said if refusal.rule.when is When.EXIT_SIGNAL_SET]


def test_bit_outside_the_table_is_unknown_even_unprobed() -> None:
    assert [refusal.rule.name for refusal in refusals(NEVER_A_FLAG)] == ["unknown-bit"]


def test_kernel_without_a_kind_of_namespace_refuses_it_through_every_call() -> None:
    caller = Caller(known_bits=bits("NEWUTS"))
    for via in ("clone3", "clone", "unshare"):
        assert {refusal.errno for refusal in refusals(bits("NEWUSER"), via, caller=caller)} == {errno.EINVAL}
        assert refusals(bits("NEWUTS"), via, caller=caller) == ()


def test_rule_that_was_lifted_holds_on_older_kernels_only() -> None:
    mask = completed(bits("THREAD", "PIDFD"))
    assert [refusal.rule.name for refusal in refusals(mask, exit_signal=0, caller=Caller(kernel=(6, 8)))] == [
        "pidfd-of-thread"
    ]
    assert refusals(mask, exit_signal=0, caller=Caller(kernel=(6, 9))) == ()
    assert refusals(mask, exit_signal=0) == ()


def test_unshared_parent_tid_bit_empties_mounts_where_that_is_known() -> None:
    knowing = Caller(known_bits=bits("PARENT_SETTID", "EMPTY_MNTNS"))
    assert refusals(bits("PARENT_SETTID"), "unshare", caller=knowing) == ()
    assert [hazard.danger.name for hazard in dangers(bits("PARENT_SETTID"), "unshare", caller=knowing)] == [
        "unshare-empties-mounts"
    ]
    assert [refusal.rule.name for refusal in refusals(bits("PARENT_SETTID"), "unshare")] == ["unshare-parent-tid"]


def test_mechanism_without_rules_is_an_error() -> None:
    with pytest.raises(ValueError, match="no rules for 'fork'"):
        refusals(0, "fork")


@pytest.mark.parametrize(
    ("flags", "exit_signal", "harms"),
    [
        ("NEWUTS", SIGCHLD, []),
        ("THREAD|SIGHAND|VM", 0, ["thread-execs", "vm-at-once", "sighand-before-exec"]),
        ("VM|VFORK", SIGCHLD, ["caller-suspended"]),
        ("FS", SIGCHLD, ["fs-for-good"]),
        ("PARENT|PIDFD", 0, ["parent-unwaitable"]),
        ("", 0, ["exit-signal-none"]),
        ("", 10, ["exit-signal-unusual"]),
        ("AUTOREAP", 0, ["autoreap-unwaitable"]),
        ("AUTOREAP|PIDFD|PIDFD_AUTOKILL", 0, ["autokill-on-close"]),
    ],
)
def test_harm_of_accepted_flags_is_said(flags: str, exit_signal: int, harms: list[str]) -> None:
    mask = bits(*filter(None, flags.split("|")))
    assert [hazard.danger.name for hazard in dangers(mask, "clone3", exit_signal)] == harms


def test_names_are_unique_and_what_stops_comes_first() -> None:
    names = [rule.name for rule in RULES] + [danger.name for danger in DANGERS]
    assert len(names) == len(set(names))
    stops = [danger.stops for danger in DANGERS]
    assert stops == sorted(stops, reverse=True)


@pytest.mark.parametrize("text", [text for rule in RULES for text in (rule.why, rule.remedy)])
def test_words_of_a_rule_are_one_clause(text: str) -> None:
    assert text == text.strip()
    assert not text.endswith(".")
    assert text.startswith("CLONE_") or text[0].islower()
