"""``nsview diff`` prints how two processes differ."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from listed import json_of, nsview, text_of
from shells import unshared_shell

from nsview.host.difference import ALL

pytestmark = pytest.mark.needs("unshare", "user_namespace")


@pytest.fixture
def demo():
    """A shell in a uts namespace whose host name is demo."""
    with unshared_shell("--user", "--map-root-user", "--uts", script="hostname demo") as pid:
        yield pid


@pytest.mark.needs("root")
def test_host_names_stand_side_by_side(demo):
    line = next(line for line in text_of("diff", str(os.getpid()), str(demo)) if "host name" in line)
    assert line.split()[:6] == ["system", "host", "name", "≠", os.uname().nodename, "demo"]


def test_differs_leaves_out_what_is_the_same(demo):
    lines = text_of("diff", str(os.getpid()), str(demo), "--differs", "--no-header")
    assert any(" uts " in line for line in lines)
    assert not any(" = " in line for line in lines)


def test_sources_name_the_file_or_call(demo):
    assert any(line.endswith("/proc/PID/ns/uts") for line in text_of("diff", str(os.getpid()), str(demo), "--sources"))


def test_json_names_both_processes_and_every_row(demo):
    document = json_of("diff", str(os.getpid()), str(demo))
    assert document["child"]["pid"] == demo
    row = next(row for row in document["rows"] if row["attribute"] == "uts")
    assert row["child"] == f"uts:[{os.stat(f'/proc/{demo}/ns/uts').st_ino}]"
    assert row["same"] is False
    assert set(row) == {"section", "attribute", "parent", "child", "delta", "why", "source", "same"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("1", "4194305"), "no process 4194305"),
        (("1", "x"), "'x' is not a pid"),
        ((), "required"),
        (("1",), "process 1 has no parent to be seen from here; name a second"),
        (("1", "0"), "'0' is not"),
        (("self:5",), "'self:5' is not"),
        (("self", "--section", "ids,foo"), "there is no section 'foo'"),
        (("self", "--all", "--section", "ids"), "choose one"),
        (("self", "--count", "3"), "--count goes with --interval"),
        (("self", "--interval", "0"), "'0' is not a number of seconds"),
        (("self", "--interval", "nan"), "'nan' is not a number of seconds"),
        (("self", "--interval", "1", "--all"), "--interval shows usage alone"),
    ],
)
def test_bad_input_is_one_clear_line_and_status_2(words, says):
    done = nsview("diff", *words)
    assert done.returncode == 2
    assert says in done.stderr.splitlines()[0]
    assert done.stdout == ""


def test_one_process_alone_is_compared_with_its_parent(demo):
    document = json_of("diff", str(demo))
    assert (document["parent"]["pid"], document["child"]["pid"]) == (os.getpid(), demo)


def test_a_start_time_guards_against_a_reused_pid(demo):
    started = json_of("diff", str(demo))["child"]["start_time"]
    assert json_of("diff", "self", f"{demo}:{started}")["child"] == {"pid": demo, "start_time": started}
    done = nsview("diff", "self", f"{demo}:{started + 1}")
    assert (done.returncode, done.stderr) == (2, f"nsview diff: no process {demo} started at tick {started + 1}\n")


def test_all_compares_limits_open_files_and_environment_too(demo):
    document = json_of("diff", str(os.getpid()), str(demo), "--all")
    sections = list(dict.fromkeys(row["section"] for row in document["rows"]))
    assert sections == list(ALL)
    rows = {(row["section"], row["attribute"]): row for row in document["rows"]}
    assert rows["limits", "nofile"]["same"] is True
    assert rows["descriptors", "fd 0"]["same"] is False, "the test gave it a pipe"
    assert rows["environment", "variables"]["same"] is not None
    assert all(row["why"] and row["source"] for row in document["rows"])


def test_section_names_what_is_compared(demo):
    lines = text_of("diff", "self", str(demo), "--section", "limits,namespaces", "--no-header")
    assert list(dict.fromkeys(line.split()[0] for line in lines)) == ["namespaces", "limits"]


SPINNER = """
import sys, threading
print("ready", flush=True)
threading.Thread(target=lambda: sys.stdin.read() or sys.stdin.close(), daemon=True).start()
while not sys.stdin.closed: pass
"""


@pytest.fixture
def spinning():
    """A process that runs until its standard input is closed."""
    with subprocess.Popen(
        [sys.executable, "-c", SPINNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process
        assert process.stdin
        process.stdin.close()
        process.kill()


def test_interval_prints_rates_and_what_came_since_the_start(spinning, demo):
    done = nsview("diff", str(demo), str(spinning.pid), "--interval", "0.2", "--count", "3", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    documents = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(documents) == 3
    totals = []
    for document in documents:
        cpu = next(rate for rate in document["rates"] if rate["measure"] == "cpu_ns")
        assert cpu["parent"]["change"] == 0, "the shell waits for a line"
        assert cpu["child"]["change"] == pytest.approx(cpu["child"]["per_second"] * document["seconds"], rel=0.01)
        totals.append(cpu["child"]["since_start"])
    assert 0 < totals[0] < totals[1] < totals[2]


def test_interval_in_text_has_a_line_for_each_measure(spinning):
    lines = text_of("diff", "self", str(spinning.pid), "--interval", "0.1", "--count", "1")
    assert lines[0].split()[0] == "MEASURE"
    cpu = next(line for line in lines if line.startswith("cpu "))
    assert cpu.count("%") == 2
    assert cpu.endswith("µs")


def test_watching_ends_with_the_process(spinning, demo):
    command = [sys.executable, "-m", "nsview", "diff", str(demo), str(spinning.pid), "--interval", "0.05", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watcher:
        assert watcher.stdout
        assert json.loads(watcher.stdout.readline())["child"]["pid"] == spinning.pid
        spinning.kill()
        _, said = watcher.communicate()
    assert (watcher.returncode, said) == (0, "nsview diff: one of the two has ended\n")


def test_a_long_value_pushes_its_own_line_aside_and_no_other(spinning, demo):
    """Nothing is cut where nobody looks, and what is short stays readable."""
    lines = text_of("diff", str(demo), str(spinning.pid), "--section", "identity", "--no-header")
    command = next(line for line in lines if " command " in line)
    name = next(line for line in lines if " name " in line)
    assert "threading.Thread" in command
    assert len(command) > 200
    assert len(name) < 200
