"""Roots of their own for those who are not root, in a user namespace, as most people run them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from nobody import NOBODY, Runner

pytestmark = pytest.mark.needs("root", "userns")

PROGRAM = """
import os, sys
from dataclasses import replace
sys.path[:0] = {path!r}
from rooms import *
from running import *
from spawner import *
from spawner.oci import *
ids = dict(uid_mappings=(IDMapping(0, os.geteuid()),), gid_mappings=(IDMapping(0, os.getegid()),))
def mine(script, *mounts, extra=("pid",), **fields):
    return room(script, *mounts, namespaces=frozenset(("user", "mount", *extra)), **ids, **fields)
PROC, DEV = Proc(destination="/proc"), Dev(destination="/dev")
try:
    {action}
except LaunchError as error:
    print("refused", error.step, error.errno_name, error.path, error.cause, error.remedy, sep="|")
"""


def said(nobody: Runner, action: str) -> str:
    """What a program of nobody's says that does ``action``; AssertionError if it fails."""
    done = nobody("python", "-c", PROGRAM.format(path=sys.path, action=action))
    assert done.returncode == 0, done.stderr
    return done.stdout


# bubblewrap tests/test-run.sh "can mount /proc with …", "can unshare network, create new /dev with …"
@pytest.mark.parametrize("extra", [(), ("pid",), ("network",), ("pid", "network", "ipc", "uts", "cgroup", "time")])
def test_proc_and_dev_come_with_every_choice_of_namespaces(extra: tuple[str, ...], nobody: Runner) -> None:
    text = said(nobody, f"print(output(mine('cat /proc/$$/comm; echo $$; ls /dev/ptmx', PROC, DEV, extra={extra})))")
    itself, shell, ptmx = text.split()
    assert itself == "sh"
    assert (int(shell) == 1) == ("pid" in extra)
    assert ptmx == "/dev/ptmx"


def test_terminals_and_message_queues_work_in_a_user_namespace(nobody: Runner) -> None:
    code = "import os, pty; print(os.ttyname(pty.openpty()[1]))"
    action = (
        f"print(output(mine('python3 -c \"{code}\"; stat -f -c %T /dev/mqueue', PROC, DEV, "
        "Mqueue(destination='/dev/mqueue'), extra=('pid', 'ipc'))))"
    )
    assert said(nobody, action).split() == ["/dev/pts/0", "mqueue"]


# bubblewrap tests/test-run.sh "cannot read /etc/shadow with …"
@pytest.mark.parametrize("extra", [(), ("pid",), ("pid", "network")])
def test_a_bind_of_what_may_not_be_read_may_not_be_read(extra: tuple[str, ...], nobody: Runner) -> None:
    action = (
        "print(output(mine('id -u; cat /tmp/foo || echo no', "
        f"Bind(source='/etc/shadow', destination='/tmp/foo'), extra={extra})))"
    )
    assert said(nobody, action).split() == ["0", "no"]


# bubblewrap tests/test-run.sh "cannot read $UNREADABLE with …"
def test_a_source_in_a_closed_directory_is_refused(nobody: Runner, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "file").touch()
    for up in (tmp_path, *tmp_path.parents[:2]):
        up.chmod(0o755)
    text = said(nobody, f"launch(mine('true', Bind(source='{closed}/file', destination='/x')))")
    assert text.startswith("refused|open tree|EACCES|")
    assert "may not be searched" in text


# bubblewrap tests/test-run.sh: RUN is --bind / / --tmpfs /tmp; "can bind a destination over a symlink"
def test_the_whole_host_and_a_new_tmp(nobody: Runner) -> None:
    action = (
        "print(output(replace(mine('ls -A /tmp /tmp/dir/hostname; test -e /etc/passwd && echo etc'), mounts=("
        "Bind(source='/', destination='/'), Tmpfs(destination='/tmp'), Dir(destination='/tmp/dir'), "
        "Symlink(target='dir', destination='/tmp/link'), Bind(source='/etc', destination='/tmp/link')))))"
    )
    assert said(nobody, action).split() == ["/tmp/dir/hostname", "/tmp:", "dir", "link", "etc"]


