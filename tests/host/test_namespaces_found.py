"""Finding namespaces: each way that one can be kept alive, names and ids, and what cannot be looked into."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import forest_process  # noqa: F401 - before a test gives up the right to read it
import pytest
from children import NOBODY, call
from forest import Facts, grown
from forest_plan import Keep, Node

from nsview.host.namespaces import STEPS, Namespace, discover, namespaces_of, search
from nsview.host.namespaces.ancestry import RELATIONS, drawn
from nsview.host.snapshot import take
from spawner.cgroups.hierarchies import hierarchies
from spawner.namespaces import BY_NAME, KINDS

pytestmark = pytest.mark.needs("root", "unshare", "pid_namespace", "user_namespace")


def keeping(*keeps: Keep) -> Node:
    """One process, in a mount namespace of its own, that keeps these."""
    return Node(("mnt",), keeps, (), "stays")


def the_one(facts: Facts, how: str, kind: str) -> Namespace:
    """The namespace of which the forest holds this, as discover() finds it; namespaces_of() does not."""
    (hold,) = [hold for hold in facts.alive() if (hold.how, hold.kind) == (how, kind)]
    snapshot = take()
    assert hold.inode not in namespaces_of(snapshot)
    found = discover(snapshot)[hold.inode]
    assert found.members == ()
    assert found.kind.proc == kind
    return found


def test_a_namespace_held_by_a_socket_alone_is_found(nothing_left):
    with grown(keeping(Keep("socket", ("net",)))) as facts:
        found = the_one(facts, "socket", "net")
        assert found.held_by == ("sock",)
        assert [one.pid for one in found.keepers.sockets] == [facts.pid]
        assert found.owner == os.stat("/proc/self/ns/user").st_ino


def test_a_namespace_held_by_a_descriptor_alone_is_found(nothing_left):
    with grown(keeping(Keep("fd", ("uts",)))) as facts:
        found = the_one(facts, "fd", "uts")
        assert found.held_by == ("fd",)
        assert [one.pid for one in found.keepers.descriptors] == [facts.pid]


def test_a_descriptor_opened_where_the_namespace_was_bound_holds_it_too(nothing_left):
    # Its link in /proc/PID/fd is that path: nothing in it says "namespace".
    with grown(keeping(Keep("bound_fd", ("ipc",)))) as facts:
        assert the_one(facts, "fd", "ipc").held_by == ("fd",)


def test_a_descriptor_in_the_own_table_of_a_thread_is_found(nothing_left):
    with grown(keeping(Keep("thread_fd", ("uts",)))) as facts:
        ((pid, tid, _),) = the_one(facts, "fd", "uts").keepers.descriptors
        assert pid == facts.pid
        assert tid != pid


def test_a_namespace_that_one_thread_is_in_is_found(nothing_left):
    with grown(keeping(Keep("task", ("net",)))) as facts:
        found = the_one(facts, "task", "net")
        assert found.held_by == ("task",)
        assert found.leader is None
        assert found.keepers.tasks[0].pid == facts.pid


def test_the_namespaces_of_a_process_whose_main_thread_has_ended_are_found(nothing_left):
    with grown(Node(("mnt",), (), (Node(("uts", "net"), (), (), "main"),), "stays")) as facts:
        for kind in ("uts", "net"):
            (inode,) = {hold.inode for hold in facts.alive() if (hold.how, hold.kind) == ("task", kind)}
            assert discover()[inode].held_by == ("task",)


def test_a_pid_namespace_whose_first_process_has_ended_is_awaited_in_vain(nothing_left):
    with grown(keeping(Keep("awaited", ("pid",)))) as facts:
        (hold,) = [hold for hold in facts.alive() if hold.how == "awaited"]
        found = discover()[hold.inode]
        assert (found.members, found.awaited_by) == ((), (facts.pid,))
        assert found.parent == os.stat("/proc/self/ns/pid").st_ino


@pytest.fixture
def one_cpu() -> Iterator[None]:
    """Mount namespaces are numbered by batches of each CPU, and one binds only what is younger (mnt_ns_loop())."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


