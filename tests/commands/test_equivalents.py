"""A Spec in other words: nothing it asks for gets lost, `nsview run` is exact, and only options that exist are used."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from launched import complaint, run, said
from parsed import spec

from nsview.equivalents import FORMAT_OF, FORMATS, Caller, nsview_run, shell
from nsview.equivalents.account import Account, items
from nsview.options import watching
from spawner import IDMapping, Mechanism, Spec, SpecError, Stdio, TimeOffset
from spawner.flags import BY_NAME
from spawner.oci import (
    Bind,
    Capabilities,
    Cgroup,
    Chmod,
    Dev,
    Dir,
    File,
    IOMax,
    IOPriority,
    Join,
    Keep,
    Landlock,
    Mqueue,
    Overlay,
    Proc,
    RemountReadOnly,
    Resources,
    Rlimit,
    Scheduler,
    Seccomp,
    Symlink,
    Tmpfs,
    User,
    Veth,
)
from spawner.target import joins_of

PLAIN = Spec(args=("sh", "-c", "echo $A"), pdeathsig=signal.SIGKILL)
SPACES = frozenset({"mount", "network", "pid", "user", "uts", "ipc", "cgroup", "time"})
MAPPED = replace(PLAIN, namespaces=SPACES, uid_mappings=(IDMapping(0, 0),), gid_mappings=(IDMapping(0, 0),))
NET_RAW = frozenset({"CAP_NET_RAW"})
PROFILE = '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["reboot"], "action": "SCMP_ACT_ERRNO"}]}'
PROGRAM = b"\6\0\0\0\0\0\xff\x7f"  # return SECCOMP_RET_ALLOW
OPERATIONS = (
    Bind(source="/usr", destination="/usr", read_only=True),
    Bind(source="/dev/shm", destination="/d", devices=True, optional=True),
    Tmpfs(destination="/tmp", size=4096, mode=0o1777),
    Proc(destination="/proc"),
    Dev(destination="/dev"),
    Mqueue(destination="/dev/mqueue"),
    Dir(destination="/a b", mode=0o700),
    File(destination="/f", content=b"100% \\ 'x'\n\0\xff", mode=0o600),
    File(destination="/g", content=b"", bound=True),
    Symlink(target="a b", destination="/l"),
    Chmod(destination="/tmp", mode=0o711),
    RemountReadOnly(destination="/tmp"),
    Overlay(destination="/o", lower=("/usr",), upper="/var/u", work="/var/w"),
    Overlay(destination="/p", lower=("/usr", "/var"), read_only=True),
    Overlay(destination="/q", lower=("/usr",)),
)

SAMPLES: dict[str, Any] = {
    "args": ("sh", "-c", "a 'b' \n$c \x01"),
    "env": (("PATH", "/bin"), ("A", "b\n'c'")),
    "cwd": "/usr/lib",
    "argv0": "-sh",
    "namespaces": SPACES,
    "join": (Join("network", "/run/netns/x"), Join("uts", "7")),
    "keep": (Keep("uts", "/run/uts"),),
    "hostname": "box",
    "domainname": "yp",
    "time_offsets": (("monotonic", TimeOffset(5)), ("boottime", TimeOffset(-7))),
    "loopback": False,
    "veth": Veth(host_address="10.9.8.1/24", child_address="10.9.8.2/24", masquerade=True),
    "uid_mappings": (IDMapping(0, 100000, 65536), IDMapping(65536, 0)),
    "gid_mappings": (IDMapping(0, 100000, 65536),),
    "setgroups": "allow",
    "user": User(uid=65534, gid=65534, additional_gids=(4, 20), umask=0o27),
    "rootfs_propagation": "slave",
    "rootfs": "/srv/a b",
    "rootfs_readonly": True,
    "mounts": OPERATIONS,
    "masked_paths": ("/proc/kcore",),
    "readonly_paths": ("/proc/sys",),
    "mount_proc": "/proc",
    "rlimits": (Rlimit("RLIMIT_NOFILE", 64, 128), Rlimit("RLIMIT_AS", None, None)),
    "cgroup": Cgroup(
        name="box",
        resources=Resources(memory=64 << 20, pids=9, cpus=1.5, io_max=(IOMax(major=8, minor=0, read_bps=1024),)),
    ),
    "nice": -5,
    "cpu_affinity": frozenset({0, 1, 2, 5}),
    "scheduler": Scheduler(policy="SCHED_FIFO", priority=3),
    "io_priority": IOPriority("IOPRIO_CLASS_BE", 6),
    "oom_score_adj": -100,
    "personality": 0x0040000,
    "no_new_privs": True,
    "capabilities": Capabilities(bounding=NET_RAW, permitted=NET_RAW, effective=NET_RAW, inheritable=frozenset()),
    "keep_caps": True,
    "seccomp": (Seccomp("default"),),
    "landlock": Landlock(read=("/usr",), write=("/tmp",)),
    "clone_flags": BY_NAME["CLONE_FS"].bit | BY_NAME["CLONE_SYSVSEM"].bit,
    "exit_signal": int(signal.SIGUSR1),
    "via": Mechanism.CLONE,
    "check": False,
    "stdio": Stdio.PTY,
    "window": (30, 100),
    "new_session": True,
    "init": True,
    "pdeathsig": int(signal.SIGTERM),
}  # fmt: skip
"""Something else than the default for every field."""

MORE: dict[str, Spec] = {
    "a process to join": replace(PLAIN, join=joins_of(str(os.getpid()), ("network",))),
    "offsets with nanoseconds": replace(MAPPED, time_offsets=(("boottime", TimeOffset(1, 5)),)),
    "a group whose others are left alone": replace(PLAIN, user=User(gid=5)),
    "no groups at all": replace(PLAIN, user=User(additional_gids=())),
    "capabilities of a shape of their own": replace(PLAIN, capabilities=Capabilities(ambient=NET_RAW)),
    "a profile of seccomp": replace(PLAIN, seccomp=(Seccomp("x", profile=PROFILE),)),
    "a program of seccomp": replace(PLAIN, seccomp=(Seccomp("x", program=PROGRAM), Seccomp("default"))),
    "a named veth": replace(
        MAPPED, veth=Veth(host_address="10.0.0.1/8", child_address="10.0.0.2/8", child_name="net0", default_route=False)
    ),
    "two namespaces kept of a kind": replace(MAPPED, keep=(Keep("uts", "/a"), Keep("uts", "/b"))),
    "a bind like no option's": replace(
        MAPPED, mounts=(Bind(source="/a", destination="/b", devices=True, read_only=True),)
    ),
    "a time of one's own": replace(
        PLAIN, scheduler=Scheduler(policy="SCHED_DEADLINE", runtime=1, deadline=2, period=3)
    ),
    "null streams": replace(PLAIN, stdio=Stdio.NULL),
    "pipes": replace(PLAIN, stdio=Stdio.PIPE),
    "a child that outlives us": replace(PLAIN, pdeathsig=None),
    "a group without a limit": replace(PLAIN, cgroup=Cgroup()),
    "an odd environment": replace(PLAIN, env=(("A", "1"), ("A", "2"))),
    "an odd personality": replace(PLAIN, personality=0x7),
    "same id inside": replace(PLAIN, namespaces=frozenset({"user"}), uid_mappings=(IDMapping(0, 0),)),
}


def with_sample(name: str) -> Spec:
    """A Spec in which this field is set, in the namespaces that it is about."""
    base = PLAIN if name in ("via", "namespaces", "clone_flags", "join", "window") else MAPPED
    return replace(base, **{name: SAMPLES[name]})


SPECS = {**{name: with_sample(name) for name in SAMPLES}, **MORE}
ROOT = Caller(0, 0, {"PATH": "/bin", "HOME": "/root", "PWD": "/"})


def test_there_is_a_sample_of_every_field() -> None:
    assert [each.name for each in fields(Spec)] == list(SAMPLES)
    assert all(SAMPLES[each.name] != getattr(PLAIN, each.name) for each in fields(Spec))


def test_the_table_of_nsview_run_says_every_field_once() -> None:
    said_by = [name for names, _ in nsview_run._SAYINGS for name in names]
    assert sorted(said_by) == sorted({each.name for each in fields(Spec)} - {"args"})


def test_the_command_line_knows_the_formats() -> None:
    assert tuple(FORMAT_OF) == watching.FORMATS


def written(name: str, asked: Spec) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    found = FORMAT_OF[name].write(asked, ROOT)
    return found.text, found.left_out, found.notes


@pytest.mark.parametrize("name", FORMAT_OF)
@pytest.mark.parametrize("field", SAMPLES)
def test_a_field_is_said_or_named_as_left_out(field: str, name: str) -> None:
    """Set and not set it makes a difference, in the text or above it: nothing is passed over in silence."""
    asked = with_sample(field)
    if field == "window":  # it is of a terminal of its own
        asked = replace(asked, stdio=Stdio.PTY)
    plain = replace(asked, **{field: getattr(PLAIN, field)})
    try:
        there = written(name, asked)
    except SpecError:
        assert name == "c"  # it is made from a plan, and there is none: a directory that is not there, say
        return
    assert (there == written(name, plain)) == ((field, name) in _ANYWAY)


_ANYWAY = {
    ("new_session", "systemd-run"),
    ("new_session", "docker"),
    ("mount_proc", "docker"),
    ("check", "c"),
    *(("window", name) for name in FORMAT_OF if name != "python"),
}
"""What such a launch does whether it is asked for or not: its terminal is as large as yours, say."""


@pytest.mark.parametrize("name", FORMAT_OF)
@pytest.mark.parametrize("title", SPECS)
def test_what_nobody_claims_is_named(title: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a writer that claims nothing, every item is in a sentence: what is not claimed cannot get lost."""
    monkeypatch.setattr(Account, "said", lambda self, *paths: None)
    asked = SPECS[title]
    try:
        left_out = FORMAT_OF[name].write(asked, ROOT).left_out
    except SpecError:
        return
    kept = asked
    if name == "c":
        kept = replace(asked, stdio=Stdio.INHERIT, cgroup=None, veth=None)
    for item in items(kept):
        assert any(str(item) in sentence for sentence in left_out), item
    assert all(sentence.endswith(".") and "\n" not in sentence for sentence in left_out)


