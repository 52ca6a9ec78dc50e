"""No descriptor of ours reaches a program, none of ours is touched by its set-up, whatever 0 to 2 are."""

from __future__ import annotations

import errno
import os
import resource
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from apart import apart
from leftovers import Census, descriptors
from running import EVERYTHING, PLANNING, output, read_all, shell

from nsview.host.kcmp import compare
from spawner import LaunchError, Mechanism, Plan, Spec, SpecError, Stdio, compile_spec, launch
from spawner.flags import bits

CALLS = (Mechanism.CLONE3, Mechanism.CLONE, Mechanism.FORK, Mechanism.VFORK, Mechanism.FORK_UNSHARE)
EVERY_CALL = (*CALLS, Mechanism.POSIX_SPAWN)
FILES = bits("FILES", "VM")


@pytest.fixture
def inheritable_descriptors(tmp_path: Path) -> Iterator[set[int]]:
    """A directory, a pipe, a socket and a high number, all without FD_CLOEXEC."""
    directory = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    reader, writer = os.pipe()
    pair = socket.socketpair()
    os.dup2(directory, 700, inheritable=True)
    fds = {directory, reader, writer, pair[0].fileno(), pair[1].fileno(), 700}
    for fd in fds:
        os.set_inheritable(fd, True)
    yield fds
    for fd in fds - {pair[0].fileno(), pair[1].fileno()}:
        os.close(fd)
    for end in pair:
        end.close()


# CVE-2024-21626 (runc "Leaky Vessels"): an inherited directory leads out of any root
@pytest.mark.parametrize("call", EVERY_CALL)
def test_no_descriptor_of_ours_reaches_the_program(call: Mechanism, inheritable_descriptors: set[int]) -> None:
    listed = output(Spec(args=("ls", "/proc/self/fd"), stdio=Stdio.PIPE, via=call))
    assert listed.split() == ["0", "1", "2", "3"]  # 3 is ls reading the directory
    assert all(os.get_inheritable(fd) for fd in inheritable_descriptors)


def test_no_descriptor_of_a_held_and_stepped_child_reaches_the_program(inheritable_descriptors: set[int]) -> None:
    with launch(replace(EVERYTHING, args=("ls", "/proc/self/fd"), stdio=Stdio.PIPE), hold=0) as child:
        while child.held is not None:
            child.step()
        assert child.stdout is not None
        assert read_all(child.stdout).split() == ["0", "1", "2", "3"]


# (Go exec_linux.go "fd passes"): a parent without 0-2 gets its own pipes there, where dup3 would hit them
@pytest.mark.parametrize("closed", [(0,), (1,), (0, 1, 2), (1, 2), (0, 2)], ids=str)
@pytest.mark.parametrize("call", EVERY_CALL)
def test_pipes_are_right_for_a_parent_without_stdio(call: Mechanism, closed: tuple[int, ...]) -> None:
    def converse() -> tuple[str, str]:
        for fd in closed:
            os.close(fd)
        script = "read line; echo out $line; echo err $line >&2; ls /proc/self/fd | tr '\\n' ' ' >&2"
        with launch(shell(script, via=call)) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            assert child.stderr is not None
            os.write(child.stdin, b"words\n")
            return read_all(child.stdout), read_all(child.stderr)

    assert apart(converse) == ("out words\n", "err words\n0 1 2 3 ")


@pytest.mark.parametrize("closed", [(0,), (0, 1, 2)], ids=str)
@pytest.mark.parametrize("call", CALLS)
def test_every_namespace_and_a_pty_work_for_a_parent_without_stdio(call: Mechanism, closed: tuple[int, ...]) -> None:
    if call in (Mechanism.FORK, Mechanism.VFORK):
        spec = Spec(args=("/usr/bin/tty",), stdio=Stdio.PTY, via=call)
    else:
        spec = replace(EVERYTHING, args=("/usr/bin/tty",), via=call)

    def converse() -> tuple[bytes, int | None]:
        for fd in closed:
            os.close(fd)
        with launch(spec) as child:
            ended = child.wait()
            assert child.pty is not None
            assert ended is not None
            return os.read(child.pty, 100), ended.code

    said, code = apart(converse)
    assert said.startswith(b"/dev/pts/")
    assert code == 0


