"""`nsview run --pty`: the program has a terminal of its own, ours is passed through and given back as it was."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from launched import RUN, run
from leftovers import Census, until


def set_size(fd: int, rows: int, columns: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))


class Person:
    """Somebody before a terminal in which ``nsview run`` runs: types, and reads what appears."""

    def __init__(self, master: int, slave: int, process: subprocess.Popen[bytes]) -> None:
        self.master = master
        self.slave = slave
        self.process = process
        self.seen = b""

    def types(self, text: bytes) -> None:
        os.write(self.master, text)

    def reads(self) -> None:
        """Read what comes next."""
        poller = select.poll()
        poller.register(self.master, select.POLLIN)
        assert poller.poll(30_000), f"nothing more than {self.seen!r}"
        self.seen += os.read(self.master, 4096)

    def sees(self, text: bytes) -> None:
        """Read until ``text`` has appeared, and forget what came up to there."""
        while text not in self.seen:
            self.reads()
        self.seen = self.seen[self.seen.index(text) + len(text) :]


@contextmanager
def person(*arguments: str, rows: int = 33, columns: int = 99, **environment: str) -> Iterator[Person]:
    master, slave = pty.openpty()
    set_size(master, rows, columns)
    process = subprocess.Popen(
        [*RUN, *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        env={**os.environ, **environment},
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    with process:
        try:
            yield Person(master, slave, process)
        finally:
            process.kill()
    os.close(master)
    os.close(slave)


def test_the_terminal_is_the_programs_own(nothing_left: Census) -> None:
    script = "tty; ps -o tty= -p $$; echo $$ $(cut -d' ' -f6 /proc/self/stat); exit 7"
    with person("--pty", "sh", "-c", script) as somebody:
        ours = os.ttyname(somebody.slave)
        assert somebody.process.wait(60) == 7
        somebody.sees(b"/dev/pts/")
        number = somebody.seen.split()[0]
        assert f"/dev/pts/{number.decode()}" != ours
        somebody.sees(b"pts/" + number)  # the controlling one
        while somebody.seen.count(b"\n") < 2:
            somebody.reads()
        pid, session = somebody.seen.split()[:2]
        assert pid == session


def test_its_size_is_ours_and_follows_it(nothing_left: Census) -> None:
    script = "trap 'stty size' WINCH; stty size; echo ready; while :; do read x; done"
    with person("--pty", "sh", "-c", script) as somebody:
        somebody.sees(b"33 99")
        somebody.sees(b"ready")
        set_size(somebody.master, 44, 111)
        somebody.sees(b"44 111")


# COLUMNS may be exported, by bash's checkwinsize for one, and need not be right
def test_its_size_is_the_terminals_whatever_the_environment_says(nothing_left: Census) -> None:
    with person("--pty", "stty", "size", COLUMNS="7", LINES="3") as somebody:
        somebody.sees(b"33 99")
        assert somebody.process.wait(60) == 0


def test_what_is_typed_arrives_and_what_is_said_appears(nothing_left: Census) -> None:
    with person("--pty", "sh", "-c", "read line; echo got $line") as somebody:
        somebody.types(b"some words\r")
        somebody.sees(b"got some words\r\n")
        assert somebody.process.wait(60) == 0


def test_control_c_goes_to_the_program_alone(nothing_left: Census) -> None:
    with person("--pty", "sh", "-c", "trap 'exit 5' INT; echo ready; while :; do read x; done") as somebody:
        somebody.sees(b"ready")
        somebody.types(b"\x03")
        assert somebody.process.wait(60) == 5


def test_control_c_ends_a_program_that_does_not_care(nothing_left: Census) -> None:
    with person("--pty", "sh", "-c", "echo ready; exec sleep 1000") as somebody:
        somebody.sees(b"ready")
        somebody.types(b"\x03")
        assert somebody.process.wait(60) == 128 + signal.SIGINT


@pytest.mark.parametrize(
    "program", [("true",), ("sh", "-c", "kill -9 $$"), ("/no/such",), ("-w", "/no/such", "true")], ids=str
)
def test_our_terminal_is_given_back_as_it_was(program: tuple[str, ...], nothing_left: Census) -> None:
    with person("--pty", *program) as somebody:
        before = termios.tcgetattr(somebody.slave)
        somebody.process.wait(60)
        assert termios.tcgetattr(somebody.slave) == before


def test_our_terminal_is_raw_meanwhile(nothing_left: Census) -> None:
    with person("--pty", "sh", "-c", "echo ready; read x") as somebody:
        somebody.sees(b"ready")
        assert not termios.tcgetattr(somebody.slave)[3] & (termios.ECHO | termios.ICANON)
        somebody.types(b"\r")
        somebody.process.wait(60)


def test_without_a_terminal_of_ours_it_has_one_all_the_same(nothing_left: Census) -> None:
    done = run("--pty", "sh", "-c", "test -t 0 && test -t 1 && test -t 2 && stty size")
    assert (done.returncode, done.stdout.split()) == (0, ["24", "80"])


# termios(3): VEOF on an unfinished line only ends the line; script(1) of old waited for ever here
@pytest.mark.parametrize("text", ["", "line\n", "unfinished", "line\nunfinished"])
def test_the_end_of_piped_input_ends_the_programs_input(text: str, nothing_left: Census) -> None:
    done = run("--pty", "sh", "-c", "stty -echo; echo; cat; exit 7", input=text)
    assert done.returncode == 7
    assert text in done.stdout


def test_the_end_of_input_is_the_character_that_the_program_chose(nothing_left: Census) -> None:
    with subprocess.Popen(
        [*RUN, "--pty", "sh", "-c", "stty eof x -echo; echo ready; cat; exit 7"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"ready\r\n"
        process.stdin.close()
        assert process.wait(60) == 7


# a terminal holds 4 KiB each way: whoever writes without reading stops the other, and so itself
def test_much_input_and_output_at_once_pass_whole(nothing_left: Census) -> None:
    text = "".join(f"{number}\n" for number in range(50000))
    done = run("--pty", "sh", "-c", "stty -echo -onlcr; cat", input=text)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "49999"


def test_echoed_input_does_not_stop_either(nothing_left: Census) -> None:
    text = "".join(f"{number}\n" for number in range(20000))
    done = run("--pty", "sh", "-c", "cat > /dev/null", input=text)
    assert done.returncode == 0


def test_the_last_words_of_a_program_are_not_lost(nothing_left: Census) -> None:
    for _ in range(10):
        done = run("--pty", "sh", "-c", "stty -onlcr; seq 3000; echo last")
        assert done.stdout.endswith("3000\nlast\n")


def test_a_reader_that_goes_away_ends_the_program(nothing_left: Census) -> None:
    script = f"{' '.join(RUN)} --pty yes < /dev/null | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr, done.returncode) == ("y", "", 128 + signal.SIGPIPE)


@pytest.mark.parametrize("closing", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_without_stdio_of_ours_the_program_runs_all_the_same(closing: str, nothing_left: Census) -> None:
    command = f"{' '.join(RUN)} --pty sh -c 'cat; echo words; exit 7' {closing}"
    if "<&-" not in closing:
        command += " < /dev/null"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (7, "")


def test_too_long_is_too_long_on_a_terminal_too(nothing_left: Census) -> None:
    done = run("--pty", "--timeout", "0.2", "sleep", "1000")
    assert (done.returncode, done.stderr) == (137, "nsview run: killed after 0.2 s\n")
    assert run("--pty", "--timeout", "3000000", "true").returncode == 0


def test_a_program_that_leaves_its_terminal_is_waited_for(nothing_left: Census) -> None:
    done = run("--pty", "sh", "-c", "exec < /dev/null > /dev/null 2>&1; sleep 0.1; exit 7")
    assert done.returncode == 7


@pytest.mark.needs_root
def test_it_works_in_every_namespace(nothing_left: Census) -> None:
    with person("--pty", "-rmunipCT", "--mount-proc", "sh", "-c", "stty size; echo pid $$") as somebody:
        somebody.sees(b"33 99")
        somebody.sees(b"pid 1\r\n")
        assert somebody.process.wait(60) == 0


# bubblewrap#142, CVE-2017-5226: a shared terminal lets the program push input into our shell
def test_our_terminal_is_not_the_programs_to_type_into(nothing_left: Census) -> None:
    with person("--pty", "sh", "-c", "exec 3<>/dev/tty; tty <&3; ls -l /proc/self/fd") as somebody:
        ours = os.ttyname(somebody.slave).encode()
        somebody.process.wait(60)
        somebody.sees(b"total 0")
        assert ours + b"\r" not in somebody.seen


# ---- step by step, at a terminal ----


def test_stepping_at_a_terminal_goes_by_enter(nothing_left: Census) -> None:
    with person("--step", "sh", "-c", "echo done; exit 7") as somebody:
        somebody.sees(b"openat(")
        count = 0
        while b"execve" not in somebody.seen:
            somebody.types(b"\r")
            count += 1
            somebody.sees(f"{count:3}  ".encode())
            while b"(" not in somebody.seen:
                somebody.reads()
        somebody.types(b"\r")
        somebody.sees(b"done")
        assert somebody.process.wait(60) == 7


def test_control_c_while_stepping_ends_all(nothing_left: Census) -> None:
    with person("--step", "true") as somebody:
        somebody.sees(b"openat(")
        somebody.types(b"\x03")
        assert somebody.process.wait(60) == 130


def test_control_d_while_stepping_lets_it_run(nothing_left: Census) -> None:
    with person("--step", "sh", "-c", "exit 7") as somebody:
        somebody.sees(b"openat(")
        somebody.types(b"\x04")
        assert somebody.process.wait(60) == 7


def test_without_pty_control_c_reaches_the_program_through_the_shared_terminal(nothing_left: Census) -> None:
    with person("sh", "-c", "trap 'exit 5' INT; echo ready; while :; do read x; done") as somebody:
        somebody.sees(b"ready")
        status = f"/proc/{somebody.process.pid}/status"

        def ignores() -> bool:
            with open(status) as file:
                mask = next(line.split()[1] for line in file if line.startswith("SigIgn"))
            return bool(int(mask, 16) >> (signal.SIGINT - 1) & 1)

        assert until(ignores)
        somebody.types(b"\x03")
        assert somebody.process.wait(60) == 5
