"""What a whole container costs: ours beside bwrap(1), unshare(1) and runc(8), in turns, in one run.

Each launches the same static program (container_program.c) into the same container, as far as it can: eight new
namespaces, a prepared directory as root by pivot_root(2), read-only, /proc and /dev in it, every capability dropped, no
new privileges, a seccomp filter, a limit on open files, and a cgroup that limits memory and tasks. What each is told is
in container_launchers.py. First each is made to look around in its container, and the table says who did what: nothing
there is taken from a manual. Then each launches a few at a time in turns (A B C D A B C D …), so that whatever else the
machine does meets them alike; a time is from the call until the program has been waited for, the figure the median.

"ours" is launch(Spec) from Python, "as bwrap" and "as runc" the same without what those two cannot do: they are
compared with these, whose containers are equal. Each of the three has a floor beside it: the same plan run by plain C
(container_floor.py), below which no launcher that makes these system calls can go. "nsview run" is ours by the command
line, a new Python interpreter each time. The others are started by os.posix_spawn(), the cheapest way there is.

Run as root: ``.venv/bin/python benchmarks/container.py [--json] [--rounds N] [--only NAME,…] [--timeline]``
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles

from container_floor import Floor, floor
from container_launchers import EQUALS, FILES, HOST, LAUNCHERS, OURS, Launcher, Place, our_spec, prepare

from spawner import launch
from spawner.namespaces import KINDS

BATCH = 5
AIMS: Mapping[str, float] = {"bwrap": 3.0, "runc": 10.0}
"""How many times faster than these launch() of an equal container is to be."""


# ---- who did what ----


def look(launcher: Launcher) -> Mapping[str, bool]:
    """Launch the program to look around, and judge what it found against what was asked for."""
    found = dict(line.split(" ", 1) for line in launcher(("look",), True).splitlines())
    links = {kind.proc: os.readlink(f"/proc/self/ns/{kind.proc}") for kind in KINDS if kind.proc in found}
    return {
        **{f"{name} namespace": found[name] not in (ours, "?") for name, ours in links.items()},
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


# ---- what it cost ----


FLOOR = "in plain C"
"""What is put before the name of a launch of ours for its floor."""


def measure(launchers: Mapping[str, Launcher], floors: Mapping[str, Floor], rounds: int) -> Mapping[str, list[int]]:
    """Let each launch BATCH times in each of ``rounds`` turns; the times are in nanoseconds."""
    times: dict[str, list[int]] = defaultdict(list)
    clock = time.perf_counter_ns
    for launcher in launchers.values():  # warm up
        launcher((), False)
    for _ in range(rounds):
        for name, launch_in_c in floors.items():
            times[f"{FLOOR}, {name}"] += launch_in_c(BATCH)
        for name, launcher in launchers.items():
            for _ in range(BATCH):
                start = clock()
                launcher((), False)
                times[name].append(clock() - start)
    return times


def rows(times: Mapping[str, Sequence[int]]) -> list[dict[str, object]]:
    """Sum up each side: ``slower`` is its median by that of our launch which does the same (EQUALS), ``floor`` by
    that of plain C with the same plan.
    """
    equal = {name: median(times[ours]) for name in times if (ours := EQUALS.get(name, "ours")) in times}
    return [
        {
            "name": name,
            "median_us": round(median(taken) / 1000, 1),
            "quartiles_us": [round(at / 1000, 1) for at in quantiles(taken, n=4)[::2]],
            "equal": EQUALS.get(name, "ours"),
            "slower": round(median(taken) / equal[name], 2) if name in equal else None,
            "floor": round(median(taken) / median(times[at]), 2) if (at := f"{FLOOR}, {name}") in times else None,
            "aim": AIMS.get(name),
            "launches": len(taken),
        }
        for name, taken in times.items()
    ]


def timeline(place: Place, launches: int = 50) -> list[tuple[str, float]]:
    """Tell where our own time goes: the median microseconds of each event of a launch, in its order."""
    taken: dict[str, list[int]] = defaultdict(list)
    for _ in range(launches):
        with launch(our_spec(place)) as child:
            child.wait()
            for number, event in enumerate(child.timeline):
                if event.end_ns is not None:
                    taken[f"{number:3} {event.label}"].append(event.end_ns - event.start_ns)
    return [(label, median(values) / 1000) for label, values in taken.items()]


def main() -> None:
    """Print the tables, or JSON."""
    parser = argparse.ArgumentParser(description="Measure what a container costs; see the head of this file.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--rounds", type=int, default=20, help=f"turns of {BATCH} launches a side (default 20)")
    parser.add_argument("--only", default=",".join(LAUNCHERS), help="compare these alone (default: all)")
    parser.add_argument("--timeline", action="store_true", help="print where our own time goes instead")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds takes a number from 1")
    names = arguments.only.split(",")
    if unknown := set(names) - LAUNCHERS.keys():
        parser.error(f"--only knows {', '.join(LAUNCHERS)}, not {', '.join(sorted(unknown))}")
    if os.geteuid() != 0:
        raise SystemExit("container.py: needs root: run with sudo")
    with tempfile.TemporaryDirectory(prefix="nsview-container-") as scratch:
        place = prepare(Path(scratch))
        if arguments.timeline:
            for label, microseconds in timeline(place):
                print(f"{microseconds:10.1f} µs  {label}")
            return
        launchers = {name: LAUNCHERS[name](place) for name in names}
        did = {name: look(launcher) for name, launcher in launchers.items()}
        with ExitStack() as stack:
            floors: dict[str, Floor] = {}
            for name in OURS.keys() & launchers.keys():
                floors[name], end = floor(OURS[name](our_spec(place)), place.scratch, name)
                stack.callback(end)
            table = rows(measure(launchers, floors, arguments.rounds))
    if arguments.json:
        print(json.dumps({"version": 1, "did": did, "rows": table}, indent=2))
        return
    print(f"{'':<20}" + "".join(f"{name:>12}" for name in did))
    for facet in next(iter(did.values())):
        print(f"{facet:<20}" + "".join(f"{'yes' if answers[facet] else '-':>12}" for answers in did.values()))
    print(f"\n{'':<20}{'µs':>12}{'× equal':>12}{'aim':>12}{'× plain C':>12}")
    for row in table:
        slower, aim, above = row["slower"], row["aim"], row["floor"]
        cells = ["" if slower is None else f"{slower:.2f}", "" if aim is None else f"≥ {aim:.0f}"]
        cells.append("" if above is None else f"{above:.2f}")
        print(f"{row['name']:<20}{row['median_us']:>12}" + "".join(f"{cell:>12}" for cell in cells))


if __name__ == "__main__":
    sys.exit(main())
