"""The container that every launcher is to make: its directory, its filter and the Spec that asks the engine for it."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from nsview.bench.compiler import YARDSTICKS, build, preprocessed
from nsview.bench.row import UnavailableError
from spawner import IDMapping, Spec
from spawner.namespaces import KINDS
from spawner.oci import Capabilities, Cgroup, Dev, Proc, Resources, Rlimit, Seccomp

MEMORY, TASKS, FILES, HOST = 64 << 20, 32, 512, "box"

DENIED = (
    *("acct", "add_key", "bpf", "chroot", "clock_adjtime", "clock_settime", "delete_module", "fanotify_init"),
    *("finit_module", "fsconfig", "fsmount", "fsopen", "fspick", "init_module", "ioperm", "iopl", "kcmp"),
    *("kexec_file_load", "kexec_load", "keyctl", "mount", "mount_setattr", "move_mount", "name_to_handle_at"),
    *("open_by_handle_at", "open_tree", "perf_event_open", "pivot_root", "process_vm_readv", "process_vm_writev"),
    *("ptrace", "quotactl", "reboot", "request_key", "setdomainname", "sethostname", "setns", "settimeofday"),
    *("swapoff", "swapon", "umount2", "unshare", "userfaultfd", "vhangup"),
)
"""What the filter answers with ENOTUNIQ, an errno that nothing else would give; the others pass."""

_ARCHITECTURES = {"x86_64": ("SCMP_ARCH_X86_64", 0xC000003E), "aarch64": ("SCMP_ARCH_AARCH64", 0xC00000B7)}
"""By uname's machine: libseccomp's name and the kernel's number (AUDIT_ARCH_*, linux/audit.h)."""

PROFILE = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "architectures": [name for machine, (name, _) in _ARCHITECTURES.items() if machine == os.uname().machine],
    "syscalls": [{"names": list(DENIED), "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOTUNIQ}],
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where everything is: ``root`` is the prepared root directory, ``filter`` the seccomp program."""

    scratch: Path
    filter: bytes

    @property
    def root(self) -> Path:
        """The prepared root."""
        return self.scratch / "root"


def prepare(scratch: Path) -> Place:
    """Build the program in a root of its own, and the filter; raises UnavailableError."""
    place = Place(scratch, _filter())
    for name in ("proc", "dev"):
        (place.root / name).mkdir(parents=True)
    build(place.root / "program", [YARDSTICKS / "contained.c"], "-static")
    return place


def _filter() -> bytes:
    """Assemble the filter: foreign architectures are killed, each number of DENIED is compared, the rest passes."""
    machine = os.uname().machine
    if machine not in _ARCHITECTURES:
        raise UnavailableError(f"its seccomp filter is written for {' and '.join(_ARCHITECTURES)}, not for {machine}")
    source = "#include <sys/syscall.h>\n" + "".join(f"number SYS_{name}\n" for name in DENIED)
    words = [line.split()[1] for line in preprocessed(source).splitlines() if line.startswith("number ")]
    numbers = [int(word) for word in words if word.isdecimal()]  # a name that stayed one is of another architecture
    load, equal, answer = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
    kill, refuse, allow = 0x80000000, 0x00050000 | errno.ENOTUNIQ, 0x7FFF0000
    code = [(load, 0, 0, 4), (equal, 1, 0, _ARCHITECTURES[machine][1]), (answer, 0, 0, kill), (load, 0, 0, 0)]
    code += [(equal, len(numbers) - at, 0, number) for at, number in enumerate(numbers)]
    code += [(answer, 0, 0, allow), (answer, 0, 0, refuse)]
    return b"".join(struct.pack("=HBBI", *line) for line in code)


def our_spec(place: Place, *arguments: str) -> Spec:
    """Describe the container to the engine."""
    none: frozenset[str] = frozenset()
    return Spec(
        args=("/program", *arguments),
        env=(),
        namespaces=frozenset(kind.name for kind in KINDS),
        uid_mappings=(IDMapping(0, os.geteuid()),),
        gid_mappings=(IDMapping(0, os.getegid()),),
        hostname=HOST,
        rootfs=str(place.root),
        rootfs_readonly=True,
        mounts=(Proc(destination="/proc"), Dev(destination="/dev")),
        rlimits=(Rlimit("RLIMIT_NOFILE", FILES, FILES),),
        cgroup=Cgroup(resources=Resources(memory=MEMORY, pids=TASKS)),
        no_new_privs=True,
        capabilities=Capabilities(bounding=none, effective=none, inheritable=none, permitted=none, ambient=none),
        seccomp=(Seccomp("benchmark", program=place.filter),),
    )


def as_runc(spec: Spec) -> Spec:
    """Leave out what runc of this age cannot do."""
    return replace(spec, namespaces=spec.namespaces - {"time"})


def as_bwrap(spec: Spec) -> Spec:
    """Leave out what bwrap cannot do."""
    return replace(as_runc(spec), rlimits=(), cgroup=None)


def whole(spec: Spec) -> Spec:
    """Leave out nothing."""
    return spec


OURS: Mapping[str, Callable[[Spec], Spec]] = {"": whole, " as bwrap": as_bwrap, " as runc": as_runc}
"""Our own launches, by what is put behind their name: what they leave out."""
