"""``nsview events`` tells what happens as it happens, in lines and in JSON lines."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from leftovers import until
from listed import nsview

from nsview.host.events.event import LOST, WHAT, Event
from nsview.host.events.story import WORDS, Narrator, Told, cpu_words, short_time
from nsview.host.lives import Lives

listens = pytest.mark.needs("root", "proc_connector")
EVENTS = (sys.executable, "-m", "nsview", "events")


@contextmanager
def telling(*words: str) -> Iterator[subprocess.Popen[str]]:
    """The command, once it listens: its first line is out."""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([*EVENTS, *words], **pipes) as process:
        try:
            assert process.stdout is not None
            process.first_line = process.stdout.readline()  # type: ignore[attr-defined]
            yield process
        finally:
            process.kill()


def told(process: subprocess.Popen[str]) -> list[str]:
    """The lines until it ends by itself."""
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    return out.splitlines()


def ran(*words: str) -> int:
    process = subprocess.Popen(words)
    process.wait()
    return process.pid


@listens
def test_an_end_is_a_line_with_time_pid_name_status_and_cost():
    with telling("what=exit", "status=37", "--count", "1") as process:
        pid = ran("sh", "-c", "exit 37")
        (line,) = told(process)
    assert process.first_line.split() == ["TIME", "PID", "COMMAND", "WHAT", "HAPPENED"]
    assert re.fullmatch(rf"\d\d:\d\d:\d\d\.\d{{3}} +{pid} sh +exits with 37 after .* of CPU", line), line


@listens
def test_an_end_by_a_signal_is_called_by_its_name():
    with telling("signal=SIGUSR2", "--count", "1", "--no-header", "--json") as process:
        pid = ran("sh", "-c", "kill -USR2 $$")
        (line,) = told(process)
    end = json.loads(line)
    assert (end["pid"], end["status"], end["signal"], end["exit_code"]) == (pid, None, "SIGUSR2", signal.SIGUSR2)
    assert end["words"].startswith("is killed by SIGUSR2 after ")


@listens
def test_the_processes_of_one_and_its_descendants_are_followed():
    with subprocess.Popen(["sh"], stdin=subprocess.PIPE, text=True) as shell:
        with telling("--follow", str(shell.pid), "what=exit", "--count", "3", "--json") as process:
            assert json.loads(process.first_line)["source"] == "kernel"
            ran("true")
            shell.communicate("(/bin/true; exit 5); exit 6")
            ends = [json.loads(line) for line in told(process)]
    assert [end["command"] for end in ends] == ["true", "sh", "sh"]
    assert [end["status"] for end in ends] == [0, 5, 6]
    assert [end["parent"] for end in ends] == [ends[1]["pid"], shell.pid, os.getpid()]
    assert all(end["lasted_ns"] is not None for end in ends[:2])


@listens
def test_only_the_pids_asked_for_are_told_and_threads_when_asked_for():
    text = "import threading; input(); t = threading.Thread(target=int); t.start(); t.join()"
    for more, whats in (((), ["exit"]), (("--threads",), ["fork", "exit", "exit"])):
        with subprocess.Popen([sys.executable, "-c", text], stdin=subprocess.PIPE, text=True) as target:
            with telling(
                "--pid", str(target.pid), "--json", "--count", str(len(whats)), "what!=exec", *more
            ) as process:
                ran("true")
                target.communicate("\n")
                lines = [json.loads(line) for line in told(process)]
        assert {line["pid"] for line in lines} == {target.pid}
        assert [line["what"] for line in lines] == whats


@listens
def test_it_ends_after_the_time_asked_for():
    with telling("--duration", "0.2", "pid=1", "what=exit") as process:
        assert told(process) == []


@listens
def test_an_interrupt_ends_it_quietly():
    with telling("pid=1", "what=exit") as process:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "")


@listens
def test_a_reader_that_goes_away_ends_it_quietly():
    with telling("what=exit") as process:
        assert process.stdout is not None
        process.stdout.close()

        def has_ended() -> bool:
            ran("true")
            return process.poll() is not None

        assert until(has_ended)
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.needs("root", "unshare")
def test_where_one_has_to_look_it_says_so_and_tells_what_it_sees():
    words = ["unshare", "--net", *EVENTS, "--interval", "0.05", "--json", "--count", "1", "what=exit"]
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as seen:
        with subprocess.Popen(
            [*words, f"pid={seen.pid}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            head = json.loads(process.stdout.readline())
            seen.communicate()
            out, err = process.communicate(timeout=60)
    assert (head["version"], head["source"], head["why"]) == (1, "looking", "not told in a child network namespace")
    assert "guessed, short lives are missed" in err
    assert err.count("\n") == 1
    end = json.loads(out)
    assert (end["pid"], end["command"], end["status"], end["signal"]) == (seen.pid, "cat", None, None)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("status>",), "nsview events: "),
        (("colour=red",), "colour"),
        (("--count", "0"), "is not a number of events"),
        (("--duration", "-1"), "is not a time in seconds"),
        (("--pid", "1,x"), "'x' is not a pid"),
        (("--follow", "0"), "'0' is not a pid"),
        (("--follow", "4194305"), "no process 4194305 to follow"),
        (("--follow", "1", "--pid", "1"), "not allowed with"),
    ],
)
def test_bad_input_is_one_clear_line_and_status_2(words, says):
    done = nsview("events", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr.splitlines()[0]


# ---- words, without a kernel ----


def words(event: Event, **known: Any) -> str:
    return Told(event, 0, **known).words


def exit_with(code: int, **more: Any) -> Event:
    return Event(0, "exit", 7, 7, exit_code=code, last=True, **more)


def test_every_kind_of_event_has_words():
    assert set(WORDS) == set(WHAT)
    for what in WHAT:
        assert words(Event(0, what, 7, 7))
        assert words(Event(0, what, 7, 8))


def test_ends_are_worded_as_the_kernel_has_them():
    assert words(exit_with(3 << 8), lasted_ns=1_500_000) == "exits with 3 after 1.50 ms"
    assert words(exit_with(9)) == "is killed by SIGKILL"
    assert words(exit_with(11 | 0x80)) == "is killed by SIGSEGV, dumps core"
    assert words(exit_with(40)) == "is killed by SIGRTMIN+6"
    assert words(exit_with(0, cpu_ns=2_000_000, cpu_most_ns=2_100_000)) == "exits with 0, 2.00 ms of CPU"
    assert words(Event(0, "exit", 7, 7, last=True)) == "ends"
    assert words(Event(0, "exit", 7, 7, exit_code=0, last=False)) == "ends thread 7"


@pytest.mark.parametrize(
    ("least", "most", "says"),
    [
        (None, None, None),
        (None, 400_000, "at most 0.40 ms of CPU"),
        (5_000_000, None, "5.00 ms of CPU"),
        (1_000_000, 3_000_000, "1.00 ms to 3.00 ms of CPU"),
        (1_000_000, 9_000_000_000, "at least 1.00 ms of CPU"),
    ],
)
def test_cpu_is_told_within_its_bounds(least, most, says):
    assert cpu_words(exit_with(0, cpu_ns=least, cpu_most_ns=most)) == says


def test_short_times_have_three_digits():
    times = (1, 999, 12_345, 99_999, 100_000, 12_345_678, 99_999_999, 123_456_789, 59_000_000_000, 123_000_000_000)
    assert [short_time(ns) for ns in times] == [
        *("0 µs", "1 µs", "12 µs", "100 µs", "0.10 ms", "12.3 ms"),
        *("100 ms", "0.12 s", "59.0 s", "123 s"),
    ]


def test_names_of_hostile_processes_stay_on_their_line():
    narrator = Narrator(Lives(), 0)
    narrator.tell(Event(0, "fork", 7, 7, 1))
    named = narrator.tell(Event(1, "comm", 7, 7, comm="a\n\x1b[31m\udcff"))
    assert named.words == r"is called a\n\x1b[31m\xff"
    assert named.comm == r"a\n\x1b[31m\xff"


def test_a_loss_is_told_with_its_number():
    assert words(Event(0, LOST, 0, 0, count=3, source="events")) == "3 events were lost"
    assert words(Event(0, LOST, 0, 0, source="events")) == "some events were lost"
