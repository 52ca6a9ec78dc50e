"""The lab of sharing: with its flag each thing is one, without it two, after execve as the table of flags says."""

from __future__ import annotations

import errno
import json
import os
import signal
from dataclasses import replace

import pytest
from leftovers import Census, until
from nobody import Runner

from nsview.labs.lab import Finding, Report, Setting, Verdict
from nsview.labs.parent import Parent, parent
from nsview.labs.running import begin, perform
from nsview.labs.sharing import experiment, subject
from nsview.labs.sharing.conclusions import conclusions
from nsview.labs.sharing.things import THINGS, Prepared
from nsview.labs.table import find
from spawner.flags import BY_NAME

LAB = find("sharing")


@pytest.fixture(scope="module")
def report() -> Report:
    return perform(LAB, Setting())


def by_key(report: Report) -> dict[str, Finding]:
    return {each.key: each for each in report.findings}


def test_every_look_is_as_the_table_says(report):
    assert report.error is None
    assert not report.failed
    found = by_key(report)
    assert len(found) == len(report.findings)
    for thing in THINGS:
        name = thing.name.lower()
        assert found[f"{name}.with"].answered.startswith("shared")
        assert found[f"{name}.without"].answered.startswith("apart")
        assert found[f"{name}.with"].verdict is found[f"{name}.without"].verdict is Verdict.AS_EXPECTED


@pytest.mark.parametrize("name", ["VM", "FS", "FILES", "SIGHAND", "SYSVSEM", "IO"])
def test_kcmp_agrees_before_execve_and_after_it(name, report):
    found = by_key(report)
    assert found[f"{name.lower()}.with.kcmp"].answered == "one object"
    assert found[f"{name.lower()}.without.kcmp"].answered == "two objects"
    stays = name in ("FS", "SYSVSEM", "IO")
    assert BY_NAME[f"CLONE_{name}"].stays is stays
    assert found[f"{name.lower()}.exec"].answered == ("one object" if stays else "two objects")


def test_a_thread_is_the_same_process_and_an_open_file_is_shared_without_any_flag(report):
    found = by_key(report)
    assert found["thread.with"].verdict is found["thread.without"].verdict is Verdict.AS_EXPECTED
    assert found["offset"].answered.startswith("shared")
    assert found["offset.apart"].answered.startswith("apart")


def test_execve_in_a_thread_leaves_its_program_alone_and_in_a_child_it_does_not(report):
    found = by_key(report)
    assert found["thread.exec"].answered.startswith("the program alone is left")
    assert found["thread.exec-control"].answered == "the process and its threads go on"
    assert {found["thread.exec"].verdict, found["thread.exec-control"].verdict} == {Verdict.AS_EXPECTED}


def test_flags_that_need_others_are_refused_without_them(report):
    found = by_key(report)
    assert (found["sighand.alone"].answered, found["thread.alone"].answered) == ("EINVAL", "EINVAL")


def test_the_caller_is_as_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(experiment, "THINGS", tuple(each for each in THINGS if each.name in ("FS", "FILES", "SIGHAND")))
    before = os.umask(0o027)
    try:
        perform(LAB, Setting())
        assert os.getcwd() == str(tmp_path)
        assert os.umask(before) == 0o027
        assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
        assert not os.path.exists("/proc/self/fd/200")
    finally:
        os.umask(before)


@pytest.mark.parametrize("name", ["CLONE_FS", "CLONE_VM", "CLONE_THREAD"])
def test_a_table_that_says_otherwise_of_execve_is_told(name, monkeypatch):
    table = dict(BY_NAME)
    table[name] = replace(table[name], stays=not table[name].stays)
    monkeypatch.setattr(experiment, "BY_NAME", table)
    monkeypatch.setattr(experiment, "THINGS", tuple(each for each in THINGS if each.flag is BY_NAME[name]))
    found = perform(LAB, Setting())
    assert by_key(found)[f"{name[6:].lower()}.exec"].verdict is Verdict.OTHERWISE
    assert found.failed


def verdicts(report: Report) -> dict[str, Verdict]:
    return {each.key: each.verdict for each in report.conclusions}


def test_conclusions_follow_from_the_answers_and_not_from_the_table(monkeypatch, nothing_left: Census):
    real = experiment.kcmp.compare

    def turned(one: int, two: int) -> dict[str, bool | None]:
        return {name: None if answer is None else not answer for name, answer in real(one, two).items()}

    monkeypatch.setattr(experiment.kcmp, "compare", turned)
    found = perform(LAB, Setting())
    assert verdicts(found)["each-flag-shares-one-thing"] is Verdict.AS_EXPECTED
    assert verdicts(found)["the-documents-flags-end-at-execve"] is Verdict.OTHERWISE
    assert verdicts(found)["some-sharing-outlives-execve"] is Verdict.OTHERWISE
    stayed = next(each for each in found.conclusions if each.key == "some-sharing-outlives-execve")
    assert stayed.numbers["stay"] == sum(
        each.answered == "one object" and ".exec" in each.key for each in found.findings
    )


