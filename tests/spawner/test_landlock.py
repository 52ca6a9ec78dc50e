"""Landlock: what a program may still reach, seen from inside and from outside."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from apart import apart, become_nobody
from running import output, shell

from spawner import LaunchError, Spec, SpecError, Stdio, compile_spec, launch
from spawner.oci import Bind, Landlock, Tmpfs
from spawner.parts import landlock

pytestmark = pytest.mark.needs("landlock")

SYSTEM = tuple(path for path in ("/usr", "/bin", "/lib", "/lib64", "/etc") if os.path.exists(path))
"""What a shell and its libraries are read from."""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("open", "shut"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(f"{name}\n")
    return tmp_path


def restricted(script: str, *, read: tuple[str, ...] = (), write: tuple[str, ...] = (), **fields: object) -> Spec:
    return shell(script, landlock=Landlock(read=(*SYSTEM, *read), write=write), **fields)


def tried(spec: Spec) -> dict[str, str]:
    """The lines "name: word" of a script's output."""
    return dict(line.split(": ") for line in output(spec).splitlines())


def attempts(**commands: str) -> str:
    """A script that says of each command whether it works."""
    return "\n".join(f"if {{ {command}; }} >/dev/fd/9 2>&1; then echo {name}: yes; else echo {name}: no; fi"
                     for name, command in commands.items()).join(("exec 9>&2\n", "\n"))  # fmt: skip


@pytest.mark.usefixtures("nothing_left")
def test_with_nothing_allowed_the_program_cannot_be_executed() -> None:
    # util-linux tests/ts/setpriv/landlock nothing-allowed
    with pytest.raises(LaunchError) as error:
        launch(shell("true", landlock=Landlock()))
    assert (error.value.step, error.value.errno_name) == ("execve", "EACCES")
    assert "landlock forbids executing it" in error.value.cause
    assert "/usr" in error.value.remedy


def test_what_is_not_allowed_cannot_be_read(place: Path) -> None:
    # util-linux tests/ts/setpriv/landlock partial-access-success, partial-access-fail
    found = tried(
        restricted(
            attempts(
                allowed=f"cat {place}/open/file",
                listed=f"ls {place}/open",
                forbidden=f"cat {place}/shut/file",
                unlisted=f"ls {place}/shut",
                written=f"echo x >>{place}/open/file",
                made=f"touch {place}/open/new",
            ),
            read=(f"{place}/open",),
        )
    )
    assert found == {
        "allowed": "yes",
        "listed": "yes",
        "forbidden": "no",
        "unlisted": "no",
        "written": "no",
        "made": "no",
    }
    assert not (place / "open" / "new").exists()


def test_what_may_be_written_may_be_made_moved_and_removed_too(place: Path) -> None:
    where = place / "open"
    script = f"""
        set -e
        echo more >>{where}/file; : >{where}/short; mkdir {where}/a {where}/b; touch {where}/a/x; mkfifo {where}/fifo
        mv {where}/a/x {where}/b/x; ln {where}/b/x {where}/a/hard; ln -s x {where}/b/soft; rm {where}/file
    """
    output(restricted(script, write=(str(where),)))
    assert sorted(path.name for path in where.iterdir()) == ["a", "b", "fifo", "short"]
    assert (where / "a" / "hard").samefile(where / "b" / "x")


def test_reading_and_writing_are_combined(place: Path) -> None:  # util-linux tests/ts/setpriv/landlock combined
    found = tried(
        restricted(
            attempts(
                read=f"cat {place}/shut/file",
                write=f"echo x >>{place}/open/file",
                crossed=f"echo x >>{place}/shut/file",
                moved=f"mv {place}/shut/file {place}/open/moved",
            ),
            read=(f"{place}/shut",),
            write=(f"{place}/open",),
        )
    )
    assert found == {"read": "yes", "write": "yes", "crossed": "no", "moved": "no"}


def test_a_file_may_be_named_like_a_directory(place: Path) -> None:
    (place / "open" / "other").write_text("other")
    found = tried(
        restricted(
            attempts(
                file=f"echo x >>{place}/open/file",
                beside=f"cat {place}/open/other",
                device="echo x >/dev/null",
            ),
            write=(f"{place}/open/file", "/dev/null"),
        )
    )
    assert found == {"file": "yes", "beside": "no", "device": "yes"}
    assert (place / "open" / "file").read_text() == "open\nx\n"


@pytest.mark.usefixtures("nothing_left")
def test_a_loader_that_may_not_be_read_is_explained() -> None:
    program = os.path.realpath("/bin/true")
    with pytest.raises(LaunchError) as error:
        launch(Spec(args=(program,), landlock=Landlock(read=(program,))))
    assert error.value.errno_name == "EACCES"
    assert "the loader or interpreter it needs" in error.value.cause


