"""Signals and killing, asked for and done."""

from __future__ import annotations

import asyncio
import signal

from nsview.host.process import ProcessGoneError
from nsview.host.snapshot import ProcessRecord
from nsview.tui.acting.actor import Actor
from nsview.tui.acting.freezing import freezer_of
from nsview.tui.acting.guards import Kind
from nsview.tui.acting.killing import Subtree, kill_group, kill_namespace, send_all
from nsview.tui.acting.progress import Progress
from nsview.tui.acting.refusals import refusal
from nsview.tui.acting.settings import Outcome
from nsview.tui.acting.signal_picker import SignalPicker
from nsview.tui.acting.signals import NOT_YET, Offer, send_and_see
from nsview.tui.acting.whom import Scope, Whom
from nsview.tui.acting.wording import group_of, one, several

KILL = Offer("SIGKILL", "ends it at once; it cannot refuse", asks=True)


async def send_signal(actor: Actor) -> None:
    """Ask which signal and to whom, and send it."""
    choices = await actor.choices()
    if choices is None:
        return
    if len(choices.offered) == 1 and actor.refused(choices.this, Kind.END):
        return
    answer = await actor.ask(SignalPicker(choices))
    if answer is not None:
        await _send(actor, answer.whom, answer.value)


async def kill_subtree(actor: Actor) -> None:
    """Kill the process under the cursor and all below it."""
    await _kill(actor, Scope.SUBTREE, "")


async def kill_cgroup(actor: Actor) -> None:
    """Kill everything in its control group."""
    await _kill(actor, Scope.CGROUP, "It is in the root groups only: kill its subtree instead.")


async def kill_pid_namespace(actor: Actor) -> None:
    """Kill everything in its pid namespace."""
    await _kill(
        actor,
        Scope.PID_NAMESPACE,
        "It is in nsview's own pid namespace, or in one that cannot be read: there is none to be killed.",
    )


async def _kill(actor: Actor, scope: Scope, missing: str) -> None:
    choices = await actor.choices()
    if choices is None:
        return
    whom = choices.of(scope)
    if whom is None and scope is Scope.SUBTREE:
        whom = choices.this  # nobody is below it
    if whom is None:
        actor.complain(missing)
        return
    await _send(actor, whom, KILL)


async def _send(actor: Actor, whom: Whom, offer: Offer) -> None:
    kills = offer.number == signal.SIGKILL
    held_back = _refused(whom) if kills else ""
    if held_back:
        actor.complain(held_back)
        return
    call = f"pidfd_send_signal(pidfd, {offer.name}, NULL, 0)"
    note = ""
    does = "Kill" if kills else f"Send {offer.name} to"
    if kills and whom.scope is Scope.CGROUP and whom.group is not None:
        call, note = _group_call(whom)
    elif kills and whom.scope is Scope.PID_NAMESPACE and whom.init is not None:
        note = f"To {one(whom.init)}, its first process: the kernel then ends all others in it."
    elif kills and whom.scope is Scope.SUBTREE:
        note = "All are stopped first, so that none forks away; who is no descendant any more is left."
    if not await actor.may(whom, Kind.END, does, call, asks=offer.asks, note=note):
        return
    if whom.scope is Scope.THIS:
        await _one(actor, whom, offer)
        return
    outcome = await actor.work(f"{does} {several(whom)}", lambda progress: _many(whom, offer.number, progress))
    if kills:
        actor.tell(outcome, f"Killed {outcome.done} of {several(whom)}: they have ended")
    else:
        actor.tell(outcome, f"{offer.name} sent to {outcome.done} of {several(whom)}")


def _refused(whom: Whom) -> str:
    """Why a whole group or namespace is not killed; empty when it may be."""
    if whom.scope is Scope.CGROUP and whom.left_out:
        kept = ", ".join(sorted({guard.value for _record, guard in whom.left_out}))
        return f"Cgroup {group_of(whom)} is not killed: {kept} is in it."
    if whom.scope is Scope.PID_NAMESPACE and (whom.init is None or whom.holds_us):
        return "The first process of this pid namespace is not to be seen from here, so it cannot be killed as a whole."
    if whom.scope is Scope.THIS and whom.subject.pid == 1:
        return "pid 1: the kernel keeps SIGKILL from the first process of our own pid namespace (pid_namespaces(7))."
    return ""


def _group_call(whom: Whom) -> tuple[str, str]:
    assert whom.group is not None
    if whom.group.kills:
        return f"write({whom.group.directory}/cgroup.kill, 1)", "The kernel ends everything in it, forks under way too."
    if whom.group.freezes:
        return "pidfd_send_signal(pidfd, SIGKILL, NULL, 0)", "The group is frozen meanwhile: nothing forks away."
    return "pidfd_send_signal(pidfd, SIGKILL, NULL, 0)", "Again and again until the group is empty."


async def _one(actor: Actor, whom: Whom, offer: Offer) -> None:
    record = whom.subject
    try:
        became = await actor.work(
            f"{offer.name} to {one(record)}", lambda _progress: send_and_see(record.identity, offer.number)
        )
    except ProcessLookupError:
        raise ProcessGoneError(*record.identity) from None
    except OSError as error:
        actor.say(f"{offer.name} to {one(record)}: {refusal('pidfd_send_signal', error)}", well=False)
        return
    actor.say(f"{offer.name} sent to {one(record)}: {became}")
    if became.startswith(NOT_YET):
        await _say_if_frozen(actor, record)


async def _say_if_frozen(actor: Actor, record: ProcessRecord) -> None:
    """What version 1 has frozen dies only when it is thawed (freezer-subsystem)."""
    freezer = await asyncio.to_thread(freezer_of, record.identity, actor.desk.me)
    if freezer is not None and freezer.frozen:
        actor.complain(f"{one(record)} is frozen with its cgroup {freezer.group.label}: it ends when that is thawed.")


def _many(whom: Whom, signo: int, progress: Progress) -> Outcome:
    if signo != signal.SIGKILL:
        return send_all(whom.members, signo, progress)
    match whom.scope:
        case Scope.SUBTREE:
            spared = frozenset(record.identity for record, _guard in whom.left_out)
            return Subtree(whom.subject.identity, spared).kill(progress)
        case Scope.CGROUP if whom.group is not None:
            return kill_group(whom.group, progress)
        case Scope.PID_NAMESPACE if whom.init is not None:
            outcome = kill_namespace(whom.init, progress)
            outcome.done = whom.count if outcome.done else 0
            return outcome
        case _:
            return send_all(whom.members, signo, progress)
