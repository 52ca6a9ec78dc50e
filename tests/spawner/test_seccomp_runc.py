"""The same profile by runc and by us: every call gets the same answer."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from answers import answers, number, program

from spawner.oci import Seccomp
from spawner.seccomp.default import ALLOWED

pytestmark = pytest.mark.needs("root", "runc", "libseccomp", "seccomp")

LSEEK, MADVISE, FLOCK = "lseek", "madvise", "flock"
MASK = 0xFF00


def comparison(index: int, value: int, op: str, two: int = 0) -> dict[str, object]:
    return {"index": index, "value": value, "valueTwo": two, "op": f"SCMP_CMP_{op}"}


def rule(name: str, number_: int, *args: dict[str, object]) -> dict[str, object]:
    return {"names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": number_, "args": list(args)}


def profile() -> dict[str, object]:
    """In the runtime-spec's words alone: what runc's and our reading could differ in."""
    names = [name for names in ALLOWED.values() for name in names.split() if name not in (LSEEK, MADVISE, FLOCK)]
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"] if os.uname().machine == "x86_64" else [],
        "syscalls": [
            {"names": [*names, "clone", "clone3", "socket", "no_such_call"], "action": "SCMP_ACT_ALLOW"},
            rule(LSEEK, errno.EDOM, comparison(1, 7, "EQ"), comparison(1, 9, "EQ")),
            rule(LSEEK, errno.EXDEV, comparison(1, MASK, "MASKED_EQ", 0x1200)),
            rule(MADVISE, errno.EDOM, comparison(0, 4096, "EQ"), comparison(2, 3, "GE")),
        ],
    }


def calls() -> dict[str, tuple[int, ...]]:
    return {
        **{f"lseek {offset}": (number(LSEEK), -1, offset, 0) for offset in (0, 7, 8, 9, 0x1234, 0x1334)},
        **{f"madvise {at} {advice}": (number(MADVISE), at, 0, advice) for at in (0, 4096) for advice in (2, 3, 900)},
        "flock": (number(FLOCK), -1, 0),
        "newer": (number("cachestat") + 200,),
        "io_uring": (number("io_uring_setup"), 0, 0),
        "unshare": (number("unshare"), -1),
    }


def by_runc(place: Path) -> dict[str, int]:
    """What runc's container, made of this machine's own directories, is answered."""
    (place / "rootfs").mkdir()
    python = os.path.realpath(sys.executable)
    shared = {os.path.realpath(path) for path in ("/usr", "/etc", sys.base_prefix)}
    links = {f"/{name}" for name in ("bin", "lib", "lib64") if os.path.exists(f"/{name}")}
    mounts = [
        {"destination": path, "source": os.path.realpath(path), "type": "bind", "options": ["rbind", "ro"]}
        for path in sorted(shared | links)
    ]
    config = {
        "ociVersion": "1.0.2",
        "process": {"args": [python, *program(calls()).args[1:]], "cwd": "/", "env": [], "noNewPrivileges": True},
        "root": {"path": "rootfs"},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}, *mounts],
        "linux": {"namespaces": [{"type": kind} for kind in ("mount", "pid", "ipc", "uts")], "seccomp": profile()},
    }
    (place / "config.json").write_text(json.dumps(config))
    name = f"nsview-test-{uuid.uuid4().hex[:12]}"
    command = ["runc", "--root", str(place / "state"), "run", "--bundle", str(place), name]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    return found


@pytest.mark.usefixtures("nothing_left")
def test_every_answer_is_the_one_under_runc(tmp_path: Path) -> None:
    # runc tests/integration/seccomp.bats, and libcontainer/seccomp for what it makes of a profile
    ours = answers(calls(), seccomp=(Seccomp("ours", profile=json.dumps(profile())),), no_new_privs=True)
    assert ours == by_runc(tmp_path)
    assert ours["lseek 7"] == ours["lseek 9"] == errno.EDOM
    assert ours["newer"] == errno.ENOSYS
