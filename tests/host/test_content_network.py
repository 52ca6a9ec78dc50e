"""Links, addresses, routes and sockets of other network namespaces, beside ip(8) and ss(8) run inside them."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from dwellers import acting, documents, kept, opened, told

from nsview.host.content.network import NetworkContent, names_in_run, read_network, read_through
from nsview.host.content.socket_owners import Owners, find_owners
from nsview.host.process import PinnedProcess
from nsview.host.producer import Producer
from nsview.host.snapshot import take

pytestmark = pytest.mark.needs("root", "unshare", "nsenter", "ip")


CONNECTED = """
ip link set lo up
ip link add br0 type bridge
ip link add near type veth peer name far netns {other}
ip link add first type veth peer name second
ip link property add dev first altname another-name-for-it
ip link set near master br0
ip link set near up
ip link set first up mtu 1400 alias 'a	b'
ip link set second up
ip addr add 10.1.0.1/24 dev first
ip addr add 10.3.0.1 peer 10.3.0.2/32 dev first
ip addr add fd00:1::1/64 dev second nodad
ip route add 10.9.0.0/16 nexthop via 10.3.0.2 weight 3 nexthop dev second
ip route add blackhole 10.8.0.0/16 metric 7
ip route add default via 10.1.0.9 table 77
ip route add fd00:9::/48 via fd00:1::9 src fd00:1::1 metric 20
"""


@dataclass
class Pair:
    """Two namespaces that a veth connects: by a pid in each, and descriptors."""

    near: int
    far: int
    near_fd: int
    far_fd: int


@pytest.fixture
def pair(nothing_left, unshared) -> Iterator[Pair]:
    far = unshared("--net", script="ip link set lo up")
    near = unshared("--net", script=CONNECTED.format(other=far))
    with opened(near, "net") as (near_fd,), opened(far, "net") as (far_fd,):
        yield Pair(near, far, near_fd, far_fd)


def test_links_are_those_that_ip_lists(pair):
    found = {link.index: link for link in read_network(pair.near_fd, (pair.far_fd,)).links}
    theirs = {row["ifindex"]: row for row in documents(pair.near, "ip", "-j", "-d", "-s", "link")}
    assert found.keys() == theirs.keys()
    for index, row in theirs.items():
        link = found[index]
        assert link.name == row["ifname"]
        assert link.kind == row.get("linkinfo", {}).get("info_kind", row["link_type"])
        # ip(8) says NO-CARRIER for "up and not running", and nothing for running.
        assert set(link.flags) - {"RUNNING"} == set(row["flags"]) - {"NO-CARRIER"}
        assert ("NO-CARRIER" in row["flags"]) == ("UP" in link.flags and "RUNNING" not in link.flags)
        assert link.state == row["operstate"].lower()
        assert (link.mac, link.mtu, link.alias) == (
            row["address"],
            row["mtu"],
            row.get("ifalias", "").replace("\t", "\\t") or None,
        )
        assert (link.master.name if link.master else None) == row.get("master")
        assert list(link.alternative_names) == row.get("altnames", [])
        # Counters only grow, and ours were read first.
        assert link.counters["rx_bytes"] <= row["stats64"]["rx"]["bytes"]
        assert link.counters["tx_packets"] <= row["stats64"]["tx"]["packets"]


def test_where_each_veth_ends_is_told_across_namespaces(pair):
    near, far = os.fstat(pair.near_fd).st_ino, os.fstat(pair.far_fd).st_ino
    ends = {}
    for fd, other in ((pair.near_fd, pair.far_fd), (pair.far_fd, pair.near_fd)):
        for link in read_network(fd, (other,)).links:
            if link.kind == "veth":
                ends[os.fstat(fd).st_ino, link.name] = (link.peer.namespace, link.peer.name)
    assert ends == {
        (near, "near"): (far, "far"),
        (far, "far"): (near, "near"),
        (near, "first"): (near, "second"),
        (near, "second"): (near, "first"),
    }


def test_a_peer_in_a_namespace_that_nobody_told_of_has_its_name_at_least(pair):
    near = {link.name: link for link in read_network(pair.near_fd).links}["near"]
    assert (near.peer.name, near.peer.namespace) == ("far", None)
    assert near.peer.nsid is not None


def test_members_of_a_bridge(pair):
    content = read_network(pair.near_fd)
    bridge = next(link for link in content.links if link.kind == "bridge")
    assert [link.name for link in content.members(bridge.index)] == ["near"]


def test_addresses_are_those_that_ip_lists(pair):
    found = {
        (address.link_name, address.address, address.prefix, address.peer, address.scope)
        for address in read_network(pair.near_fd).addresses
    }
    theirs = {
        (row["ifname"], one["local"], one["prefixlen"], one.get("address"), one["scope"])
        for row in documents(pair.near, "ip", "-j", "address")
        for one in row["addr_info"]
    }
    assert found == theirs
    assert ("first", "10.3.0.1", 32, "10.3.0.2", "global") in found


@pytest.mark.parametrize("family", [4, 6])
def test_routes_of_every_table_are_those_that_ip_lists(pair, family):
    def ours() -> set[tuple[object, ...]]:
        return {
            (
                route.table, route.type, route.destination.removesuffix("/32" if family == 4 else "/128"),
                tuple((hop.gateway, hop.link_name, hop.weight) for hop in route.hops),
                route.metric, route.source, route.origin,
            )
            for route in read_network(pair.near_fd).routes
            if route.family == family
        }  # fmt: skip

    def hops(row: dict[str, object]) -> tuple[object, ...]:
        several = row.get("nexthops") or [row]
        return tuple((hop.get("gateway"), hop["dev"], hop.get("weight", 1)) for hop in several if "dev" in hop)

    theirs = {
        (
            row.get("table", "main"), row.get("type", "unicast"), row["dst"], hops(row),
            row.get("metric", 0), row.get("prefsrc"), row.get("protocol"),
        )
        for row in documents(pair.near, "ip", "-j", "-d", f"-{family}", "route", "show", "table", "all")
    }  # fmt: skip
    known = {row for row in theirs if row[1] == "blackhole" or row[3]}
    assert {row if row[1] != "blackhole" else (*row[:3], (), *row[4:]) for row in known} == ours()


SOCKETS = r"""
import socket, sys
tcp = socket.create_server(("127.0.0.1", 80))
six = socket.create_server(("::1", 8080), family=socket.AF_INET6)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.bind(("127.0.0.1", 53))
there = socket.create_connection(("127.0.0.1", 80)); here, _ = tcp.accept()
there.sendall(b"waiting")
connected = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); connected.connect(("127.0.0.1", 53))
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)
packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
abstract = socket.socket(socket.AF_UNIX); abstract.bind(b"\0abstract\n\x1b[2J\0\xff"); abstract.listen()
path = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); path.bind(sys.argv[1] if len(sys.argv) > 1 else "PATH")
one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
"""


@pytest.fixture
def talking(nothing_left, unshared):
    """A namespace with sockets of every kind: its content, who owns them, a pid in it, the owner's pid, a path."""
    pid = unshared("--net", script="ip link set lo up")
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "socket")
        with acting(pid, SOCKETS.replace("PATH", path)) as process, opened(pid, "net") as fds:
            content = read_network(*fds)
            owners = find_owners({one.inode for one in content.sockets}, take(by=Producer.PROC).records.values())
            yield content, owners, pid, process.pid, path


