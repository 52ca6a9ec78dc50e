"""The launchers that container.py compares: what each is told, to make the same container of the same directory.

What one cannot do is not asked of it. bwrap 0.8 knows no time namespace, no rlimits and no cgroups; runc before 1.2 no
time namespace; unshare(1) nothing of /dev, capabilities, seccomp, rlimits and cgroups, and its root is by chroot(2).
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from spawner import IDMapping, Spec, Stdio, launch
from spawner.namespaces import KINDS
from spawner.oci import Capabilities, Cgroup, Dev, Proc, Resources, Rlimit, Seccomp

HERE = Path(__file__).parent

MEMORY, TASKS, FILES, HOST = 64 << 20, 32, 512, "box"

DENIED = (
    *("acct", "add_key", "bpf", "chroot", "clock_adjtime", "clock_settime", "delete_module", "fanotify_init"),
    *("finit_module", "fsconfig", "fsmount", "fsopen", "fspick", "init_module", "ioperm", "iopl", "kcmp"),
    *("kexec_file_load", "kexec_load", "keyctl", "mount", "mount_setattr", "move_mount", "name_to_handle_at"),
    *("open_by_handle_at", "open_tree", "perf_event_open", "pivot_root", "process_vm_readv", "process_vm_writev"),
    *("ptrace", "quotactl", "reboot", "request_key", "setdomainname", "sethostname", "setns", "settimeofday"),
    *("swapoff", "swapon", "umount2", "unshare", "userfaultfd", "vhangup"),
)
"""What the filter answers with ENOTUNIQ, an errno that nothing else would give: 44 system calls, the others pass."""

PROFILE = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "architectures": ["SCMP_ARCH_X86_64"],
    "syscalls": [{"names": list(DENIED), "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOTUNIQ}],
}


# ---- what is launched ----


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
    """Build the program in a root of its own, and the filter."""
    place = Place(scratch, seccomp_program())
    for name in ("proc", "dev"):
        (place.root / name).mkdir(parents=True)
    flags = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-static"]
    command = ["cc", *flags, "-o", str(place.root / "program"), str(HERE / "container_program.c")]
    subprocess.run(command, check=True)
    return place


def seccomp_program() -> bytes:
    """Assemble the filter: foreign architectures are killed, each number of DENIED is compared, the rest passes."""
    source = "#include <sys/syscall.h>\n" + "".join(f"number SYS_{name}\n" for name in DENIED)
    said = subprocess.run(["cc", "-E", "-P", "-"], input=source, capture_output=True, text=True, check=True).stdout
    numbers = [int(line.split()[1]) for line in said.splitlines() if line.startswith("number ")]
    load, equal, answer = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
    architecture, kill, refuse, allow = 0xC000003E, 0x80000000, 0x00050000 | errno.ENOTUNIQ, 0x7FFF0000
    code = [(load, 0, 0, 4), (equal, 1, 0, architecture), (answer, 0, 0, kill), (load, 0, 0, 0)]
    code += [(equal, len(numbers) - at, 0, number) for at, number in enumerate(numbers)]
    code += [(answer, 0, 0, allow), (answer, 0, 0, refuse)]
    return b"".join(struct.pack("=HBBI", *line) for line in code)


# ---- the launchers: each makes a function that launches /program with these arguments and gives what it printed ----

Launcher = Callable[[Sequence[str], bool], str]
"""Called with the program's arguments, and whether its output is wanted."""


