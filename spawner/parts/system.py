"""What the system is called and how late it is: uts and time namespaces."""

from __future__ import annotations

import os

from spawner import mechanism as ways
from spawner.draft import Draft
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
        assert draft.ns_directory is not None
        link, why = "time_for_children", "this kernel's execve does not enter it"
        flags = Named(os.O_RDONLY | os.O_CLOEXEC, "O_RDONLY|O_CLOEXEC")
        made = draft.add(f"open ns/{link}", "openat", draft.ns_directory, link, flags, 0, phase="time", why=why)
        draft.add("setns time", "setns", made, Named(ways.NEWTIME, "CLONE_NEWTIME"), phase="time")
        draft.add(f"close ns/{link}", "close", made, phase="time")
