"""The kernel ends lines by a newline alone and escapes no other: what looks like an end of line forges nothing."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spawner import mountinfo, procfs
from spawner.cgroups.hierarchies import parse_groups, parse_mounts
from spawner.parts.files_facts import root_has_parent

ENDS = "\r\x0b\x0c\x1c\x1d\x1e\x85"
"""What str.splitlines() takes for ends of lines besides."""

PROGRAM = """
import os, sys
from spawner import mountinfo
from spawner.cgroups.hierarchies import hierarchies
from spawner.parts.files_facts import root_has_parent
assert {point!r} in mountinfo.visible(mountinfo.read())
assert root_has_parent(mountinfo.read()) in (True, False)
print([each.own for each in hierarchies()])
"""


@pytest.mark.needs("root")
def test_a_mount_point_with_ends_of_lines_in_its_name_breaks_no_table(tmp_path: Path) -> None:
    point = tmp_path / f"a{ENDS}b"
    point.mkdir()
    script = 'mount -t tmpfs none "$1" && shift && exec "$@"'
    inside = [sys.executable, "-c", PROGRAM.format(point=str(point))]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", str(point), *inside], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    plain = subprocess.run([sys.executable, "-c", PROGRAM.format(point="/")], capture_output=True, text=True)
    assert done.stdout == plain.stdout


def test_groups_and_mounts_are_read_by_newlines_alone() -> None:
    assert parse_groups("2:memory:/a\r1:cpu:/b\n0::/c\x0bd\n") == {"memory": "/a\r1:cpu:/b", "": "/c\x0bd"}
    (mount,) = parse_mounts(b"22 1 0:20 / /a\rb rw - ext4 x rw\n30 22 0:26 /\r /cg\x0br rw - cgroup2 cgroup2 rw\n")
    assert (mount.root, mount.point) == ("/\r", "/cg\x0br")
    assert not root_has_parent("1 1 0:1 / / rw - x x rw\r2 3 0:1 / / rw - x x rw\n")
    assert mountinfo.visible("1 1 0:1 / /a\x85b ro - x x rw\n") == {"/a\udc85b": mountinfo.MS_RDONLY}


def test_a_name_cannot_forge_a_field_of_status() -> None:
    pid = os.fork()
    if pid == 0:
        try:
            ctypes.CDLL(None).prctl(15, b"x\rSeccomp:\t7", 0, 0, 0)
            os.kill(os.getpid(), 19)
        finally:
            os._exit(0)
    try:
        os.waitpid(pid, os.WUNTRACED)
        assert procfs.status(pid, "Name", "Seccomp") == ("x\rSeccomp:\t7", procfs.status("self", "Seccomp")[0])
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
