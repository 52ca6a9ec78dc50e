"""``nsview ns`` lists what lsns lists and more, chosen and sorted as asked; and one namespace with its members."""

from __future__ import annotations

import errno
import json
import os
import pty
import subprocess
import sys

import pytest
from listed import json_of, nsview, text_of
from lsns import listed
from shells import unshared_shell

from nsview.host.namespaces import WAYS
from spawner.namespaces import KINDS

OWN_NET = os.stat("/proc/self/ns/net").st_ino


def lines_of(*words: str) -> list[list[str]]:
    """The words of each line of a list; what could not be looked into may be told on standard error."""
    done = nsview("ns", *words)
    assert done.returncode == 0
    assert all("could be looked into" in line for line in done.stderr.splitlines())
    return [line.split() for line in done.stdout.splitlines()]


def objects(*words: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json_of("ns", *words)["namespaces"]
    return found


@pytest.mark.needs("lsns", "root")
def test_list_has_the_namespaces_of_lsns():
    before = listed_by_lsns()
    mine = {(int(words[0]), words[1]) for words in lines_of("--no-header")}
    after = listed_by_lsns()
    assert before & after <= mine


def listed_by_lsns() -> set[tuple[int, str]]:
    return {(row["ns"], row["type"]) for row in listed("NS", "TYPE")}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_list_of_one_type_takes_each_of_its_names(kind):
    listings = [lines_of(word, "--no-header") for word in (kind.name, kind.proc, kind.letter)]
    for lines in listings:
        assert lines
        assert {words[1] for words in lines} == {kind.proc}


def test_one_namespace_is_shown_with_its_members():
    lines = text_of("ns", str(OWN_NET))
    assert ["inode", str(OWN_NET)] in [line.split() for line in lines]
    assert str(os.getpid()) in [words[0] for words in map(str.split, lines) if words]


@pytest.mark.parametrize("form", ["net:[{}]", "net:{}"])
def test_one_namespace_is_asked_for_as_ls_shows_it(form):
    (namespace,) = objects(form.format(OWN_NET))
    assert namespace["inode"] == OWN_NET


def test_json_names_the_owner_and_the_members():
    (namespace,) = objects(str(OWN_NET))
    assert namespace["owner"] == os.stat("/proc/self/ns/user").st_ino
    assert namespace["type"] == "network"
    assert os.getpid() in namespace["members"]
    assert namespace["processes"] == len(namespace["members"])


def test_json_tells_what_keeps_it_alive_and_how_far_the_search_came():
    with open("/proc/self/ns/uts") as held:
        document = json_of("ns", "uts")
        own = next(one for one in document["namespaces"] if one["inode"] == os.fstat(held.fileno()).st_ino)
        assert {"pid": os.getpid(), "tid": os.getpid(), "fd": held.fileno()} in own["keepers"]["descriptors"]
    assert {"proc", "fd"} <= set(own["held_by"])
    assert own["hidden"] is False
    assert {step["step"] for step in document["search"]} >= {"processes", "tasks", "descriptors", "sockets", "mounts"}
    assert all(step["unread"] <= step["looked"] for step in document["search"])


def test_columns_are_chosen():
    titles, *rows = lines_of("-o", "ns,uid,id", "net")
    assert titles == ["NS", "OWNER-UID", "ID"]
    assert str(OWN_NET) in [row[0] for row in rows]
    (one,) = objects("-o", "parent,held", f"ns={OWN_NET}")
    assert one["columns"]["parent"] is None
    assert "proc" in one["columns"]["held"]


def test_filters_ask_for_any_column():
    own = os.stat("/proc/self/ns/user").st_ino
    assert {one["type"] for one in objects(f"owner={own}", "type!=net")} >= {"uts", "mount"}
    assert [one["inode"] for one in objects("net", f"ns={OWN_NET}")] == [OWN_NET]
    assert objects("held=proc", "nprocs=0") == []
    assert {one["type"] for one in objects(f"members={os.getpid()}")} == {kind.name for kind in KINDS}
    assert all(one["parent"] is None for one in objects("parent=none"))


def test_rows_are_sorted_by_any_column():
    counts = [one["processes"] for one in objects("--sort=-nprocs")]
    assert counts == sorted(counts, reverse=True)


@pytest.mark.needs("root", "unshare", "user_namespace")
def test_tree_has_what_a_user_namespace_owns_below_it():
    with unshared_shell("-Ur", "--uts") as pid:
        user, uts = (os.stat(f"/proc/{pid}/ns/{kind}").st_ino for kind in ("user", "uts"))
        lines = nsview("ns", "--tree", "owner").stdout.splitlines()
        (at,) = [number for number, line in enumerate(lines) if f"─ {user} " in line]
        below = [line for line in lines[at + 1 :] if f"─ {uts} " in line]
        assert below[0].index("─") > lines[at].index("─")
        (row,) = [line for line in nsview("ns", "--tree", "parent", "user").stdout.splitlines() if f"{user} " in line]
        assert row.lstrip("│ ").startswith(("├─", "└─"))


def test_it_fits_a_terminal_of_80_columns():
    leader, follower = pty.openpty()
    with os.fdopen(leader, "rb", buffering=0) as screen:
        environment = {**os.environ, "COLUMNS": "80"}
        command = [sys.executable, "-m", "nsview", "ns"]
        with subprocess.Popen(command, stdout=follower, stderr=subprocess.DEVNULL, env=environment) as process:
            os.close(follower)
            text = b""
            while piece := _read(screen.fileno()):
                text += piece
        assert process.returncode == 0
    lines = text.decode().splitlines()
    assert lines[0].split()[-2:] == ["HELD-BY", "NAME"]
    assert max(map(len, lines)) <= 80


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 65536)
    except OSError as error:
        if error.errno != errno.EIO:  # the other side is closed
            raise
        return b""


