"""nsview's view from where little may be seen: without root, in containers, with the kernel's doors shut.

Nothing crashes, what is stated is true, what cannot be known is unknown. Each environment is made once; the probe
(environment_probe.py) looks around in it and runs the commands.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import nobody as other_user
import pytest

PROBE = str(Path(__file__).with_name("environment_probe.py"))
PROFILE = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [
        {"names": ["bpf"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
        {
            "names": ["socket"],
            "action": "SCMP_ACT_ERRNO",
            "errnoRet": 13,
            "args": [{"index": 0, "value": 16, "op": "SCMP_CMP_EQ"}],
        },
    ],
}
"""No bpf(2), no netlink: neither the task iterator nor the proc connector nor taskstats can be had."""

MASKED = """
mount -t proc -o {proc} proc /proc || exit 99
for file in kcore keys timer_list sched_debug; do [ ! -e /proc/$file ] || mount --bind /dev/null /proc/$file; done
for path in /proc/sys /proc/acpi /proc/irq; do [ ! -d $path ] || mount -t tmpfs -o ro none $path || exit 98; done
mount -t tmpfs -o ro none /sys || exit 97
sleep 1000 &
"$@"
status=$?
kill $!
exit $status
"""
"""As container engines do it: /proc with few files and others masked, an empty read-only /sys, no cgroup mount."""


def _container(proc: str, *options: str) -> Callable[[Sequence[str]], list[str]]:
    script = MASKED.format(proc=proc)
    return lambda words: ["unshare", "--pid", "--mount", "--net", "--fork", *options, "sh", "-c", script, "sh", *words]


def _nobody(words: Sequence[str]) -> list[str]:
    return other_user.Runner().command("python", *words[1:])


def _nobody_hidden(words: Sequence[str]) -> list[str]:
    """The machine's own processes behind hidepid=2: others' are not there at all."""
    script = 'mount -t proc -o hidepid=2 proc /proc && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, "sh", *_nobody(words)]


def _filtered(words: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "nsview", "run", "--seccomp", "PROFILE", "--", *words]


def _without_capabilities(words: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "nsview", "run", "--cap-drop", "ALL", "--", *words]


@dataclass(frozen=True, slots=True)
class Environment:
    """How to run a command there, and what we know of it.

    ``own_pids``: it is alone in a pid namespace; ``refuses_events``: for certain, else that is the kernel's affair;
    ``sees_others``: namespaces of everybody may be read; ``has_cgroups``: they are mounted.
    ``sees_its_parent``: /proc has it.
    """

    command: Callable[[Sequence[str]], list[str]]
    own_pids: bool = False
    refuses_events: bool = False
    sees_others: bool = False
    has_cgroups: bool = True
    sees_its_parent: bool = True


def _contained(proc: str, *options: str) -> Environment:
    return Environment(
        _container(proc, *options), own_pids=True, refuses_events=True, sees_others=True, has_cgroups=False
    )


ENVIRONMENTS: Mapping[str, Environment] = {
    "nobody": Environment(_nobody),
    "nobody, hidepid=2": Environment(_nobody_hidden, sees_its_parent=False),
    "container": _contained("hidepid=2"),
    "container, subset=pid": _contained("subset=pid"),
    "rootless container": _contained("hidepid=2", "--user", "--map-root-user"),
    "seccomp": Environment(_filtered, refuses_events=True, sees_others=True),
    "root without capabilities": Environment(_without_capabilities),
}


@cache
def looked(name: str, profile: str) -> dict[str, Any]:
    """What the probe says from within."""
    words = ENVIRONMENTS[name].command([sys.executable, PROBE])
    words = [profile if word == "PROFILE" else word for word in words]
    environment = {**os.environ, "HOME": "/", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("profile") / "profile.json"
    path.write_text(json.dumps(PROFILE))
    return str(path)


@pytest.fixture(params=ENVIRONMENTS)
def seen(request: pytest.FixtureRequest, profile: str) -> dict[str, Any]:
    return {**looked(request.param, profile), "environment": ENVIRONMENTS[request.param], "name": request.param}


pytestmark = pytest.mark.needs("root", "unshare", "user_namespace", "libseccomp")


def test_a_snapshot_has_every_process_of_proc_and_no_other(seen: dict[str, Any]):
    assert {*seen["always_listed"]} <= {*seen["pids"]}
    assert {*seen["pids"]} - {*seen["ever_listed"]} <= {*seen["young"]}, "born and gone while we looked"
    assert seen["errors"] == []
    if seen["environment"].own_pids:
        assert len(seen["pids"]) == 3, "the shell, which is its init, sleep, and who looks"
        assert 1 in seen["pids"]


def test_namespaces_are_those_readlink_tells_and_unknown_where_it_is_refused(seen: dict[str, Any]):
    assert seen["own"]["ns"] == seen["links"]
    assert None not in seen["links"]
    both = seen["readlink"].keys() & seen["namespaces"].keys()
    assert str(seen["pid"]) in both
    assert {pid: seen["namespaces"][pid] for pid in both} == {pid: seen["readlink"][pid] for pid in both}
    if not seen["environment"].sees_others and seen["environment"].sees_its_parent:
        assert [None] * 8 in seen["namespaces"].values()


def test_birth_and_death_are_seen_and_the_status_only_where_the_kernel_tells_it(seen: dict[str, Any]):
    assert (seen["born"], seen["died"]) == (True, True)
    has_events = seen["refused"] is None
    assert not (has_events and seen["environment"].refuses_events)
    told = (seen["parent_at_birth"], seen["exit_code"])
    assert told == ((seen["pid"], 15) if has_events else (None, None)), seen["refused"]


def test_the_search_finds_our_own_namespaces_and_says_what_it_could_not_look_into(seen: dict[str, Any]):
    assert {*seen["links"]} <= {*seen["found"]}
    if seen["name"] in ("nobody", "root without capabilities"):
        assert not seen["complete"]


def test_cpu_time_of_our_own_is_known_everywhere(seen: dict[str, Any]):
    assert seen["cpu_ns"] > 0


def test_every_command_does_its_work_and_says_what_it_cannot_in_lines_of_its_own(seen: dict[str, Any]):
    environment = seen["environment"]
    for line, said in seen["commands"].items():
        command = line.split()[0]
        refusals = {"cgroups": 0 if environment.has_cgroups else 1, "diff": 0 if environment.sees_its_parent else 2}
        assert said["status"] == refusals.get(command, 0), (line, said)
        assert bool(said["out"]) == (said["status"] == 0), line
        assert all(one.startswith(f"nsview {command}: ") for one in said["err"].splitlines()), (line, said["err"])
        if line.endswith("--json") and said["status"] == 0:
            assert json.loads(said["out"])["version"] == 1


def test_lists_say_unknown_where_they_do_not_know(seen: dict[str, Any]):
    processes = json.loads(seen["commands"]["ps --json"]["out"])["processes"]
    ours = next(process for process in processes if process["pid"] == seen["pid"])
    assert [*ours["namespaces"].values()] == seen["links"]
    cells = {int(row.split()[0]): row.split()[5] for row in seen["commands"]["ps"]["out"].splitlines()[1:]}
    hidden = [process["pid"] for process in processes if set(process["namespaces"].values()) == {None}]
    assert all(cells[pid] == "?" * 8 for pid in hidden if pid in cells)
    if seen["name"] == "nobody":
        assert len(hidden) > 2


def test_doctor_says_nothing_of_a_masked_proc_that_is_not_so(seen: dict[str, Any]):
    rows = {line[:30].strip(): line[30:].strip() for line in seen["commands"]["doctor"]["out"].splitlines()}
    assert not rows["seccomp"].startswith("no ")
    assert (rows["process events"].split()[0] == "no") == (seen["refused"] is not None)
    if seen["producer"] == "bpf":
        assert rows["BPF iterator"].startswith("ok")
    if seen["environment"].own_pids or seen["name"] == "seccomp":
        assert (seen["producer"], rows["BPF iterator"].split()[0]) == ("proc", "no")
