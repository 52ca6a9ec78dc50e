"""Existing namespaces: entered in the right order, compared afterwards, never those of a later process."""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from apart import MS_PRIVATE, NEWNS, apart, become_nobody, call, mount
from leftovers import Census
from mapped import MS_BIND, RANGE, USER
from running import EVERY_KIND, PLANNING, output, shell

from spawner import Child, IDMapping, LaunchError, Mechanism, Spec, SpecError, Stdio, TimeOffset, compile_spec, launch
from spawner.namespaces import BY_NAME, KINDS
from spawner.oci import Join, User
from spawner.target import joins_of

pytestmark = pytest.mark.needs_root

TRUE = Spec(args=("/bin/true",), stdio=Stdio.NULL)
SLEEP = Spec(args=("/bin/sleep", "1000"), stdio=Stdio.NULL)
LINKS = "readlink " + " ".join(f"/proc/self/ns/{kind.proc}" for kind in KINDS)


def link(kind: str, process: int | str = "self") -> int:
    return os.stat(f"/proc/{process}/ns/{kind}").st_ino


def into(child: Child, *names: str) -> tuple[Join, ...]:
    assert child.pid is not None
    return joins_of(str(child.pid), names or tuple(BY_NAME))


def failure(action: Callable[[], object]) -> tuple[str, int | None, str]:
    census = Census()
    with pytest.raises(LaunchError) as caught:
        action()
    assert census.difference(1) == []
    return caught.value.step, caught.value.errno, str(caught.value)


@pytest.fixture
def target(nothing_left: Census) -> Iterator[Child]:
    """A process in eight namespaces of its own, whose user namespace maps a range that is not ours."""
    spec = replace(SLEEP, namespaces=EVERY_KIND, uid_mappings=RANGE, gid_mappings=RANGE, hostname="target")
    with launch(replace(spec, time_offsets=(("boottime", TimeOffset(86400)),), mount_proc="/proc")) as child:
        yield child


# ---- entering ----


# nsenter(1), each kind by itself; bubblewrap tests/test-specifying-userns.sh and -pidns.sh (userns and pidns by fd)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_only_the_namespace_named_is_entered(kind, target: Child, nothing_left: Census) -> None:
    with launch(replace(SLEEP, join=into(target, kind.name))) as child:
        for other in KINDS:
            theirs = target.namespaces[other.name] if other is kind else link(other.proc)
            assert child.namespaces[other.name] == theirs
            assert link(other.proc, child.pid) == theirs


def test_all_eight_are_entered_and_the_child_is_root_there(target: Child, nothing_left: Census) -> None:
    spec = shell(
        f"{LINKS}; id -u; id -g; hostname; cat /proc/self/timens_offsets; ls -d /proc/[0-9]*", join=into(target)
    )
    lines = output(spec).splitlines()
    found = [int(line.split("[")[1].rstrip("]")) for line in lines[:8]]
    assert found == [target.namespaces[kind.name] for kind in KINDS]
    assert lines[8:11] == ["0", "0", "target"]
    assert lines[12].split() == ["boottime", "86400", "0"]
    assert "/proc/1" in lines  # the target itself, in the procfs of its own mounts


# util-linux sys-utils/nsenter.c: whoever has privilege here enters the user namespace last, whoever has not first
def test_the_user_namespace_is_last_with_privilege_and_first_without(target: Child) -> None:
    with_privilege = compile_spec(replace(TRUE, join=into(target)))
    joined = [step.label for step in with_privilege.steps if step.syscall == "setns"]
    assert joined[-1] == "join user"
    assert with_privilege.mechanism is Mechanism.FORK_UNSHARE

    def run() -> list[str]:
        become_nobody()
        return [step.label for step in compile_spec(replace(TRUE, join=into(target))).steps if step.syscall == "setns"]

    assert apart(run)[0] == "join user"


def test_privilege_here_enters_what_the_user_namespace_does_not_own(target: Child, nothing_left: Census) -> None:
    with launch(replace(SLEEP, namespaces=frozenset({"network"}))) as other:
        joins = (*into(target, "user"), *into(other, "network"))
        with launch(replace(SLEEP, join=joins)) as child:
            assert child.namespaces["network"] == other.namespaces["network"]
            assert child.namespaces["user"] == target.namespaces["user"]


def test_anybody_enters_the_namespaces_it_has_made() -> None:
    def run() -> tuple[dict[str, int | None], dict[str, int | None], str]:
        become_nobody()
        own = (IDMapping(0, os.geteuid()),)
        spec = replace(SLEEP, namespaces=EVERY_KIND, uid_mappings=own, gid_mappings=(IDMapping(0, os.getegid()),))
        with launch(spec) as first, launch(replace(SLEEP, join=into(first))) as second:
            return first.namespaces, second.namespaces, output(shell("id -u; id -g", join=into(first)))

    theirs, ours, ids = apart(run)
    assert ours == theirs
    assert ids == "0\n0\n"


