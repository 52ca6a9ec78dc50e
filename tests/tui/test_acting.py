"""Signals from the screen: whom they meet, what is asked before, and what the kernel says became of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from acted import (
    acting,
    child,
    children_of,
    dialog,
    has_ended,
    identity_of,
    let_go_on,
    look_at,
    reap,
    said,
    shown,
    state,
    sure,
)
from leftovers import Census
from leftovers import until as blocking_until
from screen import SIZES, until
from textual.widgets import Button, Input, OptionList

from nsview.host.snapshot import take
from nsview.tui.acting.picking import PickDialog
from nsview.tui.acting.signal_picker import SignalPicker
from nsview.tui.acting.signals import all_offers, matching, number_of, send_and_see
from nsview.tui.acting.table import ACTS
from nsview.tui.acting.whom import Scope
from nsview.tui.acting.wording import started
from nsview.tui.processes.table import ProcTable
from spawner import Spec
from spawner.signals import signal_name


@pytest.mark.parametrize("size", SIZES)
async def test_signal_dialog_names_the_process_and_the_call_and_sends_it(
    size: tuple[int, int], nothing_left: Census
) -> None:
    with child() as process:
        async with acting(size) as (app, pilot):
            await look_at(app, process.pid)
            await pilot.press("k")
            picker = await dialog(app)
            assert isinstance(picker, SignalPicker)
            title = shown(app, ".title")
            start = identity_of(process.pid)[1]
            assert f"{process.pid} sleep" in title
            assert started(start) in title
            assert f"tick {start}" in title
            assert "pidfd_send_signal(pidfd, SIGTERM, NULL, 0)" in shown(app, "#call")
            assert app.screen.region.contains_region(app.screen.query_one(".dialog").region)
            await pilot.press("enter")
            await said(app, f"SIGTERM sent to {process.pid} sleep", "it has ended")
            assert process.wait() == -signal.SIGTERM


async def test_sigkill_is_asked_about_once_more_and_cancel_is_the_answer_by_default(nothing_left: Census) -> None:
    with child() as process:
        async with acting() as (app, pilot):
            await look_at(app, process.pid)
            for keys, ends in ((("enter",), False), (("escape",), False), (("right", "enter"), True)):
                await pilot.press("f9")
                await dialog(app)
                await pilot.press(*"kill", "enter")
                question = await sure(app)
                assert isinstance(question.focused, Button)
                assert question.focused.id == "cancel"
                texts = " ".join(str(each.render()) for each in question.query("Static"))
                assert f"{process.pid} sleep" in texts
                assert started(identity_of(process.pid)[1]) in texts
                assert "sleep 1000" in texts
                assert "pidfd_send_signal(pidfd, SIGKILL, NULL, 0)" in texts
                await pilot.press(*keys)
                await until(lambda: len(app.screen_stack) == 1)
                if not ends:
                    await pilot.pause()
                    assert process.poll() is None
            await said(app, f"SIGKILL sent to {process.pid}", "it has ended")
            assert process.wait() == -signal.SIGKILL


async def test_who_ignores_a_signal_is_said_to(nothing_left: Census) -> None:
    with child("sh", "-c", "trap '' TERM; echo ready; exec sleep 1000") as process:
        assert process.stdout is not None
        process.stdout.readline()
        async with acting() as (app, pilot):
            await look_at(app, process.pid)
            await pilot.press("k")
            await dialog(app)
            await pilot.press("enter")
            await said(app, "SIGTERM sent", "it ignores it; SIGKILL cannot be ignored")
            assert process.poll() is None


async def test_a_stopped_process_is_seen_to_be_stopped_and_goes_on(nothing_left: Census) -> None:
    with child() as process:
        async with acting() as (app, pilot):
            await look_at(app, process.pid)
            await pilot.press("k")
            await dialog(app)
            await pilot.press(*"sigstop", "enter")
            await sure(app)
            await pilot.press("right", "enter")
            await said(app, "SIGSTOP sent", "is stopped (state T")
            await until(lambda: state(process.pid) == "T")
            await pilot.press("k")
            await dialog(app)
            await pilot.press(*"cont", "enter")
            await said(app, "SIGCONT sent")
            await until(lambda: state(process.pid) == "S")


async def test_a_signal_to_the_subtree_meets_it_and_nobody_else(nothing_left: Census) -> None:
    with child("sh", "-c", "sleep 1000 & sleep 1001 & wait") as process, child() as other:
        await until(lambda: len(children_of(process.pid)) == 2)
        below = children_of(process.pid)
        async with acting() as (app, pilot):
            await look_at(app, process.pid)
            await pilot.press("k")
            picker = await dialog(app)
            await pilot.press("f2")
            await until(lambda: picker.whom.scope is Scope.SUBTREE)
            assert "for each of 3" in shown(app, "#call")
            await pilot.press(*"usr1", "enter")
            question = await sure(app)
            assert all(str(pid) in " ".join(str(e.render()) for e in question.query("Static")) for pid in below)
            await pilot.press("right", "enter")
            await said(app, "SIGUSR1 sent to 3 of 3 processes")
            await until(lambda: all(has_ended(pid) for pid in below) and process.poll() is not None)
            assert process.wait() == -signal.SIGUSR1
            reap(*below)
            assert other.poll() is None


async def test_tagged_processes_are_a_scope_and_the_others_are_not_met(nothing_left: Census) -> None:
    with child() as process, child() as other, child() as stranger:
        async with acting() as (app, pilot):
            for each in (process, other):
                await look_at(app, each.pid)
                await pilot.press("space")
            await until(lambda: len(app.query_one(ProcTable).tagged) == 2)
            await look_at(app, stranger.pid)
            await pilot.press("k")
            picker = await dialog(app)
            await pilot.press("f2")
            await until(lambda: picker.whom.scope is Scope.TAGGED)
            await pilot.press("enter")
            await sure(app)
            await pilot.press("right", "enter")
            await said(app, "SIGTERM sent to 2 of 2 processes tagged")
            assert process.wait() == other.wait() == -signal.SIGTERM
            assert stranger.poll() is None


@pytest.mark.parametrize("size", SIZES)
async def test_the_mouse_chooses_whom_which_and_that_one_is_sure(size: tuple[int, int], nothing_left: Census) -> None:
    with child("sh", "-c", "sleep 1000 & wait") as process:
        await until(lambda: len(children_of(process.pid)) == 1)
        (below,) = children_of(process.pid)
        async with acting(size) as (app, pilot):
            await look_at(app, process.pid)
            await pilot.press("k")
            picker = await dialog(app)
            await pilot.pause()
            await pilot.click("ScopeLine", offset=(len("whom [this] su"), 0))
            await until(lambda: picker.whom.scope is Scope.SUBTREE)
            await pilot.click("#offers", offset=(4, 0))
            await sure(app)
            await pilot.pause()
            await pilot.click("#do")
            await said(app, "SIGTERM sent to 2 of 2 processes")
            await until(lambda: has_ended(below))
            assert process.wait() == -signal.SIGTERM
            reap(below)


@pytest.mark.needs("root")
async def test_a_kernel_thread_is_refused_before_anything_is_chosen(nothing_left: Census) -> None:
    kernels = next((one for one in take().records.values() if one.is_kernel_thread), None)
    if kernels is None:
        pytest.skip("needs kernel threads in sight: this is a pid namespace of its own")
    async with acting() as (app, pilot):
        await pilot.press("K")
        await look_at(app, kernels.pid)
        await pilot.press("k")
        await said(app, "a kernel thread takes no signals")
        assert len(app.screen_stack) == 1


async def test_typing_finds_any_signal_by_name_number_or_meaning(nothing_left: Census) -> None:
    with child() as process:
        async with acting() as (app, pilot):
            await look_at(app, process.pid)
            await pilot.press("k")
            picker = await dialog(app)
            assert isinstance(picker, PickDialog)
            await pilot.press(*"segv")
            await until(lambda: "SIGSEGV" in shown(app, "#call"))
            app.screen.query_one(Input).value = "nothing like it"
            await until(lambda: "nothing fits" in shown(app, "#call"))
            await pilot.press("enter")
            assert app.screen is picker, "nothing is sent while nothing fits"
            app.screen.query_one(Input).value = ""
            await until(lambda: app.screen.query_one(OptionList).option_count > 10)
            await pilot.press("down", "down", "up")
            await until(lambda: "SIGKILL" in shown(app, "#call"))
            await pilot.press("escape")
            await until(lambda: len(app.screen_stack) == 1)
        assert process.poll() is None


def test_every_signal_of_the_kernel_is_offered_once() -> None:
    numbers = [offer.number for offer in all_offers()]
    assert sorted(numbers) == sorted(signal.valid_signals())
    assert all(number_of(signal_name(number)) == number for number in numbers)
    assert [offer.name for offer in matching("9")][:1] == ["SIGKILL"]


async def test_nsview_itself_is_refused_and_what_runs_it_is_warned_of(nothing_left: Census) -> None:
    warned = "This is pid 1" if os.getppid() == 1 else "nsview runs below it"  # an orphan's parent is both
    with child():  # so that there is a subtree to choose besides: else it is refused before anything is asked
        async with acting() as (app, pilot):
            await look_at(app, os.getpid())
            await pilot.press("k")
            await dialog(app)
            await pilot.press("enter")
            await said(app, "that is nsview itself")
            await look_at(app, os.getppid())
            await pilot.press("k")
            await dialog(app)
            assert warned in shown(app, "#note")
            await pilot.press(*"winch", "enter")
            question = await sure(app)
            assert warned in str(question.query_one(".note").render())
            await pilot.press("enter")
            await until(lambda: len(app.screen_stack) == 1)


async def test_a_launch_in_front_is_signalled_from_its_terminal(nothing_left: Census) -> None:
    """The timeline belongs to the launch in front, so k there is for it, wherever the cursor is."""
    with child() as process:
        async with acting() as (app, pilot):
            app.launcher.launch(Spec(args=("sleep", "1000")))
            await until(lambda: len(app.launches) == 1)
            (launched,) = app.launches
            await until(lambda: app.query_one(ProcTable).highlighted == launched.identity)
            await look_at(app, process.pid)
            app.action_pane("timeline")
            await pilot.press("k")
            await dialog(app)
            assert f"{launched.pid} sleep" in shown(app, ".title")
            await pilot.press("enter")
            await until(lambda: app.launches[1].exit)
            end = app.launches[1].exit
            assert end is not None
            assert end.signal == signal.SIGTERM
            assert process.poll() is None


def test_no_signal_reaches_another_process_with_the_same_pid() -> None:
    pid, start = identity_of(os.getpid())
    with pytest.raises(ProcessLookupError):
        send_and_see((pid, start - 1), signal.SIGKILL)


async def test_a_process_that_goes_while_the_dialog_is_there_is_said_to_be_gone(nothing_left: Census) -> None:
    with child() as process:
        async with acting() as (app, pilot):
            await look_at(app, process.pid)
            await pilot.press("k")
            await dialog(app)
            process.kill()
            process.wait()
            await pilot.press("enter")
            await said(app, f"Process {process.pid} is gone")


_REUSE = r"""
import os, sys
first = os.fork()
if not first:
    os.execvp("sleep", ["sleep", "1000"])
