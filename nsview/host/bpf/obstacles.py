"""Where the task iterator may not be used, or would not say exactly what /proc says: each a look at this machine."""

from __future__ import annotations

import errno
import os
import platform
from collections.abc import Callable
from functools import cache

from nsview.host.bpf.iterator import Refusal
from spawner.namespaces import KINDS

PASSING = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR)
"""What ends by itself, and would stop a reader of /proc too."""

BTF = "/sys/kernel/btf/vmlinux"
NOHZ_FULL = "/sys/devices/system/cpu/nohz_full"
MACHINES = ("x86_64", "aarch64")
"""Where CPU time is counted as tasks.bpf.c adds it up (CONFIG_VIRT_CPU_ACCOUNTING_NATIVE of others is not)."""
NAMESPACES = {kind.proc for kind in KINDS}

CAP_SYS_ADMIN, CAP_PERFMON, CAP_BPF = 21, 38, 39
INITIAL_USER_NAMESPACE = "user:[4026531837]"
"""include/uapi/linux/nsfs.h: USER_NS_INIT_INO"""


@cache
def of_machine() -> Refusal | None:
    """Look at what stays as it is while the machine runs."""
    if platform.machine() not in MACHINES:
        return Refusal(f"it is not known how {platform.machine()} counts CPU time")
    if not os.path.exists(BTF):
        return Refusal(f"the kernel does not tell its types: {BTF} is missing", "boot one with CONFIG_DEBUG_INFO_BTF")
    if absent := NAMESPACES - set(os.listdir("/proc/self/ns")):
        return Refusal(f"the kernel has no namespaces of the kind {min(absent)}")
    try:
        with open(NOHZ_FULL) as file:
            tickless = file.read().strip()
    except FileNotFoundError:
        return None
    if tickless not in ("", "(null)"):  # kernel/sched/cputime.c: vtime, which is added up only when asked for
        return Refusal(f"processors without a tick (nohz_full={tickless}) count CPU time late")
    return None


def of_reader() -> Refusal | None:
    """Look at what may change from one snapshot to the next: who we are, and which processes our /proc is about."""
    try:
        with open("/proc/self/status", errors="replace") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        user_namespace = os.readlink("/proc/self/ns/user")
    except OSError as error:  # no /proc, of a pid namespace in which we are not, or closed by a security module
        if error.errno in PASSING:
            raise
        return Refusal(f"{error.filename} cannot be read: {error.strerror}", "mount -t proc proc /proc")
    effective = int(status["CapEff"], 16)
    # Our pid in every namespace from that of /proc's mount down to our own.
    if len(status["NSpid"].split()) != 1:
        return Refusal("/proc shows another pid namespace than our own", "mount -t proc proc /proc")
    if user_namespace != INITIAL_USER_NAMESPACE:
        return Refusal("in a child user namespace ids have other numbers than the kernel's own")
    if not (effective >> CAP_SYS_ADMIN & 1 or (effective >> CAP_BPF & 1 and effective >> CAP_PERFMON & 1)):
        remedy = "have the container grant the capabilities" if os.geteuid() == 0 else "run with sudo"
        return Refusal("needs CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN", remedy)
    return None


OBSTACLES: tuple[Callable[[], Refusal | None], ...] = (of_reader, of_machine)


def first() -> Refusal | None:
    """Return what stands in the way, or None."""
    return next((refusal for look in OBSTACLES if (refusal := look())), None)
