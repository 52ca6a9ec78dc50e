"""What each launcher of a container is told, to make the same container of the same directory.

What one cannot do is not asked of it. bwrap 0.8 knows no time namespace, no rlimits and no cgroups; runc before 1.2 no
time namespace; unshare(1) nothing of /dev, capabilities, seccomp, rlimits and cgroups, and its root is by chroot(2).
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from nsview.bench.box import FILES, HOST, MEMORY, PROFILE, TASKS, Place, our_spec
from nsview.bench.peer import PEERS, Program
from nsview.bench.row import FailedError, Take
from nsview.bench.stop import Stop
from spawner import Spec, Stdio, launch
from spawner.namespaces import KINDS


@dataclass(frozen=True, slots=True)
class Launcher:
    """Launches the place's program: again and again, or once to ``look`` around, with what it printed."""

    times: Take
    look: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Ground:
    """What launchers need: the container's directory, whoever asks us to end, and a stack for what has to be ended."""

    place: Place
    stop: Stop
    stack: ExitStack


def by_engine(ground: Ground, but: Callable[[Spec], Spec]) -> Launcher:
    """Launch by the engine, from a Spec, as a program would; ``but`` takes something away from it."""

    def look() -> str:
        with launch(replace(but(our_spec(ground.place, "look")), stdio=Stdio.PIPE)) as child:
            assert child.stdout is not None
            with os.fdopen(os.dup(child.stdout)) as pipe:
                printed = pipe.read()
            child.wait()
        return printed

    def times(count: int) -> list[float]:
        taken: list[float] = []
        clock = time.perf_counter_ns
        for _ in range(count):
            start = clock()
            with launch(but(our_spec(ground.place))) as child:
                ended = child.wait()
            taken.append(clock() - start)
            if ended is None or ended.code != 0:
                raise FailedError(f"the program in our container ended with {ended}")
        return taken

    return Launcher(times, look)


def _by_program(
    ground: Ground, line: Callable[[Sequence[str]], list[str]], before: Callable[[], object] | None = None
) -> Launcher:
    """Launch by another program; ``line`` writes its command line, ``before`` is done each time before it starts."""
    program, patient = Program(ground.stop), Program(ground.stop, well=range(256))
    ground.stack.callback(program.close)
    ground.stack.callback(patient.close)
    return Launcher(
        lambda count: [program.run(line(()), before=before) for _ in range(count)],
        # A launcher may end with a status of its own because the look was killed for want of memory, which it tries.
        lambda: patient.output(line(("look",)), before),
    )


def by_command_line(ground: Ground) -> Launcher:
    """Launch by ``nsview run``: the same engine, after Python has started."""
    profile = ground.place.scratch / "profile.json"
    profile.write_text(json.dumps(PROFILE))
    told = [sys.executable, "-P", "-m", "nsview", "run", "--unshare-all", "--map-root-user", "--hostname", HOST]
    told += ["--clearenv", "-R", str(ground.place.root), "--proc", "/proc", "--dev", "/dev", "--remount-ro", "/"]
    told += ["--rlimit", f"NOFILE={FILES}:{FILES}", "--memory", str(MEMORY), "--pids", str(TASKS)]
    told += ["--cap-drop", "ALL", "--no-new-privs", "--seccomp", str(profile), "--no-pty", "--"]
    return _by_program(ground, lambda arguments: [*told, "/program", *arguments])


def by_bwrap(ground: Ground) -> Launcher:
    """Launch by bubblewrap, without the process 1 of its own that it would add."""
    filter_fd = os.memfd_create("filter", 0)  # bwrap inherits it
    ground.stack.callback(os.close, filter_fd)
    os.write(filter_fd, ground.place.filter)
    told = [PEERS["bwrap"].needed(), "--unshare-all", "--unshare-user", "--uid", "0", "--gid", "0", "--hostname", HOST]
    told += ["--clearenv", "--ro-bind", str(ground.place.root), "/", "--proc", "/proc", "--dev", "/dev"]
    told += ["--cap-drop", "ALL", "--seccomp", str(filter_fd), "--as-pid-1", "--"]

    def rewind() -> None:
        os.lseek(filter_fd, 0, os.SEEK_SET)  # the offset is shared with whoever read it last

    return _by_program(ground, lambda arguments: [*told, "/program", *arguments], rewind)


def by_unshare(ground: Ground) -> Launcher:
    """Launch by util-linux, which makes namespaces and mounts proc."""
    told = [PEERS["unshare"].needed(), "--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--user"]
    told += ["--map-root-user", "--cgroup", "--time", f"--root={ground.place.root}", "--mount-proc", "--"]
    return _by_program(ground, lambda arguments: [*told, "/program", *arguments])


def by_oci_runtime(ground: Ground, program: str) -> Launcher:
    """Launch by runc, or whoever has its command line: one ``run`` from create to delete each time."""
    number = itertools.count()
    state = ground.place.scratch / program
    told = [PEERS[program].needed(), "--root", str(state), "run", "--no-new-keyring", "--bundle"]

    def line(arguments: Sequence[str]) -> list[str]:
        bundle = ground.place.scratch / "-".join(("bundle", *arguments))
        if not bundle.exists():
            bundle.mkdir()
            (bundle / "config.json").write_text(json.dumps(_config(ground.place, arguments)))
        return [*told, str(bundle), f"nsview-bench-{os.getpid()}-{program}-{next(number)}"]

    return _by_program(ground, line)


def _config(place: Place, arguments: Sequence[str]) -> Mapping[str, object]:
    """Write the container in the OCI runtime-spec's JSON; device files and the like are the runtime's own defaults."""
    kinds = [kind.name for kind in KINDS if kind.name != "time"]
    one_id = [{"containerID": 0, "hostID": 0, "size": 1}]
    pts = ["newinstance", "ptmxmode=0666"]
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
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": pts},
        ],
        "linux": {
            "namespaces": [{"type": kind} for kind in kinds],
            "uidMappings": one_id,
            "gidMappings": one_id,
            "resources": {"memory": {"limit": MEMORY}, "pids": {"limit": TASKS}},
            "seccomp": PROFILE,
        },
    }
