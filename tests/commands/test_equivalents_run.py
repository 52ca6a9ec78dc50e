"""A launch written for unshare, bwrap, C, Python and nsview, and run there, is what the engine makes of it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from leftovers import Census
from nobody import Runner
from parsed import spec

from nsview.equivalents import FORMAT_OF, Caller
from spawner import Spec, Stdio, launch
from spawner.oci import File

ENV = {"PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}

PROBE = r"""
tell() { while IFS= read -r line; do echo "$1 $line"; done <"$2"; }
for name in mnt net pid user uts ipc cgroup time; do echo "ns $name $(readlink /proc/self/ns/$name)"; done
tell hostname /proc/sys/kernel/hostname
tell domainname /proc/sys/kernel/domainname
for file in uid_map gid_map setgroups timens_offsets oom_score_adj limits cgroup; do tell $file /proc/self/$file; done
tell personality /proc/self/personality
while IFS= read -r line; do case $line in
  Uid:*|Gid:*|Groups:*|Cap*|NoNewPrivs:*|Seccomp*:*|Umask:*|Cpus_allowed_list:*) echo "status $line";;
esac; done </proc/self/status
read -r stat </proc/self/stat; stat=${stat##*) }; set -- "$0" $stat
echo "nice ${18}"; echo "policy ${40}"; echo "leads $([ "$5" = "$$" ] && echo yes || echo no)"
echo "first $([ $$ = 1 ] && echo yes || echo no)"
echo "cwd $(pwd -P)"; echo "argv0 $0"
env | while IFS= read -r line; do case $line in _=*|SHLVL=*|PWD=*|OLDPWD=*) ;; *) echo "env $line";; esac; done
ip -o link show lo 2>/dev/null | grep -q UP && echo "lo up" || echo "lo down"
while read -r _ _ _ root place how rest; do echo "mount $place $how ${rest##* - }"; done </proc/self/mountinfo
for path in $PATHS; do echo "file $path $(stat -c %F:%a "$path" 2>&1) $(cat "$path" 2>/dev/null | head -c 50)"; done
"""


def bounding() -> int:
    """Our own bounding set: a user namespace has more, which bwrap does not give."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapBnd:")]
    return int(line.split()[1], 16)


