"""The words of the launch panel: what is wrong, the plan, and what the flag or option under the cursor does."""

from __future__ import annotations

from textual.content import Content

from nsview.advice.advice import Advice
from nsview.advice.telling import in_brief
from nsview.host.text import printable
from nsview.tui.cell_text import breakable
from nsview.tui.launching.form import Outlook
from nsview.tui.launching.sections import Row, Shape, told
from spawner import Plan
from spawner.flags import STAYS, Flag


def about_flag(flag: Flag) -> Content:
    """What a clone flag does, what of a new namespace is shared all the same, and what execve leaves of it."""
    still = f"Still shared: {flag.still_shared}." if flag.still_shared else ""
    after = "" if flag.after_exec == STAYS else f"After exec: {flag.after_exec}"
    told = " ".join(filter(None, (flag.does, flag.besides, still)))
    return Content.assemble((flag.name, "bold"), f" {told} ", (after, "dim"))


def about_row(row: Row, line: str, wrong: str) -> Content:
    """What an option does, or the one in the line under the cursor, and first what is wrong with what is typed."""
    parts = []
    if wrong:
        parts.append(Content.styled(f"✗ {printable(wrong)}", "$text-error"))
    if row.shape is Shape.LINES:
        parts.append(Content(told(row, line)))
    else:
        parts.append(Content.assemble((f"{row.key} {row.takes}".strip(), "bold"), f" {row.help}"))
    return Content("\n").join(parts)


def problems_text(outlook: Outlook) -> Content:
    """Each problem with its remedy."""
    lines = []
    for problem in outlook.problems:
        lines.append(Content.styled(f"✗ {printable(problem.message)}", "$text-error"))
        if problem.remedy:
            lines.append(Content.styled(f"  → {printable(problem.remedy)}", "$text-success"))
    return Content("\n").join(lines)


def plan_text(plan: Plan, advice: Advice | None = None) -> Content:
    """Every step of a plan under its phases, and first which call makes the child and why, and why no other."""
    lines = [Content.assemble((f"{plan.mechanism}", "bold"), f": {plan.why}")]
    for title, text in in_brief(advice) if advice is not None else ():
        lines.append(Content.assemble((f"{title} ", "$text-muted italic"), (printable(text), "dim")))
    lines += [Content.styled(f"note: {note}", "$text-warning") for note in plan.notes]
    lines.append(Content.styled(breakable(plan.birth), "$text-accent"))
    width = len(str(len(plan.steps)))
    phase = ""
    for index, step in enumerate(plan.steps):
        head = f"{step.phase}" if step.phase != phase else ""
        phase = step.phase
        if head:
            lines.append(Content.styled(head, "$text-muted italic"))
        lines.append(Content.assemble((f"{index:{width}} ", "dim"), printable(breakable(str(step)))))
    return Content("\n").join(lines)
