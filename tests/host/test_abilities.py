"""What is said that a process could still do is what the kernel lets it do, when the process itself tries."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from attempts import ATTEMPTS, Others, try_all
from children import call, end, fork_and

from nsview.host.abilities import ABILITIES, Verdict, findings, lost_and_gained, summary
from nsview.host.process import PinnedProcess
from nsview.host.standing import Standing, standing_of
from spawner import IDMapping, Spec, Stdio, launch
from spawner.oci import Capabilities, Landlock, Seccomp, User

KIN, STRANGER = 1000, 2000
SETS = ("bounding", "effective", "inheritable", "permitted", "ambient")
NOTHING = Capabilities(**dict.fromkeys(SETS, frozenset[str]()))
KILL_ALONE = Capabilities(**dict.fromkeys(SETS, frozenset({"CAP_KILL"})))
EVERY = (1 << 41) - 1
PLAIN = Spec(args=(), stdio=Stdio.PIPE, namespaces=frozenset({"mount"}))
NOBODY_ELSE = User(uid=KIN, gid=KIN, additional_gids=())


@dataclass(frozen=True)
class Case:
    """A launch, the uid it has on the machine, which abilities are not to be known, and which are not tried."""

    spec: Spec
    uid: int = 0
    unknown: frozenset[str] = frozenset()
    untried: frozenset[str] = frozenset()
    landlock: bool | None = None
    leaves: tuple[int, int] | None = None
    """Which capabilities the child leaves itself, effective and permitted: no launch would end so at an execve."""


def namespaces(*names: str, root: int = 0, **more: object) -> Spec:
    """User namespaces whose root is ``root`` outside."""
    maps = (IDMapping(0, root),)
    return replace(PLAIN, namespaces=frozenset(names), uid_mappings=maps, gid_mappings=maps, **more)  # type: ignore[arg-type]


REBOOT = frozenset({"reboot the machine"})
"""In a pid namespace of one's own the call means another thing, and would end the child."""
FILTERED = frozenset(ability.name for ability in ABILITIES if ability.calls)
BY_EXECVE = frozenset(
    {
        "mount file systems",
        "reboot the machine",
        "signal any process",
        "debug any process",
        "change the host name",
        "change the clock",
        "configure its network",
        "open raw sockets",
        "raise its priority",
        "become another user",
        "read any file",
        "make device files",
        "load kernel modules",
        "raise hard limits",
    }
)
"""What the bounding set of uid 0 gives it back with the next execve."""

CASES = {
    "root as it is": Case(PLAIN),
    "root with no capabilities": Case(replace(PLAIN, capabilities=NOTHING)),
    "root with no new privileges": Case(replace(PLAIN, no_new_privs=True), leaves=(0, 0)),
    "root with a bounding set": Case(PLAIN, unknown=BY_EXECVE, leaves=(0, 0)),
    "root with permitted capabilities": Case(PLAIN, leaves=(0, EVERY)),
    "root with one capability": Case(replace(PLAIN, capabilities=KILL_ALONE)),
    "another user": Case(replace(PLAIN, user=NOBODY_ELSE), KIN),
    "another user, no new privileges": Case(replace(PLAIN, user=NOBODY_ELSE, no_new_privs=True), KIN),
    "root of a user namespace": Case(namespaces("user")),
    "root of a user namespace that owns the rest": Case(namespaces("user", "mount", "uts", "network", "ipc")),
    "root of another user's user namespace": Case(namespaces("user", "mount", "uts", root=KIN), KIN),
    "a container": Case(
        namespaces("user", "mount", "uts", "network", "ipc", "pid", "cgroup", root=KIN, mount_proc="/proc"),
        KIN,
        untried=REBOOT,
    ),
    "a pid namespace below the machine's /proc": Case(
        replace(PLAIN, namespaces=frozenset({"mount", "pid"})), untried=REBOOT
    ),
    "a filter": Case(
        replace(PLAIN, seccomp=(Seccomp("default"),), no_new_privs=True),
        unknown=FILTERED,
    ),
    "Landlock": Case(
        replace(PLAIN, landlock=Landlock(read=("/",), write=("/tmp", "/dev")), no_new_privs=True),
        unknown=frozenset({"write to /proc/sys", "read any file", "make device files"}),
        landlock=True,
    ),
}