def test_each_conclusion_has_its_numbers_and_nothing_follows_from_nothing(report):
    numbers = {each.key: each.numbers for each in report.conclusions}
    assert numbers == {
        "each-flag-shares-one-thing": {"looks": 14, "as_expected": 14},
        "some-sharing-outlives-execve": {"things": 7, "stay": 3},
        "the-documents-flags-end-at-execve": {"flags": 3, "undone": 3},
        "fork-copies-descriptors-not-open-files": {"looks": 2},
        "flags-are-not-chosen-one-by-one": {"asked": 2, "refused": 2},
    }
    assert {each.verdict for each in report.conclusions} == {Verdict.AS_EXPECTED}
    assert {each.verdict for each in conclusions(())} == {Verdict.LEFT_OUT}


@pytest.mark.parametrize("request_", ["change", "execute"])
def test_what_a_kernel_has_not_is_left_out_and_no_failure(request_: str, monkeypatch):
    ask = Parent.ask

    def without_io(ours: Parent, request: str, *arguments: object) -> dict[str, object]:
        if (request, *arguments[:1]) == (request_, "IO"):
            return {"refused": "Function not implemented"}
        return ask(ours, request, *arguments)

    monkeypatch.setattr(Parent, "ask", without_io)
    monkeypatch.setattr(experiment, "THINGS", tuple(each for each in THINGS if each.name in ("FILES", "IO")))
    found = perform(LAB, Setting())
    assert not found.failed
    left_out = {each.key for each in found.findings if each.verdict is Verdict.LEFT_OUT}
    assert left_out == ({"io.with", "io.without"} if request_ == "change" else {"io.exec"})
    assert {*verdicts(found).values()} == {Verdict.AS_EXPECTED}


@pytest.mark.parametrize("request_", ["change", "execute"])
def test_a_thing_that_cannot_be_had_is_an_answer_of_the_parent(request_: str, monkeypatch):
    def prepare() -> Prepared:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setitem(subject.BY_THING, "IO", replace(subject.BY_THING["IO"], prepare=prepare))
    assert "not implemented" in getattr(subject.Subject(), request_)("IO", ["IO"])["refused"]


def semaphore_sets() -> set[str]:
    with open("/proc/sysvipc/sem") as lines:
        return {line.split()[1] for line in lines} - {"semid"}


@pytest.mark.parametrize("number", [signal.SIGTERM, None], ids=["terminated", "its input ends"])
def test_its_semaphores_do_not_outlive_the_parent(number: int | None, nothing_left: Census):
    before = semaphore_sets()
    with parent("nsview.labs.sharing.subject") as ours:
        assert ours.ask("change", "SYSVSEM", ["SYSVSEM"])["failed"] == []
        made = semaphore_sets() - before
        assert made
        if number is not None:
            os.kill(ours.pid, number)
    assert until(lambda: not semaphore_sets() & made)


def test_a_semaphore_that_cannot_be_used_is_given_back(monkeypatch):
    from nsview.labs.sharing import things

    made: list[int] = []
    call = things.native.call
    semop = things.native.SYSCALLS["semop"]

    def refusing(number: int, *arguments: object) -> int:
        if number == semop:
            raise OSError(errno.ENOSPC, "No space left on device")
        if number == things.native.SYSCALLS["semget"]:
            made.append(call(number, *arguments))
            return made[0]
        return call(number, *arguments)

    class Native:
        SYSCALLS = things.native.SYSCALLS

    monkeypatch.setattr(Native, "call", staticmethod(refusing), raising=False)
    monkeypatch.setattr(things, "native", Native)
    with pytest.raises(OSError, match="No space"):
        things.BY_THING["SYSVSEM"].prepare()
    assert made
    assert not semaphore_sets() & {str(number) for number in made}


def test_what_a_terminal_sends_us_is_not_for_the_parent(nothing_left: Census):
    with parent("nsview.labs.sharing.subject") as ours:
        assert os.getpgid(ours.pid) == ours.pid != os.getpgrp()


@pytest.mark.parametrize("part", experiment.PARTS, ids=lambda part: part.__name__)
def test_closing_a_part_after_any_event_leaves_nothing(part, monkeypatch, nothing_left: Census):
    monkeypatch.setattr(experiment, "PARTS", (part,))
    monkeypatch.setattr(experiment, "THINGS", [each for each in THINGS if each.name == "SYSVSEM"])
    monkeypatch.setattr(experiment, "conclusions", lambda findings: ())
    count = sum(1 for _ in begin(LAB, Setting()))
    for last in range(count):
        told = begin(LAB, Setting())
        for _ in range(last + 1):
            next(told)
        told.close()
        assert nothing_left.difference() == []


@pytest.mark.needs("root")
def test_nobody_may_run_it(nobody: Runner):
    done = nobody("nsview", "lab", "sharing", "--json", timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {each["key"]: each["verdict"] for each in json.loads(done.stdout)["findings"]}
    assert found["vm.with"] == found["fs.without"] == found["thread.exec"] == "as expected"
