"""Which file is executed, and what is said of one that cannot be: as execvp(3) has it, in the child's own place."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from apart import MS_NOEXEC, apart, become_nobody, mount, own_mounts
from leftovers import Census
from running import output

from spawner import LaunchError, Mechanism, Spec, SpecError, Stdio, compile_spec, launch

CALLS = (Mechanism.CLONE3, Mechanism.CLONE, Mechanism.FORK, Mechanism.VFORK, Mechanism.FORK_UNSHARE)
EVERY_CALL = (*CALLS, Mechanism.POSIX_SPAWN)
every_call = pytest.mark.parametrize("via", EVERY_CALL)


def script(path: Path, text: str = "#!/bin/sh\necho $0 $*\n", mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def asking(*args: str, path: str | None = None, **fields: object) -> Spec:
    env = () if path is None else (("PATH", path),)
    return replace(Spec(args=args, env=env, stdio=Stdio.PIPE), **fields)  # type: ignore[arg-type]


def refusal(spec: Spec) -> LaunchError:
    with pytest.raises(LaunchError) as caught:
        launch(spec)
    assert caught.value.step in ("execve", "posix_spawn")
    return caught.value


# execvp(3): the first of PATH that can be executed
@every_call
def test_the_first_executable_along_path_is_run(via: Mechanism, tmp_path: Path, nothing_left: Census) -> None:
    script(tmp_path / "unreadable" / "tool", mode=0o644)
    (tmp_path / "directory" / "tool").mkdir(parents=True)
    right = script(tmp_path / "right" / "tool")
    script(tmp_path / "later" / "tool")
    path = ":".join(str(tmp_path / name) for name in ("missing", "unreadable", "directory", "right", "later"))
    assert output(asking("tool", "a", path=path, via=via)) == f"{right} a\n"


@every_call
def test_what_is_nowhere_along_path_is_enoent_by_its_name(via: Mechanism, tmp_path: Path, nothing_left: Census) -> None:
    error = refusal(asking("tool", path=f"{tmp_path}:/no/such", via=via))
    assert (error.errno, error.path) == (errno.ENOENT, "tool")
    assert "PATH" in str(error)


# execvp(3): EACCES is remembered and told if nothing better is found, wherever it was met
@every_call
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_that_may_not_be_executed_outweighs_all_that_are_not_there(
    via: Mechanism, place: int, tmp_path: Path, nothing_left: Census
) -> None:
    closed = script(tmp_path / "closed" / "tool", mode=0o644)
    directories = ["/no/such/1", "/no/such/2"]
    directories.insert(place, str(closed.parent))
    error = refusal(asking("tool", path=":".join(directories), via=via))
    assert (error.errno, error.path) == (errno.EACCES, str(closed))


# environ(7), execvp(3): an empty element, also at an end, is the working directory
@every_call
@pytest.mark.parametrize("path", ["", ":/no/such", "/no/such:", "/no/such::/no/other"])
def test_an_empty_element_of_path_is_the_working_directory(
    via: Mechanism, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing_left: Census
) -> None:
    script(tmp_path / "tool")
    monkeypatch.chdir(tmp_path)
    assert output(asking("tool", path=path, via=via)) == "./tool\n"


# execvp(3): without PATH, a default of the system's
@every_call
def test_without_a_path_there_is_a_default(via: Mechanism, nothing_left: Census) -> None:
    assert output(asking("echo", "found", via=via)) == "found\n"


# Popen's trap (bpo-15533): is a relative program looked for here or there? The child looks, after its chdir
@pytest.mark.parametrize("via", CALLS)
@pytest.mark.parametrize("name", ["./tool", "tool"])
def test_a_relative_program_is_looked_for_in_the_new_working_directory(
    via: Mechanism, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing_left: Census
) -> None:
    script(tmp_path / "here" / "tool", "#!/bin/sh\necho here\n")
    script(tmp_path / "there" / "tool", "#!/bin/sh\necho there\n")
    monkeypatch.chdir(tmp_path / "here")
    spec = asking(name, path=".", cwd=str(tmp_path / "there"), via=via)
    assert output(spec) == "there\n"
    (tmp_path / "here" / "tool").unlink()
    assert output(spec) == "there\n"


@pytest.mark.parametrize("via", CALLS)
def test_a_program_that_is_only_here_is_not_there(
    via: Mechanism, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing_left: Census
) -> None:
    script(tmp_path / "here" / "true")
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    spec = asking("true", path=".:/bin", cwd=str(tmp_path / "there"), via=via)
    assert output(spec) == ""  # /bin/true, not ./true
    error = refusal(asking("true", path=".", cwd=str(tmp_path / "there"), via=via))
    assert error.errno == errno.ENOENT


# execve(2): an ENOENT that is not the program's own
@every_call
def test_a_missing_interpreter_is_told_from_a_missing_program(
    via: Mechanism, tmp_path: Path, nothing_left: Census
) -> None:
    error = refusal(asking(str(script(tmp_path / "tool", "#!/no/such/interpreter\n")), via=via))
    assert error.errno == errno.ENOENT
    assert "interpreter" in error.cause
    assert "interpreter" not in refusal(asking("/no/such/tool", via=via)).cause


_UNFIT = {
    "a directory": (lambda path: path.mkdir(), errno.EACCES, "directory"),
    "not executable": (lambda path: script(path, mode=0o644), errno.EACCES, "execute permission"),
    "no #! line": (lambda path: script(path, "echo text\n"), errno.ENOEXEC, "format"),
    "empty": (lambda path: script(path, ""), errno.ENOEXEC, "format"),
    "a cut-off ELF": (lambda path: script(path, "\x7fELF"), errno.ENOEXEC, "format"),
    "a loop of links": (lambda path: path.symlink_to(path), errno.ELOOP, "links"),
    "below a file": (lambda path: path.write_text(""), errno.ENOTDIR, "no directory"),
    "a FIFO": (lambda path: os.mkfifo(path, 0o755), errno.EACCES, "execut"),
}


@every_call
@pytest.mark.parametrize("name", _UNFIT)
def test_what_cannot_be_executed_is_told_with_its_reason(
    via: Mechanism, name: str, tmp_path: Path, nothing_left: Census
) -> None:
    make, number, word = _UNFIT[name]
    path = tmp_path / "tool"
    make(path)
    error = refusal(asking(f"{path}/x" if number == errno.ENOTDIR else str(path), via=via))
    assert error.errno == number
    assert word in error.cause


# execve(2), golang/go#22315
@every_call
def test_a_program_open_for_writing_is_told_as_busy(via: Mechanism, tmp_path: Path, nothing_left: Census) -> None:
    path = tmp_path / "tool"
    shutil.copy("/bin/true", path)
    with path.open("ab"):
        error = refusal(asking(str(path), via=via))
    assert error.errno == errno.ETXTBSY
    assert "writing" in error.cause
    assert output(asking(str(path), via=via)) == ""


# execve(2): one string of more than 128 KiB (MAX_ARG_STRLEN), or all together too long
@every_call
@pytest.mark.parametrize("args", [("x" * (1 << 18),), ("x" * 1000,) * 10000], ids=["one", "all"])
def test_arguments_that_are_too_long_are_told_as_that(
    via: Mechanism, args: tuple[str, ...], nothing_left: Census
) -> None:
    error = refusal(asking("/bin/true", *args, via=via))
    assert error.errno == errno.E2BIG
    assert "too long" in error.cause


@every_call
def test_many_long_arguments_arrive_whole(via: Mechanism, nothing_left: Census) -> None:
    args = tuple(f"{number}:" + "x" * 900 for number in range(1000))
    spec = asking("/bin/sh", "-c", "echo $#; shift 998; echo ${#1} $2 | cut -c 1-12", "sh", *args, via=via)
    count, last = output(spec).splitlines()
    assert (count, last) == ("1000", "904 999:xxxx")


@every_call
@pytest.mark.parametrize("name", ["x" * 300, "/" + "x/" * 3000 + "x"], ids=["component", "path"])
def test_a_name_that_is_too_long_is_a_launch_error(via: Mechanism, name: str, nothing_left: Census) -> None:
    assert refusal(asking(name, path="/bin", via=via)).errno == errno.ENAMETOOLONG


@pytest.mark.needs_root
@pytest.mark.parametrize("via", EVERY_CALL)
def test_a_file_system_without_execution_is_named(via: Mechanism, tmp_path: Path) -> None:
    def run() -> tuple[int | None, str]:
        own_mounts()
        mount("none", str(tmp_path), "tmpfs", MS_NOEXEC)
        shutil.copy("/bin/true", tmp_path / "tool")
        error = refusal(asking(str(tmp_path / "tool"), via=via))
        return error.errno, error.cause

    number, cause = apart(run)
    assert number == errno.EACCES
    assert "noexec" in cause


# access(2) answers root otherwise than execve does others; the child, not we, must be asked
@pytest.mark.needs_root
@pytest.mark.parametrize("via", EVERY_CALL)
def test_a_directory_that_may_not_be_searched_is_eacces_for_others(via: Mechanism) -> None:
    def run() -> tuple[int | None, str | None]:
        become_nobody()
        error = refusal(asking("tool", path="/root:/bin", via=via))
        return error.errno, error.path

    closed = not os.stat("/root").st_mode & stat.S_IXOTH
    assert apart(run) == ((errno.EACCES, "/root/tool") if closed else (errno.ENOENT, "tool"))


# ---- what the program is told ----


@every_call
@pytest.mark.parametrize("argv0", ["-sh", "", "a name"])
def test_the_program_is_told_the_name_that_was_asked_for(via: Mechanism, argv0: str, nothing_left: Census) -> None:
    spec = asking("/bin/cat", "/proc/self/cmdline", argv0=argv0, via=via)
    assert output(spec).split("\0") == [argv0, "/proc/self/cmdline", ""]


@every_call
def test_words_of_any_bytes_reach_the_program(via: Mechanism, nothing_left: Census) -> None:
    odd = os.fsdecode(b"\xff\xfe \n\t'\"\\$")
    spec = asking("/bin/cat", "/proc/self/cmdline", via=via, argv0=odd)
    with launch(spec) as child:
        assert child.stdout is not None
        assert os.read(child.stdout, 100).split(b"\0")[0] == os.fsencode(odd)
        child.wait()


@every_call
def test_the_environment_is_exactly_the_one_given(via: Mechanism, nothing_left: Census) -> None:
    spec = replace(asking("/usr/bin/env", via=via), env=(("B", "2"), ("A", "x=y\n"), ("EMPTY", "")))
    assert output(spec) == "B=2\nA=x=y\n\nEMPTY=\n"


@pytest.mark.parametrize("text", ["a\0b", "\0"])
@pytest.mark.parametrize("place", ["args", "argv0", "cwd", "hostname", "domainname", "mount_proc", "env"])
def test_a_nul_byte_anywhere_is_refused_before_anything_runs(place: str, text: str) -> None:
    values = {"args": ("/bin/true", text), "env": (("NAME", text),)}
    spec = Spec(args=("/bin/true",), namespaces=frozenset({"uts", "mount"}))
    with pytest.raises(SpecError):
        compile_spec(replace(spec, **{place: values.get(place, text)}))  # type: ignore[arg-type]


@pytest.mark.parametrize("place", ["args", "argv0", "cwd", "hostname", "domainname", "mount_proc", "env"])
def test_a_character_that_is_no_byte_is_refused_before_anything_runs(place: str) -> None:
    values = {"args": ("/bin/true", "\ud800"), "env": (("NAME", "\ud800"),)}
    spec = Spec(args=("/bin/true",), namespaces=frozenset({"uts", "mount"}))
    with pytest.raises(SpecError, match="encode"):
        compile_spec(replace(spec, **{place: values.get(place, "\ud800")}))  # type: ignore[arg-type]


@pytest.mark.parametrize("args", [(), ("",), ("", "x")], ids=str)
def test_no_program_is_no_launch(args: tuple[str, ...]) -> None:
    with pytest.raises(SpecError, match="no program"):
        compile_spec(Spec(args=args))


_LAUNCH = """
from spawner import Spec, launch
with launch(Spec(args={args!a}{rest})) as child:
    child.wait()
