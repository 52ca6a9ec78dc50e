"""What is mounted below a path, with the flags that a remount has to repeat (proc_pid_mountinfo(5))."""

from __future__ import annotations

import os
import re

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOSYMFOLLOW = 1, 2, 4, 8, 256
_FLAGS = {
    "ro": MS_RDONLY,
    "nosuid": MS_NOSUID,
    "nodev": MS_NODEV,
    "noexec": MS_NOEXEC,
    "nosymfollow": MS_NOSYMFOLLOW,
}
"""Options by mount and the bits of mount(2). Those about access times are kept by a remount that names none."""

Mounts = tuple[tuple[str, int], ...]
"""(path below the place asked about, flags) of each mount there; "" for the one that holds the place."""

_ESCAPED = re.compile(r"\\([0-7]{3})")


def _plain(path: str) -> str:
    return os.fsdecode(_ESCAPED.sub(lambda found: chr(int(found[1], 8)), path).encode("latin-1"))


def visible(text: str) -> dict[str, int]:
    """Mount point → flags of each mount of a mountinfo that a path can lead to: none that another covers."""
    found: dict[str, int] = {}
    for line in filter(None, text.split("\n")):
        fields = line.split(" ")
        point = _plain(fields[4])
        below = point.rstrip("/") + "/"
        for covered in [known for known in found if known == point or known.startswith(below)]:
            del found[covered]
        found[point] = sum(_FLAGS.get(option, 0) for option in fields[5].split(","))
    return found


def mounts_below(path: str, text: str) -> Mounts:
    """The mount that holds ``path`` (absolute, no links) and those below it, outer before inner."""
    points = visible(text)
    holding = [point for point in points if f"{path.rstrip('/')}/".startswith(f"{point.rstrip('/')}/")]
    own = ((("", points[max(holding, key=len)]),)) if holding else ()
    below = path.rstrip("/") + "/"
    return own + tuple(
        (point[len(below) - 1 :], points[point])
        for point in sorted(points)
        if point.startswith(below) and point != path
    )


def read() -> str:
    """The calling thread's mountinfo; one character per byte."""
    with open("/proc/thread-self/mountinfo", encoding="latin-1", newline="\n") as file:
        return file.read()