@pytest.mark.needs("root")
def test_without_privilege_it_says_that_some_may_be_missing(nobody):
    done = nobody("nsview", "ns")
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert "not all could be looked into, so some may be missing: " in line
    assert "processes" in line


@pytest.mark.needs("root")
def test_a_bind_mount_of_hostile_name_stays_one_line(tmp_path):
    script = (
        'mount --make-rprivate / && mount -t tmpfs none /mnt && cd /mnt && : > "$1" &&'
        ' unshare --uts mount --bind /proc/self/ns/uts "$1" && echo ready && read forever'
    )
    name = "a\x1b[31m\n\\b"
    with subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", script, "sh", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        room = os.stat(f"/proc/{process.pid}/ns/mnt").st_ino
        (found,) = [
            one
            for one in objects("uts")
            if [mount for mount in one["keepers"]["bind_mounts"] if mount["mount_namespace"] == room]
        ]
        process.stdin.close()
    assert found["name"] == "/mnt/a\\x1b[31m\\n\\b"
    assert found["held_by"] == ["mount"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["12"], "there is no namespace 12 that can be seen"),
        ([f"mnt:[{OWN_NET}]"], f"namespace {OWN_NET} is net:[{OWN_NET}]"),
        (["nett=5"], "nett"),
        (["-o", "nonsense"], "there is no column 'nonsense'"),
        (["--sort", "nonsense"], "there is no column 'nonsense'"),
        ([str(OWN_NET), "user=root"], "leaves nothing to filter"),
        (["held=nonsense"], "it takes one of"),
    ],
)
def test_bad_input_is_one_clear_line_and_status_2(words, says):
    done = nsview("ns", *words)
    assert done.returncode == 2
    assert says in done.stderr.splitlines()[0]
    assert done.stdout == ""


def test_help_tells_every_way_to_keep_one_alive():
    text = " ".join(nsview("ns", "--help").stdout.split())
    for way in WAYS:
        assert f"{way.word}: {way.meaning}" in text


def test_a_recording_is_listed_as_the_machine_is(tmp_path):
    file = tmp_path / "recording"
    assert nsview("snapshot", "--namespaces", "-o", str(file)).returncode == 0
    document = json.loads(nsview("ns", "--from", str(file), "--json").stdout)
    assert OWN_NET in [one["inode"] for one in document["namespaces"]]
    assert document["search"] is None
