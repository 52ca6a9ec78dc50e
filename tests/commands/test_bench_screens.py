"""``nsview bench`` of the screen: it is run in a pty beside htop and btop; its times are for people."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from leftovers import Census, until
from listed import json_of
from test_bench import assert_measured, contestants, descendants

from nsview.bench.births import births
from nsview.bench.screen import Screen
from nsview.bench.stop import Stop


@pytest.mark.needs("root", "cc")
def test_each_screen_is_measured_in_a_pty_of_its_own(nothing_left: Census) -> None:
    rows = ("refresh", "refresh-births", "keys", "keys-births", "paint", "paint-crowded")
    document = json_of("bench", *rows, "--quick", "--samples", "1")
    for row in rows:
        assert_measured(document, row, 1)
    notes = {row["name"]: row["note"] for row in document["rows"]}
    assert "1,000 idle processes" in notes["keys"]
    assert all("1,000 born a second" in notes[f"{row}-births"] for row in ("refresh", "keys"))
    untold = [aim for row in document["rows"] for aim in row["aims"] if row["name"] != "paint"]
    assert {aim["verdict"] for aim in untold} == {"not told"}
    assert all("this was of 1,000" in aim["why"] for aim in untold)


@pytest.mark.needs("htop")
def test_a_screen_that_shows_nothing_fails_with_its_last_words(tmp_path: Path, nothing_left: Census) -> None:
    htop = tmp_path / "htop"
    htop.write_text("#!/bin/sh\nprintf '\\033[1mno\\033[0m terminal'\nexit 4\n")
    htop.chmod(htop.stat().st_mode | stat.S_IXUSR)
    done = subprocess.run(
        [sys.executable, "-m", "nsview", "bench", "paint", "--quick", "--samples", "1", "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")
    found = contestants(json.loads(done.stdout), "paint")
    assert (found["htop"]["state"], found["htop"]["why"]) == (
        "failed",
        "htop ended with 4; its last words: no terminal",
    )
    assert found["nsview"]["state"] == "measured"


@pytest.mark.needs("root", "cc")
def test_ended_while_processes_are_born_it_leaves_nothing(tmp_path: Path, nothing_left: Census) -> None:
    command = [sys.executable, "-m", "nsview", "bench", "keys-births", "--quick", "--samples", "100000"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        process_group=0,
    ) as process:
        assert until(lambda: "true" in descendants(process.pid).values(), 60)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate()
    assert (process.returncode, said) == (130, "")
    assert os.listdir(tmp_path) == []


def test_births_are_counted(nothing_left: Census) -> None:
    told: list[float] = []
    with births(50.0, told):
        maker = next(iter(descendants(os.getpid())))
        assert until(lambda: "true" in descendants(maker).values(), 30)
    assert len(told) == 1
    assert told[0] > 0


def test_a_screens_work_is_its_cpu_time_and_that_of_its_children(nothing_left: Census) -> None:
    used = "import os, time\nwhile time.process_time() < 0.2: pass\nif os.fork(): os.wait()\nelse:\n"
    used += " while time.process_time() < 0.2: pass\n os._exit(0)\nprint('ready', flush=True)\ninput()"
    with Screen([sys.executable, "-c", used], os.environ, Stop()) as screen:
        screen.first_paint(re.compile(b"ready"))
        before = screen.cpu()
        assert before >= 380_000_000  # the child's in whole ticks
        assert screen.key(b"x") > 0  # the terminal's echo
        assert screen.cpu() >= before
