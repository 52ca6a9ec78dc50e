"""Operations on files as options of `nsview run` and bwrap(1), which are spelt alike."""

from __future__ import annotations

from collections.abc import Mapping

from nsview.equivalents.shell import Line
from spawner.oci import (
    Bind,
    Chmod,
    Dev,
    Dir,
    File,
    FileOperation,
    Mqueue,
    Overlay,
    Proc,
    RemountReadOnly,
    Symlink,
    Tmpfs,
)

Modes = Mapping[str, int]

MODES: Modes = {"--tmpfs": 0o755, "--dir": 0o755, "--file": 0o666, "--bind-data": 0o600, "--ro-bind-data": 0o600}
"""What each option makes where no --perms says otherwise; bwrap's are the same."""


def words_of(operation: FileOperation, line: Line, modes: Modes) -> list[list[str]]:
    """The options, each with its values, that do an operation; its content goes through a descriptor of ``line``."""
    match operation:
        case Bind():
            name = "--dev-bind" if operation.devices else "--ro-bind" if operation.read_only else "--bind"
            found = [[name + ("-try" if operation.optional else ""), operation.source, operation.destination]]
            if operation.devices and operation.read_only:
                found.append(["--remount-ro", operation.destination])
            return found
        case Tmpfs():
            size = [] if operation.size is None else [["--size", str(operation.size)]]
            return [*_perms("--tmpfs", operation.mode, modes), *size, ["--tmpfs", operation.destination]]
        case Proc():
            return [["--proc", operation.destination]]
        case Dev():
            return [["--dev", operation.destination]]
        case Mqueue():
            return [["--mqueue", operation.destination]]
        case Dir():
            return [*_perms("--dir", operation.mode, modes), ["--dir", operation.destination]]
        case File():
            bound = operation.bound or operation.read_only
            name = "--ro-bind-data" if operation.read_only else "--bind-data" if bound else "--file"
            fed = line.feed(operation.content)
            return [*_perms(name, operation.mode, modes), [name, fed, operation.destination]]
        case Symlink():
            return [["--symlink", operation.target, operation.destination]]
        case Chmod():
            return [["--chmod", f"{operation.mode:04o}", operation.destination]]
        case RemountReadOnly():
            return [["--remount-ro", operation.destination]]
        case Overlay():
            lower = [["--overlay-src", path] for path in operation.lower]
            if operation.upper is not None and operation.work is not None:
                return [*lower, ["--overlay", operation.upper, operation.work, operation.destination]]
            return [*lower, ["--ro-overlay" if operation.read_only else "--tmp-overlay", operation.destination]]


def is_exact(operation: FileOperation) -> bool:
    """Whether the options make this very value again, and not only one that does the same."""
    match operation:
        case Bind():
            return not (operation.devices and operation.read_only)
        case File():
            return operation.bound or not operation.read_only
        case Overlay():
            usual = (operation.upper is None) == (operation.work is None)
            return (
                usual and not (operation.read_only and operation.upper) and len(operation.lower) > operation.read_only
            )
        case _:
            return True


def _perms(name: str, mode: int, modes: Modes) -> list[list[str]]:
    return [] if modes[name] == mode else [["--perms", f"{mode:04o}"]]
