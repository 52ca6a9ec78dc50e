"""Nice, CPUs, I/O priority, policy, OOM score and limits, changed from the screen: the kernel has them, and says so."""

from __future__ import annotations

import errno
import os
import resource
import sys
from pathlib import Path

import pytest
from acted import acting, child, children_of, dialog, identity_of, look_at, reap, said, shown, sure
from leftovers import Census
from screen import SIZES, until
from textual.widgets import Input, OptionList, SelectionList

from nsview.host.process import PinnedProcess
from nsview.host.scheduling import scheduling_of
from nsview.tui.acting.affinity_dialog import parse_cpus
from nsview.tui.acting.held import Held, OtherProcessError
from nsview.tui.acting.limit_table import limit_rows, typed
from nsview.tui.acting.limits_dialog import LimitsDialog
from nsview.tui.acting.progress import Progress
from nsview.tui.acting.refusals import refusal
from nsview.tui.acting.settings import NICE, change, cpu_list
from nsview.tui.acting.value_dialog import ValueDialog, whole_number
from nsview.tui.acting.whom import Scope, look


def io_priority(pid: int) -> str | None:
    """What ioprio_get(2) says, by nsview's reader of it."""
    with PinnedProcess(pid) as process:
        found = scheduling_of(process)
    return None if found is None else found.io


@pytest.mark.needs("root")
async def test_f8_and_f7_change_nice_by_one_and_say_what_it_is_now(nothing_left: Census) -> None:
    with child() as process:
        async with acting() as (app, pilot):
            await look_at(app, process.pid)
            before = os.getpriority(os.PRIO_PROCESS, process.pid)
            await pilot.press("f8")
            await said(app, f"{process.pid} sleep: nice is {before + 1}")
            assert os.getpriority(os.PRIO_PROCESS, process.pid) == before + 1
            await pilot.press("f7")
            await until(lambda: os.getpriority(os.PRIO_PROCESS, process.pid) == before)


async def test_nice_changes_once_for_each_press_and_a_dialog_is_asked_once(nothing_left: Census) -> None:
    with child() as process:
        async with acting() as (app, pilot):
            await look_at(app, process.pid)
            before = os.getpriority(os.PRIO_PROCESS, process.pid)
            for _press in range(3):
                app.action_act("nice-up")
            await said(app, f"nice is {before + 3}")
            assert os.getpriority(os.PRIO_PROCESS, process.pid) == before + 3
            await until(lambda: not [worker for worker in app.workers if worker.group == "act"])
            for _press in range(3):
                app.action_act("nice")
            await dialog(app)
            await pilot.press("escape")
            await until(lambda: not [worker for worker in app.workers if worker.group == "act"])
            assert len(app.screen_stack) == 1


@pytest.mark.needs("root")
@pytest.mark.parametrize("size", SIZES)
async def test_an_exact_nice_value_is_checked_as_it_is_typed(size: tuple[int, int], nothing_left: Census) -> None:
    with child() as process:
        async with acting(size) as (app, pilot):
            await look_at(app, process.pid)
            await pilot.press("R")
            asked = await dialog(app)
            assert isinstance(asked, ValueDialog)
            line = app.screen.query_one(Input)
            line.value = "20"
            await until(lambda: "it goes from -20 to 19" in shown(app, "#call"))
            await pilot.press("enter")
            assert app.screen is asked
            line.value = "-5"
            await until(lambda: "setpriority(PRIO_PROCESS, tid, -5)" in shown(app, "#call"))
            await pilot.press("enter")
            await said(app, "nice is −5")
            assert os.getpriority(os.PRIO_PROCESS, process.pid) == -5


async def test_nice_is_set_for_every_thread(nothing_left: Census) -> None:
    program = "import threading, sys; threading.Thread(target=threading.Event().wait).start(); print(1, flush=True)"
    with child(sys.executable, "-c", program) as process:
        assert process.stdout is not None
        process.stdout.readline()
        async with acting() as (app, pilot):
            await look_at(app, process.pid)
            await pilot.press("f8")
            await said(app, "nice is")
            tids = [int(tid) for tid in os.listdir(f"/proc/{process.pid}/task")]
            assert len(tids) == 2
            assert len({os.getpriority(os.PRIO_PROCESS, tid) for tid in tids}) == 1


