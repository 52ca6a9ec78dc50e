"""Who asks for advice, looked up: ids, privilege, the ids that may be mapped, whether a control group can be made."""

from __future__ import annotations

import os

from nsview.advice.wants import MEMORY, TASKS, Asker
from spawner import Problem, SpecError, subids
from spawner.cgroups import seats
from spawner.cgroups.hierarchies import hierarchies
from spawner.kernel import effective_capabilities
from spawner.oci import IDMapping, Resources

_CAP_SETGID, _CAP_SETUID, _CAP_SYS_ADMIN = 6, 7, 21


def here() -> Asker:
    """Return this process, as it is now."""
    capabilities = effective_capabilities()
    uids, gids, problems = _lines(all(capabilities >> bit & 1 for bit in (_CAP_SETUID, _CAP_SETGID)))
    return Asker(
        uid=os.geteuid(),
        gid=os.getegid(),
        privileged=bool(capabilities >> _CAP_SYS_ADMIN & 1),
        uid_lines=uids,
        gid_lines=gids,
        no_lines=problems,
        cgroups=_cgroups(),
    )


def _lines(may_map_all: bool) -> tuple[tuple[IDMapping, ...], tuple[IDMapping, ...], tuple[Problem, ...]]:
    """Subordinate ids where there are some; else, for who may, all that we have ourselves."""
    try:
        return subids.mapped_from_zero("user"), subids.mapped_from_zero("group"), ()
    except SpecError as error:
        if not may_map_all:
            return (), (), error.problems
    except OSError as error:
        if not may_map_all:
            return (), (), (Problem(f"subordinate ids cannot be read: {error.strerror}", "give the maps as numbers"),)
    return subids.every_id("user"), subids.every_id("group"), ()


def _cgroups() -> bool:
    """Whether groups with limits can be made: those that we are in are ours to write to."""
    chosen, missing = seats.choose(hierarchies(), Resources(memory=MEMORY, pids=TASKS))
    return bool(chosen) and not missing and all(os.access(seat.hierarchy.own, os.W_OK) for seat in chosen)