def test_binds_keep_what_is_locked_and_can_be_read_only(nobody: Runner) -> None:
    action = (
        "print(output(mine('touch /ro/x || echo no; findmnt -no OPTIONS /ro | tail -n1', PROC, "
        "Bind(source='/dev/shm', destination='/ro', read_only=True))))"
    )
    refused, options = said(nobody, action).split()
    assert refused == "no"
    assert {"ro", "nosuid", "nodev"} <= set(options.split(","))


@pytest.fixture
def layers(tmp_path: Path) -> Path:
    """A directory of nobody's with low, high, upper and work in it, where nobody can find it."""
    for path in (tmp_path, *tmp_path.parents[:2]):
        path.chmod(0o755)
    for name in ("low", "high", "upper", "work"):
        (tmp_path / name).mkdir()
        os.chown(tmp_path / name, NOBODY, NOBODY)
    for name in ("low", "high"):
        (tmp_path / name / name).write_text(name)
        os.chown(tmp_path / name / name, NOBODY, NOBODY)
    return tmp_path


# bubblewrap tests/test-run.sh "--tmp-overlay", "--overlay", "--ro-overlay"
@pytest.mark.parametrize(
    ("fields", "written"),
    [("", []), (", upper='{0}/upper', work='{0}/work'", ["high", "low", "made"]), (", read_only=True", [])],
)
def test_overlays(fields: str, written: list[str], layers: Path, nobody: Runner) -> None:
    script = "ls /o; touch /o/made && echo x > /o/low && rm /o/high; ls /o"
    lower = (f"{layers}/low", f"{layers}/high")
    action = f"print(output(mine({script!r}, Overlay(destination='/o', lower={lower}{fields.format(layers)}))))"
    kept = ["high", "low"] if "read_only" in fields else ["low", "made"]
    assert said(nobody, action).split() == ["high", "low", *kept]
    assert sorted(path.name for path in (layers / "upper").iterdir()) == written
    assert (layers / "low" / "low").read_text() == "low"


def test_masks_and_read_only_paths(nobody: Runner) -> None:
    script = "ls -A /proc/sys; cat /proc/kallsyms; touch /usr/x || echo no; touch /y || echo ro"
    masked = ("/proc/sys", "/proc/kallsyms", "/proc/none")
    fields = f"masked_paths={masked}, readonly_paths=('/usr',), rootfs_readonly=True"
    assert said(nobody, f"print(output(mine({script!r}, PROC, {fields})))").split() == ["no", "ro"]


def test_a_given_root_that_is_ours(nobody: Runner) -> None:
    assert "etc" in said(nobody, "print(output(replace(mine('ls /'), mounts=(), rootfs='/')))").split()


# bubblewrap tests/test-run.sh "can mount /proc recursively", "can pivot to new rootfs recursively"
@pytest.mark.parametrize("extra", [("pid",), ("pid", "ipc", "network", "uts", "cgroup")])
def test_a_container_in_a_container(extra: tuple[str, ...], nobody: Runner) -> None:
    inner = PROGRAM.format(
        path=sys.path, action=f"print(output(mine('ls -A /; cat /proc/1/comm', PROC, DEV, extra={extra})))"
    )
    action = (
        f"print(output(replace(mine('', extra={extra}), args=(sys.executable, '-c', {inner!r}), "
        "mounts=(Bind(source='/', destination='/', devices=True),), mount_proc='/proc')))"
    )
    assert said(nobody, action).split() == ["bin", "dev", "lib", "lib64", "proc", "sbin", "usr", "sh"]


def test_without_a_user_namespace_it_is_said_what_lacks(nobody: Runner) -> None:
    text = said(nobody, "launch(room('true', PROC))")
    assert text.startswith("refused|clone3|EPERM|")
    assert "user namespace" in text


def test_a_file_of_an_unmapped_owner_cannot_be_made(nobody: Runner) -> None:
    text = said(nobody, "launch(replace(mine('true', Dir(destination='/d')), uid_mappings=(), gid_mappings=()))")
    assert text.startswith("refused|")
    assert "EOVERFLOW" in text
    assert "not mapped" in text