async def test_cpus_are_ticked_and_the_mask_is_the_kernels(nothing_left: Census) -> None:
    cpus = sorted(os.sched_getaffinity(0))
    with child() as process:
        async with acting() as (app, pilot):
            await look_at(app, process.pid)
            await pilot.press("a")
            await dialog(app)
            boxes = app.screen.query_one(SelectionList)
            assert {*boxes.selected} == {*cpus}
            boxes.deselect_all()
            await until(lambda: "tick at least one CPU" in shown(app, "#call"))
            await pilot.press("enter")
            assert app.screen.query(SelectionList), "no CPU at all is no answer"
            boxes.select(cpus[-1])
            await until(lambda: f"sched_setaffinity(tid, {{{cpus[-1]}}})" in shown(app, "#call"))
            await pilot.press("enter")
            await said(app, f"CPUs is {cpus[-1]}")
            assert os.sched_getaffinity(process.pid) == {cpus[-1]}


async def test_io_priority_is_picked_by_typing(nothing_left: Census) -> None:
    with child() as process:
        async with acting() as (app, pilot):
            await look_at(app, process.pid)
            await pilot.press("i")
            await dialog(app)
            await pilot.press(*"best 6")
            await until(lambda: "best-effort 6" in shown(app, "#call"))
            await pilot.press("enter")
            await said(app, "I/O priority is best-effort 6")
            assert io_priority(process.pid) == "best-effort 6"


async def test_policy_is_picked_and_read_back(nothing_left: Census) -> None:
    with child() as process:
        async with acting() as (app, pilot):
            await look_at(app, process.pid)
            await pilot.press("P")
            await dialog(app)
            await pilot.press(*"batch", "enter")
            await said(app, "policy is batch")
            assert os.sched_getscheduler(process.pid) == os.SCHED_BATCH


async def test_oom_score_is_set(nothing_left: Census) -> None:
    with child() as process:
        async with acting() as (app, pilot):
            await look_at(app, process.pid)
            await pilot.press("O")
            await dialog(app)
            app.screen.query_one(Input).value = "700"
            await pilot.press("enter")
            await said(app, "OOM score adjustment is 700")
            assert Path(f"/proc/{process.pid}/oom_score_adj").read_text() == "700\n"


@pytest.mark.parametrize("size", SIZES)
async def test_a_limit_is_chosen_from_all_of_them_and_changed_live(size: tuple[int, int], nothing_left: Census) -> None:
    with child() as process:
        async with acting(size) as (app, pilot):
            await look_at(app, process.pid)
            await pilot.press("l")
            asked = await dialog(app)
            assert isinstance(asked, LimitsDialog)
            assert app.screen.query_one(OptionList).option_count == 16
            assert app.screen.region.contains_region(app.screen.query_one(".dialog").region)
            while asked.marked.name != "nofile":
                await pilot.press("down")
            soft, hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
            line = app.screen.query_one(Input)
            await until(lambda: line.value == f"{soft}:{hard}")
            line.value = "many"
            await until(lambda: "many is no amount" in shown(app, "#call"))
            await pilot.press("enter")
            assert app.screen is asked
            line.value = f"64:{hard - 1}"
            await until(lambda: "prlimit(pid, RLIMIT_NOFILE" in shown(app, "#call"))
            await pilot.press("enter")
            await said(app, f"limit nofile is 64:{hard - 1}")
            assert resource.prlimit(process.pid, resource.RLIMIT_NOFILE) == (64, hard - 1)


