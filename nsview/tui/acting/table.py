"""Every act on processes in one table, which keys, footer, palette and help read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nsview.tui.later import find

if TYPE_CHECKING:
    from nsview.tui.acting.actor import Actor


@dataclass(frozen=True, slots=True)
class Act:
    """One act: its name, Textual's name of its keys, its word in the footer, what it does in one sentence.

    ``dangerous`` ones ask before they do anything that cannot be undone. ``needs`` says who may, in the kernel's
    words. ``where`` is the coroutine that asks and does, below ``nsview.tui``. One that ``repeats`` is done as often
    as its key is pressed, one after another.
    """

    name: str
    keys: str
    label: str
    does: str
    needs: str
    where: str
    dangerous: bool = False
    repeats: bool = False
    footer: bool = False
    display: str | None = None

    async def run(self, actor: Actor) -> None:
        """Ask, and do it."""
        await find(f"nsview.tui.{self.where}")(actor)

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
        "acting.signalling:send_signal",
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
        "acting.signalling:kill_subtree",
        dangerous=True,
    ),
    Act(
        "kill-cgroup",
        "ctrl+g",
        "Kill cgroup",
        "kill everything in its control group",
        "write access to the group",
        "acting.signalling:kill_cgroup",
        dangerous=True,
    ),
    Act(
        "kill-pid-namespace",
        "ctrl+n",
        "Kill pid namespace",
        "kill everything in its pid namespace, by its first process",
        "the same user, or CAP_KILL",
        "acting.signalling:kill_pid_namespace",
        dangerous=True,
    ),
    Act(
        "freeze",
        "Z",
        "Freeze",
        "freeze its control group, or thaw it",
        "write access to the group",
        "acting.freezing:freeze_or_thaw",
        dangerous=True,
    ),
    Act(
        "nice-down",
        "f7",
        "Nice −",
        "nice one lower: more CPU time",
        "CAP_SYS_NICE or the limit nice",
        "acting.changing:lower_nice",
        repeats=True,
    ),
    Act(
        "nice-up",
        "f8",
        "Nice +",
        "nice one higher: less CPU time",
        "the same user, or CAP_SYS_NICE",
        "acting.changing:raise_nice",
        repeats=True,
    ),
    Act(
        "nice", "R", "Nice", "set its nice value", "the same user; CAP_SYS_NICE to lower it", "acting.changing:set_nice"
    ),
    Act(
        "affinity",
        "a",
        "CPUs",
        "choose the CPUs it may run on",
        "the same user, or CAP_SYS_NICE",
        "acting.changing:set_affinity",
    ),
    Act(
        "io-priority",
        "i",
        "I/O",
        "set class and level of its I/O",
        "the same user, or CAP_SYS_NICE",
        "acting.changing:set_io_priority",
    ),
    Act(
        "policy",
        "P",
        "Policy",
        "set its scheduling policy",
        "CAP_SYS_NICE for fifo and rr",
        "acting.changing:set_policy",
    ),
    Act(
        "limits",
        "l",
        "Limits",
        "see its limits, change one",
        "the same user; CAP_SYS_RESOURCE to raise",
        "acting.changing:set_limits",
    ),
    Act(
        "oom-score",
        "O",
        "OOM",
        "how soon it is killed for want of memory",
        "CAP_SYS_RESOURCE to lower",
        "acting.changing:set_oom_score",
    ),
    Act(
        "enter",
        "e",
        "Enter",
        "open a shell in its namespaces, in a new terminal",
        "CAP_SYS_ADMIN over them",
        "terminal.enter_act:enter",
    ),
)

ACT_OF = {act.name: act for act in ACTS}