def test_what_is_bound_in_a_mount_namespace_that_no_process_lives_in_is_found(nothing_left, one_cpu):
    room = Keep("bind", ("mnt",), room=(Keep("bind", ("net",)),))
    with grown(keeping(Keep("fd", ("mnt",), room=(room,)))) as facts:
        network = the_one(facts, "mount", "net")
        inner = discover()[network.keepers.bind_mounts[0].mount_namespace]
        assert inner.held_by == ("mount",)
        outer = discover()[inner.keepers.bind_mounts[0].mount_namespace]
        assert outer.held_by == ("fd",)
        assert outer.members == ()


def test_user_namespaces_that_only_own_others_are_hidden_but_found(nothing_left):
    with grown(keeping(Keep("fd", ("uts",), layers=3))) as facts:
        found = discover()
        uts = next(found[hold.inode] for hold in facts.alive() if hold.how == "fd")
        owner = found[uts.owner]
        middle = found[owner.parent]
        assert (owner.held_by, middle.held_by) == (("owns",), ("child",))
        assert owner.is_hidden
        assert middle.is_hidden
        assert (owner.depth, middle.depth) == (3, 2)
        assert owner.keepers.owned == (uts.inode,)
        assert middle.keepers.children == (owner.inode,)
        assert owner.owner_uid == 0


def test_ids_are_not_used_again_though_inodes_are(unshared):
    """Where the kernel gives ids (NS_GET_ID); it hands out the lowest free inode."""
    own = discover()[os.stat("/proc/self/ns/uts").st_ino]
    if own.id is None:
        pytest.skip("needs a kernel with NS_GET_ID for uts namespaces")
    ids: dict[int, set[int]] = {}
    for _ in range(200):
        with grown(Node(("mnt", "uts"), (), (), "stays")) as facts:
            (hold,) = [hold for hold in facts.holds if hold.kind == "uts"]
            found = namespaces_of(take((facts.pid,)))[hold.inode]
            known = ids.setdefault(hold.inode, set())
            assert found.id not in known
            known.add(found.id)
        if len(known) > 1:
            return
    pytest.fail("no inode came again in 200 namespaces")


def test_a_network_namespace_is_called_as_ip_netns_calls_it(unshared):
    script = (
        "mount -t tmpfs none /run && mkdir /run/netns && touch '/run/netns/a\tb' &&"
        " unshare --net mount --bind /proc/self/ns/net '/run/netns/a\tb'"
    )
    pid = unshared("--mount", "--propagation", "private", script=script)
    room = os.stat(f"/proc/{pid}/ns/mnt").st_ino
    bound = [one for one in discover().values() if any(m.mount_namespace == room for m in one.keepers.bind_mounts)]
    (network,) = [one for one in bound if one.kind.name == "network" and not one.members]
    assert network.name == "a\\tb"
    assert network.keepers.bind_mounts[0].path == "/run/netns/a\tb"


def test_namespaces_are_called_by_the_container_their_leader_is_in(unshared):
    writable = next((each for each in hierarchies() if os.access(each.mount, os.W_OK)), None)
    if writable is None:
        pytest.skip("needs a cgroup hierarchy that can be written: run with sudo")
    digits = "0123456789abcdef" * 4
    group = Path(writable.mount, f"docker-{digits}.scope")
    group.mkdir()
    try:
        pid = unshared("--uts")
        Path(group, "cgroup.procs").write_text(str(pid))
        found = discover()
        assert found[os.stat(f"/proc/{pid}/ns/uts").st_ino].name == "docker 0123456789ab"
        assert "docker" not in (found[os.stat(f"/proc/{pid}/ns/net").st_ino].name or "")
        Path(writable.mount, "cgroup.procs").write_text(str(pid))
    finally:
        group.rmdir()


def test_nothing_of_the_search_itself_is_found(nothing_left):
    """It holds descriptors of mount namespaces while it looks."""
    with grown(keeping(Keep("task", ("mnt",)), Keep("fd", ("mnt",)))):
        for _ in range(3):
            for found in discover().values():
                assert os.getpid() not in [one.pid for one in found.keepers.descriptors]


