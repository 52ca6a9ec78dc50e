"""Our own seccomp profile: ordinary programs work under it, and each group that it refuses is refused."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest
from answers import answers, number
from running import output, shell

from spawner import Spec, Stdio
from spawner.oci import Seccomp
from spawner.seccomp.default import ALLOWED, REFUSED

DEFAULT = (Seccomp("default"),)
NEWUSER, NEWNS, SIGCHLD = 0x10000000, 0x20000, 17
AF_UNIX, AF_ALG, AF_VSOCK, SOCK_STREAM = 1, 38, 40, 1
ADDR_NO_RANDOMIZE = 0x40000
NONSENSE = (-1,) * 6
"""Arguments at which no call does anything: no address, no descriptor, no length."""

pytestmark = pytest.mark.needs("libseccomp", "seccomp")


@pytest.mark.parametrize("group", REFUSED)
def test_a_group_is_refused(group: str) -> None:
    # A session of its own: vhangup(2), were it made, would hang up our terminal.
    calls = {name: (at, *NONSENSE) for name in REFUSED[group][0].split() if (at := number(name)) >= 0}
    found = answers(calls, seccomp=DEFAULT, no_new_privs=True, new_session=True)
    assert found == dict.fromkeys(calls, errno.EPERM)


@pytest.mark.needs("root")
@pytest.mark.parametrize("group", REFUSED)
def test_it_is_the_filter_that_refuses_a_group(group: str) -> None:
    calls = {
        name: (at, *NONSENSE) for name in REFUSED[group][0].split() if (at := number(name)) >= 0 and name != "vhangup"
    }
    found = answers(calls, new_session=True)
    assert [name for name, answer in found.items() if answer not in (errno.EPERM, 0)]


def test_no_call_is_both_allowed_and_refused() -> None:
    refused = [name for names, _ in REFUSED.values() for name in names.split()]
    allowed = [name for names in ALLOWED.values() for name in names.split()]
    assert not set(refused) & set(allowed)
    assert len(set(allowed)) == len(allowed)
    assert len(set(refused)) == len(refused)


def test_new_namespaces_cannot_be_cloned_but_processes_can() -> None:
    calls = {
        "user": (number("clone"), NEWUSER | SIGCHLD, 0, 0, 0, 0),
        "mount": (number("clone"), NEWNS | SIGCHLD, 0, 0, 0, 0),
        "clone3": (number("clone3"), 0, 0),
    }
    found = answers(calls, seccomp=DEFAULT, no_new_privs=True)
    assert found == {"user": errno.EPERM, "mount": errno.EPERM, "clone3": errno.ENOSYS}
    assert output(shell("(echo forked)", seccomp=DEFAULT, no_new_privs=True)) == "forked\n"


def test_what_is_newer_than_the_profile_is_missing_and_not_forbidden() -> None:
    assert answers({"new": (1000,)}, seccomp=DEFAULT, no_new_privs=True) == {"new": errno.ENOSYS}


def test_odd_protocols_and_personalities_are_refused() -> None:
    calls = {
        "unix": (number("socket"), AF_UNIX, SOCK_STREAM, 0),
        "alg": (number("socket"), AF_ALG, SOCK_STREAM, 0),
        "vsock": (number("socket"), AF_VSOCK, SOCK_STREAM, 0),
        "linux": (number("personality"), 0xFFFFFFFF),
        "no aslr": (number("personality"), ADDR_NO_RANDOMIZE),
    }
    assert answers(calls, seccomp=DEFAULT, no_new_privs=True) == {
        "unix": 0,
        "alg": errno.EAFNOSUPPORT,
        "vsock": errno.EAFNOSUPPORT,
        "linux": 0,
        "no aslr": errno.EPERM,
    }


BUSY = """
import multiprocessing, socket, subprocess, tempfile, threading, os
done = []
threads = [threading.Thread(target=done.append, args=(n,)) for n in range(8)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
print(len(done), subprocess.check_output(["echo", "sub"], text=True).strip())
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
client.sendall(b"over tcp")
print(server.accept()[0].recv(64).decode())
with tempfile.TemporaryDirectory() as place:
    with open(os.path.join(place, "file"), "w") as file:
        file.write("x")
    print(os.stat(file.name).st_size)
read, write = multiprocessing.Pipe()
worker = multiprocessing.get_context("fork").Process(target=write.send, args=("from a fork",))
worker.start(), worker.join()
print(read.recv())
"""


@pytest.mark.parametrize("no_new_privs", [True, pytest.param(False, marks=pytest.mark.needs("root"))])
def test_python_works(no_new_privs: bool) -> None:
    spec = Spec(args=(sys.executable, "-I", "-c", BUSY), stdio=Stdio.PIPE, seccomp=DEFAULT, no_new_privs=no_new_privs)
    assert output(spec) == "8 sub\nover tcp\n1\nfrom a fork\n"


@pytest.mark.needs("bash", "perl", "tar", "git")
def test_shells_perl_tar_and_git_work(tmp_path: Path) -> None:
    script = """
        set -euo pipefail
        shopt -s lastpipe
        sort <(printf 'b\\na\\n') | tr '\\n' ' '; sleep 0.01 & wait $!
        perl -e 'print join(",", map { $_ * 2 } 1 .. 3), "\\n"; exit(fork() ? (wait(), 0)[1] : 0)'
        mkdir -p tree/sub && echo content >tree/sub/file && chmod 600 tree/sub/file && ln -s file tree/sub/link
        tar czf tree.tar.gz tree && mkdir out && tar xzf tree.tar.gz -C out && cat out/tree/sub/link
        git init -q repository && cd repository
        git config user.name n && git config user.email e@example
        cp ../tree/sub/file . && git add file && git commit -q -m first && git gc -q && git log --format=%s
    """
    spec = Spec(
        args=("bash", "-c", script),
        env=(("PATH", os.environ["PATH"]), ("HOME", str(tmp_path))),
        cwd=str(tmp_path),
        stdio=Stdio.PIPE,
        seccomp=DEFAULT,
        no_new_privs=True,
    )
    assert output(spec) == "a b 2,4,6\ncontent\nfirst\n"