# ---- nsview run is exact ----

_STUB = r"""
nsview() {
    for word in "${@:2}"; do
        case $word in /dev/fd/*) cat "$word" >"$KEPT/profile.toml"; word=$KEPT/profile.toml;; esac
        printf '%s\0' "$word" >>"$KEPT/words"
    done
    for number in 10 11 12 13 14; do
        [ -e /dev/fd/$number ] && cat <&$number >"$KEPT/$number"
    done
    return 0
}
"""


def words_of(text: str, directory: Path) -> Iterator[str]:
    """The words that a shell makes of a text, with a descriptor opened for each that it feeds."""
    script = directory / "script"
    script.write_text(_STUB + text)
    subprocess.run(["bash", str(script)], env={"KEPT": str(directory), "PATH": os.defpath}, check=True)
    before = ""
    for word in (directory / "words").read_bytes().decode("utf-8", "surrogateescape").split("\0")[:-1]:
        if before in ("--file", "--bind-data", "--ro-bind-data"):
            yield str(os.open(directory / word, os.O_RDONLY))
        else:
            yield word
        before = word


@pytest.mark.parametrize("title", SPECS)
def test_nsview_run_asks_for_the_very_same(title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = SPECS[title]
    monkeypatch.setattr(os, "environ", dict(ROOT.environment))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "getegid", lambda: 0)
    found = FORMAT_OF["nsview"].write(asked, ROOT)
    assert found.left_out == ()
    words = list(words_of(found.text, tmp_path))
    try:
        again = spec(*words)
    finally:
        for before, word in pairwise(words):
            if before in ("--file", "--bind-data"):
                os.close(int(word))
    if asked.env is not None and len(dict(asked.env)) == len(asked.env):
        assert dict(again.env or ()) == dict(asked.env)
        again = replace(again, env=asked.env)
    if asked.stdio is not Stdio.PTY or title == "stdio":
        again = replace(again, window=asked.window)
    assert again == asked


