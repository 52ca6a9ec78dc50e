"""The container benchmark runs, and each launcher makes the container it is said to make; the times are for people."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from leftovers import Census

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "container.py"

pytestmark = pytest.mark.needs("root", "cc", "bwrap", "runc", "unshare", "memory_controller", "pids_controller")

BEYOND = {
    "bwrap": {"time namespace", "limit on files", "limit on memory", "limit on tasks"},
    "runc": {"time namespace"},
}
"""What a launcher of this age cannot do, container_launchers.py; a newer one may."""


def benchmark(*options: str) -> dict[str, Any]:
    command = [sys.executable, str(SCRIPT), "--json", "--rounds", "1", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["version"] == 1
    return document


def test_all_make_the_same_container_but_for_what_they_cannot_do(nothing_left: Census) -> None:
    document = benchmark()
    did = document["did"]
    assert set(did) == {"ours", "as bwrap", "bwrap", "unshare", "as runc", "runc", "nsview run"}
    for name in ("bwrap", "runc"):
        assert did[f"as {name}"] == {facet: facet not in BEYOND[name] for facet in did["ours"]}
    for name in ("ours", "nsview run"):
        assert [facet for facet, done in did[name].items() if not done] == []
    for name, beyond in BEYOND.items():
        assert {facet for facet, done in did[name].items() if not done} <= beyond
    assert all(did["unshare"][f"{kind} namespace"] for kind in ("mnt", "net", "pid", "user", "uts", "ipc", "cgroup"))
    for row in document["rows"]:
        assert row["median_us"] > 0
        assert row["launches"] == 5


def test_the_programs_own_look_tells_a_container_from_none(nothing_left: Census, tmp_path: Path) -> None:
    program = tmp_path / "program"
    source = SCRIPT.with_name("container_program.c")
    subprocess.run(["cc", "-static", "-o", str(program), str(source)], check=True)
    said = subprocess.run([str(program), "look"], capture_output=True, text=True, check=True, timeout=60).stdout
    found = dict(line.split(" ", 1) for line in said.splitlines())
    for name in ("program_is_in_root", "usr_is_hidden", "chroot_is_filtered"):
        assert found[name] == "0"
    assert found["pid"] != "1"


def test_an_unknown_launcher_is_refused() -> None:
    command = [sys.executable, str(SCRIPT), "--only", "ours,docker"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "not docker" in done.stderr
