"""Advice as something to run: a line of `nsview run`, or a few lines of Python for what no program can be."""

from __future__ import annotations

from nsview.advice.advice import Advice, mask_of_calls
from nsview.advice.wants import Asker, Runs
from nsview.equivalents import Caller, nsview_run, python
from spawner.flags import FLAGS

_WORK = "\ndef work() -> None:\n    print('inside')\n\n\n"


def command_of(advice: Advice, asker: Asker) -> str | None:
    """The command line that does it; None where there is none: nothing executes, or it cannot be done."""
    if advice.plan is None or advice.runs is not Runs.PROGRAM:
        return None
    text = nsview_run.write(advice.spec, Caller(asker.uid, asker.gid)).text.rstrip("\n")
    return text.replace("nsview run", "nsview run --step", 1) if advice.hold else text


def python_of(advice: Advice, asker: Asker) -> str | None:
    """A Python program that does it by the engine; None where it cannot be done."""
    if advice.plan is None:
        return None
    if advice.runs is Runs.CALLS:
        return _calls(advice)
    text = python.write(advice.spec, Caller(asker.uid, asker.gid)).text
    opening = "launch(spec"
    if advice.runs is Runs.FUNCTION:
        text = text.replace("spec = Spec(", _WORK + "spec = Spec(", 1).replace(opening, f"{opening}, entry=work", 1)
    if not advice.hold:
        return text
    step = "entry" if advice.runs is Runs.FUNCTION else "execve"
    opening = opening if advice.runs is Runs.PROGRAM else f"{opening}, entry=work"
    text = text.replace(opening, f'{opening}, hold="{step}"', 1)
    waits = "    ended = child.wait()"
    return text.replace(waits, f"    print(child.pid)\n    child.resume()\n{waits}", 1)


def _calls(advice: Advice) -> str:
    names = ", ".join(f'"{flag.short}"' for flag in FLAGS if mask_of_calls(advice.spec) & flag.bit)
    making = 'start((calls.call("getpid"),), hold=0, ' if advice.hold else 'run((calls.call("getpid"),), '
    going_on = "    print(done.pid)\n    done.resume()\n" if advice.hold else ""
    return (
        "from spawner import calls\nfrom spawner.flags import bits\n\n"
        f"with calls.{making}flags=bits({names})) as done:\n"
        f"{going_on}    print(done.answers[0].result)\n"
    )
