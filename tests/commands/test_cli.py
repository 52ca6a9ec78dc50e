"""The command line finds its commands, says clearly what is wrong, and imports no more than it needs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version

import pytest
from leftovers import Census

from nsview import cli

HEAVY = {
    "textual",
    "rich",
    "pyroute2",
    "psutil",
    "asyncio",
    "importlib.metadata",
    "hypothesis",
    "textual_tty",
}
OPERANDS = {"diff": ["1", "1"], "run": ["true"], "show": ["1"]}
NAMES = [command.name for command in cli.COMMANDS]


def nsview(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nsview", *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"nsview {version('nsview')}\n"


def test_help_names_every_command_and_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for command in cli.COMMANDS:
        assert f"{command.name} {command.does}" in shown


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_of_its_own(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: nsview {name}")


@pytest.mark.parametrize("name", NAMES)
def test_a_command_is_one_module(name: str) -> None:
    assert callable(import_module(f"nsview.commands.{name}").add_parser)


@pytest.mark.parametrize(("name", "status"), [(command.name, command.bad_input) for command in cli.COMMANDS])
def test_an_unknown_option_is_one_message_and_the_commands_status(
    name: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([name, "--no-such-option", *OPERANDS.get(name, [])]) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"nsview {name}: ")
    assert "--no-such-option" in err
    assert err.endswith(f"Try 'nsview {name} --help'.\n")
    assert err.count("\n") == 2


def test_what_launches_answers_bad_input_with_125_and_the_others_with_2() -> None:
    statuses = {command.name: command.bad_input for command in cli.COMMANDS}
    assert statuses.pop("run") == statuses.pop("enter") == 125
    assert set(statuses.values()) == {2}


@pytest.mark.parametrize("word", ["teapot", "--teapot", "", "PS"])
def test_what_is_no_command_is_bad_input(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([word]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("nsview: ")
    assert "Traceback" not in err


def test_options_are_not_abbreviated(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--js"]) == 2


def test_the_ui_asks_for_a_terminal() -> None:
    done = nsview()
    assert done.returncode == 2
    assert done.stderr.startswith("nsview: the UI needs a terminal")


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in NAMES)], ids=" ".join)
def test_starting_a_command_imports_nothing_heavy(arguments: list[str]) -> None:
    show = "import sys; from nsview.cli import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", show, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert HEAVY & set(done.stderr.split()) == set()


def test_an_interrupt_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_dispatch", interrupted)
    assert cli.main(["ps"]) == 130


def test_a_reader_that_goes_away_is_no_error(nothing_left: Census) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "nsview", "doctor", "kernel"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writer)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


def test_python_m_and_the_script_are_the_same() -> None:
    script = os.path.join(os.path.dirname(sys.executable), "nsview")
    done = subprocess.run([script, "--help"], capture_output=True, text=True, timeout=60)
    assert done.stdout == nsview("--help").stdout
