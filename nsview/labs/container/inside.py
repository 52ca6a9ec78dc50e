"""What runs in the container: it makes the attempts it is told to, each in a process of its own, and tells the answers.

It is executed by the machine's Python with nothing but the standard library, as a file that the container is given;
forty times in a run of the lab, so it imports little, and the rest where it is needed. One line in, one out, until the
other end is closed: an Aim and the keys of attempts, separated by tabs, are answered by as many of DONE, an errno's
name, a signal's name, or one of WORDS.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

DONE = "done"
NULL, OWN_ROOT, NO_GAIN = "/dev/null", "its own root", "nothing gained"
WORDS = (NULL, OWN_ROOT, NO_GAIN)
"""Answers that are no errno: what it got in place of what it was after."""
_FIRST_WORD = 200
PUSHED = b"x"

CHILDREN, FILES, BYTES = 40, 200, 96 << 20
"""What is tried to be had at a time: more than the container's limits."""

_SYSCALLS = {
    "x86_64": {
        "bpf": 321,
        "perf_event_open": 298,
        "keyctl": 250,
        "init_module": 175,
        "finit_module": 313,
        "name_to_handle_at": 303,
        "open_by_handle_at": 304,
        "capset": 126,
        "clone3": 435,
        "prlimit64": 302,
    },
    "aarch64": {
        "bpf": 280,
        "perf_event_open": 241,
        "keyctl": 219,
        "init_module": 105,
        "finit_module": 273,
        "name_to_handle_at": 264,
        "open_by_handle_at": 265,
        "capset": 91,
        "clone3": 435,
        "prlimit64": 261,
    },
}
_NEWNS, _NEWUSER = 0x20000, 0x10000000
_PRIVATE, _REMOUNT_BIND = 0x44000, 0x1020
_SIGCHLD = 17


class Aim:
    """What the attempts are aimed at.

    ``outer`` is a process outside, ``root`` the device and inode of the machine's root directory, ``controller`` one
    of a version 1 hierarchy that the container has a group in ("" for none).
    """

    def __init__(self, outer: int, root: tuple[int, int], controller: str) -> None:
        self.outer = outer
        self.root = root
        self.controller = controller

    def line(self, keys: list[str]) -> str:
        """How the program is told to make these attempts."""
        return "\t".join((str(self.outer), *map(str, self.root), self.controller, *keys)) + "\n"


class Instead(Exception):  # noqa: N818 - no error: another answer
    """It got this of WORDS in place of what it was after."""


def _call(name: str, *arguments: object) -> int:
    function = getattr(ctypes.CDLL(None, use_errno=True), name)
    answer: int = function(*arguments)
    if answer == -1:
        raise OSError(ctypes.get_errno(), name)
    return answer


def _syscall(name: str, *arguments: object) -> int:
    words = (ctypes.c_long(each) if isinstance(each, int) else each for each in arguments)
    return _call("syscall", ctypes.c_long(_SYSCALLS[os.uname().machine][name]), *words)


def _passed(*wrong: int) -> Callable[[OSError], None]:
    """Errnos by which a call tells that our arguments are wrong, which who may not make it is not told."""

    def judge(error: OSError) -> None:
        if error.errno not in wrong:
            raise error

    return judge


# ---- other processes ----


def _signal(aim: Aim) -> None:
    os.kill(aim.outer, 0)


def _see(aim: Aim) -> None:
    os.stat(f"/proc/{aim.outer}/root/")


def _debug(aim: Aim) -> None:
    _call("ptrace", 0x4206, aim.outer, None, None)  # PTRACE_SEIZE; detached by our end


def _enter(aim: Aim) -> None:
    """Enter the network of a process outside."""
    fd = os.open(f"/proc/{aim.outer}/ns/net", os.O_RDONLY)
    _call("setns", fd, 0)


# ---- the network ----


def _network(_: Aim) -> None:
    """Have the kernel look for a way to another machine; nothing is sent (udp(7))."""
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.connect(("192.0.2.77", 9))


def _raw_socket(_: Aim) -> None:
    import socket

    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()


# ---- files ----


def _alone() -> None:
    """Be in a mount namespace of our own from here on: nothing that is mounted is seen by others."""
    _call("unshare", _NEWNS)
    _call("mount", b"none", b"/", None, ctypes.c_ulong(_PRIVATE), None)


def _mount(_: Aim) -> None:
    _alone()
    _call("mount", b"none", b"/tmp", b"tmpfs", ctypes.c_ulong(0), None)


