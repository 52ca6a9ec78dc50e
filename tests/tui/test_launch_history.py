"""What was launched is remembered exactly, in a file that may be broken, and repeated."""

from __future__ import annotations

import json
import os

import pytest

from nsview import places
from nsview.tui.launching import history
from nsview.tui.launching.form import Form, Ids, filled
from nsview.tui.launching.history import Entry, TooLongError, entry_of, line_of, read, record
from nsview.tui.launching.presets import PRESETS
from nsview.tui.launching.sections import ON
from spawner import Mechanism
from spawner.oci import File, IOPriority, Scheduler

ODD = filled(
    Form(
        command="sh -c 'echo \x1b[2J\n\udcff ✓'",
        namespaces=frozenset({"user", "pid"}),
        clone_flags=0x200,
        ids=Ids.SAME,
        via=Mechanism.CLONE,
        hold=True,
        kept=(
            ("scheduler", Scheduler(policy="SCHED_BATCH", nice=3)),
            ("io_priority", IOPriority("IOPRIO_CLASS_IDLE")),
            ("mounts", (File(destination="/f", content=b"\x00\xff"),)),
            ("masked_paths", ("/proc/kcore",)),
        ),
    ),
    {"files": "ro-bind / /\ntmpfs '/a\nb'", "--rlimit": "CORE=0 NOFILE=9", "--init": ON, "--hostname": "\u202ex"},
)


@pytest.mark.parametrize("form", [ODD, Form(command=""), *(preset.form for preset in PRESETS)])
def test_a_launch_is_kept_exactly(form: Form) -> None:
    line = line_of(Entry(1.5, form))
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert entry_of(line) == Entry(1.5, form)


def test_there_is_no_history_at_first() -> None:
    assert read() == history.History()


def test_launches_are_offered_once_the_newest_first() -> None:
    first, second = Form(command="first"), Form(command="second")
    for form in (first, second, first):
        record(form)
    found = read()
    assert [entry.form for entry in found.entries] == [first, second]
    assert found.entries[0].when >= found.entries[1].when > 0
    assert not found.notice
    assert history.path().stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense",
        b"{}",
        b"[]",
        b"null",
        b"\x00\xff\xfe",
        b"[" * 100_000,
        b'{"when": "then"}',
        *(
            json.dumps({**json.loads(line_of(Entry(1, ODD))), key: value}).encode()
            for key, value in {
                "command": 5,
                "namespaces": ["nowhere"],
                "clone_flags": "x",
                "ids": "KING",
                "via": "mail",
                "hold": "yes",
                "fields": {"--unknown": "x"},
                "kept": ["nothing"],
                "spec": "{",
                "when": None,
            }.items()
        ),
    ],
)
def test_a_broken_line_is_left_out_and_told_once(line: bytes) -> None:
    record(Form(command="before"))
    places.append(history.path(), line + b"\n" + line + b"\n")
    record(Form(command="after"))
    found = read()
    assert [entry.form.command for entry in found.entries] == ["after", "before"]
    assert found.notice.startswith("left out of the history: 2 lines of")


def test_a_file_that_is_no_file_is_one_notice() -> None:
    history.path().mkdir(parents=True)
    found = read()
    assert not found.entries
    assert "Is a directory" in found.notice
    with pytest.raises(IsADirectoryError):
        record(Form())


def test_a_pipe_in_its_place_keeps_nobody_waiting() -> None:
    history.path().parent.mkdir(parents=True)
    os.mkfifo(history.path())
    assert not read().entries
    with pytest.raises(OSError, match="No such device or address"):
        record(Form())


def test_a_launch_that_is_too_long_is_refused_and_the_others_stay() -> None:
    record(Form(command="short"))
    with pytest.raises(TooLongError, match="too long for the history"):
        record(Form(command="x" * history.LONGEST))
    assert [entry.form.command for entry in read().entries] == ["short"]


def test_a_file_that_has_grown_large_is_written_anew_with_the_newest() -> None:
    large = line_of(Entry(1, Form(command="x" * 50_000)))
    places.append(history.path(), large * 90)
    record(Form(command="newest"))
    size = history.path().stat().st_size
    assert 0 < size < 50 * len(large)
    assert [entry.form.command[:6] for entry in read().entries] == ["newest", "xxxxxx"]
    assert not read().notice
    assert os.listdir(history.path().parent) == ["launches.jsonl"]


def test_many_short_launches_are_cut_to_the_newest_two_hundred() -> None:
    places.append(history.path(), b"".join(line_of(Entry(n, Form(command=f"{n}"))) for n in range(500)))
    found = read().entries
    assert len(found) == history.KEPT
    assert found[0].form.command == "499"