@pytest.mark.needs("ss")
def test_sockets_are_those_that_ss_lists(talking):
    content, owners, pid, _, _ = talking
    words = {"listen": "LISTEN", "established": "ESTAB", "close": "UNCONN"}
    ours = sorted(
        (one.protocol, words[one.state], one.address, one.port, one.peer_port, one.inode, owner.pid, owner.fd)
        for one in content.sockets
        if one.protocol in ("tcp", "udp")
        for owner in owners.of(one.inode)
    )
    theirs = []
    for line in told(pid, "ss", "-H", "-n", "-a", "-t", "-u", "-e", "-p").splitlines():
        kind, state, _, _, local, remote, *_ = line.split()
        address, _, port = local.rpartition(":")
        other = remote.rpartition(":")[2]
        inode = int(re.search(r"ino:(\d+)", line)[1])
        for number, fd in re.findall(r"pid=(\d+),fd=(\d+)", line):
            theirs.append(
                (kind, state, address.strip("[]"), int(port), int(other.replace("*", "0")), inode, int(number), int(fd))
            )
    assert len(ours) == 6
    assert ours == sorted(theirs)


def test_who_owns_a_port_in_that_namespace(talking):
    content, owners, _, holder, _ = talking
    assert [owner.pid for owner in content.owners(80, owners)] == [holder]
    assert [owner.pid for owner in content.owners(8080, owners)] == [holder]
    assert [owner.pid for owner in content.owners(53, owners, "udp")] == [holder]
    assert content.owners(81, owners) == ()


def test_a_port_that_somebody_may_own_whose_files_we_may_not_read_is_unknown(talking):
    content, _, _, _, _ = talking
    assert content.owners(80, Owners({}, complete=False)) is None
    assert content.owners(80, Owners({}, complete=True)) == ()


def test_unix_sockets_have_their_names_and_peers(talking):
    content, owners, _, holder, path = talking
    unix = [one for one in content.sockets if one.protocol == "unix"]
    listening = next(one for one in unix if one.state == "listen")
    assert listening.path == r"@abstract\n\x1b[2J\x00\xff"
    assert listening.abstract
    bound = next(one for one in unix if one.path == path)
    assert (bound.type, bound.abstract, bound.state) == ("dgram", False, "close")
    one, two = (one for one in unix if one.type == "seqpacket")
    assert (one.peer, two.peer) == (two.inode, one.inode)
    assert all(owner.pid == holder for one in unix for owner in owners.of(one.inode))


