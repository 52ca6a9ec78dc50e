"""`nsview enter`: the namespaces of a process, with nsenter(1)'s options and run's exit statuses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from leftovers import Census
from parsed import entered

from spawner import IDMapping, Spec, SpecError, launch
from spawner.namespaces import KINDS
from spawner.oci import Join, User

ENTER = (sys.executable, "-m", "nsview", "enter")
ALL = frozenset(kind.name for kind in KINDS)


def enter(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*ENTER, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, **options
    )


def said(*words: str, **options: Any) -> str:
    done = enter(*words, **options)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def complaint(*words: str, status: int = 125) -> str:
    done = enter(*words)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("Try ")]
    assert (done.returncode, done.stdout, len(lines)) == (status, "", 1), done
    return lines[0].removeprefix("nsview enter: ")


# ---- reading ----

OURS = f"/proc/{os.getpid()}/ns"
PID = str(os.getpid())


def joined(*words: str) -> dict[str, str]:
    return {join.type: join.path for join in entered(*words, "true").join}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_letter_and_its_long_name_ask_for_the_same_namespace(kind: Any) -> None:
    long = {"network": "net"}.get(kind.name, kind.name)
    assert joined("-t", PID, f"-{kind.letter}") == joined(f"--target={PID}", f"--{long}")
    assert joined("-t", PID, f"-{kind.letter}") == {kind.name: f"{OURS}/{kind.proc}"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("-t", PID, "-mu"), {"mount": f"{OURS}/mnt", "uts": f"{OURS}/uts"}),
        (("-t", PID, "-m/x", "-u"), {"mount": "/x", "uts": f"{OURS}/uts"}),
        (("-t", PID, "-um=x"), {"mount": "x", "uts": f"{OURS}/uts"}),
        (("--net=/run/n",), {"network": "/run/n"}),
        (("-n/run/n", "--ipc=i"), {"network": "/run/n", "ipc": "i"}),
    ],
    ids=str,
)
def test_letters_may_be_written_together_and_have_files(words: tuple[str, ...], expected: dict[str, str]) -> None:
    assert joined(*words) == expected


def test_all_are_all_but_the_user_namespace_we_are_in() -> None:
    assert joined("-t", PID, "-a").keys() == ALL - {"user"}
    assert joined("-t", PID, "-a", "--mount=/x")["mount"] == "/x"


@pytest.mark.parametrize(
    ("words", "user"),
    [
        ((), User()),
        (("-S", "5"), User(uid=5)),
        (("-G", "6"), User(gid=6, additional_gids=())),
        (("--user=/x",), User(uid=0, gid=0, additional_gids=())),
        (("--user=/x", "-S", "5"), User(uid=5, gid=0, additional_gids=())),
        (("--user=/x", "--preserve-credentials"), User()),
        (("--user=/x", "--preserve-credentials", "-G6"), User(gid=6, additional_gids=())),
    ],
    ids=str,
)
def test_whoever_enters_a_user_namespace_is_root_there_unless_told_otherwise(
    words: tuple[str, ...], user: User
) -> None:
    assert entered("-u/x", *words, "true").user == user


@pytest.mark.parametrize(("shell", "program"), [("/bin/bash", "/bin/bash"), (None, "/bin/sh"), ("", "/bin/sh")])
def test_without_a_program_it_is_the_shell(shell: str | None, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if shell is None:
        monkeypatch.delenv("SHELL", raising=False)
    else:
        monkeypatch.setenv("SHELL", shell)
    assert entered("-u/x").args == (program,)
    assert entered("-u/x", "--", "-x").args == ("-x",)


def test_what_is_entered_is_named_with_the_identity_of_its_process() -> None:
    (join,) = entered("-t", PID, "-u", "true").join
    assert join in (Join("uts", f"{OURS}/uts", join.identity),)
    if join.identity is not None:
        assert entered("-t", f"{PID}:{join.identity}", "-u", "true").join == (join,)
        with pytest.raises(SpecError, match="another"):
            entered("-t", f"{PID}:{join.identity + 1}", "-u", "true")


BAD = {
    "nothing to enter": ((), "no namespace"),
    "nobody's namespace": (("-m",), "--target"),
    "nobody's namespaces": (("-a",), "--target"),
    "no process": (("-t", "x", "-m"), "'x' is no process"),
    "a process that is not": (("-t", "2147483647", "-m"), "2147483647"),
    "no file": (("--mount=",), "--mount="),
    "two directories": (("-t", PID, "-u", "-w", "-W"), "two"),
    "an unknown option": (("-t", PID, "--monut"), "--mount"),
    "a directory of here as the root there": (("-t", PID, "-m", "--root=/srv"), "--root=DIR"),
    "what is no namespace": (("-u/dev/null",), "/dev/null"),
    "no such namespace": (("-u/no/such",), "/no/such"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_done_is_one_clear_line(name: str) -> None:
    words, expected = BAD[name]
    assert expected in complaint(*words, "true")


# ---- done ----


@pytest.fixture
def target(nothing_left: Census) -> Iterator[int]:
    """A process in namespaces of its own, all eight."""
    spec = Spec(
        args=("sleep", "60"),
        namespaces=ALL,
        uid_mappings=(IDMapping(0, 0),),
        gid_mappings=(IDMapping(0, 0),),
        hostname="target",
        mount_proc="/proc",
        cwd="/usr",
        pdeathsig=signal.SIGKILL,
    )
    with launch(spec) as child:
        yield child.pid


LINKS = [f"/proc/self/ns/{kind.proc}" for kind in KINDS]


@pytest.mark.needs_root
def test_all_namespaces_of_a_process_are_entered(target: int) -> None:
    links = said("-t", str(target), "-a", "readlink", *LINKS).split()
    assert links == [os.readlink(f"/proc/{target}/ns/{kind.proc}") for kind in KINDS]
    assert said("-t", str(target), "-a", "sh", "-c", "hostname; id -u").split() == ["target", "0"]


@pytest.mark.needs_root
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.name != "user"], ids=lambda kind: kind.name)
def test_one_namespace_is_entered_and_no_other(kind: Any, target: int) -> None:
    pid = os.getpid()
    # /proc/self of the target's procfs is nobody from outside its pid namespace
    letters = f"-{kind.letter}p" if kind.name == "mount" else f"-{kind.letter}"
    links = said("-t", str(target), letters, "readlink", *LINKS).split()
    for other, link in zip(KINDS, links, strict=True):
        whose = target if other.letter in letters else pid
        assert link == os.readlink(f"/proc/{whose}/ns/{other.proc}"), other.name


@pytest.mark.needs_root
@pytest.mark.needs("nsenter")
@pytest.mark.parametrize(
    ("words", "program"),
    [
        (("-a",), ("sh", "-c", "hostname; id -u; id -G; pwd; ls -d /proc/[0-9] | head -1")),
        (("-U",), ("sh", "-c", "id -u; id -g")),
        (("-U", "--preserve-credentials"), ("id", "-u")),
        (("-m", "-p", "-w"), ("pwd",)),
        (("-m", "-p", "--wd=/var"), ("pwd",)),
        (("-m", "--wdns=/var"), ("pwd",)),
        (("-u", "-w"), ("pwd",)),
        (("-u", "-S", "5", "-G", "6"), ("sh", "-c", "id -u; id -G")),
        (("-m", "-r"), ("ls", "-d", "/usr")),
    ],
    ids=str,
)
def test_an_option_of_nsenter_does_what_nsenter_does(
    words: tuple[str, ...], program: tuple[str, ...], target: int
) -> None:
    theirs = subprocess.run(
        ["nsenter", "-t", str(target), *words, *program], capture_output=True, text=True, timeout=60
    )
    assert theirs.returncode == 0, theirs
    assert said("-t", str(target), *words, *program) == theirs.stdout


@pytest.mark.needs_root
def test_the_status_is_the_programs(target: int, tmp_path: Path) -> None:
    assert enter("-t", str(target), "-u", "sh", "-c", "exit 7").returncode == 7
    assert enter("-t", str(target), "-u", "sh", "-c", "kill -TERM $$").returncode == 143
    complaint("-t", str(target), "-u", "/no/such", status=127)
    complaint("-t", str(target), "-u", str(tmp_path), status=126)


@pytest.mark.needs_root
def test_a_dry_run_shows_the_calls_and_enters_nothing(target: int) -> None:
    text = said("-t", str(target), "-un", "--dry-run")
    assert text.count("setns(") == 2
    assert "execve(" in text.splitlines()[-1]
