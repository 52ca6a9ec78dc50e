"""What the kernel answers to system calls made from within a launched program."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace

from running import output

from spawner import Spec, Stdio
from spawner.seccomp.compile import library

Calls = Mapping[str, tuple[int, ...]]
"""By any key: the system call's number and up to six arguments."""

_MAKE = """
import ctypes, json, sys
libc = ctypes.CDLL(None, use_errno=True)
found = {}
for key, (number, *arguments) in json.loads(sys.argv[1]).items():
    ctypes.set_errno(0)
    result = libc.syscall(*(ctypes.c_long(value) for value in (number, *arguments)))
    found[key] = ctypes.get_errno() if result == -1 else 0
print(json.dumps(found))
"""


def number(name: str) -> int:
    """A system call's number on this machine; negative where it has none."""
    found: int = library().seccomp_syscall_resolve_name(name.encode())
    return found


def program(calls: Calls) -> Spec:
    """A Spec of a program that makes the calls and prints the errno of each (0: none) as JSON."""
    args = (sys.executable, "-I", "-S", "-c", _MAKE, json.dumps(calls))
    return Spec(args=args, stdio=Stdio.PIPE)


def answers(calls: Calls, **fields: object) -> dict[str, int]:
    """The errno of each call, 0 for none, made in a program launched with ``fields``."""
    found: dict[str, int] = json.loads(output(replace(program(calls), **fields)))  # type: ignore[arg-type]
    return found
