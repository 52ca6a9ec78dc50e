"""``ps`` and ``tree`` where little can be seen: without privilege, in a container, with a masked or hiding /proc."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from nsview.host.columns import DEAR
from nsview.host.columns.processes import PROCESS_COLUMNS

ALL = ",".join(column.name for column in PROCESS_COLUMNS if column.cost < DEAR)
NSVIEW = (sys.executable, "-m", "nsview")
CONTAINER = ("unshare", "--mount", "--pid", "--net", "--fork", "--mount-proc")
MASKED = """
mount -t tmpfs -o ro none /proc/tty
mount -t tmpfs -o ro none /proc/sys
mount --bind /dev/null /proc/cmdline
exec "$@"
"""
HIDDEN = 'mount -o "remount,$0" /proc && { sleep 60 & } && exec "$@"'


def document(command: tuple[str, ...]) -> Any:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, ""), done
    return json.loads(done.stdout)


def by_pid(processes: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    return {one["pid"]: one for one in processes}


@pytest.mark.needs("root", "unshare")
def test_in_a_container_its_processes_are_all_there_is():
    seen = by_pid(document((*CONTAINER, *NSVIEW, "ps", "--json", "-o", ALL))["processes"])
    assert set(seen) == {1}
    one = seen[1]
    assert one["ppid"] == 0
    assert one["columns"]["pids"] == [1]
    assert one["columns"]["exe"] == os.path.realpath(sys.executable)
    assert None not in one["namespaces"].values()


@pytest.mark.needs("root", "unshare")
def test_a_container_with_a_masked_proc_is_listed():
    seen = by_pid(document((*CONTAINER, "sh", "-ec", MASKED, "-", *NSVIEW, "tree", "--json", "-o", ALL))["processes"])
    assert seen[1]["columns"]["tty"] is not None
    assert seen[1]["columns"]["caps"] is not None


@pytest.mark.needs("user_namespace", "pid_namespace", "unshare")
def test_in_a_user_namespace_of_its_own_it_is_the_same():
    command = ("unshare", "--user", "--map-root-user", "--mount", "--pid", "--net", "--fork", "--mount-proc")
    seen = by_pid(document((*command, *NSVIEW, "ps", "--json", "ns.net=self"))["processes"])
    assert set(seen) == {1}
    assert seen[1]["user"] == "root"


@pytest.mark.needs("root")
def test_without_privilege_what_may_not_be_read_is_unknown_and_never_zero(nobody):
    done = nobody("python", "-m", "nsview", "ps", "--json", "-o", ALL)
    assert (done.returncode, done.stderr) == (0, "")
    ours = by_pid(json.loads(done.stdout)["processes"])[os.getpid()]
    closed = ("exe", "cwd", "root", "fds", "read", "written", "rchar", "pid_for_children")
    assert {name: ours["columns"][name] for name in closed} == dict.fromkeys(closed)
    assert set(ours["namespaces"].values()) == set(ours["differs"].values()) == {None}
    open_to_all = {"ppid": os.getppid(), "uid": os.geteuid(), "gid": os.getegid()}
    assert {name: ours["columns"][name] for name in open_to_all} == open_to_all
    assert ours["columns"]["command"]
    for text, found in [
        ("exe=?", True),
        ("exe!=?", False),
        ("not exe~x", False),
        ("exe~x", False),
        ("ns.net!=self", False),
    ]:
        done = nobody("python", "-m", "nsview", "ps", "--json", text, f"pid={os.getpid()}")
        assert (len(json.loads(done.stdout)["processes"]) == 1) is found, text


@pytest.mark.needs("root", "unshare")
@pytest.mark.parametrize(("option", "seen"), [("hidepid=invisible", 2), ("hidepid=off", 3)])
def test_where_others_are_hidden_the_own_processes_are_still_a_tree(nobody, option, seen):
    text = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-m', 'nsview', 'tree', '--no-header']))"
    command = (*CONTAINER, "sh", "-c", HIDDEN, option, *nobody.command("python", "-c", text))
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    first, *others = done.stdout.splitlines()
    assert first.split()[0] == "1"
    assert len(others) == seen - 1
    assert others[-1].split()[-2] == "└─"
    assert any(line.endswith(" sleep") for line in others) is (seen == 3)
