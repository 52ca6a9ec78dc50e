"""A thread that enters namespaces does so alone and leaves nothing; a dweller stands where no thread can."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest
from dwellers import opened

from nsview.host.content.entered import NotEnteredError, dwelling, inside, kind_of
from nsview.host.content.uts import names_in, names_of
from nsview.host.process import PinnedProcess
from spawner.namespaces import BY_PROC, KINDS

ENTERABLE = ("net", "uts", "ipc", "cgroup", "mnt")


def links_of(task: str) -> dict[str, str]:
    return {kind.proc: os.readlink(f"/proc/{task}/ns/{kind.proc}") for kind in KINDS}


def links_of_every_task() -> dict[str, dict[str, str]]:
    return {tid: links_of(f"self/task/{tid}") for tid in os.listdir("/proc/self/task")}


@pytest.mark.needs("root", "unshare")
@pytest.mark.parametrize("kinds", [(kind,) for kind in ENTERABLE] + [ENTERABLE], ids=lambda kinds: "+".join(kinds))
def test_the_thread_is_inside_and_no_other_thread_is(nothing_left, unshared, kinds):
    pid = unshared("--net", "--uts", "--ipc", "--cgroup", "--mount")
    with opened(pid, *kinds) as fds:
        before = links_of_every_task()
        answer = inside(fds, lambda: (links_of("thread-self"), {tid: links_of(f"self/task/{tid}") for tid in before}))
    there, others = answer
    theirs = links_of(str(pid))
    assert there == {name: theirs[name] if name in kinds else links_of("self")[name] for name in there}
    assert others == before


@pytest.mark.needs("root", "unshare")
def test_the_thread_has_ended_for_the_kernel_too(unshared):
    pid = unshared("--uts")
    before = set(os.listdir("/proc/self/task"))
    with opened(pid, "uts") as fds:
        for _ in range(100):
            inside(fds, lambda: None)
            assert set(os.listdir("/proc/self/task")) <= before


@pytest.mark.needs("root", "unshare")
def test_another_thread_at_work_meanwhile_stays_where_it_is(unshared):
    pid = unshared("--uts", script="hostname elsewhere")
    ours, seen, stop = os.uname().nodename, set(), threading.Event()

    def look() -> None:
        while not stop.is_set():
            seen.add(os.uname().nodename)

    looker = threading.Thread(target=look)
    looker.start()
    try:
        with opened(pid, "uts") as fds:
            names = {names_in(*fds).hostname for _ in range(50)}
    finally:
        stop.set()
        looker.join()
    assert names == {"elsewhere"}
    assert seen == {ours}


@pytest.mark.needs("root", "unshare")
def test_an_error_inside_is_raised_as_it_is_and_leaves_nothing(nothing_left, unshared):
    pid = unshared("--uts")
    with opened(pid, "uts") as fds, pytest.raises(ZeroDivisionError):
        inside(fds, lambda: 1 // 0)


@pytest.mark.needs("root", "unshare")
@pytest.mark.parametrize(
    ("name", "number"), [("user", errno.EINVAL), ("time_for_children", errno.EUSERS), ("pid", errno.EINVAL)]
)
def test_what_no_thread_can_enter_is_said_so(nothing_left, unshared, name, number):
    pid = unshared("--user", "--map-root-user", "--time", "--pid", "--fork")
    with opened(pid, name) as fds, pytest.raises(NotEnteredError) as caught:
        inside(fds, lambda: None)
    assert caught.value.kind is BY_PROC[name.removesuffix("_for_children")]
    assert caught.value.errno == number
    assert errno.errorcode[number] in caught.value.reason


@pytest.mark.needs("root", "unshare")
def test_without_privilege_the_reason_names_the_privilege_and_the_remedy(unshared, as_nobody):
    pid = unshared("--uts")
    with opened(pid, "uts") as fds:

        def refusal() -> tuple[int, str]:
            try:
                inside(fds, lambda: None)
            except NotEnteredError as error:
                return error.errno, error.reason
            raise AssertionError("nobody was let in")

        number, reason = as_nobody(refusal)
    assert number == errno.EPERM
    assert "CAP_SYS_ADMIN" in reason
    assert "sudo" in reason


@pytest.mark.needs("root")
def test_to_stay_takes_no_privilege(as_nobody):
    assert as_nobody(lambda: names_of(PinnedProcess(os.getpid()))).hostname == os.uname().nodename


@pytest.mark.needs("root", "unshare")
def test_host_and_domain_name_of_another_namespace(unshared):
    pid = unshared("--uts", script="hostname outer; printf 'its.domain' > /proc/sys/kernel/domainname")
    with opened(pid, "uts") as fds:
        assert names_in(*fds) == ("outer", "its.domain")
    with PinnedProcess(pid) as process:
        assert names_of(process) == ("outer", "its.domain")


@pytest.mark.needs("root", "unshare")
def test_a_hostile_host_name_is_one_harmless_line(unshared):
    pid = unshared("--uts", script=r"printf 'a\033[2J\tb\377' > /proc/sys/kernel/hostname")
    with opened(pid, "uts") as fds:
        assert names_in(*fds).hostname == r"a\x1b[2J\tb\xff"


@pytest.mark.needs("root", "unshare")
@pytest.mark.parametrize("name", ["user", "time_for_children"])
def test_a_dweller_is_inside_while_it_is_needed_and_then_gone(nothing_left, unshared, name):
    pid = unshared("--user", "--map-root-user", "--time")
    kind = name.removesuffix("_for_children")
    with opened(pid, name) as fds:
        with dwelling(fds) as process:
            assert process.namespace(kind) == os.fstat(*fds).st_ino
            assert process.is_there()
            number = process.pid
        assert not Path(f"/proc/{number}").exists()
        assert kind_of(*fds).proc == kind


def test_a_dweller_that_is_not_let_in_says_why(nothing_left):
    with opened(os.getpid(), "user") as fds, pytest.raises(NotEnteredError) as caught:
        with dwelling(fds):
            pass
    # user_namespaces(7): a process cannot enter the one it is in, for it would regain capabilities.
    assert (caught.value.kind, caught.value.errno) == (BY_PROC["user"], errno.EINVAL)