"""


def elsewhere(args: tuple[str, ...], rest: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Launch in a fresh Python with an environment of its own."""
    code = _LAUNCH.format(args=args, rest=rest)
    repository = str(Path(__file__).parents[2])
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": repository, **environment}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, timeout=60)


# environ(7) is any strings: an odd one that we inherited is no reason to launch nothing at all
def test_a_nameless_variable_in_our_own_environment_does_no_harm() -> None:
    done = elsewhere(("/usr/bin/env",), **{"": "odd", "KEPT": "yes"})
    assert done.stderr == b""
    assert b"KEPT=yes" in done.stdout.splitlines()


# a path is bytes: in a locale of Latin 1 Python's é is one byte, and the file's name has it
@pytest.mark.parametrize("via", EVERY_CALL)
def test_paths_are_encoded_as_python_does_in_any_locale(
    via: Mechanism, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing_left: Census
) -> None:
    directory = os.fsencode(tmp_path) + b"/d\xe9"
    os.mkdir(directory)
    tool = directory + b"/caf\xe9"
    shutil.copy("/bin/pwd", tool)
    spec = asking(tool.decode("latin-1"), via=via)
    if via is not Mechanism.POSIX_SPAWN:
        spec = replace(spec, cwd=directory.decode("latin-1"))
    monkeypatch.setattr(os, "fsencode", lambda text: text.encode("latin-1"))
    plan = compile_spec(spec)
    with launch(plan) as child:
        monkeypatch.undo()
        assert child.stdout is not None
        said = os.read(child.stdout, 1000)
    assert said.endswith(b"/d\xe9\n") is (via is not Mechanism.POSIX_SPAWN)
    assert said
