"""A child with a veth and its host reach each other; both ends are as asked for, seen by ip(8); nothing is left."""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from another_host import (
    CALLER,
    NETWORK,
    V4,
    V6,
    WAITING,
    asked,
    call_from,
    connected,
    ended,
    names,
    on_another_host,
    run,
    said,
    served,
    served_in,
)
from leftovers import Census
from nobody import Runner
from running import PLANNING

import nsview.network.pair as pair
from nsview.network import Connector
from spawner import IDMapping, LaunchError, Mechanism, Spec, SpecError, Stdio, compile_spec, launch
from spawner.oci import Veth

needs = pytest.mark.needs("root", "ip", "nsenter", "network_namespace")
both = pytest.mark.parametrize("veth", [V4, V6], ids=["IPv4", "IPv6"])


def bare(address: str) -> str:
    return address.partition("/")[0]


@needs
@both
@pytest.mark.parametrize("via", PLANNING)
def test_child_and_host_reach_each_other(veth: Veth, via: Mechanism) -> None:
    def there() -> None:
        with connected(veth, via=via) as child:
            inside, port = served_in(child, bare(veth.child_address))
            assert call_from(None, bare(veth.child_address), port) == bare(veth.host_address)
            ended(inside)
            outside, port = served(bare(veth.host_address))
            assert call_from(child, bare(veth.host_address), port) == bare(veth.child_address)
            ended(outside)

    on_another_host(there)


@needs
@both
def test_the_program_itself_is_connected_from_its_first_instruction(veth: Veth) -> None:
    def there() -> None:
        # The host's address is the veth's, so the server can only listen on all of them before that exists.
        any_address = "::" if ":" in veth.host_address else "0.0.0.0"
        server, port = served(any_address)
        words = (sys.executable, "-c", CALLER, bare(veth.host_address), str(port), "5")
        with connected(veth, words) as child:
            assert said(child) == bare(veth.child_address)
        ended(server)

    on_another_host(there)


@needs
@both
def test_both_ends_are_as_asked_for(veth: Veth) -> None:
    def there() -> None:
        wanted = replace(veth, host_name="abcdefghijklmno", child_name="a.b-c")
        with connected(wanted) as child:
            for where, name, address in (
                (None, "abcdefghijklmno", veth.host_address),
                (child, "a.b-c", veth.child_address),
            ):
                [link] = asked(where, "address", "show", "dev", name)
                assert link["operstate"] == "UP"
                found = {f"{entry['local']}/{entry['prefixlen']}": entry for entry in link["addr_info"]}
                assert "tentative" not in found[address]
            family = "-6" if ":" in veth.host_address else "-4"
            [default] = asked(child, family, "route", "show", "default")
            assert (default["gateway"], default["dev"]) == (bare(veth.host_address), "a.b-c")
            assert asked(None, family, "route", "show", "default") == []
            assert names(child) >= {"lo", "a.b-c"}
        assert names() >= {"lo"}
        assert "abcdefghijklmno" not in names()

    on_another_host(there)


@needs
@both
def test_without_default_route_there_is_none(veth: Veth) -> None:
    def there() -> None:
        with connected(replace(veth, default_route=False)) as child:
            family = "-6" if ":" in veth.host_address else "-4"
            assert asked(child, family, "route", "show", "default") == []
            server, port = served(bare(veth.host_address))
            assert call_from(child, bare(veth.host_address), port) == bare(veth.child_address)
            ended(server)

    on_another_host(there)


@needs
@pytest.mark.parametrize(
    "veth",
    [
        Veth(host_address="10.77.0.1/32", child_address="10.99.0.2/32"),
        Veth(host_address="10.77.0.1/24", child_address="10.99.0.2/32"),
        Veth(host_address="10.77.0.0/31", child_address="10.77.0.1/31"),
        Veth(host_address="fd77::1/128", child_address="fd99::2/128"),
    ],
    ids=lambda veth: f"{veth.host_address}-{veth.child_address}",
)
def test_ends_without_a_common_subnet_reach_each_other_all_the_same(veth: Veth) -> None:
    def there() -> None:
        with connected(veth) as child:
            [default] = asked(child, "-6" if ":" in veth.host_address else "-4", "route", "show", "default")
            assert default["gateway"] == bare(veth.host_address)
            server, port = served_in(child, bare(veth.child_address))
            assert call_from(None, bare(veth.child_address), port) == bare(veth.host_address)
            ended(server)

    on_another_host(there)


