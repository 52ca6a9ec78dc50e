"""The root of a cgroup namespace in each hierarchy: the group that is ``/`` to those inside (cgroup_namespaces(7)).

No file says it. But /proc/PID/cgroup is written for its reader: a process at or below the root has one path there for
us and another, shorter, for a reader inside, and what is cut off is the root. Any process will do, a member or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from itertools import islice

from nsview.host.cgroups.paths import groups_of
from nsview.host.content.entered import inside
from nsview.host.process import ORDINARY

Groups = Mapping[str, str]


def roots_of(namespace: int, pids: Iterable[int]) -> dict[str, str | None]:
    """Return the root by hierarchy, as seen from our cgroup namespace, of the cgroup namespace of a descriptor.

    ``pids`` are asked in turn until every root is known, members best first. None where no process of those is at or
    below it. Raises NotEnteredError when we may not enter.
    """
    left = iter(pids)
    roots: dict[str, str | None] = {}
    while batch := tuple(islice(left, _AT_ONCE)):
        before = _read(batch)
        within = inside((namespace,), partial(_read, tuple(before)))
        after = _read(within)
        still = [pid for pid, groups in after.items() if groups == before[pid]]  # else it moved meanwhile
        for groups in before.values():
            for key in groups:
                roots.setdefault(key, None)
        for key in (key for key, root in roots.items() if root is None):
            told = (_root(before[pid], within[pid], key) for pid in still)
            roots[key] = next((root for root in told if root is not None), None)
        if roots and None not in roots.values():
            break
    return roots


_AT_ONCE = 256


def _root(outer: Groups, inner: Groups, key: str) -> str | None:
    if key not in outer or key not in inner:
        return None
    return cut_off(outer[key], inner[key])


def cut_off(outer: str, inner: str) -> str | None:
    """Return the root that is ``/`` to whoever calls ``inner`` what we call ``outer``; None when it is not above. Pure.

    A path that begins with ``/..`` leads out of the namespace and tells nothing.
    """
    if inner == "/.." or inner.startswith("/../"):
        return None
    if inner == "/":
        return outer
    return (outer.removesuffix(inner) or "/") if outer.endswith(inner) else None


def _read(pids: Iterable[int]) -> dict[int, Groups]:
    """Read /proc/PID/cgroup as the calling thread is shown it."""
    found: dict[int, Groups] = {}
    for pid in pids:
        try:
            with open(f"/proc/{pid}/cgroup", "rb") as file:
                found[pid] = groups_of(file.read())
        except OSError as error:
            if error.errno not in ORDINARY:
                raise
    return found