def test_what_waits_in_a_queue_is_told(talking):
    content, *_ = talking
    assert sorted(one.receive_queue for one in content.sockets if one.protocol == "tcp") == [0, 0, 0, 7]


def test_raw_and_packet_sockets_are_told(talking):
    content, owners, _, holder, _ = talking
    found = {one.protocol: one for one in content.sockets}
    assert (found["raw"].port, found["packet"].port, found["packet"].link) == (1, socket.ntohs(socket.htons(3)), 0)
    assert [owner.pid for owner in owners.of(found["packet"].inode)] == [holder]


def test_sockets_of_a_process_elsewhere_belong_to_the_namespace_they_were_made_in(nothing_left, unshared):
    pid = unshared("--net", script="ip link set lo up")
    moving = "import os, socket, ctypes\none = socket.create_server(('127.0.0.1', 80))\n"
    moving += "assert ctypes.CDLL(None).unshare(0x40000000) == 0"
    with acting(pid, moving) as process, opened(pid, "net") as fds:
        content = read_network(*fds)
        owners = find_owners({one.inode for one in content.sockets}, take(by=Producer.PROC).records.values())
        assert [owner.pid for owner in content.owners(80, owners)] == [process.pid]


def test_a_namespace_that_only_a_descriptor_holds(nothing_left):
    script = "ip link set lo up; ip link add one type veth peer name two"
    with kept("net", options=("--net",), script=script) as fds:
        content = read_network(*fds)
    assert [link.name for link in content.links] == ["lo", "two", "one"]
    assert "127.0.0.1" in [address.address for address in content.addresses]


def test_hostile_names_of_links_are_harmless(nothing_left, unshared):
    pid = unshared("--net")
    subprocess.run(
        ["nsenter", f"--target={pid}", "-n", "ip", "link", "add", b"\x1b[2J\xff\xe2\x80\xae", "type", "bridge"],
        check=True,
    )
    with opened(pid, "net") as fds:
        assert [link.name for link in read_network(*fds).links] == ["lo", r"\x1b[2J\xff\u202e"]
    with PinnedProcess(pid) as process:
        assert [link.name for link in read_through(process).links] == ["lo", r"\x1b[2J\xff\u202e"]


@contextmanager
def both(pid: int) -> Iterator[tuple[NetworkContent, NetworkContent]]:
    with opened(pid, "net") as fds, PinnedProcess(pid) as process:
        yield read_network(*fds), read_through(process)


def test_within_a_running_event_loop_it_is_read_as_anywhere(pair):
    """pyroute2's synchronous sockets refuse to work in a thread that runs a loop, as the UI's does."""

    async def look() -> NetworkContent:
        return read_network(pair.far_fd)

    assert [link.name for link in asyncio.run(look()).links] == ["lo", "far"]


def test_without_entering_the_files_of_a_process_tell_what_they_can(pair):
    with both(pair.near) as (whole, part):
        assert {link.name for link in part.links} == {link.name for link in whole.links}
        local = {address.address for address in part.addresses}
        assert local == {address.address for address in whole.addresses}
        main = {
            (route.destination, route.metric)
            for route in whole.routes
            if (route.family, route.table) == (4, "main") and len(route.hops) < 2
        }
        assert main <= {(route.destination, route.metric) for route in part.routes}


def test_without_entering_sockets_are_the_same_but_for_unix_peers(talking):
    content, _, pid, _, _ = talking
    with PinnedProcess(pid) as process:
        part = read_through(process)

    def identity(sockets):
        return sorted((one.protocol, one.inode, one.state or "", one.port or 0, one.type or "") for one in sockets)

    assert identity(part.sockets) == identity(content.sockets)


def test_without_privilege_another_namespace_is_read_through_a_process(talking, as_nobody):
    content, _, pid, _, _ = talking

    def look() -> NetworkContent:
        with PinnedProcess(pid) as process:
            return read_through(process)

    part = as_nobody(look)
    assert {one.inode for one in part.sockets} == {one.inode for one in content.sockets}
    assert [link.name for link in part.links] == ["lo"]


def test_names_that_ip_netns_gave(nothing_left, unshared):
    script = "mount -t tmpfs none /run && mkdir /run/netns && touch /run/netns/none && ip netns add blue"
    pid = unshared("--mount", "--net", script=f"{script} && ip netns add red")
    names = names_in_run(f"/proc/{pid}/root/run/netns")
    for name in ("blue", "red"):
        assert names[os.stat(f"/proc/{pid}/root/run/netns/{name}").st_ino] == (name,)
    assert len(names) == 2


def test_no_directory_of_names_is_no_names():
    assert names_in_run("/nowhere/at/all") == {}
