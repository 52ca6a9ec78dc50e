"""The row about whole containers: ours, its floor in plain C, and every other launcher of them.

Each first has the program look around in its container: who did what is not taken from a manual.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from nsview.bench.box import FILES, HOST, OURS, our_spec, prepare
from nsview.bench.floor import floor
from nsview.bench.launchers import Ground, Launcher, by_bwrap, by_command_line, by_engine, by_oci_runtime, by_unshare
from nsview.bench.launches import refused
from nsview.bench.row import Contest, Entry, FailedError, Setting, UnavailableError
from spawner.namespaces import KINDS


def measure(setting: Setting, stack: ExitStack) -> Contest:
    """Make the directory, and everybody ready to make a container of it."""
    place = prepare(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nsview-bench-"))))
    if why := refused([str(place.root / "program")]):
        raise UnavailableError(why)
    ground = Ground(place, setting.stop, stack)
    makers: dict[str, Callable[[], Entry]] = {}

    def plain_c(name: str) -> Entry:
        side = floor(OURS[name](our_spec(place)), place.scratch, f"plan{name.replace(' ', '-')}", stack)
        side.times("", 1)
        return Entry(lambda count: side.times("", count))

    for name, but in OURS.items():
        makers[f"launch(){name}"] = partial(_entry, partial(by_engine, ground, but))
        makers[f"plain C{name}"] = partial(plain_c, name)
    makers["bwrap"] = partial(_entry, partial(by_bwrap, ground))
    makers["runc"] = partial(_entry, partial(by_oci_runtime, ground, "runc"))
    makers["crun"] = partial(_entry, partial(by_oci_runtime, ground, "crun"))
    makers["unshare(1)"] = partial(_entry, partial(by_unshare, ground))
    makers["nsview run"] = partial(_entry, partial(by_command_line, ground))
    return Contest(makers)


def _entry(make: Callable[[], Launcher]) -> Entry:
    launcher = make()
    launcher.times(1)  # where it fails it says why
    return Entry(launcher.times, judged(launcher.look()))


def judged(printed: str) -> Mapping[str, bool]:
    """Hold what the program found (contained.c) against what was asked for."""
    found = {name: value for name, _, value in (line.partition(" ") for line in printed.splitlines())}
    if "tasks_are_limited" not in found:
        raise FailedError(f"its program could not look around to the end: {printed[-200:].strip() or 'no word of it'}")
    links = {kind: os.readlink(f"/proc/self/ns/{kind.proc}") for kind in KINDS if kind.proc in found}
    return {
        **{f"{kind.name} namespace": found[kind.proc] not in (ours, "?") for kind, ours in links.items()},
        "process 1": found["pid"] == "1",
        "host name": found["hostname"] == HOST,
        "lo is up": found["loopback_is_up"] == "1",
        "the prepared root": found["program_is_in_root"] == "1" and found["usr_is_hidden"] == "1",
        "read-only root": found["root_is_read_only"] == "1",
        "/dev/null": found["null_works"] == "1",
        "no capabilities": all(int(found[f"Cap{name}"], 16) == 0 for name in ("Inh", "Prm", "Eff", "Amb")),
        "empty bounding set": int(found["CapBnd"], 16) == 0,
        "no new privileges": found["NoNewPrivs"] == "1",
        "seccomp filter": found["Seccomp"] == "2" and found["chroot_is_filtered"] == "1",
        "limit on files": found["nofile"] == str(FILES),
        "limit on memory": found["memory_is_limited"] == "1",
        "limit on tasks": found["tasks_are_limited"] == "1",
    }