async def test_a_change_for_the_subtree_is_asked_about_and_done_to_all(nothing_left: Census) -> None:
    with child("sh", "-c", "sleep 1000 & sleep 1001 & wait") as process:
        await until(lambda: len(children_of(process.pid)) == 2)
        below = children_of(process.pid)
        try:
            async with acting() as (app, pilot):
                await look_at(app, process.pid)
                await pilot.press("O")
                asked = await dialog(app)
                await pilot.press("f2")
                await until(lambda: asked.whom.scope is Scope.SUBTREE)
                app.screen.query_one(Input).value = "300"
                await pilot.press("enter")
                await sure(app)
                await pilot.press("right", "enter")
                await said(app, "3 processes from", "OOM score adjustment is 300")
                scores = {Path(f"/proc/{pid}/oom_score_adj").read_text() for pid in (process.pid, *below)}
                assert scores == {"300\n"}
        finally:
            for pid in below:
                os.kill(pid, 9)
            reap(*below)


@pytest.mark.needs("root")
def test_what_is_not_allowed_is_said_with_a_remedy() -> None:
    """As another user, in a child of the test: the kernel refuses, and the words are for that refusal."""
    with child() as process:
        whom = look(identity_of(process.pid), identity_of(os.getpid())).this
        read_end, write_end = os.pipe()
        pid = os.fork()
        if not pid:
            try:
                os.setresuid(65534, 65534, 65534)
                outcome = change(NICE, 5, whom.members, Progress())
                os.write(write_end, "".join(outcome.refused).encode())
            finally:
                os._exit(0)
        os.close(write_end)
        with open(read_end) as pipe:
            said_there = pipe.read()
        os.waitpid(pid, 0)
    assert said_there == refusal("setpriority", PermissionError(errno.EPERM, "?"))
    assert "EPERM" in said_there
    assert "run nsview as root" in said_there


def test_who_is_gone_is_counted_and_nobody_else_is_changed() -> None:
    with child() as process:
        whom = look(identity_of(process.pid), identity_of(os.getpid())).this
        process.kill()
        process.wait()
        outcome = change(NICE, 5, whom.members, Progress())
    assert (outcome.done, outcome.gone) == (0, 1)


def test_a_call_by_number_is_told_when_the_process_was_reaped_during_it() -> None:
    with child() as process, Held(identity_of(process.pid)) as held:

        def call(_pid: int) -> None:
            process.kill()
            process.wait()

        with pytest.raises(OtherProcessError):
            held.by_pid(call)
        with pytest.raises(ProcessLookupError):
            held.by_pid(lambda _pid: pytest.fail("a number that has changed hands is not called by"))


def test_another_start_time_is_another_process() -> None:
    pid, start = identity_of(os.getpid())
    with pytest.raises(ProcessLookupError, match="another process"):
        Held((pid, start + 1))


def test_cancelling_leaves_the_rest_as_it_was() -> None:
    progress = Progress()
    progress.cancel()
    with child() as process:
        before = os.getpriority(os.PRIO_PROCESS, process.pid)
        outcome = change(NICE, before + 1, look(identity_of(process.pid), (0, 0)).this.members, progress)
        assert outcome.cancelled == 1
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == before


@pytest.mark.parametrize(
    ("text", "soft", "hard"),
    [("4096", 4096, None), ("64K:1M", 65536, 1 << 20), (":unlimited", None, -1), ("unlimited:unlimited", -1, -1)],
)
def test_limits_are_read_as_typed(text: str, soft: int | None, hard: int | None) -> None:
    new = typed("nofile", text)
    assert (new.soft, new.hard) == (soft, hard)


@pytest.mark.parametrize("text", ["", ":", "5:4", "unlimited:5", "x", "1.5", "99999999999999999999", "-1"])
def test_what_is_no_limit_is_refused_with_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        typed("nofile", text)


def test_cpu_lists_are_the_kernels() -> None:
    for text in ("0", "0-3", "0-3,8", "1,3,5-7"):
        assert cpu_list(parse_cpus(text)) == text


def test_whole_numbers_have_bounds() -> None:
    assert whole_number("−7", -20, 19) == -7
    for text in ("x", "", "20"):
        with pytest.raises(ValueError, match="from"):
            whole_number(text, -20, 19)


def test_limits_tell_what_is_used() -> None:
    rows = {row.name: row for row in limit_rows(identity_of(os.getpid()))}
    used = rows["nofile"].used
    assert used is not None
    assert used > max(map(int, os.listdir("/proc/self/fd"))) - 2
    assert rows["as"].used
