"""``nsview ns INODE`` shows what is inside, as text and as JSON, with a process there and without, as root and not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from dwellers import acting, documents, kept, shell, told
from listed import json_of, nsview, text_of

from nsview.host.content.socket_owners import Owner
from nsview.host.namespaces import discover
from nsview.host.producer import Producer
from nsview.host.snapshot import take
from nsview.wording.inside.network import owners_text
from nsview.wording.inside.reading import inside, seconds
from nsview.wording.inside.section import Inside

pytestmark = pytest.mark.needs("root", "unshare", "nsenter")

SECOND = 1_000_000_000
NOBODY = 65534


def inode_of(pid: int, name: str) -> str:
    return str(os.stat(f"/proc/{pid}/ns/{name}").st_ino)


def inside_of(pid: int, name: str) -> dict[str, object]:
    [namespace] = json_of("ns", inode_of(pid, name))["namespaces"]
    return namespace["inside"]


def section(pid: int, name: str, title: str) -> list[list[str]]:
    """The words of the lines under a title, up to the next empty line."""
    lines = text_of("ns", inode_of(pid, name))
    rest = lines[lines.index(title) + 1 :]
    return [line.split() for line in (rest[: rest.index("")] if "" in rest else rest)]


def test_user_namespace(nothing_left):
    with shell("--user") as pid:
        assert ["uid", "map:", "none", "yet"] in section(pid, "user", "id maps")
        Path(f"/proc/{pid}/uid_map").write_text("0 100000 65536\n")
        Path(f"/proc/{pid}/setgroups").write_text("deny")
        Path(f"/proc/{pid}/gid_map").write_text("5 1000 1\n")
        assert section(pid, "user", "id maps") == [
            ["MAP", "INSIDE", "OUTSIDE", "COUNT"],
            ["uid", "0", "100000", "65536"],
            ["gid", "5", "1000", "1"],
            ["setgroups:", "deny"],
        ]
        assert inside_of(pid, "user") == {
            "uid_map": [{"inside": 0, "outside": 100000, "count": 65536}],
            "gid_map": [{"inside": 5, "outside": 1000, "count": 1}],
            "setgroups": False,
            "unknown_because": None,
        }


def test_uts_namespace(nothing_left):
    with shell("--uts", script=r"printf 'evil\033[2J' > /proc/sys/kernel/hostname") as pid:
        assert section(pid, "uts", "names")[0] == ["host", "name", r"evil\x1b[2J"]
        assert inside_of(pid, "uts")["hostname"] == r"evil\x1b[2J"


def test_time_namespace(nothing_left):
    with shell("--time", "--monotonic=-5", "--boottime=86400", "--fork") as pid:
        assert section(pid, "time", "offsets of the clocks") == [["monotonic", "-5", "s"], ["boottime", "+86400", "s"]]
        expected = {"monotonic_ns": -5 * SECOND, "boottime_ns": 86400 * SECOND, "unknown_because": None}
        assert inside_of(pid, "time") == expected


@pytest.mark.parametrize(
    ("offset", "text"), [(0, "+0 s"), (-5 * SECOND, "-5 s"), (SECOND // 2, "+0.5 s"), (-1, "-0.000000001 s")]
)
def test_offsets_are_exact(offset, text):
    assert seconds(offset) == text


def test_pids_in_every_nested_namespace(nothing_left):
    words = "unshare --pid --fork --mount-proc sh -c 'echo ready; read forever'"
    with shell("--pid", "--fork", "--mount-proc", script=f"exec {words}") as outer:
        children = Path(f"/proc/{outer}/task/{outer}/children").read_text().split()
        assert len(children) == 1
        [inner] = map(int, children)
        content = inside_of(inner, "pid")
        numbers = [
            int(word)
            for word in Path(f"/proc/{inner}/status").read_text().partition("NSpid:")[2].split("\n")[0].split()
        ]
        assert len(numbers) - numbers.index(inner) == 3
        assert content == {"init": inner, "members": [{"pid": inner, "pids": numbers[numbers.index(inner) :]}]}
        title = "pids in every pid namespace, from ours down to this one"
        assert [str(inner), "/".join(map(str, numbers[numbers.index(inner) :])), "sh"] in section(inner, "pid", title)


def test_ipc_namespace(nothing_left):
    make = "import ctypes\nassert ctypes.CDLL(None).shmget(77, ctypes.c_size_t(4096), 0o1640) >= 0"
    with shell("--ipc") as pid, acting(pid, make, "i"):
        assert section(pid, "ipc", "System V shared memory")[1][:4] == ["0x0000004d", "0", "640", "root"]
        content = inside_of(pid, "ipc")
        assert [(one["key"], one["bytes"], one["mode"]) for one in content["shared_memory"]] == [(77, 4096, 0o640)]
        assert content["posix_queues"] == []
        assert content["limits"]["kernel.shmmni"] == Path("/proc/sys/kernel/shmmni").read_text().strip()


@pytest.mark.needs("ip")
def test_which_process_owns_a_port_and_where_a_veth_ends(nothing_left):
    with ExitStack() as stack:
        far = stack.enter_context(shell("--net"))
        script = f"ip link set lo up; ip link add near type veth peer name far netns {far}"
        near = stack.enter_context(shell("--net", script=script))
        server = "import socket\none = socket.create_server(('127.0.0.1', 80))"
        process = stack.enter_context(acting(near, server))
        [_, listening] = section(near, "net", "sockets")
        assert listening[:4] == ["tcp", "listen", "127.0.0.1:80", "-"]
        assert listening[4] == str(process.pid)
        [near_end] = [words for words in section(near, "net", "links") if "near" in words]
        # Behind it stands what people call that namespace.
        assert near_end[near_end.index("→") :][:5] == ["→", "far", "in", "net", inode_of(far, "net")]

        content = inside_of(near, "net")
        [socket] = content["sockets"]
        assert [owner["pid"] for owner in socket["owners"]] == [process.pid]
        [peer] = [link["peer"] for link in content["links"] if link["kind"] == "veth"]
        assert (peer["name"], peer["namespace"]) == ("far", int(inode_of(far, "net")))
        assert {route["table"] for route in content["routes"]} == {"local"}
        assert content["unknown_because"] is None


@pytest.mark.needs("ip", "lsns")
def test_the_number_of_a_network_namespace_is_that_of_ours(nothing_left):
    with shell("--net") as far, shell("--net") as near:
        inode = inode_of(far, "net")
        told(near, "ip", "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", str(far))
        rows = documents(near, "lsns", "--json", "--type", "net", "--output", "NS,NETNSID")["namespaces"]
        [number] = [row["netnsid"] for row in rows if str(row["ns"]) == inode]
        [namespace] = documents(near, sys.executable, "-m", "nsview", "ns", inode, "--json")["namespaces"]
        assert str(namespace["inside"]["nsid"]) == number
        assert inside_of(far, "net")["nsid"] is None


def test_mount_namespace(nothing_left):
    with shell("--mount", script="mount -t tmpfs gone /mnt; mount -t tmpfs seen /mnt") as pid:
        sources = [mount["source"] for mount in inside_of(pid, "mnt")["mounts"] if mount["point"] == "/mnt"]
        assert sorted(sources) == ["gone", "seen"]
        rows = section(pid, "mnt", "mounts")
        assert [words[3] for words in rows if words[1] == "/mnt"].count("seen") == 1


def held(fd: int) -> Inside:
    """The inside of a namespace that our descriptor holds alone."""
    snapshot = take(by=Producer.PROC)
    namespaces = discover(snapshot)
    content = inside(namespaces[os.fstat(fd).st_ino], snapshot, namespaces)
    assert content is not None
    json.dumps(content.document)
    return content


def test_without_a_process_all_is_read_through_a_descriptor(nothing_left):
    options = ("--user", "--map-root-user", "--uts", "--ipc", "--net", "--time", "--boottime=9", "--fork")
    names = ("user", "uts", "ipc", "net", "time")
    with kept(*names, options=options, script="hostname kept; ip link set lo up") as (user, uts, ipc, net, clocks):
        document = held(user).document
        assert (document["uid_map"], document["unknown_because"]) == (({"inside": 0, "outside": 0, "count": 1},), None)
        assert held(uts).document == {"hostname": "kept", "domainname": "", "unknown_because": None}
        assert held(clocks).document["boottime_ns"] == 9 * SECOND
        assert held(ipc).document["semaphores"] == ()
        assert [link["name"] for link in held(net).document["links"]] == ["lo"]


def test_without_privilege_what_can_be_known_is_and_the_rest_says_why(nobody):
    mine = json.loads(nobody("nsview", "ns", inode_of(os.getpid(), "net"), "--json").stdout)
    content = mine["namespaces"][0]["inside"]
    assert "lo" in [link["name"] for link in content["links"]]
    assert all(link["mtu"] for link in content["links"])
    limits = json.loads(nobody("nsview", "ns", inode_of(os.getpid(), "ipc"), "--json").stdout)
    content = limits["namespaces"][0]["inside"]
    assert content["limits"]["kernel.msgmax"] == Path("/proc/sys/kernel/msgmax").read_text().strip()
    assert content["posix_queues"] is None
    assert content["posix_queues_unknown_because"]
    done = nobody("nsview", "ns", inode_of(os.getpid(), "ipc"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "?: " in done.stdout


ROOTLESS = r"""
import json, os, subprocess, sys
script = "hostname rootless; ip link set lo up; ip link add one type veth peer name two; echo ready; read forever"
words = ["unshare", "--user", "--map-root-user", "--net", "--uts", "--ipc", "sh", "-c", "ipcmk -M 4096 >&2; " + script]
with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as shell:
    assert shell.stdout.readline() == "ready\n"
    answers = {}
    for kind in ("net", "uts", "ipc", "user"):
        inode = os.stat(f"/proc/{shell.pid}/ns/{kind}").st_ino
        words = [sys.executable, "-m", "nsview", "ns", str(inode), "--json"]
        answers[kind] = json.loads(subprocess.check_output(words))["namespaces"][0]["inside"]
    shell.stdin.close()
