"""Where BPF cannot be had /proc is read, with a reason a person can act on; what was asked for by name is refused."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest
from children import call, end, fork_and
from leftovers import Census

from nsview.host import _scan, producer
from nsview.host.bpf import iterator as loading
from nsview.host.bpf.iterator import Iterator, Refusal, RefusedError
from nsview.host.bpf.obstacles import CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN
from nsview.host.producer import Chooser, Producer
from nsview.host.snapshot import take

SYS_BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 22, 38


def in_child(action: Callable[[], Any]) -> Any:
    """Run ``action`` in a forked child, which loads an iterator of its own if it may, and return its result."""
    pid, result = fork_and(action)
    end(pid)
    return result


def producers() -> tuple[str, str, Refusal | None]:
    """Who reads a first and a second snapshot, and why BPF does not."""
    return take().producer.value, take().producer.value, producer.refusal()


def drop(*capabilities: int) -> None:
    """Take capabilities out of our effective and permitted sets (capset(2), version 3)."""
    header = struct.pack("=Ii", 0x20080522, 0)
    data = ctypes.create_string_buffer(24)
    call("capget", header, data)
    words = list(struct.unpack("=6I", data.raw))
    for capability in capabilities:
        for kind in range(2):
            words[capability // 32 * 3 + kind] &= ~(1 << capability % 32)
    call("capset", header, struct.pack("=6I", *words))


@pytest.mark.needs("root", "bpf")
def test_a_forked_child_of_root_loads_its_own() -> None:
    def load() -> tuple[list[str], tuple[str, str, Refusal | None], list[str]]:
        return links(), producers(), links()

    take(by="bpf")
    before, (_, second, refusal), after = in_child(load)
    assert (before, second, refusal) == ([], "bpf", None), "the parent's is not used: it may have had more privileges"
    assert len(after) == 1


def links() -> list[str]:
    """The BPF links that this process has open."""
    found = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
        except FileNotFoundError:  # that of the listing
            continue
        if "bpf" in target:
            found.append(target)
    return found


@pytest.mark.needs("root", "bpf")
def test_no_program_that_we_run_gets_the_link() -> None:
    take(by="bpf")
    assert links()
    listed = subprocess.check_output(["ls", "-l", "/proc/self/fd"], text=True, close_fds=False)
    assert "bpf" not in listed


@pytest.mark.needs("root", "bpf")
def test_without_capabilities_proc_is_read() -> None:
    def dropped() -> tuple[str, str, Refusal | None]:
        drop(CAP_BPF, CAP_SYS_ADMIN)
        return producers()

    first, second, refusal = in_child(dropped)
    assert (first, second) == ("proc", "proc")
    assert refusal is not None
    assert "CAP_BPF" in refusal.reason
    assert refusal.remedy


@pytest.mark.needs("root", "bpf")
def test_two_capabilities_are_enough() -> None:
    def dropped() -> tuple[str, str, Refusal | None]:
        drop(*set(range(40)) - {CAP_BPF, CAP_PERFMON})
        return producers()

    _, second, refusal = in_child(dropped)
    assert (second, refusal) == ("bpf", None)


@pytest.mark.needs("root")
def test_another_user_reads_proc(as_nobody: Callable[[Callable[[], Any]], Any]) -> None:
    first, second, refusal = as_nobody(producers)
    assert (first, second) == ("proc", "proc")
    assert refusal is not None


@pytest.mark.needs("root", "bpf")
def test_privileges_dropped_after_loading_count() -> None:
    def dropped() -> tuple[str, str]:
        loaded = take(by="bpf").producer.value
        drop(CAP_BPF, CAP_SYS_ADMIN)
        return loaded, take().producer.value

    assert in_child(dropped) == ("bpf", "proc")


@pytest.mark.needs("root", "bpf")
def test_filtered_bpf_calls_are_no_failure() -> None:
    def filtered() -> tuple[str, str, Refusal | None]:
        # load the number of the call; if it is bpf(2) answer EPERM, else allow
        steps = [
            (0x20, 0, 0, 0),
            (0x15, 0, 1, SYS_BPF),
            (0x06, 0, 0, 0x00050000 | errno.EPERM),
            (0x06, 0, 0, 0x7FFF0000),
        ]
        code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
        program = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(code)))
        call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        call("prctl", PR_SET_SECCOMP, 2, program, 0, 0)
        return producers()

    first, second, refusal = in_child(filtered)
    assert (first, second) == ("proc", "proc")
    assert refusal is not None
    assert "does not let us load" in refusal.reason


HIDDEN = """
from test_bpf_fallback import CAP_BPF, CAP_PERFMON, drop
from nsview.host.snapshot import take
drop(*set(range(40)) - {CAP_BPF, CAP_PERFMON})
for by in ("proc", "bpf"):
    print(sum(record.is_kernel_thread for record in take(by=by).records.values()))
