"""What is told of a process when someone asks for more than is compared every second: a table of sections."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from nsview.host import (
    capable,
    descriptors,
    environment,
    grouped,
    limits,
    memory,
    mounted,
    networked,
    scheduling,
    security,
    signals,
    threads,
)
from nsview.host.attribute import Attribute
from nsview.host.content import mounts
from nsview.host.process import PinnedProcess

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Section(Generic[T]):
    """Facts that are read together.

    ``read`` gives None when they cannot be read. ``attributes`` yields the rows for two processes; for one
    alone it is called with the same facts twice.
    """

    name: str
    read: Callable[[PinnedProcess], T | None]
    attributes: Callable[[T | None, T | None], Iterable[Attribute[T]]]


def _fixed(attributes: tuple[Attribute[T], ...]) -> Callable[[T | None, T | None], Iterable[Attribute[T]]]:
    return lambda one, two: attributes


MORE: tuple[Section[Any], ...] = (
    Section("capabilities", capable.over_own_namespaces, _fixed(capable.ATTRIBUTES)),
    Section("security", security.security_of, _fixed(security.ATTRIBUTES)),
    Section("memory", memory.memory_of, _fixed(memory.ATTRIBUTES)),
    Section("scheduling", scheduling.scheduling_of, _fixed(scheduling.ATTRIBUTES)),
    Section("signals", signals.signals_of, _fixed(signals.ATTRIBUTES)),
    Section("limits", limits.limits_of, _fixed(limits.ATTRIBUTES)),
    Section("cgroups", grouped.groups_limits_of, grouped.attributes),
    Section("network", networked.network_of, _fixed(networked.ATTRIBUTES)),
    Section("mounts", mounts.mounts_of, mounted.attributes),
    Section("threads", threads.threads_of, threads.attributes),
    Section("descriptors", descriptors.descriptors_of, descriptors.attributes),
    Section("environment", environment.environment_of, environment.attributes),
)
"""In the order shown."""