@pytest.mark.parametrize("hold", [0, "dup stdin", "execve"])
@pytest.mark.parametrize("closed", [(0,), (0, 1, 2)], ids=str)
def test_holding_works_for_a_parent_without_stdio(closed: tuple[int, ...], hold: int | str) -> None:
    def converse() -> str:
        for fd in closed:
            os.close(fd)
        with launch(shell("echo said"), hold=hold) as child:
            child.resume()
            assert child.stdout is not None
            return read_all(child.stdout)

    assert apart(converse) == "said\n"


# exec(3): closed stdio stays closed; nothing of the engine may turn up there
def test_a_parent_without_stdio_hands_none_down() -> None:
    def listed() -> str:
        reader, writer = os.pipe()
        os.dup2(writer, 1)
        for fd in (0, 2):
            os.close(fd)
        os.close(writer)
        with launch(Spec(args=("sh", "-c", "exec ls /proc/self/fd"))) as child:
            child.wait()
        os.close(1)
        return read_all(reader)

    assert apart(listed).split() == ["0", "1"]  # the free 0 is ls reading the directory


# "before exec the child's dup2/close hit the parent (fd 200 appeared in the parent)"
@pytest.mark.parametrize("stdio", [Stdio.PIPE, Stdio.PTY, Stdio.NULL])
@pytest.mark.parametrize("call", [Mechanism.CLONE3, Mechanism.CLONE])
def test_set_up_with_shared_descriptors_leaves_ours_alone(call: Mechanism, stdio: Stdio) -> None:
    before = descriptors()
    flags = {number: os.get_inheritable(number) for number in (0, 1, 2)}
    with launch(Spec(args=("/bin/true",), via=call, clone_flags=FILES, stdio=stdio, cwd="/")) as child:
        child.wait()
    assert descriptors() == before
    assert {number: os.get_inheritable(number) for number in (0, 1, 2)} == flags


# the same, where we run on beside the child and close what was only for it
@pytest.mark.parametrize("hold", [0, "open /proc/self/ns", "dup stdin", "dup stderr", "execve"])
@pytest.mark.parametrize("call", [Mechanism.CLONE3, Mechanism.CLONE])
def test_a_held_child_with_shared_descriptors_still_gets_its_own(
    call: Mechanism, hold: int | str, nothing_left: Census
) -> None:
    spec = shell("read line; echo out $line; echo err >&2", via=call, clone_flags=FILES)
    with launch(spec, hold=hold) as child:
        assert child.held is not None
        child.resume()
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        os.write(child.stdin, b"words\n")
        assert (read_all(child.stdout), read_all(child.stderr)) == ("out words\n", "err\n")


def test_a_held_child_with_shared_descriptors_can_be_stepped_to_the_end(nothing_left: Census) -> None:
    seen = []
    with launch(shell("exit 3", clone_flags=FILES), hold=0) as child:
        while child.held is not None:
            seen.append(child.held)
            child.step()
        ended = child.wait()
    assert seen == list(range(len(seen)))
    assert len(seen) > 3
    assert ended is not None
    assert ended.code == 3


# kcmp(2): sharing is to be seen before execve only, so a child must be able to wait that early
@pytest.mark.needs("kcmp")
def test_a_child_held_at_once_shares_our_descriptors_and_later_does_not(nothing_left: Census) -> None:
    with launch(shell("exit 0", clone_flags=FILES), hold=0) as child:
        assert compare(os.getpid(), child.pid)["FILES"] is True
        child.step()
        assert compare(os.getpid(), child.pid)["FILES"] is False


