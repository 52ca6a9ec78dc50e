"""`nsview advise`: wants listed, advice as text and JSON, what was measured here cited, and its command lines run."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from leftovers import Census
from listed import json_of, nsview, text_of

from nsview import cli
from nsview.advice.costs import LABS
from nsview.advice.wants import WANTS
from nsview.labs import kept, running
from nsview.labs.lab import Axis, Measurement, Report, Series, Setting, Spread
from nsview.labs.table import find
from spawner import Spec
from spawner.saved.file import load

MEDIAN = 1_234_000
WHOLE = Measurement(
    "whole",
    "until the child has been waited for",
    Axis("the parent's memory", "bytes", True),
    Axis("time", "ns", True),
    (Series("clone3", ((16 << 20, Spread(MEDIAN, MEDIAN, MEDIAN, 7)),)),),
)


def test_without_a_want_they_are_listed() -> None:
    lines = text_of("advise")
    assert lines[0].split()[0] == "WANT"
    assert [line.split()[0] for line in lines[1:]] == [want.name for want in WANTS]
    assert text_of("advise", "--no-header") == lines[1:]
    assert [each["name"] for each in json_of("advise")["wants"]] == [want.name for want in WANTS]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("own-hots",), "did you mean own-hostname"),
        (("own-pids", "nonsense"), "there is no want 'nonsense' (nsview advise lists them)"),
        (("own-pids", "\x1b[2J"), "there is no want"),
        (("",), "there is no want ''"),
        (("own-pids", "--jsno"), "did you mean --json?"),
    ],
)
def test_bad_input_is_one_message_and_status_2(words: tuple[str, ...], said: str) -> None:
    done = nsview("advise", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said.replace("own-hostname", "own-") in done.stderr
    assert len(done.stderr.splitlines()) == 2
    assert "\x1b" not in done.stderr


def test_options_may_stand_between_wants() -> None:
    assert json_of("advise", "own-pids", "--no-header", "fast")["wants"] == ["own-pids", "fast"]


def test_text_and_json_say_the_same() -> None:
    text, document = "\n".join(text_of("advise", "own-hostname", "fast")), json_of("advise", "own-hostname", "fast")
    squeezed = " ".join(text.split())
    for reason in document["flags"]:
        assert reason["name"] in squeezed
        assert reason["why"] in squeezed
    for each in document["rejected"]:
        assert f"[{each['problems'][0]['rule']}]" in squeezed
    assert document["command"] in text
    assert document["why"] in squeezed


def test_wants_that_do_not_go_together_end_with_1_and_name_the_rule() -> None:
    done = nsview("advise", "share-directory", "own-mounts")
    assert done.returncode == 1
    assert "fs-across-mounts" in done.stdout
    found = nsview("advise", "share-directory", "own-mounts", "--json")
    assert found.returncode == 1
    document = json.loads(found.stdout)
    assert (document["call"], document["command"], document["spec"]) == (None, None, None)
    assert [(each["rule"], each["errno"]) for each in document["problems"]] == [("fs-across-mounts", "EINVAL")]


def test_the_spec_is_a_profile() -> None:
    spec = json_of("advise", "own-hostname", "no-new-privileges")["spec"]
    assert spec.pop("version") == 1
    text = f"version = 1\n{''.join(f'{name} = {json.dumps(value)}{chr(10)}' for name, value in spec.items())}"
    assert load(text) == Spec(args=("sh",), namespaces=frozenset({"uts"}), hostname="box", no_new_privs=True)


def test_nothing_measured_is_said_and_no_number_is_made_up() -> None:
    costs = json_of("advise", "own-pids")["costs"]
    assert (costs["by_way"], costs["measured"], costs["missing"]) == ([], [], list(LABS))
    assert any("Not measured on this machine and kernel yet: nsview lab" in line for line in text_of("advise", "fast"))


def test_what_a_lab_has_kept_is_cited_with_when_and_where() -> None:
    kept.keep(Report(find("mechanisms"), (WHOLE,), None, Setting()))
    costs = json_of("advise", "fast")["costs"]
    ((way, times),) = [(each["way"], each["times"]) for each in costs["by_way"]]
    assert (way, [each["median"] for each in times]) == ("clone3", [MEDIAN])
    (measured,) = costs["measured"]
    assert (measured["lab"], measured["kernel"], measured["euid"]) == ("mechanisms", os.uname().release, os.geteuid())
    squeezed = " ".join(" ".join(text_of("advise", "fast")).split())
    assert "1.23ms" in squeezed
    assert f"nsview lab mechanisms, {measured['when'][:10]}" in squeezed


def test_a_file_that_holds_no_measurements_is_told_in_one_line_and_is_no_failure() -> None:
    path = kept.keep(Report(find("mechanisms"), (WHOLE,), None, Setting()))
    assert path is not None
    path.write_bytes(b"{")
    costs = json_of("advise", "fast")["costs"]
    assert costs["by_way"] == []
    assert [str(path) in line for line in costs["told"]] == [True]
    assert any("ignored" in line for line in text_of("advise", "fast"))


def test_measure_runs_the_labs_and_keeps_what_they_say(monkeypatch, capsys) -> None:
    from nsview.commands import advise

    asked: list[str] = []

    def performed(lab, setting, *_rest):
        asked.append(lab.name)
        return Report(lab, (WHOLE,) if lab.name == "mechanisms" else (), None, setting)

    monkeypatch.setattr(advise, "perform", performed)
    assert cli.main(["advise", "fast", "--measure", "--json"]) == 0
    assert asked == list(LABS)
    told = capsys.readouterr()
    assert [each["way"] for each in json.loads(told.out)["costs"]["by_way"]] == ["clone3"]
    assert kept.find("mechanisms").kept is not None
    assert running.perform is not performed


def test_what_cannot_be_kept_is_told_and_used_all_the_same(monkeypatch, capsys, tmp_path: Path) -> None:
    from nsview.commands import advise

    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(advise, "perform", lambda lab, setting: Report(lab, (WHOLE,), None, setting))
    assert cli.main(["advise", "fast", "--measure", "--json"]) == 0
    told = capsys.readouterr()
    assert "measurements not kept: " in told.err
    assert json.loads(told.out)["costs"]["by_way"] != []


def test_a_lab_keeps_what_it_measured(nothing_left: Census) -> None:
    assert nsview("lab", "mechanisms", "--json").returncode == 0
    found = kept.find("mechanisms").kept
    assert found is not None
    assert found.measurement("whole") is not None
    document = json_of("advise", "own-hostname")
    assert {each["way"] for each in document["costs"]["by_way"]} >= {"clone3", "clone", "fork", "fork+unshare"}


def _words(document: dict[str, str]) -> list[str]:
    return shlex.split(document["command"].replace("\\\n", ""))


@pytest.mark.needs("root")
@pytest.mark.parametrize("want", WANTS, ids=lambda want: want.name)
def test_what_it_says_to_run_runs(want, nothing_left: Census) -> None:
    document = json_of("advise", want.name)
    if document["command"] is not None:
        words = [sys.executable, "-m", *_words(document), "-c", "exit 7"]
        done = subprocess.run(words, input="\n" * 100, capture_output=True, text=True)
        assert done.returncode == 7, done.stderr
    done = subprocess.run([sys.executable, "-c", document["python"]], input="", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
