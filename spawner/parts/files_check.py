"""What speaks against the files of a Spec: values that mean nothing, and places where nothing may be made."""

from __future__ import annotations

import os
from collections.abc import Iterator

from spawner.errors import Problem
from spawner.filling import fill, switches_root
from spawner.oci import Bind, Chmod, Dir, File, FileOperation, Overlay, Symlink, Tmpfs
from spawner.parts.sources import overlay_options
from spawner.spec import Spec

MOST_CONTENT = 16 << 20
"""Bytes of a file's content, which is written in one step from the plan's memory."""

_LAST_SIZE = 2**63 - 1
_PAGE = 4096  # the most that mount(2) reads of its options

_FIELDS = ("rootfs", "mounts", "masked_paths", "readonly_paths", "rootfs_readonly")


def problems(spec: Spec, asked: frozenset[str]) -> Iterator[Problem]:
    """Every reason not to touch files as this Spec wants it."""
    wanted = [name for name in _FIELDS if getattr(spec, name) not in (None, (), False)]
    if not wanted:
        return
    if "mount" not in asked:
        yield Problem(
            f"{' and '.join(wanted)} without a new mount namespace would change the host's own tree",
            "add a new mount namespace (-m)",
        )
    if switches_root(spec) and spec.rootfs_propagation == "unchanged":
        yield Problem(
            "with unchanged propagation what is mounted in the new root could appear outside too",
            "use slave: mounts outside still appear inside; or private",
        )
    found = [*_values(spec)]
    yield from found
    if switches_root(spec) and not found:
        yield from fill(spec).problems


def _values(spec: Spec) -> Iterator[Problem]:
    if spec.rootfs is not None:
        yield from _path("the root", spec.rootfs)
    for what, paths in (("masked path", spec.masked_paths), ("read-only path", spec.readonly_paths)):
        for path in paths:
            yield from _inside(what, path)
            if path and not path.strip("/."):
                yield Problem(f"{what} {path!r} is the root itself", "use rootfs_readonly, or name what is in it")
    if switches_root(spec) and spec.mount_proc is not None:
        yield from _inside("the place of proc", spec.mount_proc)
    for operation in spec.mounts:
        yield from _inside("destination", operation.destination)
        yield from _of(operation)


def _of(operation: FileOperation) -> Iterator[Problem]:
    match operation:
        case Bind(source=source):
            yield from _path("source", source)
        case Tmpfs(size=size) if size is not None and not 0 < size <= _LAST_SIZE:
            # 0 is no limit at all to the kernel, and larger numbers are cut off.
            yield Problem(f"{size} bytes are no size of a tmpfs", f"use 1 to {_LAST_SIZE}, or None for half the memory")
        case Symlink(target=target):
            yield from _path("target of a link", target)
        case File(content=content) if len(content) > MOST_CONTENT:
            yield Problem(
                f"{operation.destination} would have {len(content)} bytes, {MOST_CONTENT} are the most",
                "bind a file with this content",
            )
        case Overlay():
            yield from _overlay(operation)
        case _:
            pass
    if isinstance(operation, Tmpfs | Dir | File | Chmod) and not 0 <= operation.mode <= 0o7777:
        yield Problem(f"{operation.mode:o} is no mode for {operation.destination}", "use 0 to 7777 (octal)")


def _overlay(overlay: Overlay) -> Iterator[Problem]:
    if not overlay.lower:
        yield Problem(f"the overlay at {overlay.destination} has no lower directory", "name one at least")
    for path in (*overlay.lower, overlay.upper, overlay.work):
        if path is not None:
            yield from _path("directory of an overlay", path)
    if (overlay.upper is None) != (overlay.work is None):
        yield Problem(
            f"the overlay at {overlay.destination} has only one of upper and work",
            "name both, in the same file system, or neither",
        )
    if overlay.read_only and overlay.upper is not None:
        yield Problem(f"the overlay at {overlay.destination} is read-only and has an upper directory", "leave one out")
    if overlay.read_only and len(overlay.lower) == 1:
        yield Problem(
            f"the read-only overlay at {overlay.destination} has one directory only, which overlayfs does not take",
            "bind it read-only",
        )
    if len(os.fsencode(overlay_options(overlay, overlay.upper, overlay.work, in_user_namespace=True))) >= _PAGE:
        yield Problem(
            f"the paths of the overlay at {overlay.destination} are longer than the {_PAGE} bytes that mount(2) takes",
            "use fewer or shorter ones",
        )


def _path(what: str, path: str) -> Iterator[Problem]:
    if not path:
        yield Problem(f"an empty {what}", "name a path")
    elif "\0" in path:
        yield Problem(f"{what} {path!r} holds a NUL byte, which ends a string for the kernel", "leave it out")
    elif not _encodes(path):
        yield Problem(f"{what} {path!r} cannot be encoded as bytes for the kernel", "leave the odd characters out")


def _inside(what: str, path: str) -> Iterator[Problem]:
    yield from _path(what, path)
    if path and not path.startswith("/"):
        yield Problem(f"{what} {path!r} is relative", f"write it from the new root: /{path}")
    elif ".." in path.split("/"):
        yield Problem(f"{what} {path!r} holds ..", "write it without")


def _encodes(text: str) -> bool:
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True
