"""Launching for a long time, and at once: whether anything is left behind, gets slow, or is mixed up.

1. 20,000 launches in one process, of Specs of every sort in turn: plain, six namespaces, a whole container, one that
   fails, one that is held and let go, one that is held and dropped. Before and after: descriptors, threads, mounts,
   cgroups, links, processes, and the memory that is resident. Memory is compared with what it was after a tenth of the
   launches, when caches are full and Python's own pools have grown.
2. 200 launches at once from 16 threads, each with words of its own, which must come back from it and no other.

Ends with 1, and says what, if anything is left or mixed up. As root:
``.venv/bin/python benchmarks/soak.py [--json] [--launches N] [--at-once N] [--threads N]``
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from nsview.bench.box import our_spec, prepare
from spawner import IDMapping, LaunchError, Spec, Stdio, launch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from leftovers import EVERYTHING, Census

SIX = frozenset({"mount", "uts", "ipc", "pid", "user", "cgroup"})


# ---- one after another ----


def _run(spec: Spec) -> None:
    with launch(spec) as child:
        ended = child.wait()
    if ended is None or ended.code != 0:
        raise RuntimeError(f"the program ended with {ended}")


def _fail(spec: Spec) -> None:
    try:
        launch(spec, inject=("execve", errno.EIO)).close()
    except LaunchError as error:
        if error.errno != errno.EIO:
            raise
    else:
        raise RuntimeError("a launch that was to fail did not")


def _hold(spec: Spec) -> None:
    with launch(spec, hold="execve") as child:
        child.resume()
        ended = child.wait()
    if ended is None or ended.code != 0:
        raise RuntimeError(f"the program that was held ended with {ended}")


def _drop(spec: Spec) -> None:
    launch(spec, hold="execve").close()


def _talk(spec: Spec) -> None:
    with launch(replace(spec, args=("/bin/sh", "-c", "echo said"), stdio=Stdio.PIPE)) as child:
        assert child.stdout is not None
        said = os.read(child.stdout, 100)
        child.wait()
    if said != b"said\n":
        raise RuntimeError(f"the program said {said!r}")


def turns(scratch: Path) -> Mapping[str, Callable[[], None]]:
    """The sorts of launches, which take turns."""
    place = prepare(scratch)
    plain = Spec(args=(str(place.root / "program"),))
    ids = (IDMapping(0, os.geteuid()),)
    six = replace(plain, namespaces=SIX, uid_mappings=ids, gid_mappings=ids)
    container = our_spec(place)
    return {
        "plain": lambda: _run(plain),
        "six namespaces": lambda: _run(six),
        "container": lambda: _run(container),
        "with pipes": lambda: _talk(plain),
        "on a pty": lambda: _run(replace(plain, stdio=Stdio.PTY)),
        "failing": lambda: _fail(plain),
        "failing container": lambda: _fail(container),
        "held, then let go": lambda: _hold(six),
        "held, then dropped": lambda: _drop(container),
    }


def resident() -> int:
    """Tell our resident memory in KiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") // 1024


def counts() -> dict[str, int]:
    """Count what a launch could leave behind, source by source."""
    return {source.__name__: len(source()) for source in EVERYTHING}


def in_turn(launches: int) -> dict[str, object]:
    """Launch one after another, and tell what there was before and after."""
    with tempfile.TemporaryDirectory(prefix="nsview-soak-") as scratch:
        sorts = list(turns(Path(scratch)).items())
        for _, action in sorts:  # what is made once and kept, such as lasting threads, is there now
            action()
        census, before, settled = Census(), counts(), resident()
        start = time.perf_counter()
        for number in range(launches):
            _, action = sorts[number % len(sorts)]
            action()
            if number == launches // 10:
                settled = resident()
        took = time.perf_counter() - start
        left = census.difference()
    return {
        "launches": launches,
        "seconds": round(took, 1),
        "sorts": [name for name, _ in sorts],
        "before": before,
        "after": counts(),
        "left": left,
        "resident_kib_after_a_tenth": settled,
        "resident_kib_at_the_end": resident(),
    }


# ---- at once ----


def at_once(launches: int, threads: int) -> dict[str, object]:
    """Launch from many threads at once; each child must say its own words, and only those."""
    together = threading.Barrier(threads)
    ids = (IDMapping(0, os.geteuid()),)

    def one(number: int) -> str | None:
        words = f"launch {number} " * 20
        spec = Spec(args=("/bin/echo", words), stdio=Stdio.PIPE)
        if number % 2:
            spec = replace(spec, namespaces=SIX, uid_mappings=ids, gid_mappings=ids)
        with launch(spec) as child:
            assert child.stdout is not None
            with os.fdopen(os.dup(child.stdout)) as pipe:
                said = pipe.read()
            ended = child.wait()
        if said == f"{words}\n" and ended is not None and ended.code == 0:
            return None
        return f"launch {number} ended with {ended} and said {said!r}"

    def some(first: int) -> list[str | None]:
        together.wait()
        return [one(number) for number in range(first, launches, threads)]

    census = Census()
    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        wrong = [what for answers in pool.map(some, range(threads)) for what in answers if what is not None]
    took = time.perf_counter() - start
    return {
        "launches": launches,
        "threads": threads,
        "seconds": round(took, 2),
        "mixed_up": wrong,
        "left": census.difference(),
    }


def main() -> int:
    """Print the figures, or JSON."""
    parser = argparse.ArgumentParser(description="Launch for long and at once; see the head of this file.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--launches", type=int, default=20_000, help="one after another (default 20000)")
    parser.add_argument("--at-once", type=int, default=200, help="at once (default 200)")
    parser.add_argument("--threads", type=int, default=16, help="from so many threads (default 16)")
    arguments = parser.parse_args()
    if min(arguments.launches, arguments.at_once, arguments.threads) < 1:
        parser.error("numbers go from 1")
    if os.geteuid() != 0:
        raise SystemExit("soak.py: needs root: run with sudo")
    document = {
        "version": 1,
        "in_turn": in_turn(arguments.launches),
        "at_once": at_once(arguments.at_once, arguments.threads),
    }
    if arguments.json:
        print(json.dumps(document, indent=2))
    else:
        for name in ("in_turn", "at_once"):
            print(name.replace("_", " "))
            for key, value in document[name].items():
                print(f"  {key.replace('_', ' '):<28}{value}")
    return int(bool(document["in_turn"]["left"] or document["at_once"]["left"] or document["at_once"]["mixed_up"]))


if __name__ == "__main__":
    sys.exit(main())
