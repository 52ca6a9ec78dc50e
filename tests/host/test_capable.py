"""What a process may do in a namespace: our rule's answer is the kernel's, tried by the process itself."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product

import pytest
from children import call, end, fork_and

from nsview.host.capabilities import NAMES, words
from nsview.host.capable import (
    Capable,
    Credentials,
    Lineage,
    Rule,
    UserNamespace,
    capabilities_in,
    capable,
    last_capability,
    over_own_namespaces,
)
from nsview.host.process import PinnedProcess

NEWUSER, NEWUTS, NEWNET = 0x10000000, 0x04000000, 0x40000000
PR_SET_DUMPABLE = 4
PR_SET_KEEPCAPS = 8
SYS_ADMIN, NET_BIND_SERVICE = NAMES.index("SYS_ADMIN"), NAMES.index("NET_BIND_SERVICE")
ALL = (1 << last_capability() + 1) - 1

INITIAL = UserNamespace(0xEFFFFFFD, 0)
HOSTED = UserNamespace(7, 1000)
NESTED = UserNamespace(8, 2000)


@dataclass(frozen=True)
class Caller:
    """Who tries: the user namespace it joins (by its holder), its uid there, the capabilities it keeps."""

    joins: str | None
    uid: int
    keeps: int


CALLERS = [Caller(*it) for it in product((None, "hosted", "nested", "rootless"), (0, 1000, 2000), (ALL, 0, 1 << 10))]
TARGETS = ("machine", "hosted", "nested", "rootless")


def set_effective(keeps: int) -> None:
    """Make of the permitted capabilities those in ``keeps`` effective, and no others (capset(2), version 3)."""
    with open("/proc/thread-self/status") as file:
        status = dict(line.split(":\t", 1) for line in file if ":\t" in line)
    permitted = int(status["CapPrm"], 16)
    halves = [(word & permitted & keeps, word & permitted, 0) for word in (0xFFFFFFFF, 0xFFFFFFFF << 32)]
    header = ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0))
    data = b"".join(
        struct.pack("=III", *(mask >> shift for mask in half)) for half, shift in zip(halves, (0, 32), strict=True)
    )
    call("capset", header, ctypes.create_string_buffer(data, len(data)))


def let_itself_be_seen() -> None:
    """A change of ids makes a process visible to nobody but those with privilege over where it began (ptrace(2))."""
    call("prctl", PR_SET_DUMPABLE, 1, 0, 0, 0)


def holder(uid: int, flags: int, above: int | None = None) -> Callable[[], None]:
    """Make namespaces as ``uid``, below the user namespace of process ``above``."""

    def make() -> None:
        if above is not None:
            call("setns", os.open(f"/proc/{above}/ns/user", os.O_RDONLY), NEWUSER)
        os.setresuid(uid, uid, uid)
        call("unshare", flags)
        let_itself_be_seen()

    return make


def open_ids(pid: int, above: int | None) -> None:
    """Let every id mean the same in the user namespace of a process: what differs is who owns it.

    Only a process of the user namespace above may write the maps (user_namespaces(7)).
    """

    def write() -> None:
        if above is not None:
            call("setns", os.open(f"/proc/{above}/ns/user", os.O_RDONLY), NEWUSER)
        for name in ("uid_map", "gid_map"):
            with open(f"/proc/{pid}/{name}", "w") as file:
                file.write("0 0 4294967295")

    writer, _ = fork_and(write)
    end(writer)


@pytest.fixture(scope="module")
def holders() -> Iterator[dict[str, int]]:
    """Processes whose uts and net namespaces are the targets: of the machine, of user 1000's user namespace,
    of one of user 2000's below that, and of one of root's.
    """
    with ExitStack() as stack:

        def hold(name: str, uid: int, flags: int, above: int | None = None) -> None:
            pids[name], _ = fork_and(holder(uid, flags, above))
            stack.callback(end, pids[name])
            if flags & NEWUSER:
                open_ids(pids[name], above)

        pids: dict[str, int] = {}
        hold("machine", 0, NEWUTS | NEWNET)
        hold("hosted", 1000, NEWUSER | NEWUTS | NEWNET)
        hold("nested", 2000, NEWUSER | NEWUTS | NEWNET, pids["hosted"])
        hold("rootless", 0, NEWUSER | NEWUTS | NEWNET)
        yield pids


def attempt(caller: Caller, target: int, joined: int | None) -> Callable[[], tuple[bool, bool]]:
    """Go into the target's uts and net namespaces, become the caller, and try what needs SYS_ADMIN and
    NET_BIND_SERVICE there.
    """

    def become_and_try() -> tuple[bool, bool]:
        user = None if joined is None else os.open(f"/proc/{joined}/ns/user", os.O_RDONLY)
        for name, flag in (("uts", NEWUTS), ("net", NEWNET)):
            call("setns", os.open(f"/proc/{target}/ns/{name}", os.O_RDONLY), flag)
        if user is not None:
            call("setns", user, NEWUSER)
        call("prctl", PR_SET_KEEPCAPS, 1, 0, 0, 0)
        os.setresuid(caller.uid, caller.uid, caller.uid)
        set_effective(caller.keeps)
        let_itself_be_seen()
        return may(lambda: call("sethostname", b"tried", 5)), may(bind)

    return become_and_try


def bind() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.bind(("0.0.0.0", 80))


def may(action: Callable[[], object]) -> bool:
    try:
        action()
    except PermissionError:
        return False
    return True


def our_answer(pid: int, target: int) -> tuple[Capable, Capable]:
    found = []
    with PinnedProcess(pid) as process:
        for name in ("uts", "net"):
            fd = os.open(f"/proc/{target}/ns/{name}", os.O_RDONLY)
            try:
                found.append(capabilities_in(process, fd))
            finally:
                os.close(fd)
    return found[0], found[1]


def has(answer: Capable, capability: int) -> bool | None:
    return None if answer.mask is None else bool(answer.mask >> capability & 1)


@pytest.mark.needs("root", "user_namespace", "network_namespace", "uts_namespace")
@pytest.mark.parametrize("target", TARGETS)
def test_the_answer_is_what_the_kernel_says_when_the_process_tries(holders, target, nothing_left):
    rules, kernel_said = set(), set()
    for caller in CALLERS:
        joined = None if caller.joins is None else holders[caller.joins]
        pid, (named, bound) = fork_and(attempt(caller, holders[target], joined))
        try:
            uts, net = our_answer(pid, holders[target])
        finally:
            end(pid)
        assert (has(uts, SYS_ADMIN), has(net, NET_BIND_SERVICE)) == (named, bound), (caller, uts, net)
        rules |= {uts.rule, net.rule}
        kernel_said |= {named, bound}
    assert kernel_said == {True, False}
    expected = {Rule.INSIDE, Rule.NOT_BELOW} | ({Rule.ABOVE, Rule.OWNER} if target != "machine" else set())
    assert rules == expected


@pytest.mark.needs("root", "user_namespace", "network_namespace", "uts_namespace")
def test_from_inside_a_user_namespace_the_answer_is_right_or_unknown(holders):
    """A reader sees no further up than its own user namespace."""
    with ExitStack() as stack:
        tried = []
        for caller, target in product(CALLERS, ("hosted", "nested")):
            joined = None if caller.joins is None else holders[caller.joins]
            pid, said = fork_and(attempt(caller, holders[target], joined))
            stack.callback(end, pid)
            tried.append((pid, holders[target], said))

        def look_from_within() -> list[tuple[bool | None, bool | None]]:
            call("setns", os.open(f"/proc/{holders['hosted']}/ns/user", os.O_RDONLY), NEWUSER)
            answers = []
            for pid, target, _ in tried:
                uts, net = our_answer(pid, target)
                answers.append((has(uts, SYS_ADMIN), has(net, NET_BIND_SERVICE)))
            return answers

        reader, answers = fork_and(look_from_within)
        stack.callback(end, reader)
    known = 0
    for (_, _, said), answer in zip(tried, answers, strict=True):
        assert all(ours in (None, kernel) for ours, kernel in zip(answer, said, strict=True)), (said, answer)
        known += None not in answer
    assert 0 < known < len(tried)


@pytest.mark.needs("root")
def test_who_may_not_look_is_told_nothing(as_nobody):
    pid = os.getpid()

    def look() -> Capable:
        fd = os.open("/proc/self/ns/net", os.O_RDONLY)
        with PinnedProcess(pid) as process:
            return capabilities_in(process, fd)

    assert as_nobody(look) == Capable(None, Rule.UNKNOWN)


def test_root_of_a_user_namespace_may_do_nothing_in_the_network_of_its_host(unshared):
    with PinnedProcess(unshared("--user", "--map-root-user", "--uts")) as process:
        own = over_own_namespaces(process)
    assert own["user"] == own["uts"] == Capable(ALL, Rule.INSIDE)
    assert own["net"] == own["mnt"] == Capable(0, Rule.NOT_BELOW)


def credentials(*chain: UserNamespace, euid: int | None = 5, effective: int | None = 0b110) -> Credentials:
    return Credentials(Lineage(chain, chain[-1] == INITIAL), euid, effective)


def test_an_incomplete_sight_upwards_makes_unknown_only_what_may_be_up_there():
    cut = Lineage((NESTED, HOSTED), complete=False)
    assert capable(credentials(INITIAL), cut, 40) == Capable(None, Rule.UNKNOWN)
    below = credentials(UserNamespace(9, 3000), HOSTED)
    assert capable(below, cut, 40) == Capable(0, Rule.NOT_BELOW)


def test_an_owner_who_cannot_be_named_leaves_only_a_full_set_certain():
    owner = Lineage((UserNamespace(7, None), INITIAL), complete=True)
    assert capable(credentials(INITIAL), owner, 40) == Capable(None, Rule.UNKNOWN)
    assert capable(credentials(INITIAL, effective=(1 << 41) - 1), owner, 40).mask == (1 << 41) - 1


def test_sets_are_worded_shortly():
    assert words(None, 40) is None
    assert words(0, 40) == "none"
    assert words((1 << 41) - 1, 40) == "all"
    assert words((1 << 41) - 1 - (1 << 21), 40) == "all but SYS_ADMIN"
    assert words(0b11, 40) == "CHOWN DAC_OVERRIDE"
    assert words((1 << 42) - 1, 40) == "all CAP_41"
