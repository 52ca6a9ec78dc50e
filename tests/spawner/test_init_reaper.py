"""Spec.init: a tiny process above the program, which reaps orphans, passes signals on and can do little else."""

from __future__ import annotations

import fcntl
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from apart import apart, become_nobody
from leftovers import Census, until
from running import EVERY_KIND, PLANNING, ended, output, read_all, shell

from spawner import Child, IDMapping, Mechanism, Spec, Stdio, TimeOffset, launch
from spawner import _native as native
from spawner import reaper as reaper_file

PID = frozenset({"pid", "mount"})
INSIDE = {"namespaces": PID, "mount_proc": "/proc", "init": True}
ABOVE_OR_PID_1 = [
    pytest.param({"init": True}, id="subreaper"),
    pytest.param(INSIDE, id="process 1", marks=pytest.mark.needs("root")),
]


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def line_of(child: Child) -> str:
    """The next line that the child writes, read byte by byte."""
    assert child.stdout is not None
    text = b""
    while not text.endswith(b"\n"):
        part = os.read(child.stdout, 1)
        assert part, f"it ended after {text!r}"
        text += part
    return text.decode().rstrip("\n")


@pytest.mark.needs_root
@pytest.mark.parametrize("via", PLANNING)
def test_the_program_is_the_child_of_process_1_which_is_ours(via: Mechanism, nothing_left: Census) -> None:
    text = output(shell("echo $$ $PPID; cat /proc/1/comm; tr '\\0' ' ' </proc/1/cmdline", via=via, **INSIDE))
    assert text.split("\n") == ["2 1", "nsview-init", "nsview-init 2 "]


@pytest.mark.parametrize("via", [*PLANNING, Mechanism.FORK])
def test_without_a_pid_namespace_it_is_a_subreaper(via: Mechanism, nothing_left: Census) -> None:
    with launch(shell("echo $PPID; read x", via=via, init=True)) as child:
        assert int(line_of(child)) == child.pid
        assert status_of(child.pid)["Name"] == "nsview-init"


