"""Random forests of namespaces as data: which processes there are, what each enters, and what it keeps. Pure.

The same seed always gives the same plan; forest.py grows it on the real kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

KINDS = ("mnt", "net", "pid", "user", "uts", "ipc", "cgroup", "time")
OF_THREADS = ("mnt", "net", "uts", "ipc", "cgroup", "time")
"""What a single thread can leave its process in; for time, and for pid, only its next children do."""


@dataclass(frozen=True)
class Keep:
    """Something that keeps namespaces alive though no process is in them.

    ``how``: by "fd", "bound_fd" (opened where it was bound), "bind" mount, "socket" or "thread_fd" (in a thread's own
    descriptor table) they are kept once the process that entered ``kinds`` has ended; "task": a thread is in them;
    "awaited", "awaited_by_task": next children will be. ``layers`` user namespaces are entered one in another first.
    ``room``: what is bound within the mount namespace that is kept, before its last process ends.
    """

    how: str
    kinds: tuple[str, ...]
    layers: int = 0
    room: tuple[Keep, ...] = ()


@dataclass(frozen=True)
class Node:
    """A process: the namespaces it enters (its children, for pid and time), what it keeps, its children, its end.

    ``end``: "stays"; "leaves" once its children are there; "main" for its main thread alone ends.
    """

    enters: tuple[str, ...]
    keeps: tuple[Keep, ...]
    children: tuple[Node, ...]
    end: str


def plan(seed: int) -> Node:
    """Return the root process of a forest, which has its own mounts: nothing of the machine's is changed."""
    random = Random(seed)
    return Node(
        ("mnt",),
        tuple(_keep(random) for _ in range(random.randint(1, 3))),
        tuple(_node(random, depth=1, is_first=True) for _ in range(random.randint(1, 3))),
        "stays",
    )


def _node(random: Random, depth: int, is_first: bool, may_leave: bool = True) -> Node:
    enters = _some(random, KINDS, 4)
    children: tuple[Node, ...] = ()
    if depth < 4:
        leaves = "pid" not in enters
        children = tuple(
            _node(random, depth + 1, is_first=not number, may_leave=leaves or bool(number))
            for number in range(random.choice((0, 0, 1, 1, 2)))
        )
    keeps = tuple(_keep(random) for _ in range(random.choice((0, 0, 1, 1, 2))))
    if not children and "pid" not in enters and random.random() < 0.2:
        keeps += (Keep("awaited", ("pid",)),)
    end = random.choice(("stays", "stays", "stays", "leaves", "main"))
    if end == "leaves" and (not may_leave or not children):
        end = "stays"  # an init would take its pid namespace along
    if end == "main" and ({"pid", "time"} & set(enters) or any(keep.how == "awaited" for keep in keeps)):
        end = "stays"  # once its children will be elsewhere, the kernel lets it start no thread (kernel/fork.c)
    return Node(enters, keeps, children, end)


def _keep(random: Random, within: int = 0) -> Keep:
    how = random.choice(("fd", "bound_fd", "bind", "bind", "socket", "task", "thread_fd", "awaited_by_task"))
    if within:
        how = "bind"
    layers = random.choice((0, 0, 0, 1, 2, 3))
    if how in ("task", "awaited_by_task"):
        kinds = _some(random, OF_THREADS, 4, least=1) if how == "task" else ("pid",)
        return Keep(how, kinds)
    if how == "socket":
        return Keep(how, ("net",), layers)
    kinds = _some(random, tuple(kind for kind in KINDS if kind not in ("user", "time")), 3, least=1)
    room: tuple[Keep, ...] = ()
    if "mnt" in kinds and within < 3:
        room = tuple(_keep(random, within + 1) for _ in range(random.choice((0, 1, 1, 2))))
    return Keep(how, kinds + (("user",) if layers and random.random() < 0.3 else ()), layers, room)


def _some(random: Random, among: tuple[str, ...], most: int, least: int = 0) -> tuple[str, ...]:
    chosen = set(random.sample(among, random.randint(least, min(most, len(among)))))
    return tuple(kind for kind in among if kind in chosen)
