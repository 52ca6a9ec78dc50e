"""The same launch in other words: `nsview run`, unshare(1), bwrap(1), systemd-run(1), docker run, C, Python."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nsview.equivalents import bwrap, c_program, docker, nsview_run, python, systemd_run, unshare
from nsview.equivalents.equivalent import Caller, Equivalent
from spawner import Spec

__all__ = ["FORMATS", "FORMAT_OF", "Caller", "Equivalent", "Format"]


@dataclass(frozen=True, slots=True)
class Format:
    """One language: ``name`` as the command line has it, a title, its files' ending, what begins a comment.

    ``write(spec, caller)`` raises SpecError where the language needs a plan (C) and the Spec has none.
    """

    name: str
    title: str
    ending: str
    comment: str
    write: Callable[[Spec, Caller], Equivalent]


FORMATS: tuple[Format, ...] = (
    Format("nsview", "nsview run", "sh", "#", nsview_run.write),
    Format("unshare", "unshare(1) and util-linux", "sh", "#", unshare.write),
    Format("bwrap", "bwrap (bubblewrap)", "sh", "#", bwrap.write),
    Format("systemd-run", "systemd-run", "sh", "#", systemd_run.write),
    Format("docker", "docker run", "sh", "#", docker.write),
    Format("c", "C, every system call of the plan", "c", "//", c_program.write),
    Format("python", "Python, by spawner", "py", "#", python.write),
)
"""In the order in which they are offered."""

FORMAT_OF = {each.name: each for each in FORMATS}
