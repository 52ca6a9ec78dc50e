"""What is executed: where the program may be, its arguments and its environment."""

from __future__ import annotations

import errno
import os

from spawner.spec import Spec

# execvp(3) goes on to the next directory of PATH after these.
NOT_HERE = (errno.ENOENT, errno.ENOTDIR, errno.EACCES)


def candidates(spec: Spec) -> tuple[str, ...]:
    """The files execvp(3) would try for a Spec's program, in order; none for a Spec without one."""
    program = spec.args[0] if spec.args else ""
    if not program or "/" in program:
        return (program,) if program else ()
    directories = dict(spec.env or ()).get("PATH", os.defpath).split(":")
    return tuple(f"{directory}/{program}" if directory else f"./{program}" for directory in dict.fromkeys(directories))


def vectors(spec: Spec) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """Argv and envp of a Spec whose environment is settled."""
    argv = (spec.argv0 if spec.argv0 is not None else spec.args[0], *spec.args[1:])
    env = tuple(os.fsencode(f"{name}={value}") for name, value in spec.env or ())
    return tuple(map(os.fsencode, argv)), env
