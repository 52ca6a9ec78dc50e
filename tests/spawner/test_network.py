"""A new network namespace has lo, up unless asked otherwise; what is wrong with a veth is said beforehand."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from apart import apart, call
from leftovers import Census
from running import PLANNING, output, shell

from spawner import LaunchError, Mechanism, Spec, SpecError, compile_spec, launch
from spawner.oci import Veth

NEWNET = 0x40000000
NETWORK = frozenset({"network"})
VETH = Veth(host_address="10.77.0.1/24", child_address="10.77.0.2/24")
needs = pytest.mark.needs("root", "network_namespace")


def links_in(text: str) -> list[str]:
    return [line.partition(":")[0].strip() for line in text.splitlines()[2:]]


@pytest.mark.needs("root", "network_namespace", "ip")
@pytest.mark.parametrize("via", PLANNING)
def test_child_of_network_namespace_sees_lo_and_fewer_links(via: Mechanism, nothing_left: Census) -> None:
    # go src/syscall/exec_linux_test.go, TestUnshare; bubblewrap tests/test-run.sh "can unshare network"
    spec = shell("cat /proc/net/dev", namespaces=NETWORK, via=via)

    def there() -> tuple[list[str], list[str]]:
        call("unshare", NEWNET)  # where there is more than lo, whatever this machine has
        subprocess.run(("ip", "link", "add", "one", "type", "veth", "peer", "another"), check=True)
        return links_in(output(spec)), links_in(Path("/proc/thread-self/net/dev").read_text())

    inside, outside = apart(there)
    assert "lo" in inside
    assert {"lo", "one", "another"} <= set(outside)
    assert len(inside) < len(outside)
    assert not {"one", "another"} & set(inside)


@needs
@pytest.mark.parametrize("via", PLANNING)
@pytest.mark.parametrize("loopback", [True, False])
def test_lo_is_up_unless_asked_otherwise(via: Mechanism, loopback: bool) -> None:
    # An address of lo is routed only while lo is up (fib_trie lists it as local).
    spec = shell("grep -c 127.0.0.1 /proc/net/fib_trie; :", namespaces=NETWORK, via=via, loopback=loopback)
    assert (output(spec).strip() != "0") == loopback


@needs
def test_lo_that_is_not_up_in_spite_of_the_kernels_word_is_a_failure(nothing_left: Census) -> None:
    """The step is answered with success without having run: only the read-back can tell."""
    plan = compile_spec(Spec(args=("/bin/true",), namespaces=NETWORK))
    with pytest.raises(LaunchError) as failed:
        launch(plan, inject=("lo up", 0))
    assert failed.value.step == "read back lo"
    assert "the kernel says down" in failed.value.cause


def test_without_a_network_namespace_there_is_no_step_for_lo() -> None:
    assert not [step for step in compile_spec(Spec(args=("/bin/true",))).steps if step.phase == "network"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"host_name": "sixteen-bytes-xx"}, "16 bytes long"),
        ({"host_name": ""}, "0 bytes long"),
        ({"host_name": "."}, "cannot name"),
        ({"host_name": "a/b"}, "cannot name"),
        ({"host_name": "a b"}, "cannot name"),
        ({"host_name": "nsv%d"}, "cannot name"),
        ({"host_name": "all"}, "cannot name"),
        ({"host_name": "\udc80"}, "cannot be encoded"),
        ({"child_name": "ééééééé€"}, "17 bytes long"),
        ({"child_name": "lo"}, "named lo already"),
        ({"host_address": "10.77.0.1"}, "length of the prefix is missing"),
        ({"host_address": "10.77.0.1/255.255.255.0"}, "length of the prefix is missing"),
        ({"host_address": "10.77.0.1/33"}, "33"),
        ({"host_address": "10.77.0.1/0"}, "whole internet"),
        ({"host_address": "10.77.0/24"}, "10.77.0"),
        ({"host_address": "10.77.0.0/24"}, "address of the network"),
        ({"host_address": "10.77.0.255/24"}, "broadcast"),
        ({"host_address": "0.0.0.0/24"}, "unspecified"),
        ({"host_address": "127.0.0.2/8"}, "loopback"),
        ({"host_address": "224.0.0.1/24"}, "multicast"),
        ({"host_address": "fe80::1/64"}, "link-local"),
        ({"host_address": "fd77::1%eth0/64"}, "scope"),
        ({"host_address": "fd77::1/64"}, "host_address is IPv6 and child_address IPv4"),
        ({"child_address": "10.77.0.1/16"}, "both ends of the veth have the address 10.77.0.1"),
        ({"child_address": "there"}, "length of the prefix is missing"),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_veth_is_said_beforehand(wrong: dict[str, str], said: str) -> None:
    with pytest.raises(SpecError) as refused:
        compile_spec(Spec(args=("/bin/true",), namespaces=NETWORK, veth=replace(VETH, **wrong)))
    [problem] = refused.value.problems
    assert said in problem.message
    assert problem.remedy


def test_every_problem_of_a_veth_is_told_at_once() -> None:
    veth = Veth(host_address="x", child_address="y", host_name="", child_name="lo")
    with pytest.raises(SpecError) as refused:
        compile_spec(Spec(args=("/bin/true",), veth=veth))
    assert len(refused.value.problems) == 5


@pytest.mark.parametrize("via", [Mechanism.VFORK, Mechanism.POSIX_SPAWN])
def test_a_veth_is_beyond_mechanisms_that_suspend_the_parent(via: Mechanism) -> None:
    with pytest.raises(SpecError):
        compile_spec(Spec(args=("/bin/true",), veth=VETH, via=via))


def test_a_veth_leaves_out_vfork() -> None:
    assert not compile_spec(Spec(args=("/bin/true",), namespaces=NETWORK, veth=VETH, via=Mechanism.CLONE3)).suspends
