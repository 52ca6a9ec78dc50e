"""Options for watching a launch: the plan, its steps, its times, what is told of it and where."""

from __future__ import annotations

from nsview.options import words
from nsview.options.option import ON, Option

TITLE = "watching"

FORMATS = ("nsview", "unshare", "bwrap", "systemd-run", "docker", "c", "python")
"""Names of nsview.equivalents.FORMATS, which few launches need imported."""

OPTIONS: tuple[Option, ...] = (
    Option(("--dry-run",), "print the plan and run nothing", ON),
    Option(
        ("--as",),
        "run nothing, and print what would do the same, and what of it cannot be said: " + ", ".join(FORMATS),
        {"dest": "language", "metavar": "FORMAT", "type": words.one_of(FORMATS, "format")},
    ),
    Option(("--step",), "before each step: print it and wait for Enter", ON),
    Option(("--timeline",), "print every step with its nanoseconds, on stderr", ON),
    Option(
        ("--report",),
        "write namespaces, timeline, exit and rusage as JSON (- for standard output)",
        {"metavar": "FILE"},
    ),
    Option(
        ("--info-fd",),
        "write the child's pid and the inodes of its namespaces to FD as a JSON object",
        {"metavar": "FD", "type": words.descriptor},
    ),
    Option(
        ("--json-status-fd",),
        "write the same to FD on one line, and the exit status on another once it has ended",
        {"metavar": "FD", "type": words.descriptor},
    ),
)
