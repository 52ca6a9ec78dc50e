"""A seccomp filter on the calling process, for good: one system call is answered, every other let through."""

from __future__ import annotations

import ctypes
import struct

from apart import call

from spawner import _native

KILL_PROCESS, ERRNO, ALLOW = 0x80000000, 0x00050000, 0x7FFF0000

_LOAD_WORD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _MODE_FILTER = 22, 38, 2


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def answer(*names: str, action: int) -> None:
    """Let the named system calls have ``action``: KILL_PROCESS, or ERRNO with the number or'ed in."""
    numbers = [_native.SYSCALLS[name] for name in names]
    code = [(_LOAD_WORD, 0, 0, 0)]
    code += [(_JUMP_IF_EQUAL, len(numbers) - place, 0, number) for place, number in enumerate(numbers)]
    code += [(_RETURN, 0, 0, ALLOW), (_RETURN, 0, 0, action)]
    program = _Program(len(code), b"".join(struct.pack("=HBBI", *line) for line in code))
    call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    call("prctl", _PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0)
