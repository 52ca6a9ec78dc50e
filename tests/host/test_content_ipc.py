"""System V objects, POSIX queues and limits of another ipc namespace, beside ipcs(1) and the kernel's own files."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest
from dwellers import acting, opened, shell, told

from nsview.host.content.ipc import IpcContent, parse_shared_memory, read_ipc

pytestmark = pytest.mark.needs("root", "unshare", "nsenter")

MAKE = r"""
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    result = getattr(libc, name)(*arguments)
    assert result != -1, (name, ctypes.get_errno())
    return result
CREAT, RMID = 0o1000, 0
libc.shmat.restype = ctypes.c_void_p
queue = call("msgget", ctypes.c_int(-2), CREAT | 0o640)
message = ctypes.create_string_buffer(b"\1\0\0\0\0\0\0\0hello")
call("msgsnd", queue, message, ctypes.c_size_t(5), 0)
call("semget", 7, 3, CREAT | 0o600)
segment = call("shmget", 0x1234, ctypes.c_size_t(5000), CREAT | 0o604)
libc.shmat(segment, None, 0); libc.shmat(segment, None, 0)
dying = call("shmget", 0, ctypes.c_size_t(4096), CREAT | 0o600)
libc.shmat(dying, None, 0)
call("shmctl", dying, RMID, None)
class Attributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_long) for name in ("flags", "maxmsg", "msgsize", "curmsgs", "a", "b", "c", "d")]
mode = os.umask(0)
posix = call("mq_open", b"/posix", os.O_RDWR | os.O_CREAT, 0o624, ctypes.byref(Attributes(0, 4, 90, 0)))
call("mq_send", posix, b"one", 3, 1); call("mq_send", posix, b"two", 3, 9)
call("mq_open", b"/b\x1b[2J\n\xff", os.O_RDWR | os.O_CREAT, 0o600, ctypes.byref(Attributes(0, 1, 8, 0)))
open("/proc/sys/kernel/msgmax", "w").write("4321")
open("/proc/sys/fs/mqueue/queues_max", "w").write("17")
"""


@pytest.fixture
def content(nothing_left, unshared):
    """The content of a namespace in which MAKE has run, and a pid in it."""
    pid = unshared("--ipc")
    with acting(pid, MAKE, "i"), opened(pid, "ipc") as fds:
        yield read_ipc(*fds), pid


def listed(pid: int, option: str) -> list[list[str]]:
    """The rows of ipcs(1) there, without titles."""
    lines = told(pid, "ipcs", option, kinds="i").splitlines()
    return [line.split() for line in lines if line.startswith("0x")]


@pytest.mark.needs("ipcs")
def test_system_v_objects_are_those_that_ipcs_lists(content):
    found, pid = content
    assert isinstance(found, IpcContent)
    queues = [
        [f"{row.key:#010x}", str(row.id), f"{row.mode:o}", str(row.bytes), str(row.messages)]
        for row in found.message_queues
    ]
    assert queues == [[key, id, mode, used, count] for key, id, _, mode, used, count in listed(pid, "-q")]
    sets = [[f"{row.key:#010x}", str(row.id), f"{row.mode:o}", str(row.count)] for row in found.semaphores]
    assert sets == [[key, id, mode, count] for key, id, _, mode, count in listed(pid, "-s")]
    segments = [
        [f"{row.key:#010x}", str(row.id), f"{row.mode:o}", str(row.bytes), str(row.attached)]
        for row in found.shared_memory
    ]
    assert segments == [[key, id, mode, size, attached] for key, id, _, mode, size, attached, *_ in listed(pid, "-m")]


def test_system_v_objects_are_those_that_were_made(content):
    found, _ = content
    [queue], [semaphores] = found.message_queues, found.semaphores
    assert (queue.key, queue.mode, queue.bytes, queue.messages) == (0xFFFFFFFE, 0o640, 5, 1)
    assert (semaphores.key, semaphores.mode, semaphores.count) == (7, 0o600, 3)
    segments = {row.key: (row.mode, row.bytes, row.attached, row.removed) for row in found.shared_memory}
    assert segments == {0x1234: (0o604, 5000, 2, False), 0: (0o600, 4096, 1, True)}
    assert Path("/proc/sysvipc/shm").read_text().count("\n") == 1 + len(read_own().shared_memory)


def read_own() -> IpcContent:
    with opened(os.getpid(), "ipc") as fds:
        return read_ipc(*fds)


def test_posix_queues_are_read_without_taking_from_them(content):
    found, pid = content
    assert found.posix_queues_unknown_because is None
    with opened(pid, "ipc") as fds:
        assert read_ipc(*fds).posix_queues == found.posix_queues
    queues = {row.name: (row.mode, row.messages, row.max_messages, row.message_size) for row in found.posix_queues}
    assert queues == {"/posix": (0o624, 2, 4, 90), "/b\\x1b[2J\\n\\xff": (0o600, 0, 1, 8)}


def test_posix_queues_are_those_of_a_mount_of_their_own(content):
    found, pid = content
    script = (
        "mount -t mqueue none /dev/shm && cd /dev/shm && ls -q | wc -l && stat -c %a posix && grep -c QSIZE:6 posix"
    )
    answer = told(pid, "unshare", "-m", "sh", "-c", script, kinds="i").split()
    assert answer == [str(len(found.posix_queues)), "624", "1"]


def test_limits_are_those_of_that_namespace_and_not_ours(content):
    found, pid = content
    assert found.limits["kernel.msgmax"] == "4321"
    assert found.limits["fs.mqueue.queues_max"] == "17"
    for name, words in found.limits.items():
        assert words == " ".join(told(pid, "cat", f"/proc/sys/{name.replace('.', '/')}", kinds="i").split())
    own = read_own()
    assert own.limits["kernel.msgmax"] == Path("/proc/sys/kernel/msgmax").read_text().strip()
    assert own.limits["kernel.msgmax"] != "4321"


def test_an_empty_namespace_has_nothing_known_to_be_nothing(nothing_left, unshared):
    with opened(unshared("--ipc"), "ipc") as fds:
        found = read_ipc(*fds)
    assert (found.message_queues, found.semaphores, found.shared_memory, found.posix_queues) == ((), (), (), ())


def test_a_namespace_that_only_a_descriptor_holds_still_has_its_objects(nothing_left):
    with ExitStack() as stack:
        with shell("--ipc") as pid:
            fds = stack.enter_context(opened(pid, "ipc"))
            with acting(pid, MAKE, "i"):
                pass
        found = read_ipc(*fds)
    assert [row.key for row in found.semaphores] == [7]
    assert {row.name for row in found.posix_queues} == {"/posix", "/b\\x1b[2J\\n\\xff"}
    assert [row.attached for row in found.shared_memory] == [0]


def test_without_privilege_posix_queues_are_unknown_and_say_why(as_nobody):
    found = as_nobody(read_own)
    assert found.posix_queues is None
    assert "mqueue" in found.posix_queues_unknown_because
    assert found.semaphores is not None


def test_a_kernel_of_another_layout_is_read_by_its_titles():
    text = b"   shmid   key  perms size cpid nattch uid gid cuid rss\n 3 -1 1777 10 4 2 1 2 3 4096\n"
    [segment] = parse_shared_memory(text)
    assert (segment.key, segment.id, segment.mode, segment.removed) == (0xFFFFFFFF, 3, 0o777, True)
