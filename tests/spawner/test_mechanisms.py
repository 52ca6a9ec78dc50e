"""Every way to make a child: what the kernel is really asked, and what each can and cannot do."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from running import output, shell

from spawner import Facts, LaunchError, Mechanism, Spec, SpecError, compile_spec, launch

EVERY = tuple(Mechanism)
TRUE = Spec(args=("/bin/true",))


@pytest.mark.parametrize("via", EVERY)
def test_program_runs_with_its_arguments_and_environment(via, nothing_left):
    spec = shell('echo "$0|$1|$FOO"', via=via, env=(("FOO", "bar"),))
    spec = replace(spec, args=(*spec.args, "zero", "one two"))
    assert output(spec) == "zero|one two|bar\n"


@pytest.mark.parametrize("via", EVERY)
def test_exit_code_and_killing_signal_are_told(via, nothing_left):
    with launch(shell("exit 7", via=via)) as child:
        ended = child.wait()
        assert (ended.code, ended.signal, ended.status) == (7, None, 7)
    with launch(shell("kill -TERM $$", via=via)) as child:
        ended = child.wait()
        assert (ended.code, ended.signal, ended.status) == (None, 15, 143)


@pytest.mark.parametrize("via", EVERY)
def test_rusage_is_the_childs_own(via, nothing_left):
    with launch(shell("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done", via=via)) as child:
        usage = child.wait().rusage
    assert usage.ru_utime + usage.ru_stime > 0
    assert usage.ru_maxrss > 0
    assert usage.ru_minflt > 0


@pytest.mark.parametrize("via", EVERY)
def test_program_is_searched_along_the_childs_own_path(via, nothing_left, tmp_path):
    program = tmp_path / "hello"
    program.write_text("#!/bin/sh\necho hello\n")
    program.chmod(0o755)
    spec = replace(shell("", via=via), args=("hello",), env=(("PATH", f"/nowhere:{tmp_path}"),))
    assert output(spec) == "hello\n"


STRACING = ("strace", "-f", "-qq", "-e", "trace=clone,clone3,fork,vfork,unshare", "-e", "signal=none")
STRACE = """
import sys
from spawner import *
spec = Spec(args=("/bin/true",), via=Mechanism(sys.argv[1]), namespaces=frozenset(sys.argv[2:]))
with launch(spec) as child:
    print(child.wait().status, child.plan.birth)