# pid_namespaces(7): setns does not move the caller, but its next child
def test_in_a_joined_pid_namespace_the_program_has_a_number_there(target: Child, nothing_left: Census) -> None:
    with launch(replace(SLEEP, join=into(target, "pid"))) as child:
        numbers = Path(f"/proc/{child.pid}/status").read_text().partition("NSpid:")[2].splitlines()[0].split()
        assert int(numbers[0]) == child.pid
        assert len(numbers) == 2
        assert int(numbers[1]) > 1


def test_root_and_working_directory_are_the_joined_mount_namespaces(target: Child, tmp_path: Path) -> None:
    assert output(shell("pwd -P", join=into(target, "mount"))) == "/\n"
    assert output(shell("pwd -P", join=into(target, "mount"), cwd="/usr")) == "/usr\n"


def test_new_namespaces_are_made_within_those_entered(target: Child, nothing_left: Census) -> None:
    spec = replace(SLEEP, join=into(target, "uts", "network"), namespaces=frozenset({"uts", "ipc"}), hostname="another")
    with launch(spec) as child:
        assert child.namespaces["uts"] not in (link("uts"), target.namespaces["uts"])
        assert child.namespaces["network"] == target.namespaces["network"]
    assert output(shell("hostname", join=into(target, "uts"))) == "target\n"


def test_a_mount_namespace_may_be_a_copy_of_the_one_entered(target: Child, tmp_path: Path) -> None:
    spec = shell(f"mount -t tmpfs none {tmp_path} && readlink /proc/1/exe", join=into(target, "mount", "pid"))
    assert output(replace(spec, namespaces=frozenset({"mount"}))).endswith("sleep\n")
    assert str(tmp_path) not in Path(f"/proc/{target.pid}/mountinfo").read_text()


def test_our_own_namespaces_are_entered_for_what_they_are(nothing_left: Census) -> None:
    joins = tuple(Join(kind.name, f"/proc/self/ns/{kind.proc}") for kind in KINDS)
    with launch(replace(SLEEP, join=joins)) as child:
        assert child.namespaces == {kind.name: link(kind.proc) for kind in KINDS}
    assert output(shell("id -u", join=joins)) == "0\n"


def test_somebody_else_than_root_may_be_asked_for_inside(target: Child, nothing_left: Census) -> None:
    spec = shell("id -u; id -g; grep CapEff /proc/self/status", join=into(target, "user"), user=User(uid=33, gid=34))
    assert output(spec).split() == ["33", "34", "CapEff:", "0" * 16]


# runc nsexec.c: kept undumpable while it is a copy of our memory and already among strangers (CVE-2019-5736)
def test_until_execve_nobody_there_can_look_into_the_child(target: Child, nothing_left: Census) -> None:
    with launch(replace(SLEEP, join=into(target)), hold="execve") as child:
        assert os.stat(f"/proc/{child.pid}/status").st_uid == 0
        assert link("user", child.pid) == target.namespaces["user"]
        look = shell(f"cat /proc/{child.pid}/environ >/dev/null && echo seen || echo closed", join=into(target, "user"))
        assert output(look) == "closed\n"
        child.resume()
        assert output(look) == "seen\n"


# ip-netns(8): a name is a file that the namespace is mounted on
def test_a_namespace_is_entered_by_the_file_it_is_bound_to(target: Child, tmp_path: Path, nothing_left: Census) -> None:
    def run() -> int:
        call("unshare", NEWNS)
        mount("none", "/", None, 0x4000 | MS_PRIVATE)
        file = tmp_path / "net"
        file.touch()
        mount(f"/proc/{target.pid}/ns/net", str(file), None, MS_BIND)
        with launch(replace(SLEEP, join=(Join("network", str(file)),))) as child:
            return child.namespaces["network"] or 0

    assert apart(run) == target.namespaces["network"]


# ---- which process ----


def test_a_process_is_named_by_its_number_and_told_by_its_pidfds_inode(target: Child) -> None:
    inode = os.fstat(target.pidfd).st_ino
    ours = os.pidfd_open(os.getpid())
    tells = os.fstat(ours).st_ino != inode  # pidfs, Linux 6.9; before, all pidfds are one inode
    os.close(ours)
    assert joins_of(str(target.pid), ["uts"]) == (Join("uts", f"/proc/{target.pid}/ns/uts", inode if tells else None),)
    if tells:
        assert joins_of(f"{target.pid}:{inode}", ["uts"]) == joins_of(str(target.pid), ["uts"])
    else:
        with pytest.raises(SpecError, match="all have one inode"):
            joins_of(f"{target.pid}:{inode}", ["uts"])
    for wrong in (f"{target.pid}:{inode + 1}", "0", "-1", "x", "", f"{2**31}", "1:", "1:x"):
        with pytest.raises(SpecError) as caught:
            joins_of(wrong, ["uts"])
        assert caught.value.problems[0].remedy


