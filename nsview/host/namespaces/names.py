"""What people call a namespace: its container and pod, the name ip-netns(8) gave it, its bind mount, its leader."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from nsview.host.namespaces.namespace import Namespace
from nsview.host.snapshot import ProcessRecord
from nsview.host.text import printable

Records = Mapping[int, ProcessRecord]

NETNS_DIRECTORIES = ("/run/netns/", "/var/run/netns/")
"""Where ip-netns(8) and CNI keep network namespaces."""


def named(namespaces: Mapping[int, Namespace], records: Records) -> dict[int, Namespace]:
    """Return the namespaces with their names, safe to print."""
    return {inode: replace(namespace, name=name_of(namespace, records)) for inode, namespace in namespaces.items()}


def name_of(namespace: Namespace, records: Records) -> str | None:
    """Return the first name that SOURCES knows, None when they know none."""
    return next((name for source in SOURCES if (name := source(namespace, records))), None)


def _bind_mount(namespace: Namespace, records: Records) -> str | None:
    """Return the name of the network namespace, or the shortest path of a bind mount."""
    paths = sorted((mount.path for mount in namespace.keepers.bind_mounts), key=lambda path: (len(path), path))
    for path in paths:
        for directory in NETNS_DIRECTORIES:
            if path.startswith(directory):
                return printable(path.removeprefix(directory))
    return printable(paths[0]) if paths else None


def _leader(namespace: Namespace, records: Records) -> str | None:
    return None if namespace.leader is None else records[namespace.leader].comm


def _thread(namespace: Namespace, records: Records) -> str | None:
    return records[namespace.keepers.tasks[0].pid].comm if namespace.keepers.tasks else None


SOURCES: tuple[Callable[[Namespace, Records], str | None], ...] = (_bind_mount, _leader, _thread)
