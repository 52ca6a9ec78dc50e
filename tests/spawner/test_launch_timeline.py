"""The timeline is what the child noted, in order, with the kernel's own results."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest
from running import EVERYTHING, PLANNING

from spawner import Mechanism, Spec, launch

TRUE = Spec(args=("/bin/true",), env=())


@pytest.mark.needs_root
@pytest.mark.parametrize("via", PLANNING)
def test_every_step_is_there_in_order_and_none_ends_before_it_begins(via, nothing_left):
    with launch(replace(EVERYTHING, via=via)) as child:
        events = child.timeline
        assert [event.index for event in events] == [None, *range(len(child.plan.steps))]
        assert [event.text for event in events[1:]] == [str(step) for step in child.plan.steps]
        child.wait()
    moments = [moment for event in events for moment in (event.start_ns, event.end_ns)]
    assert None not in moments
    assert moments == sorted(moments)
    assert events[0].start_ns > 0


def test_results_are_the_kernels(nothing_left):
    with launch(replace(TRUE, new_session=True)) as child:
        events = {event.label: event for event in child.timeline}
        assert events["clone3"].result == child.pid
        assert events["setsid"].result == child.pid
        assert events["open /proc/self/ns"].result > 2
        assert events["execve"].result == 0
        child.wait()


def test_a_search_along_path_shows_each_try(nothing_left):
    spec = replace(TRUE, args=("nothing-here",), env=(("PATH", "/nowhere:/bin/true"),))
    held = launch(spec, hold="execve")
    held.step()
    tries = [event for event in held.timeline if event.label == "execve"]
    assert [event.result for event in tries] == [-errno.ENOENT]
    held.close()


def test_a_held_child_shows_what_has_run_so_far(nothing_left):
    with launch(TRUE, hold="execve") as child:
        before = child.timeline
        assert "execve" not in [event.label for event in before]
        child.resume()
        assert child.timeline[: len(before)] == before
        assert child.timeline[-1].label == "execve"
        assert child.wait().code == 0


@pytest.mark.parametrize("via", Mechanism)
def test_the_call_that_makes_the_child_comes_first(via, nothing_left):
    with launch(replace(TRUE, via=via)) as child:
        first = child.timeline[0]
        assert first.label == child.plan.birth_label
        assert first.result == child.pid
        assert 0 < first.start_ns < first.end_ns
        child.wait()