def _remount(_: Aim) -> None:
    """Make the mount at /usr writable again, where it is one, else a bind of it that we make."""
    _alone()
    if not os.path.ismount("/usr"):
        _call("mount", b"/usr", b"/usr", None, ctypes.c_ulong(0x1000), None)
        _call("mount", None, b"/usr", None, ctypes.c_ulong(_REMOUNT_BIND | 1), None)
    kept = os.statvfs("/usr").f_flag & (os.ST_NOSUID | os.ST_NODEV | os.ST_NOEXEC)  # they may be locked
    _call("mount", None, b"/usr", None, ctypes.c_ulong(_REMOUNT_BIND | kept), None)


def _release_agent(aim: Aim) -> None:
    """Open the file whose program the kernel runs as root when a group of version 1 has become empty."""
    _alone()
    if not aim.controller:  # the kernel would take every controller it can get
        raise OSError(errno.ENODEV, "no hierarchy of version 1")
    _call("mount", b"none", b"/tmp", b"cgroup", ctypes.c_ulong(0), aim.controller.encode())
    os.close(os.open("/tmp/release_agent", os.O_WRONLY))


def _chroot(aim: Aim) -> None:
    """The classic way out: a root below the directory we hold, from which .. leads up to the highest there is."""
    held = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    os.chroot("/usr")
    os.fchdir(held)
    for _ in range(64):
        os.chdir("..")
    os.chroot(".")
    seen = os.stat("/")
    if (seen.st_dev, seen.st_ino) != aim.root:
        raise Instead(OWN_ROOT)


def _handle(_: Aim) -> None:
    """Open a file by its handle, which needs no path: whoever may could guess those of files outside."""
    handle = bytearray(struct.pack("=Ii", 128, 0) + bytes(128))
    buffer = (ctypes.c_char * len(handle)).from_buffer(handle)
    mount = ctypes.c_int()
    at = os.open("/usr/bin", os.O_RDONLY | os.O_DIRECTORY)
    program = os.path.basename(os.path.realpath("/usr/bin/env"))
    _syscall("name_to_handle_at", at, program.encode(), buffer, ctypes.byref(mount), 0)
    os.close(_syscall("open_by_handle_at", at, buffer, os.O_RDONLY))


def _opened(path: str, flags: int) -> Callable[[Aim], None]:
    """Open it, and look whether that is itself or the null device."""

    def open_it(_: Aim) -> None:
        fd = os.open(path, flags | os.O_CLOEXEC)
        if os.fstat(fd).st_rdev == os.makedev(1, 3):
            raise Instead(NULL)
        os.close(fd)

    return open_it


def _firmware(_: Aim) -> None:
    os.listdir("/sys/firmware")


def _usr(_: Aim) -> None:
    os.close(os.open("/usr", os.O_TMPFILE | os.O_WRONLY))


def _device(_: Aim) -> None:
    path = f"/tmp/nsview-lab-{os.getpid()}"
    os.mknod(path, 0o20600, os.makedev(1, 3))
    os.unlink(path)


def _terminal(_: Aim) -> None:
    """Push a byte into the terminal of whose session we are in, as if it had been typed there (TIOCSTI)."""
    import fcntl

    fd = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(fd, 0x5412, PUSHED)


# ---- the kernel itself ----


def _hostname(_: Aim) -> None:
    name = os.uname().nodename.encode()
    _call("sethostname", name, len(name))


def _user_namespace(_: Aim) -> None:
    _call("unshare", _NEWUSER)


def _clone3(_: Aim) -> None:
    arguments = struct.pack("=11Q", _NEWUSER, 0, 0, 0, _SIGCHLD, 0, 0, 0, 0, 0, 0)
    pid = _syscall("clone3", arguments, len(arguments))
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _bpf(_: Aim) -> None:
    """Make a map of one element."""
    attributes = struct.pack("=5I", 2, 4, 4, 1, 0)  # BPF_MAP_TYPE_ARRAY, key, value, entries, flags
    os.close(_syscall("bpf", 0, attributes, len(attributes)))


def _perf(_: Aim) -> None:
    """Count what a whole processor does, by a clock of the kernel's (PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK)."""
    processor = min(os.sched_getaffinity(0))
    os.close(_syscall("perf_event_open", struct.pack("=IIQ", 1, 64, 0) + bytes(48), -1, processor, -1, 0))


def _keyctl(_: Aim) -> None:
    """Ask for the number of the session's keyring; nothing is made (keyctl_get_keyring_ID(3))."""
    try:
        _syscall("keyctl", 0, -3, 0, 0, 0)
    except OSError as error:
        _passed(errno.ENOKEY)(error)