"""


@pytest.mark.needs("root", "bpf", "unshare", "mount_namespace")
def test_bpf_tells_what_hidepid_hides() -> None:
    remount = 'mount -t proc -o hidepid=2,gid=54321 proc /proc && exec "$0" -c "$1"'
    command = ["unshare", "--mount", "sh", "-c", remount, sys.executable, HIDDEN]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    by_proc, by_bpf = map(int, subprocess.check_output(command, text=True, env=env).split())
    assert by_proc == 0
    assert by_bpf > 0


SCRIPT = """
from nsview.host import producer
from nsview.host.snapshot import take
print(take().producer, take().producer, producer.refusal(), sep="|")
"""


def apart(*command: str, **environment: str) -> list[str]:
    """Run SCRIPT in a Python of its own by ``command``; return who read the first and the second, and the refusal."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    return subprocess.check_output([*command, sys.executable, "-c", SCRIPT], text=True, env=env).strip().split("|")


@pytest.mark.needs("root", "bpf", "libbpf", "unshare", "mount_namespace")
def test_without_the_library_proc_is_read() -> None:
    ctypes.CDLL("libbpf.so.1")
    with open("/proc/self/maps") as maps:
        path = next(line.split()[5] for line in maps if "/libbpf.so.1" in line)
    hide = 'mount --bind /dev/null "$0" && exec "$@"'
    first, second, refusal = apart("unshare", "--mount", "sh", "-c", hide, path)
    assert (first, second) == ("proc", "proc")
    assert refusal.startswith("libbpf cannot be loaded: ")
    assert refusal.endswith("(apt install libbpf1)")


@pytest.mark.needs("unshare", "user_namespace")
def test_in_a_child_user_namespace_proc_is_read() -> None:
    first, second, refusal = apart("unshare", "--user", "--map-root-user")
    assert (first, second) == ("proc", "proc")
    assert "user namespace" in refusal


@pytest.mark.needs("root", "unshare", "pid_namespace")
def test_with_the_proc_of_another_pid_namespace_proc_is_read() -> None:
    first, second, refusal = apart("unshare", "--pid", "--fork", "--kill-child")
    assert (first, second) == ("proc", "proc")
    assert "another pid namespace" in refusal


