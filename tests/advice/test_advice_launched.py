"""Every want's advice is followed, and the kernel is asked what came of it."""

from __future__ import annotations

import ctypes
import json
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from leftovers import Census, until
from nobody import Runner

from nsview.advice.advice import Advice, advise, mask_of_calls
from nsview.advice.asker import here
from nsview.advice.wants import WANTS, Asker, Runs, find
from nsview.host import kcmp
from spawner import Problem, Stdio, calls, launch
from spawner.flags import bits
from spawner.namespaces import KINDS, names_of

SLEEPS = ("sleep", "1000")
PROGRAMS = [want.name for want in WANTS if want.name != "function" and not want.name.startswith(("share-", "thread-"))]
SHARED = {"VM": "share-memory", "FILES": "share-files", "FS": "share-directory", "SIGHAND": "share-handlers"}
"""By kcmp(2)'s names, but for undo lists and I/O contexts, of which most processes have none to compare."""


def advice_on(*names: str) -> Advice:
    return advise([find(name) for name in names], here())


@contextmanager
def followed(advice: Advice) -> Iterator[int]:
    """A child as advised, which sleeps: its pid."""
    assert advice.plan is not None, advice.problems
    spec = replace(advice.spec, args=SLEEPS, stdio=Stdio.NULL)
    with launch(spec, hold="execve" if advice.hold else None) as child:
        assert child.plan.mechanism is advice.plan.mechanism
        assert child.plan.clone_flags == advice.plan.clone_flags
        yield child.pid


def new_kinds(pid: int) -> set[str]:
    """The kinds of namespaces that the process has other than ours."""
    return {
        kind.name
        for kind in KINDS
        if os.readlink(f"/proc/{pid}/ns/{kind.proc}") != os.readlink(f"/proc/self/ns/{kind.proc}")
    }


def status(pid: int, field: str) -> list[str]:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return value.split()
    raise AssertionError(field)


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _is_process_1(pid: int, _: Advice) -> None:
    assert status(pid, "NSpid")[-1] == "1"
    mounts = Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
    assert any(line.split()[4] == "/proc" for line in mounts)


def _has_an_init(pid: int, advice: Advice) -> None:
    assert status(pid, "NSpid")[-1] == "1"
    (below,) = children(pid)
    assert status(below, "NSpid")[-1] == "2"
    _has_executed(below, advice)


def _is_root_inside(pid: int, advice: Advice) -> None:
    assert Path(f"/proc/{pid}/uid_map").read_text().split() == ["0", str(os.geteuid()), "1"]
    assert Path(f"/proc/{pid}/gid_map").read_text().split() == ["0", str(os.getegid()), "1"]
    assert advice.spec.setgroups is None


def _has_many_ids(pid: int, advice: Advice) -> None:
    lines = [line.split() for line in Path(f"/proc/{pid}/uid_map").read_text().splitlines()]
    assert lines == [[str(x.container_id), str(x.host_id), str(x.size)] for x in advice.spec.uid_mappings]
    assert sum(int(size) for _, _, size in lines) > 1


def _is_limited(pid: int, advice: Advice) -> None:
    if advice.spec.cgroup is not None:
        assert Path(f"/proc/{pid}/cgroup").read_text() != Path("/proc/self/cgroup").read_text()
    else:
        assert "268435456" in Path(f"/proc/{pid}/limits").read_text()


def _gains_nothing(pid: int, _: Advice) -> None:
    assert status(pid, "NoNewPrivs") == ["1"]


def _waits(pid: int, _: Advice) -> None:
    assert os.readlink(f"/proc/{pid}/exe") == os.readlink("/proc/self/exe")


