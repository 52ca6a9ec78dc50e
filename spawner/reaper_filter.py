"""The seccomp filter of the reaper: the calls that reaper.py's program makes, and hardly others.

Classic BPF over struct seccomp_data (seccomp(2)): the word at 0 is the number, at 4 the architecture, at 16 the low
half of the first argument. What is not allowed answers EPERM; another architecture's calls end the process.
"""

from __future__ import annotations

import os
import struct

from spawner import _native

_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER_AT, _ARCH_AT, _FIRST_AT = 0, 4, 16
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050001
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_PR_SET_NAME = 15
_INSTRUCTION = struct.Struct("=HBBI")

CALLS = (
    "waitid",
    "wait4",
    "rt_sigtimedwait",
    "restart_syscall",
    "kill",
    "rt_sigqueueinfo",
    "setpgid",
    "close_range",
    "close",
    "exit_group",
)
UNTIL_THEN = ("execveat", "exit", "clock_gettime", "sendto", "ppoll", "recvfrom")
"""What the engine's loop calls between this filter and the reaper, which has no descriptor that they would work on."""


def _program() -> bytes:
    rows = [(_LOAD, 0, 0, _ARCH_AT), (_EQUAL, 1, 0, _ARCHITECTURES[os.uname().machine]), (_RETURN, 0, 0, _KILL)]
    rows.append((_LOAD, 0, 0, _NUMBER_AT))
    for name in (*CALLS, *UNTIL_THEN):
        rows += [(_EQUAL, 0, 1, _native.SYSCALLS[name]), (_RETURN, 0, 0, _ALLOW)]
    rows += [(_EQUAL, 0, 3, _native.SYSCALLS["prctl"]), (_LOAD, 0, 0, _FIRST_AT), (_EQUAL, 0, 1, _PR_SET_NAME)]
    rows += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE)]
    return b"".join(_INSTRUCTION.pack(*row) for row in rows)


PROGRAM = _program()
LENGTH = len(PROGRAM) // _INSTRUCTION.size
