"""The options of `nsview run` for limits, ids, security and network: read, refused, and done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from launched import complaint, run, said
from parsed import refusal, spec

from spawner import IDMapping
from spawner.capabilities import NAMES
from spawner.oci import Cgroup, IOMax, Join, Keep, Landlock, Resources, Rlimit, Seccomp, User, Veth

ASKED: dict[tuple[str, ...], dict[str, Any]] = {
    ("--rlimit", "NOFILE=64"): {"rlimits": (Rlimit("RLIMIT_NOFILE", 64, 64),)},
    ("--rlimit", "rlimit_as=1G:unlimited"): {"rlimits": (Rlimit("RLIMIT_AS", 1 << 30, None),)},
    ("--rlimit", "Core=unlimited"): {"rlimits": (Rlimit("RLIMIT_CORE", None, None),)},
    ("--rlimit=CPU=1:2", "--rlimit=CPU=3"): {"rlimits": (Rlimit("RLIMIT_CPU", 3, 3),)},
    ("--cgroup-name", "box"): {"cgroup": Cgroup(name="box")},
    ("--memory", "64M", "--pids=7", "--cpus", "1.5"): {
        "cgroup": Cgroup(resources=Resources(memory=64 << 20, pids=7, cpus=1.5))
    },
    ("--io-max", "8:16,rbps=1M,wiops=max", "--io-max", "8:0,wbps=5"): {
        "cgroup": Cgroup(
            resources=Resources(
                io_max=(IOMax(major=8, minor=16, read_bps=1 << 20), IOMax(major=8, minor=0, write_bps=5))
            )
        )
    },
    ("--nice", "-5"): {"nice": -5},
    ("--cpu-affinity", "0-2,5"): {"cpu_affinity": frozenset({0, 1, 2, 5})},
    ("--oom-score-adj=-1000",): {"oom_score_adj": -1000},
    ("--map-users", "0,100000,65536"): {
        "uid_mappings": (IDMapping(0, 100000, 65536),),
        "namespaces": frozenset({"user"}),
    },
    ("--map-users=1:2:3", "--map-users=5,6,7"): {
        "uid_mappings": (IDMapping(1, 2, 3), IDMapping(5, 6, 7)),
        "namespaces": frozenset({"user"}),
    },
    ("-S", "5", "-G6"): {"user": User(uid=5, gid=6, additional_gids=())},
    ("-G", "6", "--groups", "7,root"): {"user": User(gid=6, additional_gids=(7, 0))},
    ("--groups=",): {"user": User(additional_gids=())},
    ("--umask", "027"): {"user": User(umask=0o27)},
    ("-U", "--keep-caps"): {"keep_caps": True, "namespaces": frozenset({"user"})},
    ("--no-new-privs",): {"no_new_privs": True},
    ("--seccomp", "default"): {"seccomp": (Seccomp("default"),)},
    ("--landlock-ro", "/usr", "--landlock-rw", "/tmp", "--landlock-ro", "/etc"): {
        "landlock": Landlock(read=("/usr", "/etc"), write=("/tmp",))
    },
    ("--veth", "10.9.8.1/24,10.9.8.2/24", "--masquerade"): {
        "veth": Veth(host_address="10.9.8.1/24", child_address="10.9.8.2/24", masquerade=True),
        "namespaces": frozenset({"network"}),
    },
    ("--net=/run/n", "-u"): {"keep": (Keep("network", "/run/n"),), "namespaces": frozenset({"network", "uts"})},
    ("--join", "net=/run/n", "--join=mnt=./5"): {"join": (Join("network", "/run/n"), Join("mount", "./5"))},
    ("-R", "/srv"): {"rootfs": "/srv", "namespaces": frozenset({"mount"})},
    ("--init", "-w", "--"): {"init": True, "cwd": "--"},
}


@pytest.mark.parametrize("words", ASKED, ids=" ".join)
def test_options_ask_for_this_and_nothing_else(words: tuple[str, ...]) -> None:
    made, plain = spec(*words, "true"), spec("true")
    assert {name: getattr(made, name) for name in ASKED[words]} == ASKED[words]
    others = [name for name in type(made).__dataclass_fields__ if name not in ASKED[words]]
    assert [name for name in others if getattr(made, name) != getattr(plain, name)] == []


BAD = {
    "an unknown limit": (("--rlimit", "NOFILES=1"), "NOFILE"),
    "no limit": (("--rlimit", "NOFILE"), "NAME=SOFT"),
    "half a limit": (("--rlimit", "NOFILE=5:"), "NAME=SOFT"),
    "a soft limit above the hard": (("--rlimit", "NOFILE=5:4"), "above"),
    "a limit that is no number": (("--rlimit", "NOFILE=-5"), "'-5'"),
    "a size that is none": (("--memory", "5Q"), "5Q"),
    "no memory": (("--memory", "0"), "no room"),
    "no tasks": (("--pids", "0"), "'0'"),
    "processors that are none": (("--cpus", "nan"), "nan"),
    "a device that is none": (("--io-max", "/dev/null,rbps=1"), "block device"),
    "a limit that devices lack": (("--io-max", "8:0,rbp=1"), "rbps"),
    "no limit of a device": (("--io-max", "8:0"), "rbps="),
    "not nice": (("--nice", "20"), "19"),
    "processors backwards": (("--cpu-affinity", "3-1"), "3-1"),
    "an adjustment too far": (("--oom-score-adj", "1001"), "1000"),
    "a map that is none": (("--map-users", "0,0"), "INNER,OUTER,COUNT"),
    "a map of nothing": (("--map-users", "0,0,0"), "INNER,OUTER,COUNT"),
    "an unknown group": (("--groups", "no-such-group"), "no-such-group"),
    "an unknown namespace": (("--join", "nett=1"), "net"),
    "nothing to join": (("--join", "net"), "TYPE=PID"),
    "an address that is none": (("--veth", "10.0.0.1/33,10.0.0.2/24"), "10.0.0.1/33"),
    "one address": (("--veth", "10.0.0.1/24"), "HOST/LEN,CHILD/LEN"),
    "two kinds of address": (("--veth", "10.0.0.1/24,fd00::1/64"), "IPv6"),
    "the same address twice": (("--veth", "10.0.0.1/24,10.0.0.1/24"), "same"),
    "an unknown capability": (("--cap-drop", "NET_RAV"), "CAP_NET_RAW"),
    "a filter that is not there": (("--seccomp", "/no/such.json"), "/no/such.json"),
    "a filter that is none": (("--seccomp", "/dev/null"), "JSON"),
    "masquerade of nothing": (("--masquerade",), "--veth"),
    "a kept namespace without a file": (("--uts=",), "--uts="),
    "a process that is none": (("--join", "net=2147483647"), "2147483647"),
    "a descriptor that is closed": (("--info-fd", "987"), "987"),
    "a mistyped option": (("--hostnam", "x"), "--hostname"),
    "a profile that is not there": (("--profile", "/no/such.toml"), "/no/such.toml"),
    "a profile into nowhere": (("--save-profile", "/no/such/file"), "/no/such/file"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_means_nothing_is_one_clear_line_and_nothing_is_done(name: str, tmp_path: Path) -> None:
    words, expected = BAD[name]
    mark = tmp_path / "mark"
    assert expected in complaint(run(*words, "touch", str(mark)))
    assert not mark.exists()


@pytest.mark.parametrize(("inode", "refused"), [("", False), (":0", True)], ids=["its pid alone", "another inode"])
def test_a_process_can_be_named_by_the_inode_of_its_pidfd(inode: str, refused: bool) -> None:
    word = f"uts={os.getpid()}{inode}"
    if refused:
        assert str(os.getpid()) in refusal("--join", word, "true")
    else:
        assert spec("--join", word, "true").join[0].path == f"/proc/{os.getpid()}/ns/uts"


# ---- done ----


def status_of(*words: str) -> dict[str, str]:
    text = said(*words, "cat", "/proc/self/status")
    return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


def caps(*names: str) -> str:
    return f"{sum(1 << NAMES.index(f'CAP_{name}') for name in names):016x}"


SETS = ("CapBnd", "CapPrm", "CapEff")


@pytest.mark.needs_root
@pytest.mark.parametrize(
    ("words", "left"),
    [
        (("--cap-drop", "ALL"), ()),
        (("--cap-drop", "all", "--cap-add", "KILL"), ("KILL",)),
        (("--cap-drop", "ALL", "--cap-add", "cap_kill", "--cap-add=CHOWN", "--cap-drop", "KILL"), ("CHOWN",)),
        (("-r", "--cap-drop", "ALL", "--cap-add", "NET_RAW"), ("NET_RAW",)),
        (("-S", "65534", "--cap-add", "KILL"), ("KILL",)),
        (("-U", "--cap-add", "NET_RAW"), ("NET_RAW",)),
    ],
    ids=str,
)
def test_capabilities_are_added_and_dropped_in_order(words: tuple[str, ...], left: tuple[str, ...]) -> None:
    status = status_of(*words)
    assert {name: status[name] for name in SETS} == dict.fromkeys(SETS, caps(*left))


@pytest.mark.needs_root
def test_root_keeps_what_is_not_dropped() -> None:
    before, after = status_of(), status_of("--cap-drop", "NET_RAW", "--cap-drop=KILL")
    lost = int(caps("NET_RAW", "KILL"), 16)
    assert {name: int(after[name], 16) for name in SETS} == {name: int(before[name], 16) & ~lost for name in SETS}


@pytest.mark.needs_root
def test_limits_are_the_programs() -> None:
    script = "ulimit -Sn; ulimit -Hn; ulimit -c; nice; cat /proc/self/oom_score_adj"
    words = ("--rlimit", "NOFILE=64:128", "--rlimit", "CORE=0", "--nice", "5", "--oom-score-adj", "500")
    assert said(*words, "sh", "-c", script).split() == ["64", "128", "0", "5", "500"]
    assert status_of("--cpu-affinity", "0")["Cpus_allowed_list"] == "0"


@pytest.mark.needs_root
def test_ids_are_the_programs() -> None:
    assert said("-S", "5", "-G", "6", "--groups", "7,8", "sh", "-c", "id -u; id -G").split() == ["5", "6", "7", "8"]
    assert said("-S", "5", "-G", "6", "id", "-G") == "6\n"
    assert said("--umask", "027", "sh", "-c", "umask") == "0027\n"


@pytest.mark.needs_root
def test_ranges_are_mapped_inside_id_first() -> None:
    maps = said("--map-users=1,200000,10", "--map-groups=5:300000:7", "cat", "/proc/self/uid_map", "/proc/self/gid_map")
    assert maps.split() == ["1", "200000", "10", "5", "300000", "7"]


@pytest.mark.needs_root
@pytest.mark.needs("seccomp", "landlock")
def test_filters_and_landlock_hold(tmp_path: Path) -> None:
    status = status_of("--no-new-privs", "--seccomp", "default")
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    profile = tmp_path / "profile.json"
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    done = run("--seccomp", str(profile), "mkdir", str(tmp_path / "new"))
    assert "not implemented" in done.stderr
    words = ("--landlock-ro", "/", "--landlock-rw", "/dev/null", "sh", "-c", f"echo > {tmp_path}/new")
    assert "denied" in run(*words).stderr
    assert sorted(os.listdir(tmp_path)) == ["profile.json"]


@pytest.mark.needs_root
def test_a_namespace_is_kept_by_a_file_and_joined_by_it(tmp_path: Path) -> None:
    file = tmp_path / "uts"
    file.touch()
    said(f"--uts={file}", "--hostname", "kept", "true")
    try:
        assert said("--join", f"uts={file}", "hostname") == "kept\n"
    finally:
        subprocess.run(["umount", file], check=True)


@pytest.mark.needs_root
def test_a_namespace_of_a_process_is_joined() -> None:
    pid = os.getpid()
    assert said("--join", f"net={pid}", "readlink", "/proc/self/ns/net") == os.readlink("/proc/self/ns/net") + "\n"


@pytest.mark.needs("root", "memory_controller")
def test_a_program_that_the_kernel_ends_for_want_of_memory_is_told_apart() -> None:
    done = run("--memory", "20M", sys.executable, "-c", "bytearray(200 << 20)")
    assert (done.returncode, done.stdout) == (128 + 9, "")
    assert done.stderr == "nsview run: out of memory: the kernel killed 1 in the child's control group\n"
