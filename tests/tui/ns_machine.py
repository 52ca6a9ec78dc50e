"""A made-up machine of namespaces: the initial ones, a container, one that a bind mount keeps, one that a socket."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from machine import HOST, PLAIN, history, in_namespaces, record, snapshot

from nsview.host.namespaces import BindMount, Descriptor, Discovery, Keepers, Namespace, StepReport
from nsview.host.snapshot import Snapshot
from nsview.tui.collecting.collector import Frame
from nsview.tui.namespaces.reader import Sources
from nsview.tui.processes.rows import Rows
from nsview.wording.inside.section import Inside, Lead, Section
from nsview.wording.table import Column
from spawner.namespaces import BY_LETTER, KINDS

TOP_PID, TOP_USER = 0xEFFFFFFC, 0xEFFFFFFD
OWN = {"m": 21, "n": 22, "p": 23, "U": 24, "u": 25}
BOUND, SOCKETS = 32, 33
MAKER = 3_000_000
"""A uid that no machine has a name for."""

INITIAL = dict(zip("mnpUuiCT", (HOST[0], HOST[1], TOP_PID, TOP_USER, *HOST[4:]), strict=True))
INIT = PLAIN._replace(ns=tuple(INITIAL.values()), pid_for_children=TOP_PID)
SHELL = record(4701, 1, "bash", ns=INIT.ns, pid_for_children=TOP_PID)
DEMO = record(
    4711, 4701, "demo", ns=tuple((INITIAL | OWN).values()), inner_pid=1, depth=1, uid=MAKER, pid_for_children=OWN["p"]
)
WORKER = record(
    4712, 4711, "worker", ns=DEMO.ns, inner_pid=2, depth=1, uid=MAKER, pid_for_children=OWN["p"], time_for_children=28
)
RECORDS = (INIT, SHELL, DEMO, WORKER)

__all__ = ["BOUND", "DEMO", "INIT", "OWN", "RECORDS", "SHELL", "SOCKETS", "WORKER", "in_namespaces"]


def one(letter: str, inode: int, *members: int, **facts: Any) -> Namespace:
    """A namespace that the initial user namespace owns, but for ``facts``."""
    leader = next((each for each in RECORDS if each.pid in members), None)
    told = {
        "leader": None if leader is None else leader.pid,
        "leader_start_time": None if leader is None else leader.start_time,
        "owner": TOP_USER,
        "owner_uid": 0,
        "id": inode,
        **facts,
    }
    return Namespace(BY_LETTER[letter], inode, members, **told)


def members(*gone: int) -> dict[int, Namespace]:
    """What namespaces_of() would say; processes whose pids are ``gone`` have ended."""
    every = [each.pid for each in RECORDS if each.pid not in gone]
    inside = [pid for pid in every if pid in (DEMO.pid, WORKER.pid)]
    outside = [pid for pid in every if pid not in inside]
    found = []
    for kind in KINDS:
        letter = kind.letter
        here = outside if letter in OWN else every
        above = {"U": {"owner": None, "depth": 0}, "p": {"depth": 0}}.get(letter, {})
        found.append(one(letter, INITIAL[letter], *here, name="init", **above))
    if inside:
        for letter, inode in OWN.items():
            facts: dict[str, Any] = {"owner": OWN["U"], "owner_uid": MAKER}
            if letter == "U":
                facts = {"owner": TOP_USER, "parent": TOP_USER, "owner_uid": MAKER, "depth": 1}
            elif letter == "p":
                facts |= {"parent": TOP_PID, "depth": 1}
            found.append(one(letter, inode, *inside, **facts))
    return {each.inode: each for each in found}


def searched() -> Discovery:
    """What discover() would say: more namespaces, and what else keeps the container's."""
    found = {inode: replace(each, name=each.name or "web") for inode, each in members().items()}
    found[OWN["n"]] = replace(
        found[OWN["n"]],
        keepers=Keepers(descriptors=(Descriptor(4701, 4701, 9),), bind_mounts=(BindMount(11, "/run/n"),)),
    )
    bound = Keepers(bind_mounts=(BindMount(HOST[0], "/run/netns/quiet"),))
    found[BOUND] = one("n", BOUND, name="quiet", keepers=bound)
    found[SOCKETS] = one("n", SOCKETS, keepers=Keepers(sockets=(Descriptor(4701, 4701, 5),)))
    return Discovery(found, (StepReport("processes", "processes", 4, 0), StepReport("descriptors", "processes", 4, 1)))


LINKS = (Column("IDX", right=True, rank=3), Column("LINK"), Column("STATE"), Column("LEADS TO", gives=True))


def content(namespace: Namespace) -> Inside:
    """What would be read inside."""
    if namespace.kind.letter == "n":
        rows = [("1", "lo", "up", ""), ("2", "eth0", "up", f"→ veth7 in net {BOUND} (quiet)")]
        back = [("7", "veth7", "up", f"→ eth0 in net {OWN['n']} (web)")]
        other = namespace.inode == BOUND
        leads = [Lead("namespace", OWN["n"], "eth0")] if other else [None, Lead("namespace", BOUND, "veth7")]
        return Inside([Section("links", LINKS, back if other else rows, (), leads)], {})
    if namespace.kind.letter == "m":
        columns = (Column("±"), Column("MOUNT POINT", gives=True), Column("TYPE"), Column("PROPAGATION", rank=1))
        mounts = [
            (" ", "/", "ext4", "private"),
            ("+", "  /proc", "proc", "private"),
            ("~", "  /tmp", "tmpfs", "private"),
        ]
        mounts += [("+", f"  /data{number:02}", "tmpfs", "private") for number in range(20)]
        notes = ("beside mnt:[11] of 4701 bash, parent of its leader:", "21 more, 0 fewer, 1 otherwise")
        return Inside([Section("mounts", columns, mounts, notes)], {})
    return Inside([Section("facts", (Column(""), Column("", gives=True)), [("isolates", namespace.kind.isolates)])], {})


def sources(clock: float = 100.0) -> Sources:
    """The made-up machine, whose clock stands still."""

    def here(shot: Snapshot, _tree: object, _known: object) -> dict[int, Namespace]:
        return members(*(each.pid for each in RECORDS if each.pid not in shot.records))

    return Sources(
        members=here,
        search=lambda _shot: searched(),
        name=lambda unnamed, _records: {inode: replace(each, name="web") for inode, each in unnamed.items()},
        read=lambda namespace, _shot, _found: content(namespace),
        clock=lambda: clock,
    )


def shot(*gone: int, at: float = 0.0) -> Snapshot:
    """The processes, but for those that are gone."""
    return snapshot(*(each for each in RECORDS if each.pid not in gone), at=at)


def frame(*gone: int, at: float = 0.0) -> Frame:
    """The same as the app's panes get it."""
    seen = shot(*gone, at=at)
    return Frame(Rows(history(seen)), seen, 0)


def amounts() -> Counter[str]:
    """How many of each kind there are, once the search is over."""
    return Counter(each.kind.letter for each in searched().namespaces.values())


def rows_of(seen: Snapshot) -> Rows:
    """The rows of the tree for a snapshot."""
    return Rows(history(seen))
