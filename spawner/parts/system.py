"""What the system is called and how late it is: uts and time namespaces."""

from __future__ import annotations

import os

from spawner import mechanism as ways
from spawner.draft import AT_FDCWD, O_READ, Draft
from spawner.parts import clock
from spawner.plan import Named


def names(draft: Draft) -> None:
    """Set host name and domain name."""
    for label, name in (("sethostname", draft.spec.hostname), ("setdomainname", draft.spec.domainname)):
        if name is not None:
            draft.add(label, label, name, len(os.fsencode(name)), phase="system")


def time(draft: Draft) -> None:
    """Make a time namespace and write its offsets."""
    if "time" not in draft.asked:
        return
    draft.add(
        "unshare time",
        "unshare",
        Named(ways.NEWTIME, "CLONE_NEWTIME"),
        phase="time",
        why="not entered yet: until then its offsets can be written",
    )
    if draft.spec.time_offsets:
        text = "".join(f"{clock} {value.secs} {value.nanosecs}\n" for clock, value in draft.spec.time_offsets)
        draft.write_file("/proc/self/timens_offsets", text, phase="time", label="timens_offsets")
    if ways.enters_time_itself(draft.spec, draft.facts):
        made = draft.add(
            "open ns/time_for_children",
            "openat",
            draft.proc_directory or AT_FDCWD,
            "self/ns/time_for_children" if draft.proc_directory else "/proc/self/ns/time_for_children",
            O_READ,
            0,
            phase="time",
            why="this kernel's execve does not enter it",
            path="/proc/self/ns/time_for_children",
        )
        entered = draft.add("setns time", "setns", made, Named(ways.NEWTIME, "CLONE_NEWTIME"), phase="time")
        draft.add("close ns/time_for_children", "close", made, phase="time")
        clock.moved(draft, entered)