def _has_executed(pid: int, _: Advice) -> None:
    # The parent goes on as soon as execve has left its memory, a moment before the new name is there.
    assert until(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n")


ALSO: dict[str, Callable[[int, Advice], None]] = {
    "own-pids": _is_process_1,
    "init": _has_an_init,
    "root-inside": _is_root_inside,
    "id-maps": _has_many_ids,
    "limits": _is_limited,
    "no-new-privileges": _gains_nothing,
    "hold": _waits,
    "program": _has_executed,
}


@pytest.mark.needs("root")
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_child_is_as_wanted(name: str, nothing_left: Census) -> None:
    advice = advice_on(name)
    with followed(advice) as pid:
        assert new_kinds(pid) == names_of(find(name).flags)
        ALSO.get(name, lambda _pid, _advice: None)(pid, advice)


@pytest.mark.needs("root")
def test_the_host_name_is_that_of_the_example(nothing_left: Census) -> None:
    assert said_by(advice_on("own-hostname"), "cat", "/proc/sys/kernel/hostname") == b"box\n"
    assert Path("/proc/sys/kernel/hostname").read_text() != "box\n"


@pytest.mark.parametrize("names", [("dies-with-parent",), ("program",)])
def test_the_death_signal_is_there_only_where_it_is_wanted(names: tuple[str, ...], nothing_left: Census) -> None:
    get = "import ctypes; n = ctypes.c_int(); ctypes.CDLL(None).prctl(2, ctypes.byref(n), 0, 0, 0); print(n.value)"
    wanted = int(signal.SIGKILL) if "dies-with-parent" in names else 0
    assert int(said_by(advice_on(*names), sys.executable, "-c", get)) == wanted


def said_by(advice: Advice, *args: str) -> bytes:
    with launch(replace(advice.spec, args=args, stdio=Stdio.PIPE)) as child:
        child.close_stream("stdin")
        assert child.stdout is not None
        with open(child.stdout, "rb", closefd=False) as output:
            said = output.read()
        assert child.wait().code == 0
    return said


@pytest.mark.needs("kcmp")
def test_fast_shares_memory_until_execve_and_a_change_of_ids_does_not(nothing_left: Census) -> None:
    with followed(advice_on("fast", "hold")) as pid:
        assert kcmp.compare(os.getpid(), pid)["VM"] is True
    asker = replace(here(), privileged=True)
    plain = advise([find("fast"), find("root-inside")], asker)
    assert plain.plan is not None
    assert not any("fast cannot be had" in warning for warning in plain.warnings)
    changed = replace(asker, uid=asker.uid + 1)  # 0 inside would be somebody else outside
    advice = advise([find("fast"), find("root-inside")], changed)
    assert advice.plan is not None
    assert not advice.plan.clone_flags & bits("VM")
    assert any(warning.startswith("fast cannot be had with the rest: copies") for warning in advice.warnings)


def test_a_function_is_run_in_memory_of_its_own(nothing_left: Census) -> None:
    advice = advice_on("function")
    assert advice.runs is Runs.FUNCTION
    assert advice.plan is not None
    seen: list[int] = []

    def work() -> int:
        seen.append(os.getpid())
        return 7

    with launch(advice.spec, entry=work) as child:
        assert child.plan.mechanism is advice.plan.mechanism
        assert child.plan.clone_flags == advice.plan.clone_flags
        assert child.wait().code == 7
    assert seen == []


@pytest.mark.needs("kcmp")
@pytest.mark.parametrize("name", [*SHARED.values(), "thread-like"])
def test_what_is_to_be_shared_is_shared_and_nothing_else(name: str, nothing_left: Census) -> None:
    advice = advice_on(name)
    wanted = {field: bool(find(name).flags & bits(field)) for field in SHARED}
    assert advice.plan is not None, advice.problems
    if advice.runs is Runs.CALLS:
        with calls.start((calls.call("getpid"),), flags=mask_of_calls(advice.spec), hold=0) as run:
            assert run.plan.clone_flags == advice.plan.clone_flags
            found = kcmp.compare(os.getpid(), run.pid)
            assert {field: found[field] for field in SHARED} == wanted
    else:
        with followed(advice) as pid:
            found = kcmp.compare(os.getpid(), pid)
            assert {field: found[field] for field in SHARED} == wanted


@pytest.mark.parametrize("name", ["share-semaphores", "share-io"])
def test_what_a_program_may_go_on_sharing_is_passed_to_the_call(name: str, nothing_left: Census) -> None:
    with followed(advice_on(name)) as pid:
        _has_executed(pid, advice_on(name))


@pytest.mark.needs("userns")
@pytest.mark.parametrize("name", ["own-hostname", "own-pids", "own-network", "init", "own-clock"])
def test_without_privilege_the_advice_takes_a_user_namespace_and_works(name: str, nobody: Runner) -> None:
    done = nobody("nsview", "advise", name, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert [(each["want"], each["rule"]) for each in document["added"]] == [("root-inside", "privilege")]
    ran = nobody(*shlex.split(document["command"].replace("\\\n", "")), "-c", "id -u; readlink /proc/self/ns/user")
    assert ran.returncode == 0, ran.stderr
    uid, user = ran.stdout.split()
    assert (uid, user != os.readlink("/proc/self/ns/user")) == ("0", True)


def test_ids_that_cannot_be_mapped_are_told_with_what_gives_some() -> None:
    asker = Asker(1000, 1000, False, no_lines=(Problem("joe has no subordinate user ids", "usermod"),))
    advice = advise([find("id-maps")], asker)
    assert advice.plan is None
    assert [str(problem) for problem in advice.problems] == ["joe has no subordinate user ids; usermod"]


def test_the_test_process_is_not_dumpable_by_accident() -> None:
    """A child that shared our memory and changed its ids would have made it so (prctl(2), PR_GET_DUMPABLE)."""
    assert ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 1