def our_spec(place: Place, *arguments: str) -> Spec:
    """Describe the container to the engine."""
    none: frozenset[str] = frozenset()
    return Spec(
        args=("/program", *arguments),
        env=(),
        namespaces=frozenset(kind.name for kind in KINDS),
        uid_mappings=(IDMapping(0, 0),),
        gid_mappings=(IDMapping(0, 0),),
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


OURS: Mapping[str, Callable[[Spec], Spec]] = {"ours": whole, "as bwrap": as_bwrap, "as runc": as_runc}
"""Our own launches, by what they leave out."""


def by_engine(place: Place, but: Callable[[Spec], Spec] = whole) -> Launcher:
    """Launch by the engine, from a Spec, as a program would; ``but`` takes something away from it."""

    def run(arguments: Sequence[str], wanted: bool) -> str:
        spec = but(our_spec(place, *arguments))
        if wanted:
            spec = replace(spec, stdio=Stdio.PIPE)
        printed = ""
        with launch(spec) as child:
            if wanted:
                assert child.stdout is not None
                with os.fdopen(os.dup(child.stdout)) as pipe:
                    printed = pipe.read()
            ended = child.wait()
        if ended is None or ended.code != 0:
            raise SystemExit(f"container.py: the program in our container ended with {ended}")
        return printed

    return run


def by_program(line: Callable[[Sequence[str]], list[str]], before: Callable[[], object] = lambda: None) -> Launcher:
    """Launch by another program; ``line`` writes its command line, ``before`` is done each time before it starts."""

    def run(arguments: Sequence[str], wanted: bool) -> str:
        before()
        command = line(arguments)
        if wanted:  # a launcher may say on stderr that the look was killed for want of memory, which it tries
            done = subprocess.run(command, capture_output=True, text=True, check=False, close_fds=False)
            if done.returncode != 0:
                raise SystemExit(f"container.py: {command[0]} ended with {done.returncode}: {done.stderr}")
            return done.stdout
        _, status = os.waitpid(os.posix_spawn(command[0], command, os.environ), 0)
        if status != 0:
            raise SystemExit(f"container.py: {command[0]} ended with the wait status {status:#x}")
        return ""

    return run


def by_command_line(place: Place) -> Launcher:
    """Launch by ``nsview run``: the same engine, after Python has started."""
    profile = place.scratch / "profile.json"
    profile.write_text(json.dumps(PROFILE))
    nsview = str(Path(sys.executable).with_name("nsview"))
    told = [nsview, "run", "--unshare-all", "--map-root-user", "--hostname", HOST, "--clearenv"]
    told += ["-R", str(place.root), "--proc", "/proc", "--dev", "/dev", "--remount-ro", "/"]
    told += ["--rlimit", f"NOFILE={FILES}:{FILES}", "--memory", str(MEMORY), "--pids", str(TASKS)]
    told += ["--cap-drop", "ALL", "--no-new-privs", "--seccomp", str(profile), "--no-pty", "--"]
    return by_program(lambda arguments: [*told, "/program", *arguments])


def by_bwrap(place: Place) -> Launcher:
    """Launch by bubblewrap, without the process 1 of its own that it would add."""
    filter_fd = os.memfd_create("filter", 0)
    os.write(filter_fd, place.filter)
    told = [_path("bwrap"), "--unshare-all", "--unshare-user", "--uid", "0", "--gid", "0", "--hostname", HOST]
    told += ["--clearenv", "--ro-bind", str(place.root), "/", "--proc", "/proc", "--dev", "/dev"]
    told += ["--cap-drop", "ALL", "--seccomp", str(filter_fd), "--as-pid-1", "--"]
    rewind = lambda: os.lseek(filter_fd, 0, os.SEEK_SET)  # noqa: E731  # the offset is shared with whoever read it last
    return by_program(lambda arguments: [*told, "/program", *arguments], rewind)


def by_unshare(place: Place) -> Launcher:
    """Launch by util-linux, which makes namespaces and mounts proc."""
    told = [_path("unshare"), "--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--user", "--map-root-user"]
    told += ["--cgroup", "--time", f"--root={place.root}", "--mount-proc", "--"]
    return by_program(lambda arguments: [*told, "/program", *arguments])


def by_runc(place: Place) -> Launcher:
    """Launch by runc, one ``runc run`` from create to delete each time."""
    number = itertools.count()

    def line(arguments: Sequence[str]) -> list[str]:
        bundle = place.scratch / "-".join(("bundle", *arguments))
        if not bundle.exists():
            bundle.mkdir()
            (bundle / "config.json").write_text(json.dumps(runc_config(place, arguments)))
        told = [
            _path("runc"),
            "--root",
            str(place.scratch / "runc"),
            "run",
            "--no-new-keyring",
            "--bundle",
            str(bundle),
        ]
        return [*told, f"nsview-benchmark-{os.getpid()}-{next(number)}"]

    return by_program(line)


def runc_config(place: Place, arguments: Sequence[str]) -> Mapping[str, object]:
    """Write the container in the OCI runtime-spec's JSON; device files and the like are runc's own defaults."""
    kinds = [kind.name for kind in KINDS if kind.name != "time"]
    one_id = [{"containerID": 0, "hostID": 0, "size": 1}]
    return {
        "ociVersion": "1.0.2",
        "hostname": HOST,
        "root": {"path": str(place.root), "readonly": True},
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0},
            "args": ["/program", *arguments],
            "env": [],
            "cwd": "/",
            "capabilities": {name: [] for name in ("bounding", "effective", "inheritable", "permitted", "ambient")},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": FILES, "soft": FILES}],
            "noNewPrivileges": True,
        },
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            {
                "destination": "/dev/pts",
                "type": "devpts",
                "source": "devpts",
                "options": ["newinstance", "ptmxmode=0666"],
            },
        ],
        "linux": {
            "namespaces": [{"type": kind} for kind in kinds],
            "uidMappings": one_id,
            "gidMappings": one_id,
            "resources": {"memory": {"limit": MEMORY}, "pids": {"limit": TASKS}},
            "seccomp": PROFILE,
        },
    }


def _path(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise SystemExit(f"container.py: needs {program}")
    return found


LAUNCHERS: Mapping[str, Callable[[Place], Launcher]] = {
    "ours": partial(by_engine, but=OURS["ours"]),
    "as bwrap": partial(by_engine, but=OURS["as bwrap"]),
    "bwrap": by_bwrap,
    "unshare": by_unshare,
    "as runc": partial(by_engine, but=OURS["as runc"]),
    "runc": by_runc,
    "nsview run": by_command_line,
}

EQUALS: Mapping[str, str] = {"bwrap": "as bwrap", "runc": "as runc"}
"""Which launch of ours does the same as another launcher, no more and no less; for others it is "ours"."""
