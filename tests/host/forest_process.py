"""A process of a forest, from within: it enters namespaces, keeps some, forks its children, and tells what it did."""

from __future__ import annotations

import ctypes
import errno
import os
import pickle
import signal
import socket
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from children import call
from forest import Facts, Hold, Made
from forest_plan import Keep, Node
from leftovers import until

from spawner.namespaces import BY_PROC

CLONE_FILES = 0x400
MNT_DETACH = 2
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
PR_SET_CHILD_SUBREAPER = 36
SYS_EXIT = 60 if os.uname().machine == "x86_64" else 93
ROOM = "/mnt"

_libc = ctypes.CDLL(None, use_errno=True)


def grow_root(life: int, end: int, node: Node) -> Facts:
    """Grow everything from the topmost process, which also reaps what loses its parent."""
    os.close(end)
    call("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    return _Process(life).grow(node)


def fork(action: Callable[[], Any], life: int, leaves: bool = False) -> tuple[int, Any]:
    """Fork a child that acts, tells the result, and waits for the end of ``life`` (or ends at once)."""

    def child(tell: Callable[[object], None]) -> None:
        tell(action())
        if not leaves:
            _wait(life)

    return _forked(child)


def _forked(child: Callable[[Callable[[object], None]], None]) -> tuple[int, Any]:
    """Fork; return the pid and what the child tells first."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reading)
            child(partial(_tell, writing))
        except BaseException:  # noqa: BLE001 - it must not run on as a second pytest
            _tell(writing, _Failure(traceback.format_exc()))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        result = pickle.load(pipe)  # its end would not come: our other children have the pipe too
    if isinstance(result, _Failure):
        os.waitpid(pid, 0)
        raise AssertionError(f"a process of the forest failed:\n{result.traceback}")
    return pid, result


@dataclass(frozen=True)
class _Failure:
    traceback: str


def _tell(pipe: int, result: object) -> None:
    message = memoryview(pickle.dumps(result))
    while message:
        message = message[os.write(pipe, message) :]


def _wait(life: int) -> None:
    """Wait for the end of the forest, then for all children, so that nobody is orphaned."""
    os.read(life, 1)
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _pid() -> int:
    """Our pid as the test sees it: /proc is still that of its pid namespace."""
    return int(os.readlink("/proc/self"))


def _tid() -> int:
    return int(os.readlink("/proc/thread-self").rpartition("/")[2])


def _inode(link: str) -> int:
    return os.stat(f"/proc/thread-self/ns/{link}").st_ino


def _link(kind: str) -> str:
    """The link that shows what unshare(2) made."""
    return f"{kind}_for_children" if kind in ("pid", "time") else kind


def _enter(kinds: tuple[str, ...], layers: int) -> list[Made]:
    """Unshare, user namespaces first and one in another; tell what was made. A room of our own comes with mounts."""
    made: list[Made] = []
    for _ in range(layers):
        uid, gid, above = os.geteuid(), os.getegid(), _inode("user")
        call("unshare", BY_PROC["user"].flag)
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            Path("/proc/self", name).write_text(text)
        made.append(Made("user", _inode("user"), above, above))
    rest = {kind for kind in kinds if kind != "user"} | ({"mnt"} if layers else set())
    for kind in rest:
        call("unshare", BY_PROC[kind].flag)
        if kind == "pid":
            os.waitpid(_forked(lambda tell: tell(None))[0], 0)  # its link cannot be read before somebody is born in it
        made.append(Made(kind, _inode(_link(kind)), _inode("pid") if kind == "pid" else None, _inode("user")))
    if "mnt" in rest:
        call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
        call("mount", b"forest", ROOM.encode(), b"tmpfs", 0, None)
    return made


class _Process:
    def __init__(self, life: int) -> None:
        self.life = life
        self.facts = Facts(_pid(), {_pid()})

    def grow(self, node: Node) -> Facts:
        """Do what the node says, and tell what there is then."""
        pid = self.facts.pid
        now = tuple(kind for kind in node.enters if kind not in ("pid", "time"))
        self.facts.made += _enter(now, int("user" in now))
        for kind in BY_PROC:
            self.hold(kind, _inode(kind), "member", pid)
        for keep in node.keeps:
            if keep.how != "awaited":
                getattr(self, f"keep_by_{keep.how}")(keep)
        if "time" in node.enters:  # from here on the kernel lets us start no thread
            self.facts.made += _enter(("time",), 0)
            self.hold("time", _inode("time_for_children"), "awaited", pid)
        since = time.monotonic_ns()
        if "pid" in node.enters:
            call("unshare", BY_PROC["pid"].flag)
        for child in node.children:
            self.branch(child)
        if any(keep.how == "awaited" for keep in node.keeps):
            call("unshare", BY_PROC["pid"].flag)
            os.waitpid(_forked(lambda tell: tell(None))[0], 0)
        elif "pid" not in node.enters or not node.children:
            return self.facts  # its link cannot be read before somebody is born in it
        inode = _inode("pid_for_children")
        self.hold("pid", inode, "awaited", self.facts.pid)
        self.facts.made.append(Made("pid", inode, _inode("pid"), _inode("user"), since))
        return self.facts

    def hold(self, kind: str, inode: int, how: str, *holder: object) -> None:
        self.facts.holds.append(Hold(kind, inode, how, holder))

    def branch(self, node: Node) -> None:
        """Fork a child of the forest; see what is left if it leaves."""

        def child(tell: Callable[[object], None]) -> None:
            facts = _Process(self.life).grow(node)
            if node.end == "main":
                _end_main_thread(self.life, facts, tell)
            tell(facts)
            if node.end == "stays":
                _wait(self.life)

        pid, facts = _forked(child)
        if node.end == "leaves":
            os.waitpid(pid, 0)
            facts = facts.without(facts.pid)
        self.facts.add(facts)

    # ---- keeping what no process is in ----

    def keep_by_fd(self, keep: Keep) -> None:
        with _Visitor(self.life, keep) as visitor:
            self.facts.add(visitor.facts)
            for kind, path, inode in visitor.files():
                self.hold(kind, inode, "fd", self.facts.pid, os.open(path, os.O_RDONLY))

    def keep_by_bind(self, keep: Keep) -> None:
        with _Visitor(self.life, keep) as visitor:
            self.facts.add(visitor.facts)
            for kind, path, inode in visitor.files():
                if point := _bind(kind, path, f"{visitor.facts.pid} {kind}"):
                    self.hold(kind, inode, "mount", _inode("mnt"), point)

    def keep_by_bound_fd(self, keep: Keep) -> None:
        """Open it where it is bound: the link in /proc/PID/fd tells that path. Then unmount it."""
        with _Visitor(self.life, keep) as visitor:
            self.facts.add(visitor.facts)
            for kind, path, inode in visitor.files():
                if point := _bind(kind, path, f"{visitor.facts.pid} {kind}"):
                    self.hold(kind, inode, "fd", self.facts.pid, os.open(point, os.O_RDONLY))
                    call("umount2", point.encode(), MNT_DETACH)

    def keep_by_socket(self, keep: Keep) -> None:
        with _Visitor(self.life, keep, makes_socket=True) as visitor:
            self.facts.add(visitor.facts)
            assert visitor.socket is not None
            inode = next(inode for kind, _, inode in visitor.files() if kind == "net")
            self.hold("net", inode, "socket", self.facts.pid, visitor.socket.detach())

    def keep_by_thread_fd(self, keep: Keep) -> None:
        with _Visitor(self.life, keep) as visitor:
            self.facts.add(visitor.facts)

            def open_apart() -> list[tuple[str, int, int]]:
                call("unshare", CLONE_FILES)
                return [(kind, inode, os.open(path, os.O_RDONLY)) for kind, path, inode in visitor.files()]

            for kind, inode, fd in self.in_thread(open_apart):
                self.hold(kind, inode, "fd", self.facts.pid, fd)

    def keep_by_task(self, keep: Keep) -> None:
        def enter() -> tuple[int, list[Made]]:
            for kind in keep.kinds:
                call("unshare", BY_PROC[kind].flag)
            return _tid(), [Made(kind, _inode(_link(kind)), None, _inode("user")) for kind in keep.kinds]

        tid, made = self.in_thread(enter)
        self.facts.made += made
        for one in made:
            self.hold(one.kind, one.inode, "awaiting_task" if one.kind == "time" else "task", self.facts.pid, tid)

    def keep_by_awaited_by_task(self, keep: Keep) -> None:
        def enter() -> tuple[int, list[Made]]:
            return _tid(), _enter(keep.kinds, 0)

        tid, made = self.in_thread(enter)
        self.facts.made += made
        self.hold("pid", made[0].inode, "awaiting_task", self.facts.pid, tid)

    def in_thread(self, action: Callable[[], Any]) -> Any:
        """Do it in a thread that then stays as long as the forest."""
        results: list[Any] = []
        ready = threading.Event()

        def run() -> None:
            try:
                results.append(action())
            finally:
                ready.set()
            os.read(self.life, 1)

        threading.Thread(target=run, daemon=True).start()
        ready.wait()
        assert results, "a thread of the forest failed; its traceback is on stderr"
        return results[0]


class _Visitor:
    """A child that enters namespaces and waits to be used; it ends with the context, and with it all it alone held."""

    def __init__(self, life: int, keep: Keep, makes_socket: bool = False) -> None:
        self.socket: socket.socket | None = None
        near, far = socket.socketpair()

        def visit() -> tuple[Facts, list[tuple[str, str, int]]]:
            process = _Process(life)
            now = tuple(kind for kind in keep.kinds if kind != "pid")
            process.facts.made += _enter(now, max(keep.layers, int("user" in now)))
            for inner in keep.room:
                process.keep_by_bind(inner)
            if "pid" in keep.kinds:  # last: once the first in it has ended, we cannot fork any more
                process.facts.made += _enter(("pid",), 0)
            if makes_socket:
                with socket.socket() as made:
                    socket.send_fds(far, [b"here"], [made.fileno()])
            files = [(kind, f"/proc/{process.facts.pid}/ns/{_kept(kind)}", _inode(_kept(kind))) for kind in keep.kinds]
            return process.facts, files

        with near, far:
            self.pid, (facts, self._files) = fork(visit, life)
            if makes_socket:
                _, (fd,), _, _ = socket.recv_fds(near, 16, 1)
                self.socket = socket.socket(fileno=fd)
        self.facts = facts.without(facts.pid)
        self.facts.pid = facts.pid

    def files(self) -> list[tuple[str, str, int]]:
        """Kind, path and inode of what it entered, to be kept before it ends."""
        return self._files

    def __enter__(self) -> _Visitor:
        return self

    def __exit__(self, *_: object) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def _bind(kind: str, path: str, name: str) -> str | None:
    """Bind a namespace file in our room; return where, None if the kernel takes it for older than our own."""
    point = f"{ROOM}/{name}"  # with a blank, which mountinfo escapes
    Path(point).touch()
    try:
        call("mount", path.encode(), point.encode(), None, MS_BIND, None)
    except OSError as error:
        # A mount namespace can be bound in an older one only, and what is older goes by ids that each CPU hands
        # out from a batch of its own (fs/namespace.c: mnt_ns_loop(), since 6.18).
        if kind == "mnt" and error.errno == errno.EINVAL:
            return None
        raise
    return point


def _kept(kind: str) -> str:
    return "pid_for_children" if kind == "pid" else kind


def _end_main_thread(life: int, facts: Facts, tell: Callable[[object], None]) -> NoReturn:
    """Leave the process to another thread, which tells and waits."""
    main = _tid()

    def guard() -> None:
        try:
            state = Path(f"/proc/self/task/{main}/stat")
            assert until(lambda: state.read_bytes().rpartition(b") ")[2].startswith(b"Z"))
            tell(facts.with_task_for_main(_tid()))
            _wait(life)
        except BaseException:  # noqa: BLE001 - nobody else would end the process
            tell(_Failure(traceback.format_exc()))
        os._exit(0)

    threading.Thread(target=guard, daemon=True).start()
    _libc.syscall(SYS_EXIT, 0)  # of the thread alone, unlike exit_group(2)
    raise AssertionError("it has ended")
