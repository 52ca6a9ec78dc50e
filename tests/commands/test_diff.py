"""``nsview diff`` prints how two processes differ."""

from __future__ import annotations

import os
import subprocess

import pytest
from listed import json_of, nsview, text_of

pytestmark = pytest.mark.needs("unshare", "user_namespace")


@pytest.fixture
def demo():
    """A shell in a uts namespace whose host name is demo."""
    with subprocess.Popen(
        [
            "unshare",
            "--user",
            "--map-root-user",
            "--uts",
            "sh",
            "-c",
            "hostname demo; echo ready; read forever",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process.pid
        assert process.stdin
        process.stdin.close()


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
        (("1",), "required"),
        (("1", "0"), "'0' is not"),
    ],
)
def test_bad_input_is_one_clear_line_and_status_2(words, says):
    done = nsview("diff", *words)
    assert done.returncode == 2
    assert says in done.stderr.splitlines()[0]
    assert done.stdout == ""