@pytest.fixture(scope="module")
def others() -> Iterator[Callable[[int], Others]]:
    """Processes of two users beside root's own, a file of one of them, and a set-user-ID copy of id(1)."""
    with ExitStack() as stack:

        def of(uid: int) -> int:
            pid, _ = fork_and(lambda: (os.setgroups([]), os.setresgid(uid, uid, uid), os.setresuid(uid, uid, uid)))
            stack.callback(end, pid)
            return pid

        place = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp")))
        place.chmod(0o755)
        file, program = place / "file", place / "id"
        file.write_text("a secret")
        os.chown(file, STRANGER, STRANGER)
        file.chmod(0o600)
        shutil.copy(shutil.which("id") or "/usr/bin/id", program)
        program.chmod(stat.S_ISUID | 0o755)
        stranger, kin = of(STRANGER), of(KIN)
        yield lambda uid: Others(stranger, os.getpid() if uid == 0 else kin, str(file), str(program))


def observed(spec: Spec, others: Others, leaves: tuple[int, int] | None = None) -> tuple[Standing, dict[str, bool]]:
    """Launch a child that tries; return how it stood before, and what the kernel let it do."""
    with launch(spec, entry=lambda: try_all(others, leaves)) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        with os.fdopen(child.stdout, "rb", closefd=False) as told:
            assert told.readline() == b"ready\n", os.read(child.stderr or 2, 4096)
            with PinnedProcess(child.pid) as process:
                standing = standing_of(process)
            os.write(child.stdin, b"\n")
            found = json.loads(told.readline() or b"null")
        assert found is not None, os.read(child.stderr or 2, 4096)
    assert standing is not None
    return standing, found


@pytest.mark.needs("root", "landlock", "seccomp", "libseccomp")
@pytest.mark.parametrize("name", CASES)
def test_what_is_said_of_a_child_is_what_the_child_itself_finds(name, others):
    case = CASES[name]
    standing, found = observed(case.spec, others(case.uid), case.leaves)
    verdicts = {it.ability.name: it.verdict for it in findings(standing, case.landlock)}
    assert {*found} == {*verdicts} == {*ATTEMPTS}
    wrong = {
        name: (verdict.why, "it could" if found[name] else "it could not")
        for name, verdict in verdicts.items()
        if verdict.can is not None and name not in case.untried and verdict.can != found[name]
    }
    assert not wrong
    unknown = {name for name, verdict in verdicts.items() if verdict.can is None}
    if standing.sysctl["kernel/apparmor_restrict_unprivileged_userns"]:
        unknown.discard("create user namespaces")
    assert unknown <= case.unknown
    assert bool(unknown) == bool(case.unknown)


@pytest.mark.needs("root")
def test_all_capabilities_of_a_user_namespace_are_not_those_of_root(others):
    standing, _ = observed(CASES["a container"].spec, others(KIN))
    assert summary(standing) == (
        "Not root of the machine: all capabilities only in its user namespace and what that owns "
        "(mnt, net, pid, uts, ipc, cgroup)."
    )


@pytest.mark.needs("root")
def test_what_a_child_lost_beside_its_parent_is_named(others):
    standing, _ = observed(CASES["another user, no new privileges"].spec, others(KIN))
    with PinnedProcess(os.getpid()) as us:
        parent = standing_of(us)
    changes = lost_and_gained(findings(standing), findings(parent))
    assert changes["change the host name"] is False
    assert changes["become root by set-user-ID"] is False
    assert "create user namespaces" not in changes
    assert True not in changes.values()