# "cd /usr; umask 077 in the exec'ed sh moved the parent's cwd and umask"
@pytest.mark.parametrize("check", [True, False])
def test_a_working_directory_with_a_shared_one_is_refused(check: bool) -> None:
    with pytest.raises(SpecError, match="CLONE_FS"):
        compile_spec(Spec(args=("/bin/true",), clone_flags=bits("FS"), cwd="/", check=check))


def test_sharing_the_working_directory_is_said_to_outlive_execve() -> None:
    assert any("CLONE_FS" in note for note in compile_spec(Spec(args=("/bin/true",), clone_flags=bits("FS"))).notes)


# fork.c copy_process: EINVAL
@pytest.mark.parametrize("kind", ["mount", "user"])
def test_a_shared_working_directory_cannot_go_with_new_mounts_or_users(kind: str) -> None:
    spec = Spec(args=("/bin/true",), clone_flags=bits("FS"), namespaces=frozenset({kind}))
    with pytest.raises(SpecError) as caught:
        compile_spec(spec)
    assert [problem.errno for problem in caught.value.problems] == [errno.EINVAL]
    with pytest.raises(LaunchError) as refused:
        launch(replace(spec, check=False))
    assert (refused.value.step, refused.value.errno) == ("clone3", errno.EINVAL)


def _sweep(plan: Plan, hold: int | None) -> list[str]:
    """Launch with room for 0, 1, 2 … more descriptors until it works; each outcome in words."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    top = max(map(int, os.listdir("/proc/self/fd")))
    while (filled := os.dup(0)) < top:  # no gaps: every further descriptor is beyond the limit
        pass
    outcomes = []
    for room in range(40):
        before = Census((descriptors,))
        resource.setrlimit(resource.RLIMIT_NOFILE, (filled + 1 + room, hard))
        try:
            with launch(plan, hold=hold) as child:
                if child.held is not None:
                    child.resume()
                outcome = f"works {child.wait().status}"  # type: ignore[union-attr]
        except LaunchError as error:
            outcome = f"{error.step} {error.errno_name}"
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        left = before.difference(0)
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
        outcomes.append(" ".join((outcome, *left, children)).strip())
        if outcome.startswith("works"):
            break
    return outcomes


_POOR = (
    *(replace(EVERYTHING, stdio=stdio, via=call) for stdio in (Stdio.PIPE, Stdio.PTY) for call in PLANNING),
    Spec(args=("/bin/true",), stdio=Stdio.PIPE, via=Mechanism.FORK, pdeathsig=9),
    Spec(args=("/bin/true",), stdio=Stdio.NULL, via=Mechanism.CLONE3, clone_flags=FILES),
)
_POOR_UNHELD = (
    *_POOR,
    Spec(args=("/bin/true",), stdio=Stdio.PTY, via=Mechanism.VFORK, pdeathsig=9),
    Spec(args=("/bin/true",), stdio=Stdio.PIPE, via=Mechanism.POSIX_SPAWN),
)


# getrlimit(2), EMFILE: wherever the descriptors run out, it is the launch that fails, as a whole and by a name
@pytest.mark.parametrize(
    ("spec", "hold"),
    [*((spec, None) for spec in _POOR_UNHELD), *((spec, 0) for spec in _POOR)],
    ids=lambda value: f"{value.via}-{value.stdio}" if isinstance(value, Spec) else "held" if value == 0 else "",
)
def test_running_out_of_descriptors_is_a_launch_error_and_leaks_none(spec: Spec, hold: int | None) -> None:
    plan = compile_spec(spec, hold=hold is not None)
    outcomes = apart(lambda: _sweep(plan, hold))
    assert outcomes[-1] == "works 0"
    assert len(outcomes) > 2
    assert all(outcome.endswith("EMFILE") for outcome in outcomes[:-1]), outcomes
