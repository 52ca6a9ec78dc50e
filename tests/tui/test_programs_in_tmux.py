"""Real programs in the embedded terminal, in a real terminal: what they draw, what they are typed, what they write."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cells import Cell, cells_of
from leftovers import Census, processes, until
from tmux import Tmux

NSVIEW = (sys.executable, "-m", "nsview")

pytestmark = pytest.mark.needs("tmux")


def launch_shell(terminal: Tmux) -> None:
    """Launch the shell that the panel has, and wait for its prompt."""
    terminal.wait_for("1 Processes", "F5 Launch")
    terminal.keys("F5")
    terminal.wait_for("sh · running", r"[│┃][#$] +[│┃]")


def fill_screen(terminal: Tmux) -> None:
    """Give the terminal the whole screen, and wait until the shell there is drawn anew."""
    terminal.keys("F12")
    terminal.wait_for("F12 or Esc Esc leaves", lambda screen: "─" not in screen)


def run(terminal: Tmux, command: str) -> None:
    """Type a command line."""
    terminal.type(command)
    terminal.keys("Enter")


def leave(terminal: Tmux) -> None:
    """Leave the terminal, then nsview."""
    terminal.keys("C-]")
    terminal.wait_for("q Quit")
    terminal.keys("q")
    assert terminal.wait_for_end() == 0


@pytest.fixture(scope="module")
def session() -> Iterator[Tmux]:
    """A shell in nsview in a terminal of 120 columns and 40 lines, for all tests of one program; nothing is left."""
    census = Census((processes,))
    with Tmux(NSVIEW) as terminal:
        launch_shell(terminal)
        run(terminal, "PS1='$ '")
        yield terminal
        leave(terminal)
    assert not census.difference()


@pytest.fixture
def shell(session: Tmux) -> Iterator[Tmux]:
    """That shell with a clear screen, in its pane among others."""
    run(session, "clear")
    session.wait_for(r"1▸\d+ sh · running.*\n│\$ +│")
    yield session
    if "F12 or Esc Esc leaves" in session.screen():
        session.keys("F12")
        session.wait_for("1 Processes")


@pytest.mark.needs("vim")
@pytest.mark.parametrize("full", [False, True])
def test_vim_edits_saves_and_quits(shell: Tmux, tmp_path: Path, full: bool) -> None:
    file = tmp_path / "edited"
    file.write_text("first\nlast\n")
    if full:
        fill_screen(shell)
    run(shell, f"cd {tmp_path}; vim -N -u NONE -i NONE -c 'set showmode' edited")
    shell.wait_for("first", r"^│?~")
    shell.keys("o")
    shell.wait_for("-- INSERT --")
    shell.type("between")
    shell.keys("Escape")  # one alone is the program's
    shell.wait_for("between", lambda screen: "-- INSERT --" not in screen)
    shell.type(":wq")
    shell.keys("Enter")
    shell.wait_for(lambda screen: not re.search(r"^│?~", screen, re.MULTILINE), r"^│?[#$] *(│|$)")
    assert file.read_text() == "first\nbetween\nlast\n"


@pytest.mark.needs("htop")
def test_htop_draws_takes_keys_and_the_mouse_and_leaves(shell: Tmux) -> None:
    fill_screen(shell)
    run(shell, "htop")
    shell.wait_for("Load average", "F10Quit", r"PID.*USER")
    shell.keys("F1")
    shell.wait_for("htop .* - ", "Press any key to return")
    shell.keys("x")
    shell.wait_for("F10Quit", lambda screen: "Press any key" not in screen)
    place = next(line for line in shell.screen().splitlines() if "F10Quit" in line).index("F1Help") + 3
    shell.click(place, 38)  # the last line but ours
    shell.wait_for("Press any key to return")
    shell.keys("x", "F10")
    shell.wait_for(r"^[#$] htop", lambda screen: "F10Quit" not in screen)


@pytest.mark.needs("less")
def test_less_pages_searches_and_gives_the_screen_back(shell: Tmux) -> None:
    fill_screen(shell)
    run(shell, "seq 1000 | LESS= less")
    shell.wait_for(r"^1$", r"^38$", "^:")
    shell.keys("Space")
    shell.wait_for(r"^39$", r"^76$")
    run(shell, "/777")
    shell.wait_for(r"\A777$")
    shell.keys("b")
    shell.wait_for(r"\A739$")
    shell.wheel(10, 10, up=True)
    shell.wait_for(r"\A736$")
    shell.keys("q")
    shell.wait_for(r"^[#$] seq", lambda screen: "739" not in screen)


@pytest.mark.needs("bash")
def test_bash_edits_its_line_remembers_and_completes(shell: Tmux) -> None:
    fill_screen(shell)
    run(shell, "PS1='> ' HISTFILE= bash --norc --noprofile")
    shell.wait_for(r"^> *$")
    shell.type("world")
    shell.keys("C-a")
    shell.type("echo hello ")
    shell.keys("Enter")
    shell.wait_for(r"^hello world$")
    shell.keys("Up", "C-e")
    shell.type(" again")
    shell.keys("Enter")
    shell.wait_for(r"^hello world again$")
    shell.keys("C-r")
    shell.wait_for("reverse-i-search")
    shell.type("wor")
    shell.wait_for(r"`wor': echo hello world")
    shell.keys("C-c")
    shell.type("echo /etc/hostn")
    shell.keys("Tab")
    shell.wait_for(r"^> echo /etc/hostname")
    shell.keys("M-b", "C-k", "Enter")
    shell.wait_for(r"^/etc/$")
    run(shell, "exit")
    shell.wait_for(r"^\$ *$")


COLOURS = """
import sys
out = "".join(f"\\x1b[48;5;{i};38;5;{255 - i}m{i:4}" + ("" if i % 24 < 23 else "\\x1b[m\\r\\n") for i in range(256))
out += "\\x1b[m\\r\\n" + "".join(f"\\x1b[48;2;{2 * x};{255 - 2 * x};{x};38;2;{x};0;{2 * x}m#" for x in range(100))
out += "\\x1b[m\\r\\n" + "".join(f"\\x1b[{i};33;44mx\\x1b[m" for i in (0, 1, 3, 4, 7, 9))
out += "\\x1b[m\\r\\n" + "".join(f"\\x1b[{i};{j}mx" for i in (*range(30, 38), *range(90, 98)) for j in (41, 107))
sys.stdout.write("\\x1b[H\\x1b[2J" + out + "\\x1b[m\\r\\ndrawn")
sys.stdout.flush()
sys.stdin.read(1)
"""


def drawn(screen: str) -> list[list[Cell]]:
    """The cells that the colour test drew: the lines above the word it ends with, without blanks at their ends."""
    rows: list[list[Cell]] = []
    for row in cells_of(screen):
        text = "".join(cell.text for cell in row).rstrip()
        if text == "drawn":
            return rows
        rows.append(row[: len(text)])
    raise AssertionError("the colours were not drawn")


@pytest.mark.parametrize("names", [{"TERM": "xterm-256color", "COLORTERM": ""}, {"COLORTERM": "truecolor"}])
def test_colours_are_those_that_the_terminal_itself_shows(
    names: dict[str, str], tmp_path: Path, nothing_left: Census
) -> None:
    script = tmp_path / "colours.py"
    script.write_text(COLOURS)
    with Tmux((sys.executable, str(script))) as terminal:
        terminal.wait_for("drawn")
        wanted = drawn(terminal.screen(escapes=True))
        terminal.keys("Enter")
    environment = [f"{name}={value}" for name, value in names.items()]
    with Tmux(("env", *environment, *NSVIEW)) as terminal:
        launch_shell(terminal)
        fill_screen(terminal)
        run(terminal, f"{sys.executable} {script}")
        terminal.wait_for("drawn")
        got = drawn(terminal.screen(escapes=True))
        terminal.keys("Enter")
        leave(terminal)
    assert [len(row) for row in got] == [len(row) for row in wanted]
    exact = "COLORTERM" in names and names["COLORTERM"] == "truecolor"
    rows = range(len(wanted)) if exact else [at for at, row in enumerate(wanted) if row and row[0].text != "#"]
    assert len(rows) >= 13
    for at in rows:
        for x, (mine, its) in enumerate(zip(got[at], wanted[at], strict=True)):
            assert mine == its, f"row {at}, column {x}"


LOOKS = {
    "xterm-256color": {"TERM": "xterm-256color", "COLORTERM": ""},
    "screen-256color": {"TERM": "screen-256color", "COLORTERM": ""},
    "linux": {"TERM": "linux", "COLORTERM": ""},
    "no colour": {"TERM": "xterm-256color", "COLORTERM": "", "NO_COLOR": "1"},
}


@pytest.mark.parametrize("look", LOOKS)
def test_starts_launches_is_typed_to_and_left_under(look: str, nothing_left: Census) -> None:
    environment = [f"{name}={value}" for name, value in LOOKS[look].items()]
    with Tmux(("env", *environment, *NSVIEW)) as terminal:
        launch_shell(terminal)
        run(terminal, "printf '\\033[31mred\\033[m %s\\n' $TERM$NO_COLOR")
        screen = terminal.wait_for(r"[│┃]red xterm-256color +[│┃]")
        assert ("┏" if "NO_COLOR" in LOOKS[look] else "╭") in screen
        run(terminal, "seq 100")
        terminal.wait_for(r"[│┃]100 ")
        terminal.keys("S-PPage")
        terminal.wait_for("lines back, any key returns")
        terminal.keys("x")
        terminal.wait_for(lambda screen: "lines back" not in screen)
        terminal.keys("C-u")
        colours = {cell.foreground for row in cells_of(terminal.screen(escapes=True)) for cell in row}
        if look == "linux":
            assert not any(colour.startswith(("5;", "2;")) for colour in colours), "16 colours only"
        if look == "no colour":
            assert all(len({*colour.split(";")[1:]}) <= 1 for colour in colours if colour.startswith("2;"))
        leave(terminal)


def test_lines_far_back_are_found_again(shell: Tmux) -> None:
    run(shell, "seq 3000")
    shell.wait_for(r"│3000 ")
    shell.keys("S-Home")
    shell.wait_for("lines back, any key returns", r"│[#$] seq 3000 |│1 ")
    for _ in range(3):
        shell.wheel(10, 30, up=False)
    shell.wait_for(r"│10 ")
    shell.keys("S-End")
    shell.wait_for(r"│3000 ", lambda screen: "lines back" not in screen)
    assert until(lambda: "Esc Esc leaves" in shell.screen())