"""


def traced(via: str, *namespaces: str) -> tuple[str, list[str]]:
    """What launch() said it would call, and what strace saw the kernel asked."""
    done = subprocess.run(
        [*STRACING, sys.executable, "-c", STRACE, via, *namespaces],
        capture_output=True,
        text=True,
        check=True,
    )
    calls = [re.sub(r"^\[pid +\d+\] ", "", line) for line in done.stderr.splitlines()]
    calls = [line for line in calls if not line.startswith("clone3(NULL")]  # the probe
    return done.stdout, [line for line in calls if re.match(r"(clone3?|v?fork|unshare)\(", line)]


@pytest.mark.needs("strace")
@pytest.mark.parametrize("via", ["clone3", "clone", "fork", "vfork"])
def test_kernel_sees_the_very_flags_of_the_plan(via):
    said, calls = traced(via)
    (call,) = calls
    assert call.startswith(f"{via}(")
    planned = set(re.findall(r"CLONE_\w+", said))
    assert set(re.findall(r"CLONE_\w+", call)) == planned
    if via == "clone3":
        assert planned == {"CLONE_VM", "CLONE_VFORK", "CLONE_PIDFD", "CLONE_CLEAR_SIGHAND"}


@pytest.mark.needs("strace", "root")
def test_fork_and_unshare_are_three_calls_and_one_clone_does_it_all():
    _, calls = traced("fork+unshare", "pid", "uts")
    assert [call.split("(")[0] for call in calls] == ["fork", "unshare", "clone"]
    assert "CLONE_PARENT" in calls[2]
    _, calls = traced("clone3", "pid", "uts")
    assert [call.split("(")[0] for call in calls] == ["clone3"]
    assert {"CLONE_NEWPID", "CLONE_NEWUTS"} <= set(re.findall(r"CLONE_\w+", calls[0]))


def test_auto_takes_clone3_and_says_why():
    plan = compile_spec(TRUE, given=Facts())
    assert plan.mechanism is Mechanism.CLONE3
    assert "memory" in plan.why


@pytest.mark.parametrize("refusal", [errno.ENOSYS, errno.EPERM])
def test_auto_falls_back_to_clone_where_clone3_is_filtered(refusal):
    plan = compile_spec(replace(TRUE, namespaces=frozenset({"uts"})), given=Facts(clone3_errno=refusal))
    assert plan.mechanism is Mechanism.CLONE
    assert errno.errorcode[refusal] in plan.why


def test_auto_stays_with_clone3_for_a_flag_that_only_it_knows():
    plan = compile_spec(replace(TRUE, clone_flags=1 << 32), given=Facts(clone3_errno=errno.ENOSYS))
    assert plan.mechanism is Mechanism.CLONE3
    assert "CLONE_CLEAR_SIGHAND" in plan.why


@pytest.mark.parametrize("via", [Mechanism.FORK, Mechanism.VFORK, Mechanism.POSIX_SPAWN])
def test_calls_without_namespaces_say_which_calls_have_them(via):
    with pytest.raises(SpecError) as caught:
        compile_spec(replace(TRUE, via=via, namespaces=frozenset({"uts", "pid"})))
    (problem,) = caught.value.problems
    assert "CLONE_NEWUTS" in problem.message
    assert "fork+unshare" in problem.remedy


def test_posix_spawn_names_each_attribute_that_it_lacks():
    spec = replace(TRUE, via=Mechanism.POSIX_SPAWN, cwd="/", pdeathsig=9)
    with pytest.raises(SpecError) as caught:
        compile_spec(spec)
    assert [problem.message.split()[-1] for problem in caught.value.problems] == ["cwd", "pdeathsig"]


@pytest.mark.parametrize("via", EVERY)
def test_new_session_leads_itself(via, nothing_left):
    spec = shell("cut -d' ' -f1,6 /proc/self/stat; ps -o sid= -p $$; echo $$", via=via, new_session=True)
    lines = output(spec).split()
    assert lines[-1] == lines[-2]


@pytest.mark.parametrize("via", EVERY)
def test_missing_program_is_enoent_and_leaves_nothing(via, nothing_left):
    with pytest.raises(LaunchError) as caught:
        launch(replace(TRUE, args=("/no/such/program",), via=via))
    assert caught.value.errno == errno.ENOENT
    assert caught.value.path == "/no/such/program"
    assert caught.value.step in ("execve", "posix_spawn")
    assert os.listdir("/proc/self/fd")


def test_equal_specs_share_one_plan():
    spec = replace(TRUE, env=())
    assert compile_spec(spec) is compile_spec(replace(spec))


def test_plan_reads_like_strace():
    spec = replace(TRUE, env=(("A", "b"),), namespaces=frozenset({"uts"}), hostname='de"mo\n')
    lines = str(compile_spec(spec, given=Facts())).splitlines()
    assert lines[0].strip().startswith("clone3({flags=CLONE_VM|")
    assert any(line.endswith('sethostname("de\\"mo\\n", 6)') for line in lines)
    assert lines[-1].endswith('execve("/bin/true", ["/bin/true"], [1 variables])')


def test_namespaces_of_a_posix_spawn_child_are_read_while_it_lives(nothing_left):
    with launch(replace(TRUE, args=("/bin/sleep", "60"), via=Mechanism.POSIX_SPAWN)) as child:
        assert child.namespaces["uts"] == os.stat("/proc/self/ns/uts").st_ino
        child.signal(9)
        child.wait()
        assert set(child.namespaces.values()) == {None}