def test_a_reused_pid_is_refused(target: Child) -> None:
    (join,) = into(target, "uts")
    wrong = os.fstat(target.pidfd).st_ino + 1
    step, number, text = failure(lambda: launch(replace(TRUE, join=(replace(join, identity=wrong),))))
    assert (step, number) == ("open namespaces", errno.ESRCH)
    assert "another one than was meant" in text


def test_a_process_that_has_ended_is_refused(nothing_left: Census) -> None:
    with launch(SLEEP) as child:
        joins = into(child, "uts")
    step, number, text = failure(lambda: launch(replace(TRUE, join=joins)))
    assert (step, number) == ("open namespaces", errno.ENOENT)
    assert "no such process" in text


# ---- refused ----


@pytest.mark.parametrize("path", ["/proc/self/ns/net", "/etc/passwd", "/proc/self/status"])
def test_a_file_that_is_no_such_namespace_is_refused(path: str, nothing_left: Census) -> None:
    step, number, text = failure(lambda: launch(replace(TRUE, join=(Join("uts", path),))))
    assert (step, number) == ("open namespaces", errno.EINVAL)
    assert ("it is a network namespace" if "net" in path else "it is no namespace") in text


@pytest.mark.parametrize("kind", sorted(EVERY_KIND - {"user"}))
def test_without_privilege_a_namespace_of_root_is_closed(kind: str) -> None:
    with launch(replace(SLEEP, namespaces=frozenset({kind}))) as child:
        fd = os.open(f"/proc/{child.pid}/ns/{BY_NAME[kind].proc}", os.O_RDONLY)
        try:

            def run() -> tuple[str, int | None, str]:
                become_nobody()
                return failure(lambda: launch(replace(TRUE, join=(Join(kind, f"/proc/self/fd/{fd}"),))))

            step, number, text = apart(run)
        finally:
            os.close(fd)
    assert (step, number) == (f"join {kind}", errno.EPERM)
    assert "CAP_SYS_ADMIN" in text
    assert "join the user namespace" in text


# runc tests/integration/userns.bats: joining a user namespace that belongs to another
def test_a_user_namespace_of_another_is_closed(target: Child) -> None:
    fd = os.open(f"/proc/{target.pid}/ns/user", os.O_RDONLY)
    try:

        def run() -> tuple[str, int | None, str]:
            become_nobody()
            return failure(lambda: launch(replace(TRUE, join=(Join("user", f"/proc/self/fd/{fd}"),))))

        step, number, text = apart(run)
    finally:
        os.close(fd)
    assert (step, number) == ("join user", errno.EPERM)
    assert "as the user who made it" in text


def test_the_namespaces_of_anothers_process_are_closed_to_nobody(target: Child) -> None:
    joins = into(target, "uts")

    def run() -> tuple[str, int | None, str]:
        become_nobody()
        return failure(lambda: launch(replace(TRUE, join=joins)))

    step, number, text = apart(run)
    assert (step, number) == ("open namespaces", errno.EACCES)
    assert "run as root" in text


# setns(2): only descendants of our pid namespace
def test_a_pid_namespace_above_ours_is_refused() -> None:
    outer = os.open("/proc/self/ns/pid", os.O_RDONLY)
    try:

        def run() -> tuple[str, int | None, str]:
            call("unshare", 0x20000000)
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    with pytest.raises(LaunchError) as caught:
                        launch(replace(TRUE, join=(Join("pid", f"/proc/self/fd/{outer}"),)))
                    assert (caught.value.step, caught.value.errno) == ("join pid", errno.EINVAL)
                    assert "no descendant" in caught.value.cause
                    status = 0
                finally:
                    os._exit(status)
            return "", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), ""

        assert apart(run)[1] == 0
    finally:
        os.close(outer)


def test_a_pid_namespace_without_its_process_1_is_refused(target: Child, nothing_left: Census) -> None:
    fd = os.open(f"/proc/{target.pid}/ns/pid", os.O_RDONLY)
    try:
        target.signal(9)
        target.wait()
        step, number, text = failure(lambda: launch(replace(TRUE, join=(Join("pid", f"/proc/self/fd/{fd}"),))))
    finally:
        os.close(fd)
    assert (step, number) == ("second fork", errno.ENOMEM)
    assert "process 1" in text