def standing_after(action: Callable[[], object]) -> tuple[Standing, object]:
    """Fork a child that acts; return how it stands then, and what it found."""
    pid, found = fork_and(action)
    try:
        with PinnedProcess(pid) as process:
            standing = standing_of(process)
    finally:
        end(pid)
    assert standing is not None
    return standing, found


def refused(action: Callable[[], object]) -> int:
    """Return the kernel's errno, 0 for success."""
    try:
        action()
    except OSError as error:
        return error.errno or -1
    return 0


@pytest.mark.needs("root")
def test_in_a_changed_root_no_user_namespace_can_be_made():
    def change() -> int:
        os.chroot("/usr")
        return refused(lambda: call("unshare", 0x10000000))

    standing, found = standing_after(change)
    assert found == errno.EPERM
    assert verdict(standing, "create user namespaces") == Verdict(
        False, "its root directory is not its mount namespace's: unshare(2) answers EPERM"
    )


@pytest.mark.needs("root", "mount_namespace")
def test_where_proc_sys_is_read_only_uid_0_cannot_write_to_it_either():
    def cover() -> int:
        call("unshare", 0x20000)
        call("mount", b"none", b"/", None, 0x4000 | 0x40000, None)
        call("mount", b"/proc/sys", b"/proc/sys", None, 0x1000, None)
        call("mount", b"none", b"/proc/sys", None, 0x1000 | 0x20 | 1, None)
        return refused(lambda: os.close(os.open("/proc/sys/vm/swappiness", os.O_WRONLY)))

    standing, found = standing_after(cover)
    assert found == errno.EROFS
    assert verdict(standing, "write to /proc/sys") == Verdict(False, "/proc/sys is mounted read-only")


@pytest.mark.needs("root")
def test_a_saved_uid_can_be_taken_back():
    def lend() -> int:
        os.setresuid(1000, 1000, 0)
        call("prctl", 4, 1, 0, 0, 0)
        pid = os.fork()
        if pid == 0:
            os._exit(refused(lambda: os.setresuid(0, 0, 0)) & 0x7F)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    standing, found = standing_after(lend)
    assert found == 0
    assert verdict(standing, "become another user").can is True
    assert verdict(standing, "become root by set-user-ID").can is True


def test_a_thread_of_the_kernel_is_said_to_be_one(ours):
    assert "kernel's own" in summary(replace(ours, kernel_thread=True))


@pytest.fixture
def ours() -> Standing:
    with PinnedProcess(os.getpid()) as process:
        found = standing_of(process)
    assert found is not None
    return found


def verdict(standing: Standing, name: str) -> Verdict:
    return next(it.verdict for it in findings(standing) if it.ability.name == name)


def test_strict_seccomp_leaves_nothing(ours):
    assert {it.verdict.can for it in findings(replace(ours, seccomp=1))} == {False}


def test_a_profile_of_a_security_module_may_refuse(ours):
    confined = replace(ours, label="docker-default (enforce)", seccomp=0)
    assert True not in {it.verdict.can for it in findings(confined)}
    assert "docker-default" in verdict(confined, "see the machine's processes").why or ours.shows_machine is not True


def test_what_cannot_be_read_is_unknown_and_never_no(ours):
    blind = replace(
        ours,
        credentials=replace(ours.credentials, lineage=None, euid=None, effective=None),
        uids=None,
        sets=dict.fromkeys(ours.sets),
        no_new_privs=None,
        seccomp=None,
        label=None,
        owners=dict.fromkeys(ours.owners),
        initial=dict.fromkeys(ours.initial),
        uid_map=None,
        limits=None,
        chrooted=None,
        mounts=None,
        shows_machine=None,
        setuid_program=None,
        routes=None,
        has_modules=True,
        sysctl=dict.fromkeys(ours.sysctl),
    )
    assert {it.verdict.can for it in findings(blind)} == {None}


def test_every_verdict_has_a_reason(ours):
    assert all(it.verdict.why for it in findings(ours))
