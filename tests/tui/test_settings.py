"""Settings are read strictly, told when they are wrong, and never stop the UI."""

from __future__ import annotations

from pathlib import Path

import pytest

from nsview.tui.comfort import remembered
from nsview.tui.comfort.settings import FILE, LARGEST, Settings, load, parse, theme_for


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be somebody with a home of their own."""
    monkeypatch.delenv("SUDO_UID", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "config" / "nsview").mkdir(parents=True)
    return tmp_path


def test_all_settings_are_read() -> None:
    text = b'theme = "nord"\ninterval = 2\nread_only = true\nremember = false\n[keys]\n"pane.tree" = "f2"\n'
    assert parse(text) == Settings("nord", 2, True, False, {"pane.tree": "f2"})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("theme = 3", "theme: 3 is not the name of a theme"),
        ("interval = true", "interval: True is not a number of seconds"),
        ("interval = 0.01", "interval: 0.01 is not a number of seconds from 0.1"),
        ("interval = nan", "interval: nan is not"),
        ("read_only = 1", "read_only: 1 is not true or false"),
        ("[keys]\na = 1", "is not a table of keys"),
        ("them = 'nord'", "there is no such setting; did you mean 'theme'?"),
        ("theme = ", "not TOML"),
    ],
)
def test_what_is_wrong_is_told_and_the_rest_holds(text: str, told: str) -> None:
    found = parse(f"remember = false\n{text}".encode())
    assert any(told in problem for problem in found.problems), found.problems
    if "TOML" not in told:
        assert found.remember is False


def test_text_that_is_not_utf8_is_told() -> None:
    assert "not TOML" in parse(b"theme = '\xff'").problems[0]


def test_themes_and_keys_that_there_are_not_are_told_with_what_was_meant() -> None:
    found = Settings("nors", keys={"pane.tre": "f2", "pane.diff": "f3"}).check(["nord"], ["pane.tree", "pane.diff"])
    assert found.theme is None
    assert found.keys == {"pane.diff": "f3"}
    assert "did you mean 'nord'?" in found.problems[0]
    assert "did you mean 'pane.tree'?" in found.problems[1]


def test_no_file_is_no_settings(home: Path) -> None:
    assert load() == Settings()


def test_the_file_is_read_and_problems_name_it(home: Path) -> None:
    path = home / "config" / "nsview" / FILE
    path.write_text("theme = 'nord'\nnothing = 1\n")
    found = load()
    assert found.theme == "nord"
    assert found.problems[0].startswith(str(path))


def test_a_directory_in_its_place_is_told(home: Path) -> None:
    (home / "config" / "nsview" / FILE).mkdir()
    assert "Is a directory" in load().problems[0]


def test_a_file_of_any_size_costs_no_more_than_the_largest(home: Path) -> None:
    with (home / "config" / "nsview" / FILE).open("wb") as file:
        file.truncate(100 * LARGEST)
    assert "not TOML" in load().problems[0]


def test_what_is_remembered_comes_back(home: Path) -> None:
    assert remembered.load() == {}
    remembered.save({"theme": "nord", "tree": {"reference": "pid 1"}})
    found = remembered.load()
    assert (found["theme"], found["tree"]) == ("nord", {"reference": "pid 1"})


@pytest.mark.parametrize("text", ["", "[1]", '{"version": 99, "theme": "nord"}', "\x00"])
def test_memory_that_cannot_be_read_is_none(home: Path, text: str) -> None:
    remembered.save({})
    (home / "state" / "nsview" / remembered.FILE).write_text(text)
    assert remembered.load() == {}


@pytest.mark.parametrize(
    ("environ", "theme"),
    [
        ({"TERM": "linux"}, "ansi-dark"),
        ({"TERM": "screen"}, "ansi-dark"),
        ({"TERM": "screen-256color"}, None),
        ({"TERM": "screen", "COLORTERM": "truecolor"}, None),
        ({"TERM": "xterm"}, None),
        ({}, None),
    ],
)
def test_a_terminal_of_sixteen_colours_gets_a_theme_for_them(environ: dict[str, str], theme: str | None) -> None:
    assert theme_for(environ) == theme


def test_the_settings_of_the_readme_are_settings() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    found = parse(readme.partition("```toml\n")[2].partition("```")[0].encode())
    assert found.problems == ()
    assert found != Settings()
