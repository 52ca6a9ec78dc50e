"""User and group ids: the maps of a new user namespace, written by the child where it may, else by the parent."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

from spawner import idmap
from spawner import mechanism as ways
from spawner.cause import Cause
from spawner.draft import NULL, Draft
from spawner.errors import Problem
from spawner.parts.map_writing import NO_HELPER, Writing
from spawner.plan import Named, Plan
from spawner.spec import Spec

_PR_SET_DUMPABLE = Named(4, "PR_SET_DUMPABLE")
_APPARMOR = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")


def ids(draft: Draft) -> None:
    """Write the maps of a new user namespace, and become somebody who is mapped there."""
    spec = draft.spec
    if not ways.writes_own_maps(spec, draft.facts):
        _by_parent(draft)
        _become_root(draft)
        return
    setgroups = spec.setgroups or ("deny" if spec.gid_mappings else None)
    if setgroups:
        draft.write_file("/proc/self/setgroups", setgroups, phase="ids", label="setgroups")
    if spec.uid_mappings:
        draft.write_file("/proc/self/uid_map", idmap.text(spec.uid_mappings), phase="ids", label="uid_map")
    if spec.gid_mappings:
        draft.write_file("/proc/self/gid_map", idmap.text(spec.gid_mappings), phase="ids", label="gid_map")


def _by_parent(draft: Draft) -> None:
    """Let the parent write: setgroups first, which cannot be changed once there is a gid map."""
    spec, facts = draft.spec, draft.facts
    uid_direct = ways.may(facts, ways.CAP_SETUID) or idmap.is_single(spec.uid_mappings, facts.uid)
    single_gid = idmap.is_single(spec.gid_mappings, facts.gid)
    privileged = ways.may(facts, ways.CAP_SETGID)
    setgroups = spec.setgroups or ("deny" if single_gid and not privileged else None)
    writings = [
        Writing("setgroups", setgroups or "", None),
        Writing("uid_map", idmap.text(spec.uid_mappings), None if uid_direct else "newuidmap"),
        Writing("gid_map", idmap.text(spec.gid_mappings), None if privileged or single_gid else "newgidmap"),
    ]
    for writing in writings:
        if writing.text:
            draft.act(f"write {writing.file}", str(writing), writing, phase="ids", path=None)


def _become_root(draft: Draft) -> None:
    """Become 0 inside where the child's own id is nobody's there: it could make no file (EOVERFLOW).

    Where it is mapped, it stays who it is. Its supplementary groups are the parent namespace's, and would still open
    the files of theirs: they go too.
    """
    spec, facts = draft.spec, draft.facts
    uid = _needs_root(spec.uid_mappings, facts.uid)
    gid = _needs_root(spec.gid_mappings, facts.gid)
    if gid and spec.setgroups != "deny":
        draft.add(
            "drop groups",
            "setgroups",
            0,
            NULL,
            phase="ids",
            why="they are ids outside; an outer namespace may have denied setgroups for good",
            tolerated=(errno.EPERM,),
        )
    if gid:
        draft.add("group 0", "setresgid", 0, 0, 0, phase="ids", why="our own group is not mapped inside")
    if uid:
        draft.add("user 0", "setresuid", 0, 0, 0, phase="ids", why="our own user is not mapped inside")
    if uid or gid:
        draft.add(
            "dumpable",
            "prctl",
            _PR_SET_DUMPABLE,
            1,
            0,
            0,
            0,
            phase="ids",
            why="a change of ids gives /proc/self to root outside; others are kept out by the capabilities inside",
        )


def _needs_root(lines: idmap.Lines, own: int) -> bool:
    return bool(lines) and idmap.inside(lines, own) is None and idmap.outside(lines, 0) is not None


def problems(spec: Spec, asked: frozenset[str]) -> Iterator[Problem]:
    """What is wrong with the maps of a Spec that asks for these new namespaces."""
    yield from idmap.faults("user", spec.uid_mappings)
    yield from idmap.faults("group", spec.gid_mappings)
    if any(join.type == "user" for join in spec.join) and (spec.uid_mappings or spec.gid_mappings or spec.setgroups):
        # seq_ns in map_write() has to be the namespace itself or its parent, and the child is not dumpable there.
        yield Problem(
            "a map below a joined user namespace could be written from inside that only, where the processes of it "
            "could look into this one's memory meanwhile",
            "join it, and launch from inside",
        )


def _restricted(plan: Plan, path: str | None) -> bool:
    try:
        return _APPARMOR.read_text().strip() == "1"
    except OSError:
        return False


_MAPS = ("write uid_map", "write gid_map")
_FILES = ("write uid_map", "write gid_map", "write setgroups", "open uid_map", "open gid_map", "open setgroups")

CAUSES: tuple[Cause, ...] = (
    Cause(
        _MAPS,
        errno.EPERM,
        "AppArmor lets a user namespace be made and then refuses what it is for "
        "(kernel.apparmor_restrict_unprivileged_userns is 1); or the ids are not ours to map",
        "allow the program by an AppArmor profile with userns, or set the sysctl to 0",
        _restricted,
    ),
    Cause(
        ("write gid_map",),
        errno.EPERM,
        "a process without CAP_SETGID may map only its own effective id, and with setgroups denied; CAP_SETGID does "
        "not suffice for groups that our own namespace has not mapped",
        "leave setgroups alone and map your own id (-r, -c), or ranges of /etc/subgid",
    ),
    Cause(
        _MAPS,
        errno.EPERM,
        "a process may map only its own effective id, or with CAP_SETUID what its own namespace has mapped (id 0 "
        "outside with CAP_SETFCAP too); a security module may refuse the map too",
        "map your own id (-r, -c), see nsview doctor",
    ),
    Cause(
        _MAPS,
        errno.ENOENT,
        NO_HELPER,
        "apt install uidmap, or map your own id alone",
        lambda plan, path: path in ("newuidmap", "newgidmap"),
    ),
    Cause(
        _FILES,
        errno.ENOENT,
        "there is no /proc here, or this kernel lacks the file",
        "mount /proc",
    ),
    Cause(
        _FILES,
        errno.EACCES,
        "this process is not dumpable, or /proc is masked",
        "see nsview doctor",
    ),
    Cause(
        ("write setgroups",),
        errno.EPERM,
        "setgroups cannot be allowed by an unprivileged map, nor where an outer user namespace denies it, nor changed "
        "once the gid map is written",
        "leave it at deny",
    ),
    Cause(
        _MAPS,
        errno.EINVAL,
        "the kernel does not take this map",
        "check the ids: no two lines may overlap, ids are below 2^32 - 1",
    ),
    Cause(
        ("group 0", "user 0", "drop groups"),
        errno.EPERM,
        "a security module keeps the capabilities of the new user namespace from us",
        "see nsview doctor",
    ),
)