def facts(text: str) -> dict[str, object]:
    """What the program said of itself, each namespace as ``own`` (ours) or ``new``."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name == "ns":
            kind, _, link = value.partition(" ")
            name, value = f"ns {kind}", "own" if link == os.readlink(f"/proc/self/ns/{kind}") else "new"
        elif name in ("uid_map", "gid_map", "timens_offsets"):
            value = " ".join(value.split())
        elif name == "status":
            field, _, value = value.partition(":")
            name, value = f"status {field}", " ".join(value.split())
            if field.startswith("Cap"):
                value = f"{int(value, 16) & bounding():x}"
        found.setdefault(name, []).append(value)
    assert len([name for name in found if name.startswith("ns ")]) == 8, text
    return {name: sorted(values) for name, values in found.items()}


@dataclass(frozen=True)
class Case:
    """Options of `nsview run`, who says all of it, and what a format is known (and says) to make otherwise."""

    words: Sequence[str]
    formats: Sequence[str]
    otherwise: Mapping[str, frozenset[str]]


ALL = ("python", "c", "unshare", "bwrap")
EXACT = ("python", "c")
BWRAP = frozenset({"ns mnt", "status NoNewPrivs", "mount"})
"""What bwrap always does: a mount namespace, no_new_privs."""
BWRAP_CAPS = BWRAP | {"status CapBnd", "status CapInh", "status CapAmb"}
"""It leaves the bounding set, and keeps capabilities through execve as ambient ones."""
OWN_USER = frozenset({"ns user", "uid_map", "gid_map", "setgroups"})
"""Without privilege it makes a user namespace whether it is asked to or not, and says so."""
NONE: frozenset[str] = frozenset()
ROOT = ("--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib", "--symlink",
        "usr/lib64", "/lib64", "--symlink", "usr/sbin", "/sbin", "--proc", "/proc")  # fmt: skip


def case(*words: str, formats: Sequence[str] = ALL, **otherwise: frozenset[str]) -> Case:
    return Case(words, formats, {"bwrap": BWRAP, **otherwise})


CASES = {
    "plain": case(),
    "uts": case("-u", "--hostname", "box"),
    "both names": case("-u", "--hostname", "box", "--domainname", "yp", formats=(*EXACT, "unshare")),
    "mount": case("-m"),
    "slave mounts": case("-m", "--propagation", "slave", formats=(*EXACT, "unshare")),
    "network": case("-n"),
    "network, lo down": case("-n", "--no-loopback", formats=(*EXACT, "unshare")),
    "ipc": case("-i"),
    "cgroup namespace": case("-C"),
    "pid": case("-mp", "--mount-proc"),
    "user, root inside": case("-r"),
    "user, same inside": case("-c"),
    "user, one user": case("--map-user", "7", "--map-group", "8", bwrap=BWRAP),
    "user, ranges": case("--map-users", "0,100000,65536", "--map-groups", "0,100000,65536", formats=EXACT),
    "time": case("-T", "--monotonic", "1000", "--boottime=-5", formats=(*EXACT, "unshare")),
    "container": case("-mnpUuiC", "-r", "--mount-proc", "--hostname", "box"),
    "everything": case("--unshare-all", "-r", "--mount-proc", "--hostname", "box", formats=(*EXACT, "unshare")),
    "fork+unshare": case("-mpU", "-r", "--mount-proc", "--via", "fork+unshare", formats=EXACT),
    "fork+unshare with ranges": case(
        "-mp", "--map-users", "0,100000,9", "--map-groups", "0,100000,9", "--via", "fork+unshare", formats=EXACT
    ),
    "vfork": case("--via", "vfork", formats=EXACT),
    "clone": case("-u", "--via", "clone", formats=EXACT),
    "posix_spawn": case("--via", "posix_spawn", formats=EXACT),
    "threads' sharing": case("--clone-flags", "CLONE_VM,CLONE_FS,CLONE_FILES", formats=EXACT),
    "limits": case("--rlimit", "NOFILE=64:128", "--rlimit", "CORE=0", "--rlimit", "CPU=unlimited"),
    "nice": case("--nice", "5"),
    "one processor": case("--cpu-affinity", "0"),
    "oom": case("--oom-score-adj", "500"),
    "no new privileges": case("--no-new-privs"),
    "no capabilities": case("--cap-drop", "ALL", bwrap=BWRAP_CAPS),
    "one capability": case("--cap-drop", "ALL", "--cap-add", "NET_RAW", bwrap=BWRAP_CAPS),
    "nobody": case("-S", "65534", "-G", "65534", formats=(*EXACT, "unshare", "bwrap")),
    "nobody with a capability": case(
        "-S", "65534", "-G", "65534", "--cap-add", "NET_BIND_SERVICE", formats=(*EXACT, "unshare")
    ),
    "groups": case("--groups", "4,20"),
    "umask": case("--umask", "027"),
    "seccomp": case("--no-new-privs", "--seccomp", "default", formats=(*EXACT, "bwrap")),
    "landlock": case("--landlock-ro", "/", "--landlock-rw", "/dev", formats=EXACT),
    "environment": case("--setenv", "A", "b 'c'\n$d", "--unsetenv", "HOME", bwrap=BWRAP),
    "own environment": case("--clearenv", "--setenv", "PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
    "directory": case("-w", "/usr/lib"),
    "session": case("--new-session"),
    "files": case(*ROOT, "--dev", "/dev", "--tmpfs", "/tmp", "--dir", "/a/b", "--symlink", "x", "/l", "--perms", "0700",
                  "--dir", "/p", "--chmod", "0711", "/a", formats=(*EXACT, "bwrap"), bwrap=BWRAP | {"ns time"}),
    "files and namespaces": case(*ROOT, "--dev", "/dev", "-puin", "-r", "--hostname", "box", formats=(*EXACT, "bwrap")),
    "init": case("-mp", "--mount-proc", "--init", formats=(*EXACT, "bwrap")),
}  # fmt: skip


def run_text(name: str, text: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run a text as whoever copied it would."""
    form = FORMAT_OF[name]
    file = directory / f"launch.{form.ending}"
    file.write_text(text)
    command = {"sh": ["bash", str(file)], "py": [sys.executable, str(file)], "c": [str(directory / "launch")]}
    if form.ending == "c":
        built = subprocess.run(
            ["gcc", "-Wall", "-Werror", "-o", str(directory / "launch"), str(file)], capture_output=True, text=True
        )
        assert built.returncode == 0, built.stderr
    return subprocess.run(
        command[form.ending],
        env=ENV,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
    )


def by_the_engine(asked: Spec) -> str:
    """What the program says when spawner launches it."""
    with launch(replace(asked, stdio=Stdio.PIPE, env=asked.env or tuple(ENV.items()))) as child:
        child.close_stream("stdin")
        assert child.stdout is not None
        assert child.stderr is not None
        with open(child.stdout, errors="replace", closefd=False) as output:
            said = output.read()
        with open(child.stderr, errors="replace", closefd=False) as output:
            assert output.read() == ""
        ended = child.wait()
        assert ended is not None
        assert ended.status == 0
    return said


