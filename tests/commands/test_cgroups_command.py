"""``nsview cgroups`` shows the tree of groups, one of them in full, and says what is not there."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from listed import json_of, nsview, text_of

pytestmark = pytest.mark.needs("root")

_numbers = itertools.count(1)


def mounts() -> list[tuple[str, Path]]:
    """Every hierarchy that is mounted writable, by what the command calls it."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text(errors="replace").split("\n")[:-1]:
        own, _, rest = line.partition(" - ")
        kind, _, options = rest.split(" ", 2)
        point = Path(own.split(" ")[4])
        if kind in ("cgroup", "cgroup2") and os.access(point, os.W_OK):
            keys = [option for option in options.split(",") if option not in ("rw", "xattr")]
            found.append(("v2" if kind == "cgroup2" else keys[0], point))
    return found


HIERARCHY, POINT = mounts()[-1] if mounts() else ("", Path())


@pytest.fixture
def group() -> Iterator[tuple[Path, int]]:
    """A group with a group in it, and the shell that is in that one."""
    outer = POINT / f"commandtest-{os.getpid()}-{next(_numbers)}"
    inner = outer / "inner"
    inner.mkdir(parents=True)
    script = f"echo $$ > {inner}/cgroup.procs; echo ready; read forever"
    with subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield outer, process.pid
        process.stdin.close()
        process.wait()
    inner.rmdir()
    outer.rmdir()


def test_the_tree_leads_to_every_group(group):
    outer, _ = group
    lines = text_of("cgroups")
    assert lines[0].split() == [
        "PROCS", "CPU", "TIME", "CPUS", "MEMORY", "MEM", "MAX", "TASKS", "TASKS", "MAX", "CPU", "PSI", "MEM", "PSI",
        "IO", "PSI", "STATE", "GROUP",
    ]  # fmt: skip
    at = next(number for number, line in enumerate(lines) if line.endswith(outer.name))
    assert lines[at].split()[0] == "1"
    assert lines[at + 1].endswith("└─ inner")
    assert lines[at + 1].split()[0] == "1"


def test_processes_stand_below_their_group(group):
    outer, pid = group
    lines = text_of("cgroups", f"/{outer.name}", "--processes", "--no-header", "-o", "group")
    assert lines[-1].strip() == f"{pid} sh"
    assert lines[-2] == "└─ inner"


def test_one_group_is_shown_in_full_with_the_files_that_tell(group):
    outer, pid = group
    for word in (f"/{outer.name}/inner", str(outer / "inner")):
        lines = [line.split() for line in text_of("cgroups", word)]
        assert ["path", f"/{outer.name}/inner"] in lines
        assert ["directory", str(outer / "inner"), HIERARCHY] in lines
        assert [line[0] for line in lines if line][-1] == str(pid)


def test_a_filter_keeps_what_leads_to_a_match(group):
    outer, _ = group
    lines = [line.strip() for line in text_of("cgroups", f"path=/{outer.name}/inner", "--no-header", "-o", "group")]
    assert lines == ["(/)", f"└─ ({outer.name})", "└─ inner"]
    assert "(/)" not in text_of("cgroups", f"/{outer.name}", "processes>0", "--no-header", "-o", "group")
    flat = text_of("cgroups", "/commandtest/", "processes>0", "--sort", "path", "--no-header", "-o", "group")
    assert flat == [f"/{outer.name}", f"/{outer.name}/inner"]


def test_json_has_the_groups_with_values_and_their_files(group):
    outer, pid = group
    document = json_of("cgroups", f"/{outer.name}")
    assert [each["path"] for each in document["groups"]] == [f"/{outer.name}", f"/{outer.name}/inner"]
    top, below = document["groups"]
    assert (top["depth"], below["depth"]) == (0, 1)
    assert (top["processes"], top["subtree_processes"], below["processes"]) == ([], 1, [pid])
    assert list(below["directories"].values()) == [str(outer / "inner")]
    assert set(below["sources"]) == set(below["values"])
    for files in below["sources"].values():
        assert all(Path(file).name == file.rpartition("/")[2] for file in files)
    own = next(each for each in document["hierarchies"] if each["mount"] == str(POINT))
    assert own["root"] == "/"