@needs
def test_two_children_at_once_have_a_pair_each() -> None:
    def there() -> None:
        other = Veth(host_address="10.78.0.1/24", child_address="10.78.0.2/24")
        with connected(V4) as first, connected(other) as second:
            assert {"nsv-0", "nsv-1"} <= names()
            for child, veth in ((first, V4), (second, other)):
                server, port = served(bare(veth.host_address))
                assert call_from(child, bare(veth.host_address), port) == bare(veth.child_address)
                ended(server)
            first.close()
            assert "nsv-0" not in names()
            assert "nsv-1" in names()
            with connected(V4):
                assert "nsv-0" in names()

    on_another_host(there)


@needs
def test_the_childs_end_is_never_seen_in_the_host() -> None:
    def there() -> None:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE) as told:
            told.bind((0, 1))  # RTMGRP_LINK
            with connected(replace(V4, child_name="inner-end")):
                heard = b"".join(_all(told))
        assert b"nsv-0" in heard
        assert b"inner-end" not in heard

    on_another_host(there)


def _all(told: socket.socket) -> list[bytes]:
    heard = []
    while True:
        try:
            heard.append(told.recv(65536))
        except BlockingIOError:
            return heard


@needs
def test_a_user_namespace_owns_the_childs_end() -> None:
    def there() -> None:
        root = (IDMapping(0, 0),)
        spec = Spec(
            args=WAITING,
            namespaces=NETWORK | {"user", "pid"},
            uid_mappings=root,
            gid_mappings=root,
            veth=V4,
            stdio=Stdio.PIPE,
        )
        with launch(spec, network=Connector()) as child:
            server, port = served_in(child, "10.77.0.2")
            assert call_from(None, "10.77.0.2", port) == "10.77.0.1"
            ended(server)

    on_another_host(there)


@needs
def test_a_child_that_has_ended_is_disconnected_and_the_rest_goes_with_close() -> None:
    def there() -> None:
        with connected(V4, ("/bin/true",)) as child:
            assert child.wait() is not None
        assert "nsv-0" not in names()

    on_another_host(there)


@needs
def test_nothing_is_left_on_this_machine(nothing_left: Census) -> None:
    veth = Veth(host_address="169.254.77.1/32", child_address="169.254.77.2/32")
    with connected(veth) as child:
        assert "eth0" in names(child)


# ---- refused ----


@needs
def test_a_name_that_is_taken_is_left_alone() -> None:
    def there() -> None:
        run("ip", "link", "add", "mine", "type", "veth", "peer", "yours")
        with pytest.raises(LaunchError) as failed:
            connected(replace(V4, host_name="mine"))
        assert (failed.value.step, failed.value.errno, failed.value.path) == ("veth", errno.EEXIST, "mine")
        assert "another name" in failed.value.remedy
        assert asked(None, "-details", "link", "show", "mine")[0]["linkinfo"]["info_kind"] == "veth"
        run("ip", "link", "del", "mine")

    on_another_host(there)


@needs
@pytest.mark.parametrize(
    ("has", "host", "child"),
    [
        ("10.77.0.9/24", "10.77.0.1/24", "10.77.0.2/24"),
        ("10.77.0.9/24", "10.99.0.1/24", "10.77.0.2/32"),
        ("10.77.0.9/32", "10.77.0.1/24", "10.77.0.2/24"),
        ("10.77.0.9/24", "10.0.0.1/8", "10.0.0.2/8"),
        ("fd77::9/64", "fd77::1/64", "fd77::2/64"),
    ],
)
def test_addresses_that_the_host_has_already_are_refused(has: str, host: str, child: str) -> None:
    def there() -> None:
        run("ip", "link", "add", "mine", "type", "veth", "peer", "yours")
        run("ip", "address", "add", has, "dev", "mine")
        with pytest.raises(LaunchError) as failed:
            connected(Veth(host_address=host, child_address=child))
        assert failed.value.errno == errno.EADDRINUSE
        assert has in failed.value.cause
        run("ip", "link", "del", "mine")

    on_another_host(there)


@needs
def test_ipv6_that_is_switched_off_is_told() -> None:
    def there() -> None:
        run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6")
        with pytest.raises(LaunchError) as failed:
            connected(V6)
        assert "disable_ipv6=0" in failed.value.remedy

    on_another_host(there)