@pytest.mark.parametrize("title", SPECS)
def test_python_makes_the_very_same(title: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = SPECS[title]
    monkeypatch.setattr(os, "environ", dict(ROOT.environment))
    found = FORMAT_OF["python"].write(asked, ROOT)
    assert found.left_out == ()
    before, _, _ = found.text.partition("\nwith launch(")
    made: dict[str, Any] = {}
    exec(compile(found.text, title, "exec", dont_inherit=True) and before, made)
    again = made["spec"]
    if asked.env is not None:
        assert dict(again.env) == dict(asked.env)
        again = replace(again, env=asked.env)
    assert again == asked


# ---- options that exist ----

_DOCKER = """
-i -it -e --rm --network --pid --ipc --uts --cgroupns --hostname --domainname --read-only --security-opt --mount --tmpfs
--ulimit --memory --memory-swap --pids-limit --cpus --cpuset-cpus --oom-score-adj --cap-add --cap-drop --user
--group-add --workdir --init --entrypoint
"""
"""docs.docker.com/reference/cli/docker/container/run."""

_SYSTEMD_RUN = "--user --quiet --wait --collect --pty --pipe --unit --same-dir --working-directory --setenv -p"
"""systemd-run(1)."""

_SETTINGS = """
PrivateMounts PrivateNetwork PrivateIPC ProtectHostname PrivateUsers NetworkNamespacePath IPCNamespacePath MemoryMax
MemorySwapMax TasksMax CPUQuota IOReadBandwidthMax IOWriteBandwidthMax IOReadIOPSMax IOWriteIOPSMax LimitNOFILE LimitAS
Nice CPUAffinity OOMScoreAdjust CPUSchedulingPolicy CPUSchedulingPriority IOSchedulingClass IOSchedulingPriority
NoNewPrivileges User Group SupplementaryGroups UMask CapabilityBoundingSet AmbientCapabilities MountFlags RootDirectory
MountAPIVFS TemporaryFileSystem BindPaths BindReadOnlyPaths InaccessiblePaths ReadOnlyPaths
"""
"""systemd.exec(5), systemd.resource-control(5)."""


def arguments_of(program: str, text: str) -> list[str]:
    """What a shell gives a program."""
    script = f"tar() {{ :; }}\n{program}() {{ printf '%s\\0' \"$@\" >&3; }}\n{text}"
    done = subprocess.run(
        ["bash", "-c", f"{{ {script}\n}} 3>&1 >/dev/null"],
        env={"IMAGE": "the-image", "PATH": os.defpath},
        capture_output=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return done.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]


@pytest.mark.parametrize("title", SPECS)
def test_systemd_run_is_given_options_and_settings_that_it_has(title: str) -> None:
    asked = SPECS[title]
    words = arguments_of("systemd-run", FORMAT_OF["systemd-run"].write(asked, ROOT).text)
    end = words.index("--")
    settings = [word for before, word in pairwise(words[:end]) if before == "-p"]
    options = [word for before, word in pairwise(["", *words[:end]]) if before != "-p"]
    assert {word.partition("=")[0] for word in options} <= set(_SYSTEMD_RUN.split())
    assert {word.partition("=")[0] for word in settings} <= set(_SETTINGS.split())
    assert words[end + 1 :] == [word.replace("$", "$$") for word in asked.args]  # systemd makes one of two


@pytest.mark.parametrize("title", SPECS)
def test_docker_is_given_options_that_it_has(title: str) -> None:
    asked = SPECS[title]
    words = arguments_of("docker", FORMAT_OF["docker"].write(asked, ROOT).text)
    words = words[words.index("run", words.index("import") if "import" in words else 0) + 1 :]
    image = words.index("nsview-root" if asked.rootfs else "the-image")
    assert {word for word in words[:image] if word.startswith("-") and not word[1:].isdigit()} <= set(_DOCKER.split())
    assert words[image - 1] == asked.args[0]
    assert words[image + 1 :] == [*asked.args[1:]]


# ---- quoting ----


@pytest.mark.parametrize("word", ["plain", "a b", "it's", "\n\x01\\", "é", os.fsdecode(b"\xff'"), "", "$x `y`"])
def test_a_word_goes_through_a_shell_unharmed(word: str) -> None:
    done = subprocess.run(["bash", "-c", f"printf %s {shell.quoted(word)}"], capture_output=True, check=True)
    assert done.stdout == os.fsencode(word)
    assert shell.quoted(word).isprintable()


@pytest.mark.parametrize("content", [b"", b"a\n", b"100% '\\ \x00\xff\n\n", bytes(range(256))])
def test_a_content_goes_through_a_shell_unharmed(content: bytes) -> None:
    done = subprocess.run(["bash", "-c", f"cat {shell.printf(content)}"], capture_output=True, check=True)
    assert done.stdout == content


# ---- the command line ----


def test_the_command_prints_it_and_runs_nothing(tmp_path: Path) -> None:
    text = said("--as", "unshare", "-u", "--hostname", "box", "--memory", "64M", "--", "touch", str(tmp_path / "made"))
    assert text.split("unshare", 2)[-1].split()[:3] == ["\\", "-u", "\\"]
    assert "hostname box" in text
    assert text.startswith("# Not said here: control group of its own, memory limit 64M: ")
    assert not (tmp_path / "made").exists()


def test_a_launch_that_cannot_be_is_refused_in_any_language() -> None:
    assert "time_offsets without" in complaint(run("--as", "docker", "--monotonic", "5", "true"))
    assert "no program" in complaint(run("--as", "python"))
    assert "there is no format 'pyhton': use one of nsview," in complaint(run("--as", "pyhton", "true"))


def test_every_format_has_a_title_of_its_own() -> None:
    assert len({each.title for each in FORMATS}) == len(FORMATS)