# tini(1): the exit code of the child is the exit code of tini; 128+N for a signal
@pytest.mark.parametrize("fields", ABOVE_OR_PID_1)
@pytest.mark.parametrize(
    ("script", "status"),
    [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -TERM $$", 143), ("kill -KILL $$", 137)],
)
def test_its_status_is_the_programs(script: str, status: int, fields: dict[str, object], nothing_left: Census) -> None:
    with launch(shell(script, **fields)) as child:
        found = child.wait()
    assert found is not None
    assert (found.code, found.signal, found.status, found.executed) == (status, None, status, True)


# bubblewrap do_init(), tini(1): an orphan comes to process 1, and its zombie goes
@pytest.mark.parametrize("fields", ABOVE_OR_PID_1)
def test_orphans_are_reaped(fields: dict[str, object], nothing_left: Census) -> None:
    with launch(shell("sh -c 'sleep 1000 & echo'; read x; exit 3", **fields)) as child:
        line_of(child)

        def named() -> dict[str, int]:  # {} until the sh between has ended and the orphan is sleep
            names = {status_of(pid)["Name"]: pid for pid in children_of(child.pid)}
            return names if set(names) == {"sh", "sleep"} else {}

        names = until(named)
        assert names
        os.kill(names["sleep"], signal.SIGKILL)
        assert until(lambda: children_of(child.pid) == [names["sh"]])
        child.close_stream("stdin")
        found = child.wait()
    assert found is not None
    assert found.code == 3


# tini(1): signals are forwarded to the child
@pytest.mark.parametrize("fields", ABOVE_OR_PID_1)
@pytest.mark.parametrize(
    "name", ["HUP", "INT", "QUIT", "USR1", "USR2", "ALRM", "TERM", "CONT", "TSTP", "WINCH", "CHLD"]
)
def test_a_signal_sent_to_it_reaches_the_program(name: str, fields: dict[str, object], nothing_left: Census) -> None:
    # Blocked: a shell's trap waits for the read that it has not begun yet.
    script = (
        "import signal\n"
        f"signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIG{name}])\n"
        "print('ready', flush=True)\n"
        f"print('got', signal.Signals(signal.sigwait([signal.SIG{name}])).name[3:], flush=True)\n"
    )
    with launch(Spec(args=("/usr/bin/python3", "-S", "-c", script), stdio=Stdio.PIPE, **fields)) as child:  # type: ignore[arg-type]
        assert line_of(child) == "ready"
        child.signal(signal.Signals[f"SIG{name}"])
        assert line_of(child) == f"got {name}"


# sigqueue(3): what came with the signal goes along
@pytest.mark.parametrize("fields", ABOVE_OR_PID_1)
def test_a_queued_signal_arrives_as_a_queued_one(fields: dict[str, object], nothing_left: Census) -> None:
    script = (
        "import signal, sys\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGRTMIN])\n"
        "print('ready', flush=True)\n"
        "print(signal.sigwaitinfo([signal.SIGRTMIN]).si_code, flush=True)\n"
    )
    spec = Spec(args=("/usr/bin/python3", "-S", "-c", script), stdio=Stdio.PIPE, **fields)  # type: ignore[arg-type]
    with launch(spec) as child:
        assert line_of(child) == "ready"
        queued = -1
        info = int(signal.SIGRTMIN).to_bytes(4, "little") + bytes(4) + queued.to_bytes(4, "little", signed=True)
        native.call(native.SYSCALLS["rt_sigqueueinfo"], child.pid, int(signal.SIGRTMIN), info.ljust(128, b"\0"))
        assert int(line_of(child)) == queued


# the terminal tells its whole foreground group: passed on, ^C would come twice
@pytest.mark.parametrize("fields", ABOVE_OR_PID_1)
def test_the_terminals_own_signals_come_once(fields: dict[str, object], nothing_left: Census) -> None:
    script = "trap 'echo got' INT; trap 'echo last; exit' USR1; echo ready; while :; do read x; done"
    with launch(shell(script, **{**fields, "stdio": Stdio.PTY})) as child:
        assert child.pty is not None
        told = b""
        while b"ready" not in told:
            told += os.read(child.pty, 100)
        os.write(child.pty, b"\x03")
        while b"got" not in told:
            told += os.read(child.pty, 100)
        child.signal(signal.SIGUSR1)  # which the reaper takes after SIGINT: the lower number is first
        while b"last" not in told:
            told += os.read(child.pty, 100)
        child.wait()
    assert told.count(b"got") == 1


@pytest.mark.needs_root
def test_it_is_small_and_holds_nothing(nothing_left: Census) -> None:
    with launch(shell("echo; read x", **INSIDE)) as child:
        line_of(child)
        assert until(lambda: os.listdir(f"/proc/{child.pid}/fd") == [])
        status = status_of(child.pid)
        assert int(status["VmRSS"].split()[0]) < 100  # kB
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 1 << 5  # CAP_KILL
        maps = Path(f"/proc/{child.pid}/maps").read_text()
        assert not [line for line in maps.splitlines() if "rwx" in line]
        assert "python" not in maps
        assert "_native" not in maps


# CVE-2019-5736: /proc/1/exe would be the launcher's own file
@pytest.mark.needs_root
def test_what_it_executes_can_be_changed_by_nobody(nothing_left: Census) -> None:
    text = output(
        shell(
            "readlink /proc/1/exe; cat /dev/null >>/proc/1/exe 2>/dev/null || echo refused; cat /proc/1/exe | wc -c",
            **INSIDE,
        )
    )
    assert text.split("\n")[:3] == ["/memfd:nsview-init (deleted)", "refused", str(len(reaper_file.program()))]
    with launch(shell("echo; read x", **INSIDE)) as child:
        line_of(child)
        fd = os.open(f"/proc/{child.pid}/exe", os.O_RDONLY)
        try:
            seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
        finally:
            os.close(fd)
    assert seals == fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def test_its_code_needs_no_other_section() -> None:
    code, entry = native.reaper()
    file = reaper_file.program()
    assert file.endswith(code)
    assert 0 <= entry < len(code) < 4096
    assert b"nsview" not in code[entry : entry + 64]


@pytest.mark.parametrize("fields", ABOVE_OR_PID_1)
def test_a_pipe_of_the_program_ends_with_the_program(fields: dict[str, object], nothing_left: Census) -> None:
    with launch(shell("echo out; exec >&- 2>&-; read x", **fields)) as child:
        assert child.stdout is not None
        assert read_all(child.stdout) == "out\n"
        assert not ended(child.pidfd)


@pytest.mark.parametrize("fields", ABOVE_OR_PID_1)
def test_closing_it_ends_the_program(fields: dict[str, object], nothing_left: Census) -> None:
    with launch(shell("echo; read x", **fields)) as child:
        line_of(child)
        (program,) = children_of(child.pid)
        pidfd = os.pidfd_open(program)
    try:
        assert until(lambda: ended(pidfd))
    finally:
        os.close(pidfd)


# bubblewrap tests/test-run.sh "die with parent": the lock that the program holds is freed
@pytest.mark.parametrize("fields", ABOVE_OR_PID_1)
def test_the_program_dies_with_our_process(fields: dict[str, object], tmp_path: Path, nothing_left: Census) -> None:
    lock = tmp_path / "lock"
    lock.touch()
    spec = shell(f"exec 9>{lock}; flock 9; echo locked; exec sleep 1000", pdeathsig=9, **fields)
    told, telling = os.pipe()
    launcher = os.fork()
    if launcher == 0:
        try:
            child = launch(spec)
            os.write(telling, f"{line_of(child)}\n".encode())
            signal.pause()
        finally:
            os._exit(1)
    os.close(telling)
    with open(told, "rb") as pipe:
        assert pipe.read(7) == b"locked\n"
    with lock.open() as file:
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.kill(launcher, signal.SIGKILL)
        os.waitpid(launcher, 0)

        def free() -> bool:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        assert until(free)


@pytest.mark.needs_root
@pytest.mark.parametrize("via", PLANNING)
def test_it_stands_above_a_program_of_another_user_and_can_end_it(via: Mechanism, nothing_left: Census) -> None:
    script = "trap 'exit 5' TERM; id -u; while read x; do :; done; read x"
    args = ("setpriv", "--reuid=1234", "--clear-groups", "sh", "-c", script)
    with launch(Spec(args=args, stdio=Stdio.PIPE, via=via, init=True)) as child:
        assert line_of(child) == "1234"
        child.signal(signal.SIGTERM)
        found = child.wait()
    assert found is not None
    assert found.code == 5


@pytest.mark.needs_root  # to become somebody else
@pytest.mark.parametrize("via", PLANNING)
def test_without_root_it_works_in_a_user_namespace(via: Mechanism, nothing_left: Census) -> None:
    def run() -> str:
        become_nobody()
        mapped = {"uid_mappings": (IDMapping(0, os.geteuid()),), "gid_mappings": (IDMapping(0, os.getegid()),)}
        spec = shell("echo $$ $PPID", namespaces=PID | {"user"}, init=True, via=via, **mapped)
        return output(spec)

    assert apart(run) == "2 1\n"


def test_sigchld_that_is_ignored_here_is_not_ignored_above_the_program(nothing_left: Census) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with launch(shell("exit 9", init=True)) as child:
            found = child.wait()
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert found is not None
    assert found.code in (9, None)  # unknown, where this kernel keeps no status of who was not waited for


def test_its_file_is_refused_writing_from_the_start(nothing_left: Census) -> None:
    opened = reaper_file.open_file()
    try:
        with pytest.raises(PermissionError):
            os.pwrite(opened.fd, b"x", 0)
    finally:
        os.close(opened.fd)


# kernel selftests timens/vfork_exec.c: who shares memory enters a new time namespace only at execve
@pytest.mark.needs_root
@pytest.mark.parametrize("via", PLANNING)
def test_both_are_in_every_new_namespace(via: Mechanism, nothing_left: Census) -> None:
    spec = shell("for pid in 1 2; do readlink /proc/$pid/ns/*; done", namespaces=EVERY_KIND, mount_proc="/proc")
    with launch(replace(spec, init=True, via=via, time_offsets=(("boottime", TimeOffset(1000)),))) as child:
        assert child.stdout is not None
        links = read_all(child.stdout).splitlines()
        assert len(links) == 20
        assert links[:10] == links[10:]
        inside = {line.partition(":")[0]: int(line.partition("[")[2][:-1]) for line in links}
        assert inside["time"] == child.namespaces["time"]
        found = child.wait()
    assert found is not None
    assert found.code == 0


# pid_namespaces(7): the end of process 1, and so of the program, is the end of all
@pytest.mark.needs_root
def test_the_end_of_the_program_ends_its_orphans(nothing_left: Census) -> None:
    with launch(shell("sh -c 'sleep 1000 & echo'; read x", **INSIDE)) as child:
        line_of(child)
        assert until(lambda: len(children_of(child.pid)) == 2)
        pidfds = [os.pidfd_open(pid) for pid in children_of(child.pid)]
        try:
            child.close_stream("stdin")
            child.wait()
            assert all(until(lambda pidfd=pidfd: ended(pidfd)) for pidfd in pidfds)
        finally:
            for pidfd in pidfds:
                os.close(pidfd)
