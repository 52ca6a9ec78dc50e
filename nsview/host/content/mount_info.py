"""One mount, and the text of /proc/PID/mountinfo it is read from (proc_pid_mountinfo(5))."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

_ESCAPED = re.compile(rb"\\([0-7]{3})")
DELETED = "//deleted"
"""What the kernel puts after the root of a bind mount whose file or directory was removed (fs/d_path.c)."""


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount of a mount namespace.

    ``id`` and ``parent`` are mount ids, used again once a mount is gone; the parent of a viewer's root mount is in
    no table. ``root`` is the directory of the file system that is mounted, ``point`` where, as the viewer would
    call it; both as os.fsdecode() gives them, so not yet safe to print. ``options`` belong to the mount,
    ``super_options`` to the file system. ``shared`` is its peer group, ``master`` the peer group it receives
    from, ``propagate_from`` the nearest group above that one that the viewer can see. ``unique_id`` is never used
    again (statmount(2)); None where the kernel has none to tell.
    """

    id: int
    parent: int
    device: tuple[int, int]
    root: str
    point: str
    options: tuple[str, ...]
    shared: int | None
    master: int | None
    propagate_from: int | None
    unbindable: bool
    fs_type: str
    source: str
    super_options: tuple[str, ...]
    unique_id: int | None = None

    @property
    def propagation(self) -> str:
        """What becomes of mounts and unmounts below it, in the words of mount_namespaces(7)."""
        said = []
        if self.shared is not None:
            said.append(f"shared with peer group {self.shared}")
        if self.master is not None:
            through = "" if self.propagate_from is None else f" (here through {self.propagate_from})"
            said.append(f"slave of peer group {self.master}{through}")
        if self.unbindable:
            said.append("unbindable")
        return ", ".join(said) or "private"

    @property
    def read_only(self) -> bool:
        """True when nothing can be written through this mount."""
        return "ro" in self.options or "ro" in self.super_options

    @property
    def is_deleted(self) -> bool:
        """True for a bind mount of what has been removed since."""
        return self.root.endswith(DELETED)


def parse(text: bytes) -> tuple[Mount, ...]:
    """Return the mounts of a mountinfo in the kernel's order; ValueError when it is no such text. Pure.

    Only newlines end a line: the kernel escapes no other control character of a path.
    """
    return tuple(_mount(line) for line in text.split(b"\n") if line)


def _mount(line: bytes) -> Mount:
    words = line.split(b" ")
    hyphen = words.index(b"-", 6)  # ends the optional fields; earlier words are paths, which may be anything
    fs_type, source, super_options = words[hyphen + 1 :]
    major, _, minor = words[2].partition(b":")
    tags = {name: number for name, _, number in (word.partition(b":") for word in words[6:hyphen])}
    return Mount(
        id=int(words[0]),
        parent=int(words[1]),
        device=(int(major), int(minor)),
        root=decoded(words[3]),
        point=decoded(words[4]),
        options=options_of(words[5]),
        shared=_group(tags.get(b"shared")),
        master=_group(tags.get(b"master")),
        propagate_from=_group(tags.get(b"propagate_from")),
        unbindable=b"unbindable" in tags,
        fs_type=decoded(fs_type),
        source=decoded(source),
        super_options=options_of(super_options),
    )


def decoded(field: bytes) -> str:
    r"""Undo the kernel's escapes: ``\040`` is a blank (seq_path(), fs/seq_file.c)."""
    return os.fsdecode(_ESCAPED.sub(lambda escape: bytes((int(escape[1], 8),)), field))


def options_of(field: bytes) -> tuple[str, ...]:
    """Return the options of a field that commas separate; a comma within one is escaped."""
    return tuple(decoded(option) for option in field.split(b",") if option)


def _group(number: bytes | None) -> int | None:
    return None if number is None else int(number)