print(first, flush=True)
sys.stdin.readline()
os.kill(first, 9)
os.waitpid(first, 0)
open("/proc/sys/kernel/ns_last_pid", "w").write(str(first - 1))
again = os.fork()
if not again:
    os.execvp("sleep", ["sleep", "1000"])
print(again, flush=True)
sys.stdin.readline()
os.kill(again, 9)
os.waitpid(again, 0)
"""


def _is_a_sleep(pid: int) -> bool:
    return Path(f"/proc/{pid}/comm").read_text() == "sleep\n"


@pytest.mark.needs("root")
async def test_a_pid_that_is_used_again_between_dialog_and_enter_is_not_signalled(nothing_left: Census) -> None:
    """The kernel is told which number to give next (ns_last_pid), as seldom as it would happen by itself."""
    for _attempt in range(20):  # somebody else may be given the number
        with subprocess.Popen(
            [sys.executable, "-c", _REUSE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        ) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            first = int(process.stdout.readline())
            before = identity_of(first)
            async with acting() as (app, pilot):
                await until(partial(_is_a_sleep, first))
                await look_at(app, first)
                await pilot.press("k")
                await dialog(app)
                process.stdin.write("\n")
                again = int(process.stdout.readline())
                reused = again == first and identity_of(again) != before
                await pilot.press("enter")
                await said(app, f"Process {first} is gone")
                assert not has_ended(again)
            process.stdin.write("\n")
        if reused:
            return
    raise AssertionError("the number was not used again in twenty attempts")


def test_acts_have_names_keys_and_sentences_of_their_own() -> None:
    assert len({act.name for act in ACTS}) == len(ACTS)
    keys = [key for act in ACTS for key in act.keys.split(",")]
    assert len(set(keys)) == len(keys)
    assert all(act.does and act.needs for act in ACTS)


def test_a_stopped_child_goes_on_after_sigcont() -> None:
    with child() as process:
        os.kill(process.pid, signal.SIGSTOP)
        assert blocking_until(lambda: state(process.pid) == "T")
        let_go_on(process.pid)
        assert blocking_until(lambda: state(process.pid) == "S")
