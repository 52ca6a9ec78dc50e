"""The rows there are: the design's figures, who takes part in each, and what is to be reached."""

from __future__ import annotations

import difflib

from nsview.bench.row import Aim, Contestant, Figure, Row

_MS = 1e6
_GROUPS = "to make control groups"
_SCREENS = (
    Contestant("nsview", "the screen, on the tree of processes", against="htop"),
    Contestant("htop", "as a tree", "htop"),
    Contestant("btop", "processes as a tree, beside its graphs", "btop", against="htop"),
)

ROWS: tuple[Row, ...] = (
    Row(
        "spawn",
        "What does it cost to launch a static program from Python and to wait for it?",
        "from the call until the child is reaped; plain C makes the same system calls as the engine's plan",
        "ns",
        (
            Contestant("launch()", "the engine, from a Spec", against="plain C"),
            Contestant("plain C", "the plan's system calls written out, nothing between them", "cc"),
            Contestant("subprocess.Popen", "Python's own, which uses vfork", against="plain C"),
            Contestant("os.posix_spawn", "the C library's, from Python", against="plain C"),
            Contestant("fork+execv", "os.fork(), which copies page tables", against="plain C"),
        ),
        (Aim("launch()", "plain C", 1.3),),
        "launches:spawn",
        batch=10,
        samples=500,
        quick=60,
    ),
    Row(
        "namespaces",
        "And into new mount, uts, ipc, pid, user and cgroup namespaces at once?",
        "from the call until the child is reaped and the namespaces are gone",
        "ns",
        (
            Contestant("launch()", "the engine, into six", against="Popen into none"),
            Contestant("plain C", "the plan's system calls, into six", "cc", against="Popen into none"),
            Contestant("unshare(1)", "util-linux, into six, by os.posix_spawn", "unshare", against="Popen into none"),
            Contestant("Popen into none", "subprocess makes no namespaces"),
        ),
        (Aim("launch()", "Popen into none", 1.0), Aim("launch()", "plain C", 1.3)),
        "launches:namespaces",
        batch=10,
        samples=500,
        quick=60,
    ),
    Row(
        "parent",
        "Does it cost more from a large parent than from a small one?",
        "from the call until the child is reaped",
        "ns",
        (
            Contestant("launch(), small", "the engine, into nothing new"),
            Contestant("launch(), large", "the engine, into nothing new", against="launch(), small"),
            Contestant("into six, small", "the engine, into six new namespaces"),
            Contestant("into six, large", "the engine, into six new namespaces", against="into six, small"),
            Contestant("Popen, small", "subprocess, which uses vfork"),
            Contestant("Popen, large", "subprocess, which uses vfork", against="Popen, small"),
            Contestant("fork+execv, small", "os.fork(), which copies page tables"),
            Contestant(
                "fork+execv, large", "os.fork(), which copies page tables", against="fork+execv, small", most=20
            ),
        ),
        (
            Aim("launch(), large", "launch(), small", 1.2, asks=("memory",)),
            Aim("into six, large", "into six, small", 1.2, asks=("memory",)),
        ),
        "launches:parent",
        batch=10,
        samples=300,
        quick=40,
    ),
    Row(
        "container",
        "What does a whole container cost?",
        "eight namespaces, pivot_root, /proc, /dev, no capabilities, seccomp, limits: as far as each can; from the "
        "call until all is gone. What bwrap and runc cannot do is left out of the launches that they are compared with",
        "ns",
        (
            Contestant("launch()", "all of it", against="plain C", root=_GROUPS),
            Contestant("plain C", "the same plan, and nothing else", "cc", root=_GROUPS),
            Contestant("nsview run", "all of it; Python starts first", against="launch()", most=20, root=_GROUPS),
            Contestant("launch() as bwrap", "without time namespace and limits", against="plain C as bwrap"),
            Contestant("plain C as bwrap", "the same plan, and nothing else", "cc"),
            Contestant("bwrap", "bubblewrap", "bwrap", against="launch() as bwrap"),
            Contestant("launch() as runc", "without time namespace", against="plain C as runc", root=_GROUPS),
            Contestant("plain C as runc", "the same plan, and nothing else", "cc", root=_GROUPS),
            Contestant("runc", "create to delete", "runc", against="launch() as runc", root=_GROUPS),
            Contestant("crun", "create to delete", "crun", against="launch() as runc", root=_GROUPS),
            Contestant("unshare(1)", "namespaces, chroot and /proc alone", "unshare", against="launch() as bwrap"),
        ),
        (Aim("bwrap", "launch() as bwrap", 3, least=True), Aim("runc", "launch() as runc", 10, least=True)),
        "container:measure",
        batch=5,
        samples=100,
        quick=20,
    ),
    Row(
        "snapshot",
        "How long does it take to read every process with its namespaces?",
        "one reading; ps and lsns are whole programs, psutil reads no namespaces",
        "ns",
        (
            Contestant("BPF", "take(), by a BPF task iterator", against="plain C"),
            Contestant("/proc", "take(), by /proc", against="plain C"),
            Contestant("plain C", "the same files of /proc by absolute paths", "cc"),
            Contestant("psutil", "what a program would ask for, without namespaces", against="plain C", most=3),
            Contestant("ps(1)", "with eight namespaces", "ps", against="plain C", most=3),
            Contestant("lsns(8)", "as it is", "lsns", against="plain C", most=2),
        ),
        (Aim("BPF", None, 25 * _MS, asks=("processes",)), Aim("/proc", "plain C", 1.3)),
        "snapshot:measure",
        batch=1,
        samples=9,
        quick=5,
    ),
    Row(
        "refresh",
        "What work is one refresh of the screen?",
        "CPU time of the program at one interval for all, for each refresh: as shares of a core, the same ratios",
        "ns",
        _SCREENS,
        (Aim("nsview", None, 60 * _MS, asks=("processes",)), Aim("nsview", "htop", 1.0, asks=("processes",))),
        "screens:refresh",
        batch=1,
        samples=3,
        quick=1,
    ),
    Row(
        "refresh-births",
        "And while 1,000 processes a second are born?",
        "CPU time of the program at one interval for all, for each refresh: as shares of a core, the same ratios",
        "ns",
        _SCREENS,
        (
            Aim("nsview", None, 60 * _MS, asks=("processes", "births")),
            Aim("nsview", "htop", 1.0, asks=("processes", "births")),
        ),
        "screens:refresh_while_born",
        batch=1,
        samples=3,
        quick=1,
    ),
    Row(
        "keys",
        "How long after a cursor key does its answer begin?",
        "from a key, pressed when the program has been silent for a while, until the first bytes of its answer",
        "ns",
        _SCREENS,
        (Aim("nsview", None, 50 * _MS, by=Figure.P95, asks=("processes",)),),
        "screens:keys",
        batch=20,
        samples=60,
        quick=10,
    ),
    Row(
        "keys-births",
        "And while 1,000 processes a second are born?",
        "from a key, pressed when the program has been silent for a while, until the first bytes of its answer",
        "ns",
        _SCREENS,
        (Aim("nsview", None, 50 * _MS, by=Figure.P95, asks=("processes", "births")),),
        "screens:keys_while_born",
        batch=20,
        samples=60,
        quick=10,
    ),
    Row(
        "paint",
        "How long after its start does the screen show a process?",
        "from the start of the program until the name of a process is written",
        "ns",
        _SCREENS,
        (Aim("nsview", None, 700 * _MS),),
        "screens:paint",
        batch=1,
        samples=5,
        quick=3,
    ),
    Row(
        "paint-crowded",
        "And with 10,000 processes?",
        "from the start of the program until the name of a process is written",
        "ns",
        _SCREENS,
        (Aim("nsview", None, 700 * _MS, asks=("processes",)),),
        "screens:paint_crowded",
        batch=1,
        samples=5,
        quick=3,
    ),
)
"""In the order of the design."""


class UnknownRow(ValueError):  # noqa: N818 - an error by its base, named for what is wrong
    """There is no row of this ``name``; ``matches`` are names it may have been meant to be."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.matches = tuple(difflib.get_close_matches(name, [row.name for row in ROWS], n=2))
        hint = f"; did you mean {' or '.join(self.matches)}?" if self.matches else ""
        super().__init__(f"no row is called {name!r}{hint} (there are {', '.join(row.name for row in ROWS)})")


def find(name: str) -> Row:
    """Return the row of this name; raises UnknownRow."""
    for row in ROWS:
        if row.name == name:
            return row
    raise UnknownRow(name)