def test_being_elsewhere_than_asked_is_an_error(target: Child, nothing_left: Census) -> None:
    plan = compile_spec(replace(TRUE, join=into(target, "uts")))
    index = next(i for i, step in enumerate(plan.steps) if step.label == "join uts")
    idle = replace(plan.steps[index], syscall="getpid", args=())
    steps = (*plan.steps[:index], idle, *plan.steps[index + 1 :])
    with pytest.raises(LaunchError) as caught:
        launch(replace(plan, steps=steps))
    assert caught.value.step == "read back ns/uts"
    assert "in another one" in caught.value.cause


@pytest.mark.parametrize("names", [("uts", "network", "mount", "pid", "user", "time")])
def test_a_fault_at_any_step_leaves_nothing(names: tuple[str, ...], target: Child, nothing_left: Census) -> None:
    plan = compile_spec(replace(TRUE, join=into(target, *names), namespaces=frozenset({"ipc"})))
    begin = Census()
    for index, step in enumerate(plan.steps):
        if step.phase not in ("join", "namespaces"):
            continue
        with pytest.raises(LaunchError) as caught:
            launch(plan, inject=(index, errno.EDQUOT))
        assert (caught.value.step, caught.value.errno) == (step.label, errno.EDQUOT)
        assert begin.difference() == []
    with pytest.raises(LaunchError) as caught:
        launch(plan, inject=("open namespaces", errno.EMFILE))
    assert (caught.value.step, caught.value.errno) == ("open namespaces", errno.EMFILE)
    assert begin.difference() == []


# ---- told beforehand ----

NET = Join("network", "/proc/self/ns/net")
CASES = {
    "unknown kind": (replace(TRUE, join=(Join("net", "/proc/1/ns/net"),)), "unknown namespace 'net'"),
    "no path": (replace(TRUE, join=(Join("uts", ""),)), "is no path"),
    "NUL": (replace(TRUE, join=(Join("uts", "/a\0b"),)), "holds a NUL byte"),
    "twice": (replace(TRUE, join=(NET, NET)), "two network namespaces"),
    "clone3": (replace(TRUE, join=(NET,), via=Mechanism.CLONE3), "clone3 has no place for setns(2)"),
    "vfork": (replace(TRUE, join=(NET,), via=Mechanism.VFORK), "vfork has no place for setns(2)"),
    "posix_spawn": (replace(TRUE, join=(NET,), via=Mechanism.POSIX_SPAWN), "posix_spawn has no attribute for join"),
    "pid below pid": (
        replace(TRUE, join=(Join("pid", "/proc/self/ns/pid"),), namespaces=frozenset({"pid"})),
        "a new pid namespace below a joined one",
    ),
    "map below user": (
        replace(TRUE, join=(Join("user", "/proc/1/ns/user"),), namespaces=USER, uid_mappings=(IDMapping(0, 0),)),
        "a map below a joined user namespace",
    ),
    "offsets": (
        replace(
            TRUE,
            join=(Join("user", "/proc/1/ns/user"),),
            namespaces=frozenset({"time"}),
            time_offsets=(("boottime", TimeOffset(1)),),
        ),
        "offsets of a time namespace",
    ),
    "identity of a file": (replace(TRUE, join=(Join("network", "/run/netns/x", 5),)), "names no process"),
}


@pytest.mark.parametrize("name", CASES)
def test_joins_that_cannot_be_are_told_beforehand(name: str, nothing_left: Census) -> None:
    spec, words = CASES[name]
    with pytest.raises(SpecError) as caught:
        launch(spec)
    assert words in str(caught.value)
    assert all(problem.remedy for problem in caught.value.problems)


def test_without_joins_a_plan_has_no_trace_of_them() -> None:
    for via in PLANNING:
        plan = compile_spec(replace(TRUE, namespaces=frozenset({"uts"}), via=via))
        assert not any(step.phase == "join" for step in plan.steps)
        assert plan.preparations == ()


def test_sockets_of_a_joined_network_namespace_are_reached(target: Child, nothing_left: Census) -> None:
    script = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1])"
    port = int(output(shell(f'exec /usr/bin/env python3 -c "{script}"', join=into(target, "network"))))
    assert port > 0
    with socket.create_server(("127.0.0.1", 0)) as ours:
        number = ours.getsockname()[1]
        knock = f"(exec 3<>/dev/tcp/127.0.0.1/{number}) 2>/dev/null && echo open || echo closed"
        spec = replace(shell(""), args=("/bin/bash", "-c", knock))
        assert output(spec) == "open\n"
        assert output(replace(spec, join=into(target, "network"))) == "closed\n"


def test_a_plan_says_what_will_be_opened_and_entered(target: Child) -> None:
    text = str(compile_spec(replace(TRUE, join=into(target, "uts", "pid"))))
    assert re.search(rf"parent: open namespaces: uts /proc/{target.pid}/ns/uts, pid /proc/{target.pid}/ns/pid", text)
    assert text.index("setns(<pid namespace>, CLONE_NEWPID)") < text.index("clone(CLONE_PARENT|SIGCHLD")
