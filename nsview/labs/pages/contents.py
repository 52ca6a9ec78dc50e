"""The list of the labs' pages: what each asks, what came of it, and where it was run. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from nsview.labs.pages.markdown import picture, table, text
from nsview.labs.pages.page import Document, command, machine, outcome


def contents(documents: Sequence[Document]) -> str:
    """Return the index as Markdown, for labs in this order; their pages are expected beside it."""
    runs = list(dict.fromkeys(map(machine, documents)))
    blocks = [
        ["<!-- Made by docs/labs/make.py. -->"],
        ["# The labs"],
        [
            "Each lab puts questions to the running kernel in throw-away processes. What is expected comes from the "
            "same tables of flags, rules and namespaces as everything else that nsview says; what is answered is read "
            "back from the kernel: ✓ as expected, ✗ otherwise, – left out for want of privilege or support. What was "
            "measured is told as medians with their quartiles. A page is the run of a command, which anybody may run "
            "and doubt; for these pages it had priority over what else went on (nice -10):"
        ],
        ["```sh", *(f"{command(each)}" for each in documents), "```"],
        table(
            ("lab", "what it asks", "answers"),
            (
                (f"[{text(each['title'])}]({each['lab']}.md)", text(each["question"]), text(outcome(each)))
                for each in documents
            ),
        ),
        [f"Run on {text('; '.join(runs))}. [fork and clone](../fork-and-clone.md) tells the subject by these results."],
        [
            "In nsview they run step by step (`9`): the lab waits where there is something to look at, and the tree of "
            "processes and the difference of parent and child are there to look with."
        ],
        [picture("A lab in nsview, waiting at a scene", "../../screenshots/labs-120x40.svg")],
        ["## What follows"],
        *(
            [
                f"**[{text(each['title'])}]({each['lab']}.md)**",
                "",
                *(f"- [{text(of['says'])}]({each['lab']}.md#{of['key']})" for of in each["conclusions"]),
            ]
            for each in documents
            if each["conclusions"]
        ),
    ]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"