@pytest.mark.needs("root", "userns", "time_namespace", "bwrap", "seccomp", "landlock")
@pytest.mark.parametrize("title", CASES)
def test_a_launch_in_other_words_is_the_same_launch(
    title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing_left: Census
) -> None:
    one = CASES[title]
    monkeypatch.setattr(os, "environ", dict(ENV))
    asked = spec(*one.words, "--", "sh", "-c", PROBE)
    ours = facts(by_the_engine(asked))
    wrong: dict[tuple[str, str], object] = {}
    for name in one.formats:
        text = FORMAT_OF[name].write(asked, Caller(os.geteuid(), os.getegid(), ENV)).text
        done = run_text(name, text, tmp_path)
        assert (done.returncode, done.stderr) == (0, ""), text
        theirs = facts(done.stdout)
        apart = {fact for fact in ours.keys() | theirs.keys() if ours.get(fact) != theirs.get(fact)}
        apart -= one.otherwise.get(name, NONE)
        wrong |= {(name, fact): (ours.get(fact), theirs.get(fact)) for fact in apart}
    assert wrong == {}


ROOTLESS = {
    "root inside": case("-r", "-u", "--hostname", "box", bwrap=BWRAP_CAPS),
    "same inside": case("-c", bwrap=BWRAP_CAPS),
    "container": case("-mnpUui", "-r", "--mount-proc", "--hostname", "box", bwrap=BWRAP_CAPS),
    "no capabilities": case("-r", "--cap-drop", "ALL", bwrap=BWRAP_CAPS),
    "files": case(*ROOT, "--dev", "/dev", "-pu", "-r", formats=(*EXACT, "bwrap"), bwrap=BWRAP_CAPS),
    "limits": case("--rlimit", "NOFILE=64", "--nice", "5", "--no-new-privs", bwrap=BWRAP_CAPS | OWN_USER),
}


@pytest.mark.needs("root", "userns", "bwrap")
@pytest.mark.parametrize("title", ROOTLESS)
def test_without_privilege_it_is_the_same_launch_too(title: str, nobody: Runner, nothing_left: Census) -> None:
    one = ROOTLESS[title]
    words = [*one.words, "--", "sh", "-c", PROBE]

    def by_nobody(*command: str, **options: Any) -> str:
        done = subprocess.run(
            nobody.command(*command), env=ENV, cwd="/", capture_output=True, text=True, timeout=60, **options
        )
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    ours = facts(by_nobody("nsview", "run", *words, stdin=subprocess.DEVNULL))
    wrong: dict[tuple[str, str], object] = {}
    for name in one.formats:
        text = by_nobody("nsview", "run", "--as", name, *words, stdin=subprocess.DEVNULL)
        if name == "c":
            # Not in tmp_path, which is closed to others.
            with tempfile.TemporaryDirectory() as directory:
                os.chmod(directory, 0o755)
                program = f"{directory}/launch"
                build = ["gcc", "-x", "c", "-Wall", "-Werror", "-o", program, "-"]
                subprocess.run(build, input=text, text=True, check=True)
                said = by_nobody("sh", "-c", program, stdin=subprocess.DEVNULL)
        elif name == "python":
            said = by_nobody("python", "-", input=text)
        else:
            said = by_nobody("bash", "-c", text, stdin=subprocess.DEVNULL)
        theirs = facts(said)
        apart = {fact for fact in ours.keys() | theirs.keys() if ours.get(fact) != theirs.get(fact)}
        apart -= one.otherwise.get(name, NONE)
        wrong |= {(name, fact): (ours.get(fact), theirs.get(fact)) for fact in apart}
    assert wrong == {}


@pytest.mark.needs("root")
def test_what_goes_into_a_profile_and_through_descriptors_runs_as_printed(tmp_path: Path, nothing_left: Census) -> None:
    """The text for `nsview run` as a shell takes it: contents by <(…), and what has no option in a profile."""
    asked = replace(
        spec(*ROOT, "--dev", "/dev", "--", "sh", "-c", "cat /etc/x; cat /proc/self/personality; echo $0"),
        personality=0x0040000,
        argv0="named",
    )
    asked = replace(asked, mounts=(*asked.mounts, File(destination="/etc/x", content=b"100% 'x'\n")))
    found = FORMAT_OF["nsview"].write(asked, Caller(os.geteuid(), os.getegid(), ENV))
    assert "personality = 262144" in found.text
    done = run_text("nsview", found.text, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "100% 'x'\n00040000\nnamed\n"
