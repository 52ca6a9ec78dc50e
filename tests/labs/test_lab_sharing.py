"""The lab of sharing: with its flag each thing is one, without it two, after execve as the table of flags says."""

from __future__ import annotations

import errno
import json
import os
import signal
from dataclasses import replace

import pytest
from leftovers import Census
from nobody import Runner

from nsview.labs.lab import Finding, Report, Setting, Verdict
from nsview.labs.running import begin, perform
from nsview.labs.sharing import experiment, subject
from nsview.labs.sharing.things import THINGS, Prepared
from nsview.labs.table import find
from spawner.flags import BY_NAME, FLAGS

LAB = find("sharing")


@pytest.fixture(scope="module")
def report() -> Report:
    census = Census()
    found = perform(LAB, Setting())
    assert census.difference() == []
    return found


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


def test_the_caller_is_as_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = os.umask(0o027)
    try:
        perform(LAB, Setting())
        assert os.getcwd() == str(tmp_path)
        assert os.umask(before) == 0o027
        assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
        assert not os.path.exists("/proc/self/fd/200")
    finally:
        os.umask(before)


@pytest.mark.parametrize(("name", "sentence"), [("CLONE_FS", "Nothing."), ("CLONE_VM", "Stays.")])
def test_a_table_that_says_otherwise_of_execve_is_told(name, sentence, monkeypatch):
    table = dict(BY_NAME)
    table[name] = replace(table[name], after_exec=sentence)
    monkeypatch.setattr(experiment, "BY_NAME", table)
    monkeypatch.setattr(experiment, "THINGS", tuple(each for each in THINGS if each.flag is BY_NAME[name]))
    found = perform(LAB, Setting())
    assert by_key(found)[f"{name[6:].lower()}.exec"].verdict is Verdict.OTHERWISE
    assert found.failed


def verdicts(report: Report) -> dict[str, Verdict]:
    return {each.key: each.verdict for each in report.conclusions}


def test_conclusions_follow_from_the_answers_and_not_from_the_table(monkeypatch):
    real = experiment.kcmp.compare

    def turned(one: int, two: int) -> dict[str, bool | None]:
        return {name: None if answer is None else not answer for name, answer in real(one, two).items()}

    monkeypatch.setattr(experiment.kcmp, "compare", turned)
    found = perform(LAB, Setting())
    assert verdicts(found)["each-flag-shares-one-thing"] is Verdict.AS_EXPECTED
    assert verdicts(found)["execve-ends-most-sharing"] is Verdict.OTHERWISE
    stayed = next(each for each in found.conclusions if each.key == "execve-ends-most-sharing")
    assert stayed.numbers["stay"] == sum(
        each.answered == "one object" and ".exec" in each.key for each in found.findings
    )


@pytest.mark.parametrize("request_", ["change", "execute"])
def test_what_a_kernel_has_not_is_left_out_and_no_failure(request_: str, monkeypatch):
    ask = experiment._Parent.ask

    def without_io(parent: experiment._Parent, request: str, *arguments: object) -> dict[str, object]:
        if (request, *arguments[:1]) == (request_, "IO"):
            return {"refused": "Function not implemented"}
        return ask(parent, request, *arguments)

    monkeypatch.setattr(experiment._Parent, "ask", without_io)
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


def test_each_sentence_on_execve_begins_with_what_its_value_is():
    words = {flag.after_exec.split()[0].rstrip(".:;,") for flag in FLAGS}
    assert words <= {"Stays", "Nothing", "Ruin", "Ends", "Fires"}


@pytest.mark.parametrize("events", [1, 2, 4, 7, 9, 12])
def test_closing_it_early_leaves_nothing(events: int, nothing_left: Census):
    told = begin(LAB, Setting())
    for _ in range(events):
        next(told)
    told.close()


def test_nobody_may_run_it(nobody: Runner):
    done = nobody("nsview", "lab", "sharing", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = {each["key"]: each["verdict"] for each in json.loads(done.stdout)["findings"]}
    assert found["vm.with"] == found["fs.without"] == "as expected"