def test_columns_are_added_to_json_where_they_are_chosen(group):
    outer, _ = group
    top, _ = json_of("cgroups", f"/{outer.name}", "-o", "processes,memory.max,container")["groups"]
    assert top["columns"]["processes"] == 1
    assert set(top["columns"]) == {"processes", "memory_max", "container"}


def test_hierarchies_are_listed_with_where_they_are():
    lines = text_of("cgroups", "--hierarchies")
    assert lines[0].split()[0] == "HIERARCHY"
    listed = {(line.split()[0], line.split()[3]) for line in lines[1:] if len(line.split()) == 6}
    assert {(key, str(point)) for key, point in mounts() if key != "v2"} <= {
        (name, point) for key, point in listed for name in key.split(",")
    }
    document = json_of("cgroups", "--hierarchies")
    assert {each["mount"] for each in document["hierarchies"]} >= {str(point) for _, point in mounts()}


def test_one_hierarchy_alone(group):
    outer, _ = group
    found = json_of("cgroups", "--hierarchy", HIERARCHY)
    assert [str(POINT)] == [each["mount"] for each in found["hierarchies"]]
    assert all(len(each["directories"]) == 1 for each in found["groups"])
    assert f"/{outer.name}" in [each["path"] for each in found["groups"]]


def test_rates_look_twice():
    (top, *_) = json_of("cgroups", "/", "-o", "cpu,cpu_usage", "--interval", "0.2")["groups"]
    assert top["columns"]["cpu"] is None or 0 <= top["columns"]["cpu"] < 200 * os.cpu_count()
    assert ("cpu_usage" in top["values"]) == (top["columns"]["cpu"] is not None)


def test_the_columns_can_be_asked_for():
    names = [line.split()[0] for line in text_of("cgroups", "-o", "help")]
    assert {"memory_max", "cpu_pressure", "container", "freezer"} <= set(names)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["/no/such/group"], "there is no group '/no/such/group'"),
        ([str(POINT / "cgroup.procs")], "cgroup.procs' in what is mounted"),
        (["/" + "x" * 5000], "there is no group '/xxx"),
        (["/../.."], "there is no group '/../..'"),
        (["/a\x1b[31m\n"], "there is no group '/a"),
        (["--hierarchy", "nix"], "there is no hierarchy 'nix'; there are: "),
        (["-o", "nix"], "there is no column 'nix'"),
        (["memory_max>lots"], "memory_max"),
        (["--interval", "0"], "is no time in seconds"),
    ],
)
def test_bad_input_is_one_clear_line_and_status_2(words, says):
    done = nsview("cgroups", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr.splitlines()[0]


def without_mounts(*words: str) -> subprocess.CompletedProcess[str]:
    script = 'mount -t tmpfs none /sys/fs && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", script, "sh", sys.executable, "-m", "nsview", "cgroups", *words]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.needs("unshare")
def test_where_no_hierarchy_is_mounted_it_says_what_there_is_and_what_to_do():
    done = without_mounts()
    assert (done.returncode, done.stdout) == (1, "")
    assert "the kernel has: " in done.stderr
    assert "mount -t cgroup2 none" in done.stderr
    listed = without_mounts("--hierarchies")
    assert listed.returncode == 0
    assert all("not mounted" in line for line in listed.stdout.splitlines()[1:])


@pytest.mark.needs("unshare", "cgroup_namespace")
def test_in_a_cgroup_namespace_what_is_mounted_from_above_is_still_shown(group):
    outer, _ = group
    script = f'echo $$ > {outer}/inner/cgroup.procs; exec unshare --cgroup "$@"'
    command = ["sh", "-c", script, "sh", sys.executable, "-m", "nsview", "cgroups", "-o", "path", "--no-header"]
    done = subprocess.run([*command, "--hierarchy", HIERARCHY], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("/../..\n")
    assert f"/../../{outer.name}/inner" in done.stdout
