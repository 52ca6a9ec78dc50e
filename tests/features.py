"""What a test may need beyond Python: one table of names, how each is looked for, and what a person can do.

``@pytest.mark.needs("root", "tmux")`` reads it. Kernel features are tried for real, by the probes of
``nsview doctor``; each is looked for once, when first asked for.
"""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path

from vm import machine

from nsview.commands.doctor_finding import State
from nsview.commands.doctor_probes import PROBES, look
from nsview.host.content.mount_calls import NotListedError, mounts_by_call
from spawner.cgroups.hierarchies import hierarchies
from spawner.namespaces import KINDS

Probe = Callable[[], str | None]
"""Answers None when the feature is there, else the rest of a sentence that begins with "needs"."""

_CAP_SYS_ADMIN = 21


def _root() -> str | None:
    status = Path("/proc/self/status").read_text(errors="replace")
    effective = int(status.partition("CapEff:")[2].split(maxsplit=1)[0], 16)
    if os.geteuid() == 0 and effective >> _CAP_SYS_ADMIN & 1:
        return None
    return "root: run with sudo"


def _program(name: str, package: str) -> str | None:
    return None if shutil.which(name) else f"{name}: apt install {package}"


def _library(file: str, package: str) -> str | None:
    try:
        ctypes.CDLL(file)
    except OSError:
        return f"{file}: apt install {package}"
    return None


def _kernel(row: str) -> str | None:
    """Ask doctor's ``row``; what works in part counts as there, for a test of the rest says so itself."""
    finding = look(next(probe for probe in PROBES if probe.name == row))
    if finding.state in (State.OK, State.LIMITED):
        return None
    return f"{row}: {finding.detail}" + (f" ({finding.remedy})" if finding.remedy else "")


def _cgroup2() -> str | None:
    for line in Path("/proc/self/mountinfo").read_text(errors="replace").splitlines():
        own, _, rest = line.partition(" - ")
        if rest.startswith("cgroup2 "):
            point = own.split(" ")[4]
            return None if os.access(point, os.W_OK) else f"to write to the cgroup2 mount {point}: run with sudo"
    return "a cgroup2 mount: mount -t cgroup2 none /sys/fs/cgroup"


def _controller(name: str) -> str | None:
    names = {name, "blkio"} if name == "io" else {name}
    if any(names & hierarchy.controllers for hierarchy in hierarchies()):
        return None
    return f"a cgroup hierarchy with the {name} controller: mount one"


def _disk() -> str | None:
    return None if os.path.isdir("/sys/block") and os.listdir("/sys/block") else "a block device: modprobe loop"


def _statmount() -> str | None:
    fd = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    try:
        mounts_by_call(fd)
    except NotListedError as error:
        return f"statmount(2) that tells other namespaces and sources, Linux 6.15 or so: {error}"
    finally:
        os.close(fd)
    return None


def _delay_accounting() -> str | None:
    switch = "/proc/sys/kernel/task_delayacct"
    return None if os.access(switch, os.W_OK) else f"to write to {switch}: run with sudo, on Linux 5.14 or later"


PROGRAMS: Mapping[str, str] = {
    "bash": "bash",
    "busybox": "busybox-static",
    "bwrap": "bubblewrap",
    "cc": "gcc",
    "findmnt": "util-linux",
    "git": "git",
    "htop": "htop",
    "ionice": "util-linux",
    "ip": "iproute2",
    "ipcs": "util-linux",
    "less": "less",
    "lsns": "util-linux",
    "newuidmap": "uidmap",
    "nft": "nftables",
    "nsenter": "util-linux",
    "perl": "perl-base",
    "ps": "procps",
    "qemu-system-x86_64": "qemu-system-x86",
    "runc": "runc",
    "ss": "iproute2",
    "strace": "strace",
    "tar": "tar",
    "tmux": "tmux",
    "unshare": "util-linux",
    "vim": "vim",
}
"""Program, and the Debian package it comes in; .ci/run installs them all."""

LIBRARIES: Mapping[str, tuple[str, str]] = {
    "libbpf": ("libbpf.so.1", "libbpf1"),
    "libseccomp": ("libseccomp.so.2", "libseccomp2"),
}
"""Shared library by the name tests use: its file, and the Debian package; .ci/run installs them too."""

ROWS: Mapping[str, str] = {
    "bpf": "BPF iterator",
    "clone3": "clone3",
    "kcmp": "kcmp",
    "landlock": "landlock",
    "proc_connector": "process events",
    "pty": "pseudo-terminals",
    "seccomp": "seccomp",
    "taskstats": "taskstats",
    "userns": "unprivileged user namespaces",
    **{f"{kind.name}_namespace": f"{kind.name} namespace" for kind in KINDS},
}
"""Kernel feature, and the row of ``nsview doctor`` that tries it."""

FEATURES: Mapping[str, Probe] = {
    "root": _root,
    "vm": machine.lacking,
    "delay_accounting": _delay_accounting,
    "disk": _disk,
    **{f"{name}_controller": partial(_controller, name) for name in ("memory", "pids", "cpu", "io")},
    "cgroup2": _cgroup2,
    "statmount": _statmount,
    **{name: partial(_program, name, package) for name, package in PROGRAMS.items()},
    **{name: partial(_library, *row) for name, row in LIBRARIES.items()},
    **{name: partial(_kernel, row) for name, row in ROWS.items()},
}


@cache
def lacking(name: str) -> str | None:
    """Say what a person lacks and how to get it ("needs tmux: apt install tmux"), or None; KeyError if unknown."""
    missing = FEATURES[name]()
    return None if missing is None else f"needs {missing}"


if __name__ == "__main__":
    print(*sorted({*PROGRAMS.values(), *(package for _, package in LIBRARIES.values())}))
