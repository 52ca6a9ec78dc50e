"""An initramfs: files packed as the kernel unpacks them, in cpio's "newc" format (its buffer-format.rst)."""

from __future__ import annotations

import stat
from collections.abc import Mapping

_END = "TRAILER!!!"


def _entry(number: int, name: str, mode: int, content: bytes) -> bytes:
    path = name.encode() + b"\0"
    # inode, mode, uid, gid, links, time, size, device and device file as major and minor, length of the name, no sum
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0)
    header = b"070701" + b"".join(b"%08x" % field for field in fields) + path
    return header + bytes(-len(header) % 4) + content + bytes(-len(content) % 4)


def pack(files: Mapping[str, bytes]) -> bytes:
    """Pack ``files``, executable content by absolute path; the directories they are in come with them."""
    directories = sorted({"/".join(parts[:end]) for parts in map(_parts, files) for end in range(1, len(parts))})
    entries = [(name, stat.S_IFDIR | 0o755, b"") for name in directories]
    entries += [("/".join(_parts(path)), stat.S_IFREG | 0o755, content) for path, content in files.items()]
    entries.append((_END, 0, b""))
    return b"".join(_entry(number, *entry) for number, entry in enumerate(entries, 1))


def _parts(path: str) -> list[str]:
    return path.strip("/").split("/")
