"""Open files are told by kind, flags, offset, and what the kernel knows of each kind."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from children import call

from nsview.host.content.sockets import Socket
from nsview.host.descriptors import Descriptor, descriptors_of, flag_names, kinds, socket_words, words
from nsview.host.difference import compare_processes
from nsview.host.process import PinnedProcess


def own(fd: int) -> Descriptor:
    with PinnedProcess(os.getpid()) as process:
        found = descriptors_of(process)
    assert found is not None
    return found[fd]


def file(path: Path) -> int:
    fd = os.open(path / "f", os.O_CREAT | os.O_RDWR | os.O_APPEND)
    os.write(fd, b"12345")
    return fd


def pipe(path: Path) -> int:
    reading, writing = os.pipe()
    os.close(writing)
    return reading


OPENERS: dict[str, tuple[Callable[[Path], int], str | None]] = {
    "file": (file, None),
    "directory": (lambda path: os.open(path, os.O_RDONLY | os.O_DIRECTORY), None),
    "character device": (lambda path: os.open("/dev/null", os.O_RDONLY), None),
    "pipe": (pipe, None),
    "eventfd": (lambda path: os.eventfd(5), "count 5"),
    "eventpoll": (lambda path: call("epoll_create1", 0), None),
    "timerfd": (lambda path: call("timerfd_create", 1, 0), None),
    "pidfd": (lambda path: os.pidfd_open(os.getpid()), f"of process {os.getpid()}"),
    "memfd": (lambda path: os.memfd_create("a (deleted)\n"), None),
    "namespace": (lambda path: os.open("/proc/self/ns/net", os.O_RDONLY), None),
    "socket": (lambda path: socket.socket(socket.AF_INET, socket.SOCK_STREAM).detach(), "TCP"),
    "inotify": (lambda path: call("inotify_init1", 0), None),
}


@pytest.mark.parametrize("kind", OPENERS)
def test_the_kind_of_an_open_file_is_recognized(tmp_path, kind):
    opener, detail = OPENERS[kind]
    fd = opener(tmp_path)
    try:
        found = own(fd)
        assert (found.number, found.kind, found.detail) == (fd, kind, detail)
        assert words(found).isprintable()
        assert found.flags
    finally:
        os.close(fd)


def test_flags_and_offset_are_those_of_the_open_file(tmp_path):
    fd = file(tmp_path)
    try:
        os.lseek(fd, 3, os.SEEK_SET)
        found = own(fd)
        assert (found.flags, found.offset) == (("O_RDWR", "O_CLOEXEC", "O_APPEND"), 3)
    finally:
        os.close(fd)


def test_flags_without_a_name_are_numbers():
    assert flag_names(os.O_WRONLY | 0o40000000000) == ("O_WRONLY", "040000000000")
    assert set(flag_names(os.O_RDWR | os.O_SYNC)) == {"O_RDWR", "O_SYNC"}, "O_SYNC contains O_DSYNC"
    assert flag_names(0o100000) == ("O_RDONLY",), "O_LARGEFILE is everywhere"


def test_what_an_epoll_watches_is_counted():
    epoll = select.epoll()
    reading, writing = os.pipe()
    epoll.register(reading, select.EPOLLIN)
    epoll.register(writing, select.EPOLLOUT)
    assert own(epoll.fileno()).detail == "2 descriptors"
    epoll.close()
    os.close(reading)
    os.close(writing)


def test_sockets_are_told_with_state_and_addresses(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind(f"{tmp_path}/s\n")
        local.listen()
        port = server.getsockname()[1]
        with socket.create_connection(server.getsockname()) as client:
            mine = client.getsockname()[1]
            assert own(server.fileno()).detail == f"tcp listen 127.0.0.1:{port}"
            assert own(client.fileno()).detail == f"tcp established 127.0.0.1:{mine} to 127.0.0.1:{port}"
        assert own(local.fileno()).detail == f"unix stream listen {tmp_path}/s\\n"


def test_addresses_of_version_6_stand_in_brackets():
    assert socket_words(Socket("udp", 5, "close", family=6, address="::1", port=53)) == "udp close [::1]:53"


def test_hostile_paths_are_escaped(tmp_path):
    path = tmp_path / "a\nb\x1b[m\u202e"
    with path.open("w") as kept:
        assert own(kept.fileno()).target == f"{tmp_path}/a\\nb\\x1b[m\\u202e"


def test_kinds_are_counted_the_most_frequent_first():
    counted = kinds({n: Descriptor(n, kind, None, None, None, None) for n, kind in enumerate(("a", "b", "b", None))})
    assert list(counted.items()) == [("b", 2), ("a", 1), ("unknown", 1)]


@pytest.mark.needs("root")
def test_who_may_not_look_is_told_nothing(as_nobody, forked):
    pid, _ = forked()

    def look() -> object:
        with PinnedProcess(pid) as process:
            return descriptors_of(process)

    assert as_nobody(look) is None


def common(one: int, two: int) -> tuple[str | None, str | None]:
    row = next(row for row in compare_processes(one, two, wanted=["descriptors"]) if row.attribute == "one open file")
    return row.parent, row.child


@pytest.mark.needs("kcmp")
def test_what_was_handed_down_is_one_open_file_and_what_was_opened_twice_is_not(tmp_path):
    path = tmp_path / "f"
    path.write_text("x")
    handed = os.open(path, os.O_RDONLY)
    os.set_inheritable(handed, True)
    again = os.dup2(handed, 77)
    program = "import os, sys; os.open(sys.argv[1], os.O_RDONLY); print('ready', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=(handed,),
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        parent, child = common(os.getpid(), process.pid)
        opened = [
            fd
            for fd in os.listdir(f"/proc/{process.pid}/fd")
            if os.readlink(f"/proc/{process.pid}/fd/{fd}") == str(path)
        ]
        assert process.stdin
        process.stdin.close()
    os.close(handed)
    os.close(again)
    assert len(opened) == 2, "the one handed down and the one it opened"
    pairs = set(zip(parent.split(), child.split(), strict=True))
    assert {(str(handed), str(handed)), ("77", str(handed))} <= pairs
    assert {theirs for _, theirs in pairs} & set(opened) == {str(handed)}
    assert os.readlink("/proc/self/fd/0") != str(path)


@pytest.mark.needs("root", "kcmp")
def test_without_permission_common_files_are_unknown(as_nobody, forked):
    pid, _ = forked()
    assert as_nobody(lambda: common(os.getpid(), pid)) == (None, None)