def test_the_search_is_complete_or_says_what_it_could_not_look_into(as_nobody):
    mine = search()
    theirs = as_nobody(search)
    by_name = {step.name: step for step in theirs.steps}
    assert {step.name for step in STEPS} <= by_name.keys()
    assert by_name["processes"].unread > sum(step.unread for step in mine.steps if step.name == "processes")
    assert by_name["descriptors"].unread > 0
    assert not theirs.is_complete
    assert {found.kind.name for found in theirs.namespaces.values()} == {kind.name for kind in KINDS}


def test_a_step_can_be_left_out():
    with grown(keeping(Keep("fd", ("uts",)))) as facts:
        (hold,) = [hold for hold in facts.alive() if hold.how == "fd"]
        assert hold.inode not in search(without=("descriptors",)).namespaces


def test_in_a_container_all_that_can_be_seen_is_found(forked):
    """Own pid, mount and network namespaces, a /proc of its own with masked files, an owner we cannot reach."""

    def contain() -> list[str]:
        call("unshare", BY_NAME["mount"].flag | BY_NAME["network"].flag | BY_NAME["pid"].flag | BY_NAME["uts"].flag)
        child = os.fork()
        if child:
            _, status = os.waitpid(child, 0)
            return [] if status == 0 else ["the search failed"]
        call("mount", b"none", b"/", None, 0x44000, None)
        call("mount", b"proc", b"/proc", b"proc", 0, None)
        call("mount", b"none", b"/proc/sys", b"tmpfs", 0, None)
        call("mount", b"/dev/null", b"/proc/meminfo", None, 0x1000, None)
        found = discover()
        kinds = {one.kind.name: one for one in found.values() if os.getpid() in one.members}
        right = (
            kinds.keys() == {kind.name for kind in KINDS}
            and kinds["pid"].parent is None
            and not kinds["pid"].is_top
            and kinds["pid"].members == (1,)
            and kinds["network"].owner == os.stat("/proc/self/ns/user").st_ino
        )
        os._exit(0 if right else 1)

    _, wrong = forked(contain)
    assert not wrong


def test_without_any_privilege_own_namespaces_are_found_by_every_way(forked):
    """A user namespace gives power over what is in it, and only that."""

    def become_and_look() -> str:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        call("prctl", 4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: ptrace(2)'s rule for /proc, lost with the uid
        with grown(Node(("user", "mnt"), (Keep("bind", ("uts",)), Keep("fd", ("net",))), (), "stays")) as facts:
            found = discover()
            return " ".join(
                f"{hold} of {facts.pid}: {found.get(hold.inode)}"
                for hold in facts.alive()
                if hold.how in ("fd", "mount") and (hold.inode not in found or not found[hold.inode].held_by)
            )

    _, missing = forked(become_and_look)
    assert not missing


def test_threads_and_processes_that_come_and_go_do_not_disturb_the_search():
    done = threading.Event()

    def churn() -> None:
        while not done.is_set():
            subprocess.run(["unshare", "--uts", "--net", "true"], check=True)

    churners = [threading.Thread(target=churn) for _ in range(2)]
    for churner in churners:
        churner.start()
    try:
        for _ in range(8):
            result = search()
            assert not [step for step in result.steps if step.errno]
    finally:
        done.set()
        for churner in churners:
            churner.join()


def test_a_tree_draws_children_below_their_parents_whatever_a_recording_claims():
    user = BY_NAME["user"]
    top, left, right, leaf = (
        Namespace(user, inode, (), parent=up) for inode, up in ((1, None), (2, 1), (3, 1), (4, 2))
    )
    lines = [f"{branches}{one.inode}" for branches, one in drawn([top, left, right, leaf], RELATIONS["parent"])]
    assert lines == ["1", "├─ 2", "│  └─ 4", "└─ 3"]
    circle = [Namespace(user, 5, (), parent=6), Namespace(user, 6, (), parent=5), Namespace(user, 7, (), parent=7)]
    assert [one.inode for _, one in drawn(circle, RELATIONS["parent"])] == [7]
