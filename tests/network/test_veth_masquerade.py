"""Masquerade: the outside sees the host's address, and everything that was changed for it is restored.

"Outside" is another child of ours: its network namespace knows the way to the host and to nobody behind it.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from another_host import (
    NETWORK,
    V4,
    V6,
    call_from,
    connected,
    ended,
    names,
    new_host,
    on_another_host,
    run,
    served,
    served_in,
    setting,
)
from apart import apart, beside, own_mounts
from leftovers import Census, until

import nsview.network.forwarding as forwarding
from nsview.network import Connector, masquerade
from nsview.network.netlink import NetlinkError
from spawner import Child, LaunchError, Spec, Stdio, launch
from spawner.oci import Veth

needs = pytest.mark.needs("root", "ip", "nft", "nsenter", "network_namespace")


@dataclass(frozen=True)
class Way:
    """A child's veth and the outside's, of one version of IP, and the setting that lets one link forward."""

    child: Veth
    outside: Veth
    one: str
    everywhere: str

    @property
    def host(self) -> str:
        return self.outside.host_address.partition("/")[0]

    @property
    def world(self) -> str:
        return self.outside.child_address.partition("/")[0]


IP4 = Way(
    replace(V4, masquerade=True),
    Veth(host_address="198.51.100.1/24", child_address="198.51.100.2/24", host_name="out", default_route=False),
    "ipv4/conf/{}/forwarding",
    "ipv4/conf/all/forwarding",
)
IP6 = Way(
    replace(V6, masquerade=True),
    Veth(host_address="2001:db8::1/64", child_address="2001:db8::2/64", host_name="out", default_route=False),
    "ipv6/conf/{}/force_forwarding",
    "ipv6/conf/all/forwarding",
)


one_link_of_ipv6 = Path("/proc/sys/net/ipv6/conf/lo/force_forwarding").exists()
"""Whether this kernel can let a single link forward IPv6; that it says so where not is a test of its own."""


@pytest.fixture(params=[IP4, IP6] if one_link_of_ipv6 else [IP4], ids=lambda way: way.host)
def way(request: pytest.FixtureRequest) -> Way:
    found: Way = request.param
    return found


@contextmanager
def outside(way: Way) -> Iterator[Child]:
    """The world, and a default route of the host to it."""
    with connected(way.outside) as world:
        run("ip", "route", "add", "default", "via", way.world)
        yield world


def forwards(way: Way, link: str) -> str:
    return setting(way.one.format(link))


def tables() -> set[str]:
    """Our tables, as nft(8) tells."""
    found = json.loads(run("nft", "-j", "list", "tables"))["nftables"]
    return {row["table"]["name"] for row in found if "table" in row}


@needs
def test_the_outside_sees_the_hosts_address(way: Way) -> None:
    def there() -> None:
        with outside(way) as world:
            with connected(way.child) as child:
                server, port = served_in(world, way.world)
                assert call_from(child, way.world, port) == way.host
                ended(server)
            assert tables() == set()

    on_another_host(there)


@needs
def test_without_masquerade_the_outside_does_not_answer(way: Way) -> None:
    def there() -> None:
        with outside(way) as world, connected(replace(way.child, masquerade=False)) as child:
            server, port = served_in(world, way.world)
            with pytest.raises(AssertionError, match="timed out"):
                call_from(child, way.world, port, patience=0.3)
            assert server.poll() is None, "it was called"
            server.kill()
            server.communicate()

    on_another_host(there)


@needs
def test_the_host_itself_sees_the_childs_own_address(way: Way) -> None:
    def there() -> None:
        with outside(way), connected(way.child) as child:
            for address in (way.host, way.child.host_address.partition("/")[0]):
                server, port = served(address)
                assert call_from(child, address, port) == way.child.child_address.partition("/")[0]
                ended(server)

    on_another_host(there)


@needs
def test_only_the_links_concerned_forward_and_only_meanwhile(way: Way) -> None:
    def there() -> None:
        with outside(way):
            run("ip", "link", "add", "bystander", "type", "veth", "peer", "other")
            before = {name: forwards(way, name) for name in ("out", "bystander", "lo")}
            assert set(before.values()) == {"0"}
            with connected(way.child):
                assert {name: forwards(way, name) for name in ("out", "nsv-0", "bystander", "lo")} == {
                    "out": "1",
                    "nsv-0": "1",
                    "bystander": "0",
                    "lo": "0",
                }
                assert setting(way.everywhere) == "0"
            assert {name: forwards(way, name) for name in before} == before
            run("ip", "link", "del", "bystander")

    on_another_host(there)


@needs
def test_a_lent_link_lets_nobody_in(way: Way) -> None:
    """The outside, given a route to the child, cannot begin a connection: the host is no router for it."""

    def there() -> None:
        with outside(way) as world, connected(way.child) as child:
            address = way.child.child_address.partition("/")[0]
            family = ("-6",) if ":" in address else ()
            run("nsenter", "-n", "-t", str(world.pid), "ip", *family, "route", "add", "default", "via", way.host)
            server, port = served_in(child, address)
            with pytest.raises(AssertionError, match="timed out"):
                call_from(world, address, port, patience=0.3)
            # It is our chain that keeps the outside out.
            [(kin, table, chain)] = [
                (row["chain"]["family"], row["chain"]["table"], row["chain"]["name"])
                for row in json.loads(run("nft", "-j", "list", "chains"))["nftables"]
                if row.get("chain", {}).get("name", "").startswith("lent_")
            ]
            run("nft", "flush", "chain", kin, table, chain)
            assert call_from(world, address, port) == way.world
            ended(server)

    on_another_host(there)


@needs
@pytest.mark.parametrize("way", [IP4, IP6], ids=lambda way: way.host)
def test_a_host_that_forwards_already_is_left_so(way: Way) -> None:
    def there() -> None:
        with outside(way) as world:
            Path("/proc/sys/net", way.everywhere).write_text("1")
            with connected(way.child) as child:
                server, port = served_in(world, way.world)
                assert call_from(child, way.world, port) == way.host
                ended(server)
                chains = json.loads(run("nft", "-j", "list", "chains"))["nftables"]
                assert not [row for row in chains if row.get("chain", {}).get("name", "").startswith("lent_")]
            assert setting(way.everywhere) == "1"

    on_another_host(there)


@needs
def test_the_last_of_two_gives_back_what_both_used(way: Way) -> None:
    def there() -> None:
        six = ":" in way.host
        other = Veth(
            host_address="fd78::1/64" if six else "10.78.0.1/24",
            child_address="fd78::2/64" if six else "10.78.0.2/24",
            masquerade=True,
        )
        with outside(way) as world, connected(way.child) as first, connected(other) as second:
            assert len(tables()) == 2
            for child in (first, second):
                server, port = served_in(world, way.world)
                assert call_from(child, way.world, port) == way.host
                ended(server)
            first.close()
            assert forwards(way, "out") == "1"
            server, port = served_in(world, way.world)
            assert call_from(second, way.world, port) == way.host
            ended(server)
            second.close()
            assert forwards(way, "out") == "0"
            assert tables() == set()

    on_another_host(there)


@needs
def test_no_way_out_is_told(way: Way) -> None:
    def there() -> None:
        with pytest.raises(LaunchError) as failed:
            connected(way.child)
        assert failed.value.errno == errno.ENETUNREACH
        assert "default route" in failed.value.remedy
        assert names().isdisjoint({"nsv-0"})
        assert tables() == set()

    on_another_host(there)


@needs
@pytest.mark.parametrize("way", [IP4, IP6], ids=lambda way: way.host)
def test_a_kernel_that_cannot_let_one_link_forward_is_told(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    def there() -> None:
        monkeypatch.setitem(forwarding._FILE, 6 if ":" in way.host else 4, "not_in_this_kernel")
        with outside(way):
            with pytest.raises(LaunchError) as failed:
                connected(way.child)
            assert "all.forwarding=1" in failed.value.remedy
            assert "nsv-0" not in names()
            assert tables() == set()

    on_another_host(there)


@needs
def test_settings_that_are_read_only_are_told(way: Way) -> None:
    def read_only() -> None:
        own_mounts()
        run("mount", "--bind", "/proc/sys", "/proc/sys")
        run("mount", "-o", "bind,remount,ro", "/proc/sys")

    def there() -> None:
        with outside(way):
            with pytest.raises(LaunchError) as failed:
                connected(way.child)
            assert (failed.value.errno, failed.value.step) == (errno.EROFS, "veth")
            assert "read-only" in failed.value.cause
            assert "nsv-0" not in names()
            assert tables() == set()

    on_another_host(there, first=read_only)


@needs
@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOENT, errno.EOPNOTSUPP])
def test_a_kernel_without_nftables_is_told(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(*_: object) -> None:
        raise NetlinkError(number)

    def there() -> None:
        with outside(IP4):
            monkeypatch.setattr(masquerade, "write", lacking)
            with pytest.raises(LaunchError) as failed:
                connected(IP4.child)
            assert "nftables" in failed.value.cause
            assert "nft_masq" in failed.value.remedy
            assert "nsv-0" not in names()

    on_another_host(there)


@needs
@pytest.mark.parametrize("place", ["write", "compare", "_to_lend"])
def test_a_fault_while_masquerading_leaves_nothing(place: str, way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    original = getattr(masquerade, place)

    def failing(*arguments: object) -> object:
        original(*arguments)  # it is done, and then it fails
        raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))

    def there() -> None:
        with outside(way):
            monkeypatch.setattr(masquerade, place, failing)
            with pytest.raises(LaunchError) as failed:
                connected(way.child)
            assert (failed.value.step, failed.value.errno) == ("veth", errno.ENOBUFS)
            assert "nsv-0" not in names()
            assert tables() == set()
            assert forwards(way, "out") == "0"

    on_another_host(there)


@needs
def test_what_a_killed_process_left_is_swept_at_the_next_start(way: Way) -> None:
    def launcher() -> int:
        spec = Spec(
            args=("/bin/sleep", "1000"), namespaces=NETWORK, veth=way.child, stdio=Stdio.NULL, pdeathsig=signal.SIGKILL
        )
        return launch(spec, network=Connector()).pid

    def there() -> None:
        new_host()
        census = Census()
        with outside(way):
            with beside(launcher):
                assert "nsv-0" in names()
                assert len(tables()) == 1
            # Killed: its child goes, the namespace, and the pair with it; nobody was there to take the rest away.
            assert until(lambda: "nsv-0" not in names())
            assert len(tables()) == 1
            assert forwards(way, "out") == "1"
            with connected(replace(way.child, masquerade=False)):
                assert tables() == set()
                assert forwards(way, "out") == "0"
        assert census.difference() == []

    apart(there)


@needs
def test_another_process_that_changes_the_same_is_waited_for_and_then_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def there() -> None:
        monkeypatch.setattr(masquerade, "PATIENCE", 0.05)
        holder = subprocess.Popen(("flock", "/proc/self/ns/net", "sh", "-c", "echo; read _"), stdin=-1, stdout=-1)
        with holder:
            assert holder.stdout is not None
            holder.stdout.readline()
            with pytest.raises(LaunchError) as failed:
                connected(IP4.child)
            holder.communicate(b"\n")
        assert failed.value.errno == errno.EBUSY
        assert "nsv-0" not in names()

    on_another_host(there)