@needs
def test_an_injected_fault_leaves_nothing(nothing_left: Census) -> None:
    with pytest.raises(LaunchError) as failed:
        launch(Spec(args=WAITING, namespaces=NETWORK, veth=V4), network=Connector(), inject=("veth", errno.EPERM))
    assert (failed.value.step, failed.value.errno) == ("veth", errno.EPERM)
    assert "CAP_NET_ADMIN" in failed.value.cause


@needs
@pytest.mark.parametrize(
    ("place", "which"), [("make", 1), ("configure", 1), ("configure", 2), ("check", 1), ("check", 2)]
)
def test_a_fault_at_any_point_leaves_nothing(place: str, which: int, monkeypatch: pytest.MonkeyPatch) -> None:
    original: Callable[..., object] = getattr(pair, place)
    calls: list[object] = []

    def failing(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == which:
            raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))
        return original(*arguments)

    def there() -> None:
        monkeypatch.setattr(pair, place, failing)
        with pytest.raises(LaunchError) as failed:
            connected(V4)
        assert (failed.value.step, failed.value.errno) == ("veth", errno.ENOBUFS)
        assert len(calls) == which

    on_another_host(there)


@needs
@pytest.mark.parametrize("place", ["make", "configure", "check"])
def test_an_interrupt_leaves_nothing(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original: Callable[..., object] = getattr(pair, place)

    def interrupted(*arguments: object) -> object:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        return original(*arguments)

    def there() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        monkeypatch.setattr(pair, place, interrupted)
        with pytest.raises(KeyboardInterrupt):
            connected(V4)
        assert "nsv-0" not in names()

    on_another_host(there)


@needs
def test_a_failed_execve_takes_the_pair_away() -> None:
    def there() -> None:
        with pytest.raises(LaunchError) as failed:
            connected(V4, ("/nowhere/program",))
        assert failed.value.step == "execve"
        assert "nsv-0" not in names()

    on_another_host(there)


# ---- without root ----

ASKED = ("run", "--veth", "10.77.0.1/24,10.77.0.2/24", "--no-pty", "-n", "--", "cat", "/proc/net/route")


@pytest.mark.needs("root", "userns")
def test_nobody_is_told_what_a_veth_takes(nobody: Runner, nothing_left: Census) -> None:
    done = nobody("nsview", ASKED[0], "-U", "-r", *ASKED[1:])
    assert done.returncode == 125
    assert "veth: EPERM" in done.stderr
    assert "CAP_NET_ADMIN" in done.stderr
    assert "run as root" in done.stderr


@pytest.mark.needs("root", "userns", "unshare")
def test_root_of_a_user_namespace_has_no_say_in_the_hosts_network(nobody: Runner, nothing_left: Census) -> None:
    done = nobody("unshare", "-Ur", nobody.command("nsview")[-1], *ASKED)
    assert done.returncode == 125
    assert "CAP_NET_ADMIN" in done.stderr


@pytest.mark.needs("root", "userns", "unshare")
def test_nobody_can_have_a_veth_within_a_network_of_their_own(nobody: Runner, nothing_left: Census) -> None:
    done = nobody("unshare", "-Urn", nobody.command("nsview")[-1], *ASKED)
    assert (done.returncode, done.stderr) == (0, "")
    assert "eth0\t00000000" in done.stdout  # the default route


def test_without_somebody_to_make_it_a_veth_is_refused_with_a_remedy() -> None:
    with pytest.raises(SpecError) as refused:
        launch(Spec(args=WAITING, namespaces=NETWORK, veth=V4))
    [problem] = refused.value.problems
    assert "nsview.network.Connector()" in problem.remedy


def test_a_plan_shows_what_the_parent_does() -> None:
    spec = Spec(args=WAITING, namespaces=NETWORK, veth=replace(V4, masquerade=True))
    assert (
        "parent: make a veth pair: nsv-N 10.77.0.1/24 here, eth0 10.77.0.2/24 there, the default route, masquerade"
        in str(compile_spec(spec))
    )


def test_pyroute2_is_imported_for_a_veth_only() -> None:
    run(
        sys.executable,
        "-c",
        "import sys, spawner, nsview.network; assert 'pyroute2' not in sys.modules",
    )
