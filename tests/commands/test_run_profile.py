"""`--profile` and `--save-profile`: a launch saved is the launch again, and options add to it or win over it."""

from __future__ import annotations

import signal
import stat
from pathlib import Path

import pytest
from launched import complaint, run, said
from parsed import spec

from spawner.oci import Dir, Rlimit

WORDS = ("-mu", "--hostname", "box", "--dir", "/d", "--rlimit", "NOFILE=64", "--cap-drop", "ALL", "--no-new-privs")


@pytest.mark.parametrize("name", ["box.toml", "box.json"])
@pytest.mark.parametrize(
    "more", [(), ("--no-kill-child",), ("--kill-child=TERM",), ("--clearenv", "--setenv", "A", "b")]
)
def test_a_saved_launch_is_the_same_again(name: str, more: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / name
    said("--save-profile", str(file), "--dry-run", *WORDS, *more, "sh", "-c", "true")
    assert spec("--profile", str(file)) == spec(*WORDS, *more, "sh", "-c", "true")


@pytest.fixture
def box(tmp_path: Path) -> str:
    file = tmp_path / "box.toml"
    file.write_text(
        'args = ["echo", "saved"]\nnamespaces = ["uts"]\nhostname = "box"\nenv = {A = "1", PWD = "/"}\n'
        'mounts = [{type = "dir", destination = "/a"}]\nrlimits = [{type = "RLIMIT_CPU", soft = 1, hard = 2}]\n'
    )
    return str(file)


def test_options_win_over_a_profile_or_add_to_it(box: str) -> None:
    words = ("--profile", box, "-i", "--hostname", "other", "--dir", "/b", "--setenv", "B", "2", "--rlimit", "CPU=5")
    made = spec(*words, "true")
    assert made.args == ("true",)
    assert made.hostname == "other"
    assert made.namespaces == {"uts", "ipc", "mount"}
    assert made.mounts == (Dir(destination="/a"), Dir(destination="/b"))
    assert made.env == (("A", "1"), ("PWD", "/"), ("B", "2"))
    assert made.rlimits == (Rlimit("RLIMIT_CPU", 5, 5),)


def test_it_dies_with_us_unless_the_profile_or_an_option_says_otherwise(box: str, tmp_path: Path) -> None:
    assert spec("--profile", box).pdeathsig == signal.SIGKILL
    file = tmp_path / "other.toml"
    file.write_text(f'pdeathsig = {int(signal.SIGTERM)}\nargs = ["true"]\n')
    assert spec("--profile", str(file)).pdeathsig == signal.SIGTERM
    assert spec("--profile", str(file), "--kill-child=INT").pdeathsig == signal.SIGINT
    assert spec("--profile", str(file), "--no-kill-child").pdeathsig is None
    file.write_text('pdeathsig = 0\nargs = ["true"]\n')
    assert spec("--profile", str(file)).pdeathsig is None


def test_the_profiles_program_runs(tmp_path: Path) -> None:
    file = tmp_path / "say.json"
    file.write_text('{"args": ["echo", "saved"]}')
    assert said("--profile", str(file)) == "saved\n"
    assert said("--profile", str(file), "echo", "other") == "other\n"


def test_a_mistake_in_it_is_named_by_its_place(box: str) -> None:
    path = Path(box)
    path.write_text(path.read_text().replace("soft = 1", 'soft = "1"'))
    line = complaint(run("--profile", box))
    assert line == f"{box}: rlimits[0].soft: expected an integer, not a text"


def test_a_profile_is_for_its_owner_and_replaces_nothing(tmp_path: Path) -> None:
    file = tmp_path / "new.toml"
    said("--save-profile", str(file), "true")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600  # it may hold an environment
    before = file.read_text()
    assert "exists" in complaint(run("--save-profile", str(file), "-u", "true"))
    assert file.read_text() == before
