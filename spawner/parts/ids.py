"""User and group ids: the maps of a new user namespace, and the credentials inside."""

from __future__ import annotations

from collections.abc import Iterator

from spawner.cause import Cause
from spawner.draft import Draft
from spawner.errors import Problem
from spawner.oci import IDMapping
from spawner.spec import Spec


def _map_text(mappings: tuple[IDMapping, ...]) -> str:
    return "".join(f"{line.container_id} {line.host_id} {line.size}\n" for line in mappings)


def ids(draft: Draft) -> None:
    """Write the maps of a new user namespace."""
    setgroups = draft.spec.setgroups or ("deny" if draft.spec.gid_mappings else None)
    if setgroups:
        draft.write_file("/proc/self/setgroups", setgroups, phase="ids", label="setgroups")
    if draft.spec.uid_mappings:
        draft.write_file("/proc/self/uid_map", _map_text(draft.spec.uid_mappings), phase="ids", label="uid_map")
    if draft.spec.gid_mappings:
        draft.write_file("/proc/self/gid_map", _map_text(draft.spec.gid_mappings), phase="ids", label="gid_map")


def credentials(draft: Draft) -> None:
    """Groups, gid and uid of the program, its capabilities kept."""


def problems(spec: Spec, asked: frozenset[str]) -> Iterator[Problem]:
    """What is wrong with this part of a Spec that asks for these new namespaces."""
    yield from ()


CAUSES: tuple[Cause, ...] = ()