print(json.dumps(answers))
"""


@pytest.mark.needs("ip", "ipcs", "userns")
def test_an_ordinary_user_reads_the_containers_of_ones_own(nobody):
    """Nobody made the user namespace, so nobody may go there, though no thread can."""
    answers = json.loads(nobody("python", "-c", ROOTLESS).stdout)
    assert answers["uts"] == {"hostname": "rootless", "domainname": "", "unknown_because": None}
    links = {link["name"]: link for link in answers["net"]["links"]}
    assert (links["one"]["peer"]["name"], links["lo"]["mtu"]) == ("two", 65536)
    assert [route["table"] for route in answers["net"]["routes"]].count("local") >= 1
    assert answers["net"]["unknown_because"] is None
    [segment] = answers["ipc"]["shared_memory"]
    # What is root in there is nobody to us.
    assert (segment["bytes"], segment["uid"], segment["gid"]) == (4096, NOBODY, NOBODY)
    assert (answers["ipc"]["posix_queues"], answers["ipc"]["posix_queues_unknown_because"]) == ([], None)
    assert answers["user"]["uid_map"] == [{"inside": 0, "outside": NOBODY, "count": 1}]


MASKED = """
mount -t tmpfs none /proc/sysvipc && mount -t tmpfs none /proc/sys && cd /proc/self/ns || exit
for kind in cgroup ipc mnt net pid time user uts; do
    "$0" -m nsview ns "$(stat -Lc %i $kind)" --json || exit
