"""A /dev of its own, and message queues: what every program expects, and a console."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from functools import partial

import pytest
from rooms import room
from running import output

from spawner import Stdio, launch
from spawner.oci import Dev, Mqueue, Proc

pytestmark = pytest.mark.needs_root

PROC = Proc(destination="/proc")


def _read(pty: int) -> bytes:
    """Read a terminal's output; nothing once nobody has it open any more, which the kernel tells by EIO."""
    try:
        return os.read(pty, 4096)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return b""


# bubblewrap tests/test-run.sh "all expected devices were created"
def test_dev_has_all_that_programs_expect() -> None:
    script = "ls /dev; echo x > /dev/null; head -c2 /dev/zero | wc -c; head -c3 /dev/urandom | wc -c"
    script += "; echo x > /dev/full; echo $?"
    *names, zeros, random, full = output(room(script, PROC, Dev(destination="/dev"))).split()
    assert names == [
        *("core", "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout"),
        *("tty", "urandom", "zero"),
    ]
    assert (zeros, random) == ("2", "3")
    assert full != "0"


def test_dev_has_terminals_of_its_own() -> None:
    code = "import os, pty; _, s = pty.openpty(); print(os.ttyname(s), oct(os.stat(s).st_mode), os.stat(s).st_gid)"
    script = f"python3 -c '{code}'"
    assert output(room(script, PROC, Dev(destination="/dev"))).split() == ["/dev/pts/0", "0o20620", "5"]


def test_console_is_the_childs_own_terminal() -> None:
    script = "stat -c '%t:%T' /dev/console; stat -Lc '%t:%T' /dev/stdin; echo hi > /dev/console"
    spec = room(script, PROC, Dev(destination="/dev"), stdio=Stdio.PTY)
    with launch(spec) as child:
        assert child.pty is not None
        said = b"".join(iter(partial(_read, child.pty), b""))
        child.wait()
    console, stdin, hello = said.decode().split()
    assert console == stdin
    assert hello == "hi"


def test_mqueue_shows_the_queues_of_the_ipc_namespace() -> None:
    spec = room(
        "stat -f -c %T /dev/mqueue; ls -A /dev/mqueue", Dev(destination="/dev"), Mqueue(destination="/dev/mqueue")
    )
    assert output(replace(spec, namespaces=spec.namespaces | {"ipc"})) == "mqueue\n"
