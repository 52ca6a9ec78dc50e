"""One process, pinned: all that is read through it is of that process, never of a successor in its number."""

from __future__ import annotations

import errno
import os
from functools import cache
from types import TracebackType

ORDINARY = frozenset((errno.ENOENT, errno.ESRCH, errno.EACCES, errno.EPERM))
"""Answers of a process that is gone, has no such thing, or does not let us look: unknown, not an error."""

_OF_ALL_THREADS = frozenset(
    ("cmdline", "cwd", "environ", "exe", "fd", "fdinfo", "mountinfo", "net", "ns", "root", "smaps_rollup")
)
"""What of /proc/PID every thread's directory has, and the main thread's is empty once that has ended."""


class ProcessGoneError(LookupError):
    """There is no such process, or not any more: ``pid``, and ``start_time`` (ticks) when it was given."""

    def __init__(self, pid: int, start_time: int | None = None) -> None:
        """Keep which process it was."""
        self.pid = pid
        self.start_time = start_time
        super().__init__(f"no process {pid}" + ("" if start_time is None else f" started at tick {start_time}"))


class PinnedProcess:
    """An O_PATH descriptor of /proc/PID. Once the process is reaped every read answers None.

    The descriptor holds the kernel's struct pid, not the number (fs/proc/base.c), so a reused pid is never
    read. Use as a context manager.

    The main thread may have ended before the others (pthread_exit(3) in main): it has given back memory,
    files and namespaces, which live on in the other threads. Then ``leader`` is the tid of one of those, else
    the pid, and what all threads share is read through it.
    """

    def __init__(self, pid: int, start_time: int | None = None) -> None:
        """Pin the process; ProcessGoneError when there is none, or not the one started at ``start_time``."""
        self.pid = pid
        self.leader = pid
        self._living = ""
        try:
            self._directory = os.open(f"/proc/{pid}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in ORDINARY:
                raise ProcessGoneError(pid, start_time) from None
            raise
        stat = self.stat_fields()
        if stat is None or start_time not in (None, int(stat[19])):
            os.close(self._directory)
            raise ProcessGoneError(pid, start_time)
        self.start_time = int(stat[19])
        if stat[0] == b"Z" and int(stat[17]) > 1:
            self._choose_leader()

    def __enter__(self) -> PinnedProcess:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the descriptor."""
        os.close(self._directory)

    def is_there(self) -> bool:
        """True while it has not been reaped."""
        return self._started() is not None

    def was_asked(self) -> bool:
        """True if what system calls were asked by its number until now was answered for it.

        That is when it is still there, and ``/proc`` numbers processes as our system calls do: where a new pid
        namespace has the ``/proc`` of the one above, the same number is another process.
        """
        return self.is_there() and numbers_agree(os.getpid())

    def open(self, name: str, flags: int = 0) -> int | None:
        """Open /proc/PID/``name`` for reading and return the descriptor, which is the caller's to close."""
        try:
            return os.open(self._path(name), os.O_RDONLY | os.O_CLOEXEC | flags, dir_fd=self._directory)
        except OSError as error:
            _tolerate(error)
            return None

    def read(self, name: str) -> bytes | None:
        """Return the content of /proc/PID/``name``."""
        fd = self.open(name)
        if fd is None:
            return None
        try:
            pieces = []
            while piece := os.read(fd, 65536):
                pieces.append(piece)
            return b"".join(pieces)
        except OSError as error:
            _tolerate(error)
            return None
        finally:
            os.close(fd)

    def link(self, name: str) -> str | None:
        """Return what the symbolic link /proc/PID/``name`` says."""
        try:
            return os.readlink(self._path(name), dir_fd=self._directory)
        except OSError as error:
            _tolerate(error)
            return None

    def names(self, name: str) -> list[str] | None:
        """Return the entries of the directory /proc/PID/``name``."""
        fd = self.open(name)
        if fd is None:
            return None
        try:
            return os.listdir(fd)
        except OSError as error:
            _tolerate(error)
            return None
        finally:
            os.close(fd)

    def stat(self, name: str) -> os.stat_result | None:
        """Return the status of what /proc/PID/``name`` leads to."""
        try:
            return os.stat(self._path(name), dir_fd=self._directory)
        except OSError as error:
            _tolerate(error)
            return None

    def attribute(self, name: str, attribute: str) -> bytes | None:
        """Return an extended attribute of what /proc/PID/``name`` leads to; None when it has none such."""
        try:
            return os.getxattr(f"/proc/self/fd/{self._directory}/{self._path(name)}", attribute)
        except OSError as error:
            if error.errno in (errno.ENODATA, errno.EOPNOTSUPP):
                return None
            _tolerate(error)
            return None

    def namespace(self, name: str) -> int | None:
        """Return the inode of its namespace /proc/PID/ns/``name``, as ``net`` or ``pid_for_children``."""
        link = self.link(f"ns/{name}")
        return None if link is None else int(link[link.index("[") + 1 : -1])

    def status(self) -> dict[str, str] | None:
        """Return the fields of /proc/PID/status (proc_pid_status(5))."""
        text = self.read("status")
        if not text:
            return None
        if self._living:  # what the main thread has no more; its own comes last and counts
            text = (self.read(f"{self._living}status") or b"") + text
        # Not splitlines(): a name may hold carriage returns and the like (fs/proc/array.c: proc_task_name()).
        lines = (line.split(":", 1) for line in text.decode("utf-8", "backslashreplace").split("\n") if ":" in line)
        return {key: value.strip() for key, value in lines}

    def stat_fields(self) -> list[bytes] | None:
        """Return the fields of /proc/PID/stat from the state on: field N of proc_pid_stat(5) is at N - 3."""
        text = self.read("stat")
        return None if not text else text[text.rindex(b")") + 2 :].split()

    def _choose_leader(self) -> None:
        """Find a thread that lives; the main thread has not been reaped and its number is not used again."""
        for tid in sorted(map(int, self.names("task") or ())):
            text = self.read(f"task/{tid}/stat")
            if text and text[text.rindex(b")") + 2 :][:1] not in (b"Z", b"X"):
                self.leader, self._living = tid, f"task/{tid}/"
                return

    def _path(self, name: str) -> str:
        return self._living + name if self._living and name.partition("/")[0] in _OF_ALL_THREADS else name

    def _started(self) -> int | None:
        fields = self.stat_fields()
        return None if fields is None else int(fields[19])


@cache
def numbers_agree(own: int) -> bool:
    """Tell whether /proc is of our own pid namespace; ``own`` is os.getpid(), which a fork changes."""
    try:
        return os.readlink("/proc/self") == str(own)
    except FileNotFoundError:
        return False


def _tolerate(error: OSError) -> None:
    # A zombie's mountinfo answers EINVAL (fs/proc_namespace.c: mounts_open_common()).
    if error.errno not in ORDINARY and error.errno != errno.EINVAL:
        raise error
