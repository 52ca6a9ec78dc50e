"""Every act on processes in one table, which keys, footer, palette and help read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from nsview.tui.acting.actor import Actor
from nsview.tui.acting.changing import (
    lower_nice,
    raise_nice,
    set_affinity,
    set_io_priority,
    set_limits,
    set_nice,
    set_oom_score,
    set_policy,
)
from nsview.tui.acting.freezing import freeze_or_thaw
from nsview.tui.acting.signalling import kill_cgroup, kill_pid_namespace, kill_subtree, send_signal
from nsview.tui.terminal.enter_act import enter


@dataclass(frozen=True, slots=True)
class Act:
    """One act: its name, Textual's name of its keys, its word in the footer, what it does in one sentence.

    ``dangerous`` ones ask before they do anything that cannot be undone. ``needs`` says who may, in the kernel's
    words. ``run`` asks and does. One that ``repeats`` is done as often as its key is pressed, one after another.
    """

    name: str
    keys: str
    label: str
    does: str
    needs: str
    run: Callable[[Actor], Awaitable[None]]
    dangerous: bool = False
    repeats: bool = False
    footer: bool = False
    display: str | None = None

    @property
    def sentence(self) -> str:
        """What it does, whether it asks, and who may, for help and palette."""
        return f"{self.does}{'; asks first' if self.dangerous else ''} (needs: {self.needs})"


ACTS: tuple[Act, ...] = (
    Act(
        "signal",
        "k,f9",
        "Signal",
        "send a signal: to it, the tagged, its subtree, cgroup or pid namespace",
        "the same user, or CAP_KILL",
        send_signal,
        dangerous=True,
        footer=True,
        display="k",
    ),
    Act(
        "kill-subtree",
        "ctrl+k",
        "Kill subtree",
        "kill it and all below it, so that none forks away",
        "the same user, or CAP_KILL",
        kill_subtree,
        dangerous=True,
    ),
    Act(
        "kill-cgroup",
        "ctrl+g",
        "Kill cgroup",
        "kill everything in its control group",
        "write access to the group",
        kill_cgroup,
        dangerous=True,
    ),
    Act(
        "kill-pid-namespace",
        "ctrl+n",
        "Kill pid namespace",
        "kill everything in its pid namespace, by its first process",
        "the same user, or CAP_KILL",
        kill_pid_namespace,
        dangerous=True,
    ),
    Act(
        "freeze",
        "Z",
        "Freeze",
        "freeze its control group, or thaw it",
        "write access to the group",
        freeze_or_thaw,
        dangerous=True,
    ),
    Act(
        "nice-down",
        "f7",
        "Nice −",
        "nice one lower: more CPU time",
        "CAP_SYS_NICE or the limit nice",
        lower_nice,
        repeats=True,
    ),
    Act(
        "nice-up",
        "f8",
        "Nice +",
        "nice one higher: less CPU time",
        "the same user, or CAP_SYS_NICE",
        raise_nice,
        repeats=True,
    ),
    Act("nice", "R", "Nice", "set its nice value", "the same user; CAP_SYS_NICE to lower it", set_nice),
    Act("affinity", "a", "CPUs", "choose the CPUs it may run on", "the same user, or CAP_SYS_NICE", set_affinity),
    Act("io-priority", "i", "I/O", "set class and level of its I/O", "the same user, or CAP_SYS_NICE", set_io_priority),
    Act("policy", "P", "Policy", "set its scheduling policy", "CAP_SYS_NICE for fifo and rr", set_policy),
    Act("limits", "l", "Limits", "see its limits, change one", "the same user; CAP_SYS_RESOURCE to raise", set_limits),
    Act(
        "oom-score", "O", "OOM", "how soon it is killed for want of memory", "CAP_SYS_RESOURCE to lower", set_oom_score
    ),
    Act("enter", "e", "Enter", "open a shell in its namespaces, in a new terminal", "CAP_SYS_ADMIN over them", enter),
)

ACT_OF = {act.name: act for act in ACTS}