@pytest.mark.needs("root", "bpf")
def test_the_first_of_few_comes_from_proc_and_the_second_from_bpf(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = os.stat("/proc").st_nlink
    for few, readers in ((processes * 2, ["proc", "bpf", "bpf"]), (1, ["bpf", "bpf", "bpf"])):
        monkeypatch.setattr(producer, "FEW", few)
        chooser = Chooser()
        try:
            assert [chooser.read()[0].value for _ in range(3)] == readers
        finally:
            chooser.close()


@pytest.mark.needs("root", "bpf")
def test_the_environment_asks_for_a_producer(monkeypatch: pytest.MonkeyPatch) -> None:
    for asked, reader in (("proc", Producer.PROC), ("bpf", Producer.BPF)):
        monkeypatch.setenv(producer.ENVIRONMENT, asked)
        assert [take().producer for _ in range(3)] == [reader] * 3
        assert take(by="proc").producer is Producer.PROC
    monkeypatch.setenv(producer.ENVIRONMENT, "auto")
    assert take().producer in Producer
    monkeypatch.setenv(producer.ENVIRONMENT, "psutil")
    with pytest.raises(ValueError, match="NSVIEW_SNAPSHOT is 'psutil': give auto, bpf or proc"):
        take()


@pytest.mark.needs("root", "bpf")
def test_single_processes_come_from_proc() -> None:
    assert take((os.getpid(),)).producer is Producer.PROC


@pytest.mark.needs("root")
def test_what_is_asked_for_and_cannot_be_had_is_an_error(as_nobody: Callable[[Callable[[], Any]], Any]) -> None:
    def ask() -> tuple[int | None, str]:
        try:
            take(by="bpf")
        except RefusedError as error:
            return error.errno, str(error)
        return None, ""

    number, words = as_nobody(ask)
    assert number == errno.EOPNOTSUPP
    assert "no snapshot by BPF: needs CAP_BPF" in words


def altered(name: bytes) -> bytes:
    """The program as if it needed something of another name from the kernel."""
    program = files("nsview.host.bpf").joinpath(loading.OBJECT).read_bytes()
    assert b"\0" + name + b"\0" in program
    return program.replace(b"\0" + name + b"\0", b"\0" + name[:-1] + b"\x5a\0")


@pytest.mark.needs("root", "bpf")
@pytest.mark.parametrize(
    ("name", "lacks"),
    [
        (b"nr_threads", "struct signal_struct.nr_threadZ"),
        (b"rss_stat", "struct mm_struct.rss_staZ"),
        (b"time_ns_for_children", "struct nsproxy.time_ns_for_childreZ"),
        (b"sum_exec_runtime", "struct task_struct.se.sum_exec_runtimZ"),
    ],
)
def test_a_kernel_that_lacks_a_field_is_told_apart(name: bytes, lacks: str, nothing_left: Census) -> None:
    with pytest.raises(OSError, match="failed to load") as caught:
        _scan.load(loading.LIBRARY, altered(name))
    refusal = loading._refusal(*caught.value.args)
    assert f"it has no {lacks}" in refusal.reason


@pytest.mark.parametrize(
    ("number", "words", "reason"),
    [
        (
            errno.EPERM,
            b"libbpf: Error in bpf_object__probe_loading(): Operation not permitted(1)",
            "does not let us load",
        ),
        (errno.EINVAL, b"412: (85) call unknown#181\ninvalid func unknown#181\n", "too old: it lacks a call"),
        (errno.E2BIG, b"", "does not take the program: Argument list too long"),
    ],
)
def test_what_the_kernel_says_is_worded(number: int, words: bytes, reason: str) -> None:
    assert reason in loading._refusal(number, words).reason


@pytest.mark.needs("root", "bpf")
@pytest.mark.parametrize("program", [b"", b"nonsense", b"\x7fELF" + bytes(1000)])
def test_bytes_that_are_no_program_are_refused(program: bytes, nothing_left: Census) -> None:
    with pytest.raises(OSError, match=r"^\[Errno \d+\] b"):
        _scan.load(loading.LIBRARY, program)


def test_libraries_that_are_not_there_or_not_libbpf_are_told(nothing_left: Census) -> None:
    for library in ("libbpf.so.999", "libc.so.6"):
        with pytest.raises(RefusedError, match=f"libbpf cannot be loaded: .*{library}") as caught:
            Iterator.load(library)
        assert caught.value.refusal.remedy == "apt install libbpf1"


@pytest.mark.needs("root", "bpf")
def test_an_iterator_that_breaks_is_replaced_by_proc_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    chooser = Chooser()
    assert chooser.read(Producer.BPF)[0] is Producer.BPF

    def broken(link: int, told: bytes) -> tuple[bytes, bytes]:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as patched:
        patched.setattr(_scan, "tasks", broken)
        assert chooser.read()[0] is Producer.PROC
    assert chooser.read()[0] is Producer.PROC
    refusal = chooser.refusal()
    assert refusal is not None
    assert "Permission denied" in refusal.reason
    chooser.close()


@pytest.mark.needs("root", "bpf")
def test_want_of_descriptors_is_told_and_passes() -> None:
    def starve() -> tuple[list[int | None], str]:
        take(by="bpf")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        free = os.dup(0)
        os.close(free)
        errors: list[int | None] = []
        for spare in range(2):
            resource.setrlimit(resource.RLIMIT_NOFILE, (free + spare, hard))
            try:
                take(by="bpf")
            except OSError as error:
                errors.append(error.errno)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return errors, take().producer.value

    errors, later = in_child(starve)
    assert errors == [errno.EMFILE, errno.EMFILE]
    assert later == "bpf"


@pytest.mark.needs("root", "bpf")
def test_loading_and_reading_leaves_nothing(nothing_left: Census) -> None:
    for _ in range(5):
        chooser = Chooser()
        assert chooser.read(Producer.BPF)[0] is Producer.BPF
        chooser.close()


@pytest.mark.needs("root", "bpf")
def test_reading_takes_no_more_memory_each_time() -> None:
    for _ in range(20):
        take(by="bpf")
    high = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(1000):
        take(by="bpf")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - high < 20_000


@pytest.mark.needs("root", "bpf")
def test_threads_read_at_once_each_the_whole() -> None:
    chooser, found = Chooser(), list[bytes]()
    threads = [threading.Thread(target=lambda: found.append(chooser.read(Producer.BPF)[1])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    chooser.close()
    assert len(found) == 8
    assert all(len(packed) > 1000 for packed in found)


def test_what_was_told_must_be_whole() -> None:
    with pytest.raises(ValueError, match="not what tasks"):
        _scan.tasks(0, b"half")
    with pytest.raises(OSError, match=r"Invalid argument|not permitted|Bad file"):
        _scan.tasks(0, b"")
