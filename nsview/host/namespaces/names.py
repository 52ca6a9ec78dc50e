"""What people call a namespace: its container and pod, the name ip-netns(8) gave it, its bind mount, its leader."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace

from nsview.host.containers import container_of
from nsview.host.namespaces.namespace import Namespace
from nsview.host.process import PinnedProcess, ProcessGoneError
from nsview.host.snapshot import ProcessRecord
from nsview.host.text import printable

Records = Mapping[int, ProcessRecord]

NETNS_DIRECTORIES = ("/run/netns/", "/var/run/netns/")
"""Where ip-netns(8) and CNI keep network namespaces."""


def named(namespaces: Mapping[int, Namespace], records: Records) -> dict[int, Namespace]:
    """Return the namespaces with their names, safe to print."""
    leaders = {namespace.leader for namespace in namespaces.values() if namespace.leader is not None}
    containers = {pid: container_name(records[pid]) for pid in leaders}

    def container(namespace: Namespace, records: Records) -> str | None:
        """What everybody shares is led by somebody in none."""
        return None if namespace.leader is None else containers[namespace.leader]

    sources = (container, *SOURCES)
    return {
        inode: replace(namespace, name=next((name for ask in sources if (name := ask(namespace, records))), None))
        for inode, namespace in namespaces.items()
    }


def container_name(record: ProcessRecord) -> str | None:
    """Return what the container, and pod, of a process is called by the paths of its groups; None when in none."""
    try:
        with PinnedProcess(record.pid, record.start_time) as process:
            text = process.read("cgroup")
    except ProcessGoneError:
        return None
    lines = (line.split(":", 2) for line in os.fsdecode(text or b"").split("\n"))
    container = container_of(fields[2] for fields in lines if len(fields) == 3)
    if container is None or not container.is_container:
        return None
    pod = f" of pod {container.pod}" if container.pod and container.pod not in container.name else ""
    return printable(container.name + pod)


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
    return next((records[task.pid].comm for task in namespace.keepers.tasks if task.pid in records), None)


SOURCES: tuple[Callable[[Namespace, Records], str | None], ...] = (_bind_mount, _leader, _thread)
"""After the container, in this order."""
