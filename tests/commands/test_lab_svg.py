"""``nsview lab NAME --svg FILE``: a picture that is the invoking user's, and one message where there can be none."""

from __future__ import annotations

import os
import stat
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest
from listed import nsview

from nsview import cli
from nsview.commands import lab as command
from nsview.labs import running
from nsview.labs.lab import Axis, Event, Lab, Measurement, Series, Setting, Spread, Stage

_SVG = "{http://www.w3.org/2000/svg}"
NOBODY = 65534


def _measuring(names: tuple[str, ...]) -> Lab:
    def run(_setting: Setting) -> Iterator[Event]:
        yield Stage("Made up")
        for name in names:
            line = Series("way", tuple((float(x), Spread(x, x, x, 1)) for x in (1, 2, 3)))
            yield Measurement(name, f"Title of {name}", Axis("x", ""), Axis("y", "ns"), (line,))

    running.made_up = run  # type: ignore[attr-defined]
    return Lab("made-up", "Made up", "Does it?", "", "running:made_up")


@pytest.fixture
def measuring(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(command, "find", lambda name: _measuring(tuple(name.split("+")) if name != "nothing" else ()))
    yield
    monkeypatch.delattr(running, "made_up", raising=False)


def test_the_picture_of_a_run_has_every_measurement(tmp_path: Path) -> None:
    path = tmp_path / "mechanisms.svg"
    done = nsview("lab", "mechanisms", "--svg", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    titles = [title.text for title in ElementTree.parse(path).getroot().iterfind(f"{_SVG}svg/{_SVG}title")]
    assert titles
    assert [title for title in titles if title not in done.stdout] == []


def test_pictures_stand_beneath_one_another(measuring: None, tmp_path: Path) -> None:
    assert cli.main(["lab", "one+two", "--svg", str(tmp_path / "a.svg")]) == 0
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    first, second = root.iterfind(f"{_SVG}svg")
    assert float(first.attrib["y"]) == 0
    assert float(second.attrib["y"]) >= float(first.attrib["height"])
    assert float(root.attrib["height"]) == float(second.attrib["y"]) + float(second.attrib["height"])


@pytest.fixture
def passable(tmp_path: Path) -> Iterator[Path]:
    """A directory that anybody may reach, as long as the test lasts."""
    opened = [directory for directory in tmp_path.parents if directory.stat().st_uid == os.geteuid()][:-1]
    before = [(directory, stat.S_IMODE(directory.stat().st_mode)) for directory in (tmp_path, *opened)]
    for directory, mode in before:
        directory.chmod(mode | 0o011)
    yield tmp_path
    for directory, mode in before:
        directory.chmod(mode)


@pytest.mark.needs("root")
def test_under_sudo_it_belongs_to_who_called_sudo(
    measuring: None, monkeypatch: pytest.MonkeyPatch, passable: Path
) -> None:
    monkeypatch.setenv("SUDO_UID", str(NOBODY))
    theirs, roots = passable / "theirs", passable / "roots"
    for directory in (theirs, roots):
        directory.mkdir(mode=0o755)
    os.chown(theirs, NOBODY, NOBODY)
    assert cli.main(["lab", "one", "--svg", str(theirs / "a.svg")]) == 0
    assert (theirs / "a.svg").stat().st_uid == NOBODY
    assert cli.main(["lab", "one", "--svg", str(roots / "a.svg")]) == 2
    assert os.listdir(roots) == []


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("no/such/a.svg", "No such file or directory"),
        (".", "Is a directory"),
        ("/dev/null", "it is no regular file"),
        ("file/a.svg", "Not a directory"),
        ("a\nb/c.svg", "No such file or directory"),
    ],
)
def test_where_there_can_be_none_one_message_says_so_before_anything_is_done(
    measuring: None,
    path: str,
    why: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    assert cli.main(["lab", "one", "--svg", path]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"nsview lab: {path.replace(chr(10), chr(92) + 'n')}: {why}\n"
    assert os.listdir(tmp_path) == ["file"]
    assert not Path("/dev/null").is_file()


def test_a_lab_that_measures_nothing_has_no_picture(
    measuring: None, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert cli.main(["lab", "nothing", "--svg", str(tmp_path / "a.svg")]) == 1
    assert capsys.readouterr().err == "nsview lab: no picture: made-up has measured nothing\n"
    assert os.listdir(tmp_path) == []


def test_the_list_of_labs_has_no_picture() -> None:
    done = nsview("lab", "--svg", "a.svg")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
