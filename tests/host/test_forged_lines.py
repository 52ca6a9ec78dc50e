"""A name with ends of lines in it, which the kernel leaves in, forges no line of a file of /proc."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from children import rename

from nsview.host.columns.process_files import groups_of
from nsview.host.facts import read_facts
from nsview.host.process import PinnedProcess


@pytest.mark.parametrize("end", [b"\r", b"\v", b"\f", b"\x1c", b"\xc2\x85", b"\xe2\x80\xa8"])
def test_a_name_that_looks_like_a_line_of_status_is_but_a_name(forked, end):
    pid, _ = forked(lambda: rename(b"x" + end + b"Forged:\t1"))
    assert end + b"Forged:\t1\n" in Path(f"/proc/{pid}/status").read_bytes()
    with PinnedProcess(pid) as process:
        status = process.status()
    assert status is not None
    assert "Forged" not in status
    assert status["Uid"].split()[0] == str(os.getuid())


def test_a_group_with_a_carriage_return_in_its_name_is_one_path():
    assert groups_of(b"0::/a\r1:b:/c\n") == r"/a\r1:b:/c"


@pytest.mark.needs("root", "unshare")
def test_a_mount_point_with_a_carriage_return_is_one_mount(unshared, tmp_path):
    point = tmp_path / "m\rount"
    point.mkdir()
    pid = unshared("--mount", script=f"mount -t tmpfs none '{point}'")
    with PinnedProcess(pid) as process:
        mounts = read_facts(process).mounts
    assert mounts is not None
    assert (str(point).replace("\r", "\\r"), "none", "tmpfs") in mounts