done
"""


def test_in_a_container_with_a_masked_proc_what_is_hidden_is_unknown(nothing_left):
    options = ("--user", "--map-root-user", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--mount-proc")
    words = ["unshare", *options, "sh", "-c", MASKED, sys.executable]
    done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stderr) == (0, "")
    found = {}
    for text in done.stdout.split("\n}\n")[:-1]:
        [namespace] = json.loads(text + "}")["namespaces"]
        found[namespace["type"]] = namespace["inside"]
    assert len(found) == 8
    assert found["ipc"]["semaphores"] is None
    assert found["ipc"]["posix_queues"] == []
    assert set(found["ipc"]["limits"].values()) == {None}
    assert found["uts"]["hostname"] == os.uname().nodename
    assert found["pid"]["init"] == 1
    assert [link["name"] for link in found["network"]["links"]] == ["lo"]
    assert found["user"]["uid_map"] == [{"inside": 0, "outside": 0, "count": 1}]


def test_an_owner_with_many_descriptors_is_named_once():
    owners = (Owner(7, 3, "web"), Owner(7, 4, "web"), Owner(9, 3, "web"))
    assert owners_text(owners) == "7 web, 9 web"
    assert owners_text(()) == "-"
    assert owners_text(None) == "?"


def test_lists_have_no_inside():
    assert all("inside" not in row for row in json_of("ns", "uts")["namespaces"])
    assert nsview("ns", "uts").returncode == 0