@pytest.mark.usefixtures("nothing_left")
def test_a_file_that_nobody_may_execute_is_not_laid_to_landlock(place: Path) -> None:
    with pytest.raises(LaunchError) as error:
        launch(Spec(args=(f"{place}/open/file",), landlock=Landlock(read=(str(place), *SYSTEM))))
    assert error.value.errno_name == "EACCES"
    assert "landlock" not in error.value.cause


@pytest.mark.usefixtures("nothing_left")
def test_a_path_that_is_not_there_is_named(place: Path) -> None:
    with pytest.raises(LaunchError) as error:
        launch(restricted("true", read=(f"{place}/absent",)))
    assert (error.value.step, error.value.path) == ("landlock path", f"{place}/absent")
    assert error.value.errno_name == "ENOENT"
    assert error.value.cause == "there is no such file or directory in the child's root"


@pytest.mark.needs("root")
def test_root_is_restricted_without_no_new_privs(place: Path) -> None:
    script = f"grep NoNewPrivs /proc/self/status; cat {place}/shut/file 2>/dev/null || echo shut: no"
    spec = restricted(script, read=("/proc",), write=("/dev/null",))
    assert output(spec).split() == ["NoNewPrivs:", "0", "shut:", "no"]


@pytest.mark.needs("root")
def test_without_privilege_no_new_privs_is_implied_and_said() -> None:
    def as_nobody() -> tuple[str, tuple[str, ...]]:
        become_nobody()
        spec = restricted("grep NoNewPrivs /proc/self/status", read=("/proc",))
        return output(spec), compile_spec(spec).notes

    text, notes = apart(as_nobody)
    assert text.split() == ["NoNewPrivs:", "1"]
    assert "no_new_privs is set: without CAP_SYS_ADMIN landlock demands it" in notes


@pytest.mark.needs("root")
def test_paths_are_those_of_the_childs_own_root(place: Path) -> None:
    spec = shell(
        attempts(inside="cat /data/file", outside="cat /other/file"),
        namespaces=frozenset({"mount"}),
        mounts=(
            *(Bind(source=path, destination=path, read_only=True) for path in SYSTEM),
            Bind(source=f"{place}/open", destination="/data"),
            Bind(source=f"{place}/shut", destination="/other"),
            Bind(source="/dev", destination="/dev", devices=True),
            Bind(source="/proc", destination="/proc"),
            Tmpfs(destination="/tmp"),
        ),
        landlock=Landlock(read=(*SYSTEM, "/data", "/proc"), write=("/dev",)),
    )
    assert tried(spec) == {"inside": "yes", "outside": "no"}


def test_a_kernel_without_landlock_is_told_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 0)
    with pytest.raises(SpecError, match="no landlock"):
        compile_spec(shell("echo absent", landlock=Landlock()))


@pytest.mark.parametrize("version", [1, 3])
def test_an_older_landlock_is_asked_for_no_more_than_it_knows(
    version: int, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = min(version, landlock.version())  # this kernel may be an older one itself
    monkeypatch.setattr(landlock, "version", lambda: version)
    plan = compile_spec(restricted(f"cat {place}/open/file; echo version {version}", read=(f"{place}/open",)))
    shown = " ".join(str(step) for step in plan.steps)
    assert ("TRUNCATE" in shown) == (version == 3 and "WRITE_FILE" in shown)
    assert bool([note for note in plan.notes if "link or rename" in note]) == (version == 1)
    assert output(plan) == f"open\nversion {version}\n"


@pytest.mark.parametrize(("path", "words"), [("", "'' is no path for landlock"), ("with\0nul", r"'with\\x00nul' ")])
def test_what_is_no_path_is_told(path: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        compile_spec(shell("true", landlock=Landlock(read=(path,))))


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("label", ["landlock_create_ruleset", "landlock path", "landlock_add_rule", "landlock"])
def test_a_refused_step_leaves_nothing(label: str) -> None:
    with pytest.raises(LaunchError) as error:
        launch(restricted("true"), inject=(label, 1))
    assert error.value.step == label


def test_a_launch_without_landlock_has_no_step_for_it() -> None:
    assert not [step for step in compile_spec(shell("true")).steps if "landlock" in step.syscall]


def test_standard_streams_are_not_restricted(place: Path) -> None:
    with (place / "shut" / "file").open() as file:
        saved = os.dup(0)
        try:
            os.dup2(file.fileno(), 0)
            with launch(Spec(args=("/bin/sh", "-c", "read word; test $word = shut"), landlock=Landlock(read=SYSTEM),
                             stdio=Stdio.INHERIT)) as child:  # fmt: skip
                ended = child.wait()
        finally:
            os.dup2(saved, 0)
            os.close(saved)
    assert ended is not None
    assert ended.status == 0
