"""``nsview lab``: the labs listed, one run, its verdict as the exit status, and nothing left when it is interrupted."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from leftovers import Census
from listed import json_of, nsview, text_of

from nsview.commands import lab as command
from nsview.labs import running
from nsview.labs.lab import Conclusion, Event, Finding, Lab, Setting, Stage, Verdict
from nsview.labs.table import LABS


def test_labs_are_listed_with_what_they_answer():
    lines = text_of("lab")
    assert lines[0].split()[0] == "LAB"
    assert [line.split()[0] for line in lines[1:]] == [lab.name for lab in LABS]
    assert text_of("lab", "--no-header") == lines[1:]


def test_the_list_as_json_is_that_of_the_table():
    assert [each["name"] for each in json_of("lab")["labs"]] == [lab.name for lab in LABS]


def test_an_unknown_lab_is_one_message_with_what_it_may_have_been_meant_to_be():
    done = nsview("lab", "mechanism")
    assert done.returncode == 2
    assert "did you mean mechanisms?" in done.stderr
    assert done.stdout == ""


def test_one_lab_prints_question_findings_and_counts():
    lines = text_of("lab", "mechanisms")
    assert lines[1].startswith("What do fork, vfork")
    assert any(line.startswith(" ✓ fork: ask kcmp(2)") for line in lines)
    assert lines[-1].startswith("mechanisms: ")
    assert "otherwise" not in lines[-1]


def made_up(verdict: Verdict) -> Lab:
    def run(_setting: Setting) -> Iterator[Event]:
        yield Stage("Made up")
        yield Finding("one", "asked", "a", "b" if verdict is Verdict.OTHERWISE else "a", verdict, "so it is")
        yield Conclusion("so", "so it is", Verdict.AS_EXPECTED)

    running.made_up = run  # type: ignore[attr-defined]
    return Lab("made-up", "Made up", "Does it?", "", "running:made_up")


@pytest.mark.parametrize(
    ("verdict", "status"), [(Verdict.AS_EXPECTED, 0), (Verdict.OTHERWISE, 1), (Verdict.LEFT_OUT, 0)]
)
def test_the_exit_status_is_1_where_an_expectation_fails(verdict, status, monkeypatch, capsys):
    monkeypatch.setattr(command, "find", lambda _name: made_up(verdict))
    from nsview import cli

    assert cli.main(["lab", "made-up"]) == status
    out = capsys.readouterr().out
    assert ("NOT AS EXPECTED: so it is" in out) == (verdict is Verdict.OTHERWISE)
    assert ("left out: so it is" in out) == (verdict is Verdict.LEFT_OUT)
    assert cli.main(["lab", "made-up", "--json"]) == status
    assert json.loads(capsys.readouterr().out)["failed"] == bool(status)
    monkeypatch.delattr(running, "made_up")


def test_interrupted_where_it_waits_it_ends_as_interrupted_and_leaves_nothing(nothing_left: Census):
    with subprocess.Popen(
        [sys.executable, "-m", "nsview", "lab", "mechanisms", "--step"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert process.stderr.read(len("     Enter goes on: ")) == "     Enter goes on: "
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in said


def test_enter_goes_on_to_the_next_thing_to_look_at(nothing_left: Census):
    done = subprocess.run(
        [sys.executable, "-m", "nsview", "lab", "mechanisms", "--step"],
        input="\n" * 50,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert done.stderr.count("Enter goes on: ") == done.stdout.count("▸")
