"""`nsview run` ends as its program ends, and takes nothing half done for done."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest
from launched import RUN, complaint, run
from leftovers import Census
from nobody import Runner

from spawner.namespaces import KINDS

# ---- the status ----


@pytest.mark.parametrize("code", [0, 1, 2, 42, 125, 126, 127, 128, 255])
def test_the_status_is_the_programs(code: int) -> None:
    assert run("sh", "-c", f"exit {code}").returncode == code


@pytest.mark.parametrize("name", ["HUP", "INT", "QUIT", "ABRT", "KILL", "SEGV", "PIPE", "TERM"])
def test_a_signal_is_told_as_a_shell_does(name: str) -> None:
    number = signal.Signals[f"SIG{name}"]
    assert run("sh", "-c", f"kill -{name} $$").returncode == 128 + number


@pytest.mark.parametrize("via", ["auto", "clone3", "clone", "fork", "vfork", "fork+unshare", "posix_spawn"])
def test_every_call_tells_statuses_alike(via: str, tmp_path: Path) -> None:
    unfit = tmp_path / "unfit"
    unfit.write_text("text")
    assert run("--via", via, "sh", "-c", "exit 7").returncode == 7
    assert run("--via", via, "sh", "-c", "kill -9 $$").returncode == 137
    assert "not found" in complaint(run("--via", via, "/no/such"), 127)
    assert "not executable" in complaint(run("--via", via, str(unfit)), 126)


def test_what_is_not_found_is_127(tmp_path: Path) -> None:
    assert "no-such-program: ENOENT" in complaint(run("no-such-program"), 127)
    assert "/no/such: ENOENT" in complaint(run("/no/such"), 127)
    assert "ENOTDIR" in complaint(run("/bin/true/x"), 127)
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    assert "interpreter" in complaint(run(str(script)), 127)


def test_what_cannot_be_executed_is_126(tmp_path: Path) -> None:
    assert "directory" in complaint(run("/"), 126)
    text = tmp_path / "text"
    text.write_text("echo text\n")
    text.chmod(0o755)
    assert "ENOEXEC" in complaint(run(str(text)), 126)
    with text.open("a"):
        assert "ETXTBSY" in complaint(run(str(text)), 126)


@pytest.mark.needs_root
@pytest.mark.parametrize(
    "words", [("/no/such",), ("-w", "/no/such", "true"), ("--mount-proc=/no/such", "true")], ids=str
)
def test_a_failure_inside_namespaces_leaves_nothing(words: tuple[str, ...], nothing_left: Census) -> None:
    assert run("-munipCT", *words).returncode in (125, 127)


def test_stdio_is_passed_through() -> None:
    done = run("sh", "-c", "cat; echo error >&2", input="some\ntext")
    assert (done.stdout, done.stderr, done.returncode) == ("some\ntext", "error\n", 0)


# a pipeline's reader that goes away is no error of ours
def test_a_program_whose_reader_goes_away_ends_by_sigpipe() -> None:
    script = f"{' '.join(RUN)} yes | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == ("y\n", "", 128 + signal.SIGPIPE)


@pytest.mark.parametrize("closing", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("status", [0, 7])
def test_the_status_is_the_programs_also_without_stdio(closing: str, status: int) -> None:
    done = subprocess.run(
        ["sh", "-c", f"{' '.join(RUN)} sh -c 'exit {status}' {closing}"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (status, "")


def test_closed_stdio_stays_closed_for_the_program(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = f"{' '.join(RUN)} sh -c 'ls /proc/self/fd > {out}' <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], timeout=60).returncode == 0
    assert out.read_text().split() == ["0", "1"]  # its output, and ls reading the directory


# bubblewrap 0.11.1 #705: what started us may ignore SIGCHLD
@pytest.mark.parametrize("via", ["auto", "fork+unshare"])
def test_the_status_is_told_truly_or_refused_where_sigchld_is_ignored(via: str) -> None:
    done = run("--via", via, "sh", "-c", "exit 7", preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    assert done.returncode in (7, 125)


# ---- privileges ----


@pytest.mark.needs_root
@pytest.mark.parametrize("letter", [kind.letter for kind in KINDS if kind.name != "user"])
def test_without_privilege_a_namespace_is_refused_with_what_would_help(letter: str, nobody: Runner) -> None:
    line = complaint(nobody("nsview", "run", f"-{letter}", "true"))
    assert "EPERM" in line
    assert "root" in line
    assert "-r" in line


@pytest.mark.needs_root
def test_without_privilege_everything_works_with_a_user_namespace(nobody: Runner) -> None:
    done = nobody(
        "nsview", "run", "-rmunipCT", "--mount-proc", "--hostname", "demo", "sh", "-c", "id -u; hostname; echo $$"
    )
    assert (done.returncode, done.stdout) == (0, "0\ndemo\n1\n"), done.stderr


@pytest.mark.needs_root
@pytest.mark.parametrize("via", ["clone3", "clone", "fork+unshare"])
def test_without_privilege_the_id_of_another_cannot_be_told_by_its_name(via: str, nobody: Runner) -> None:
    done = nobody("nsview", "run", "--via", via, "--map-user", "root", "id", "-u")
    assert (done.returncode, done.stdout) == (0, "0\n")  # our own id, called 0 inside
    line = complaint(nobody("nsview", "run", "--via", via, "-r", "--setgroups", "allow", "true"))
    assert line.startswith("write gid_map")
    assert "setgroups" in line