def _module(_: Aim) -> None:
    """Load a module that is none."""
    try:
        _syscall("init_module", b"", 0, b"")
    except OSError as error:
        _passed(errno.ENOEXEC)(error)


def _module_file(_: Aim) -> None:
    """Load a module from no file."""
    try:
        _syscall("finit_module", -1, b"", 0)
    except OSError as error:
        _passed(errno.EBADF, errno.ENOEXEC)(error)


# ---- itself ----


def _gain(_: Aim) -> None:
    """Give up every capability, then get them again by execve, as uid 0 does by the rule of set-user-ID programs."""
    _syscall("capset", struct.pack("=Ii", 0x20080522, 0), bytes(24))
    asks = (
        "import os\n"
        "lines = open('/proc/self/status').read().splitlines()\n"
        "held = next(int(line.split()[1], 16) for line in lines if line.startswith('CapPrm'))\n"
        f"os._exit(0 if held else {_FIRST_WORD + WORDS.index(NO_GAIN)})\n"
    )
    os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", asks])


def _hard_limit(_: Aim) -> None:
    """Lower a hard limit, and raise it by one."""
    import resource

    for value in (40, 41):
        _syscall("prlimit64", 0, resource.RLIMIT_NOFILE, struct.pack("=QQ", 40, value), None)


def _open_many(_: Aim) -> None:
    opened: list[int] = []
    try:
        while len(opened) < FILES:
            opened.append(os.open("/", os.O_PATH))
    finally:
        for fd in opened:
            os.close(fd)


def _children(_: Aim) -> None:
    """Each waits to be killed."""
    import signal

    made: list[int] = []
    try:
        while len(made) < CHILDREN:
            pid = os.fork()
            if pid == 0:
                signal.pause()
                os._exit(0)
            made.append(pid)
    finally:
        for pid in made:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _memory(_: Aim) -> None:
    held = bytearray(BYTES)
    for at in range(0, len(held), 4096):
        held[at] = 1


TRIES: dict[str, Callable[[Aim], None]] = {
    "signal": _signal,
    "see": _see,
    "debug": _debug,
    "enter": _enter,
    "network": _network,
    "raw-socket": _raw_socket,
    "mount": _mount,
    "remount": _remount,
    "release-agent": _release_agent,
    "chroot": _chroot,
    "handle": _handle,
    "kcore": _opened("/proc/kcore", os.O_RDONLY),
    "keys": _opened("/proc/keys", os.O_RDONLY),
    "timers": _opened("/proc/timer_list", os.O_RDONLY),
    "sysrq": _opened("/proc/sysrq-trigger", os.O_WRONLY),
    "proc-sys": _opened("/proc/sys/vm/swappiness", os.O_WRONLY),
    "own-name": _opened("/proc/self/comm", os.O_WRONLY),
    "firmware": _firmware,
    "usr": _usr,
    "device": _device,
    "terminal": _terminal,
    "hostname": _hostname,
    "user-namespace": _user_namespace,
    "clone3": _clone3,
    "bpf": _bpf,
    "perf": _perf,
    "keyctl": _keyctl,
    "module": _module,
    "module-file": _module_file,
    "gain": _gain,
    "hard-limit": _hard_limit,
    "files": _open_many,
    "children": _children,
    "memory": _memory,
}
"""The attempts, by the keys of their rows in attempts.py. Nothing is written to what is opened."""


def attempted(key: str, aim: Aim) -> str:
    """Try it in a child of our own, and tell the answer."""
    pid = os.fork()
    if pid == 0:
        status = 199
        try:
            TRIES[key](aim)
            status = 0
        except Instead as other:
            status = _FIRST_WORD + WORDS.index(str(other))
        except OSError as error:
            status = error.errno or status
        finally:
            os._exit(status)
    _, how = os.waitpid(pid, 0)
    if os.WIFSIGNALED(how):
        import signal

        return signal.Signals(os.WTERMSIG(how)).name
    code = os.WEXITSTATUS(how)
    if code == 0:
        return DONE
    return WORDS[code - _FIRST_WORD] if code >= _FIRST_WORD else errno.errorcode.get(code, f"status {code}")


def serve() -> None:
    """Answer each line of standard input."""
    for line in sys.stdin:
        outer, device, inode, controller, *keys = line.rstrip("\n").split("\t")
        aim = Aim(int(outer), (int(device), int(inode)), controller)
        print("\t".join(attempted(key, aim) for key in keys), flush=True)


if __name__ == "__main__":
    serve()
