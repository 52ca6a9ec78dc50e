"""Whose a control group is, told by its path alone: container engines, pods, virtual machines, systemd's units. Pure.

Engines name groups by documented conventions: the OCI runtimes' cgroupsPath (runc docs/systemd.md), Docker's and
Podman's --cgroup-manager, the kubelet's cgroup drivers (kubernetes.io, node allocatable), lxc.container.conf(5),
systemd-nspawn(1), and systemd's for everything else (systemd.unit(5), systemd.slice(5)). A name can be chosen by who
made the group, so this says what a group is called, not what is true of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

SHORT = 12
"""How many digits of an id people write."""


@dataclass(frozen=True, slots=True)
class Container:
    """What a path says: the ``engine`` and what is known of the rest, None else.

    ``id`` is in full, ``short_id`` as people write it; ``pod`` is a pod's uid, ``qos`` its class (Kubernetes), ``unit``
    the innermost unit of systemd around it. ``given`` is a name that is no id. ``role`` says what is in the group when
    that is not the container itself: its monitor.
    """

    engine: str
    id: str | None = None
    given: str | None = None
    pod: str | None = None
    qos: str | None = None
    unit: str | None = None
    role: str | None = None

    @property
    def short_id(self) -> str | None:
        """The first digits of the id."""
        return None if self.id is None else self.id[:SHORT]

    @property
    def is_container(self) -> bool:
        """False for what is only a unit of systemd or a group of our own."""
        return self.engine not in ("systemd", "nsview")

    @property
    def name(self) -> str:
        """A short name for a person, not safe to print: ``docker 3f2a91c07b5e``, ``ssh.service``."""
        if self.engine == "systemd":
            return self.unit or self.engine
        which = self.given or self.short_id or (f"pod {self.pod}" if self.pod else "")
        return " ".join(word for word in (self.engine, which, self.role) if word)


_HEX = r"(?P<id>[0-9a-f]{64})"
_START, _END = r"(?:^|/)", r"(?=/|$)"


@dataclass(frozen=True, slots=True)
class Pattern:
    """How an engine names a group: an expression for one or more whole names of a path, with groups of Container's
    fields.
    """

    engine: str
    expression: re.Pattern[str]
    role: str | None = None


def _pattern(engine: str, names: str, role: str | None = None) -> Pattern:
    return Pattern(engine, re.compile(_START + names + _END), role)


PATTERNS: tuple[Pattern, ...] = (
    _pattern("docker", rf"docker-{_HEX}\.scope"),
    _pattern("docker", rf"docker/{_HEX}"),
    _pattern("podman", rf"libpod-(?:payload-)?{_HEX}(?:\.scope)?"),
    _pattern("podman", rf"libpod-conmon-{_HEX}(?:\.scope)?", "monitor"),
    _pattern("cri-o", rf"crio-{_HEX}(?:\.scope)?"),
    _pattern("cri-o", rf"crio-conmon-{_HEX}(?:\.scope)?", "monitor"),
    _pattern("containerd", rf"cri-containerd-{_HEX}\.scope"),
    _pattern("containerd", rf"[^/:]+\.slice:cri-containerd:{_HEX}"),
    _pattern("containerd", rf"nerdctl-{_HEX}\.scope"),
    _pattern("kubernetes", rf"(?:kubepods|kubelet)[^/]*/(?:[^/]+/)*pod[0-9a-fA-F-]{{32,36}}/{_HEX}"),
    _pattern("kubernetes", r"(?:[^/]*-)?kubepods(?:-[^/]*)?-pod[0-9a-f_]{32,36}\.slice"),
    _pattern("kubernetes", r"(?:kubepods|kubelet)[^/]*/(?:[^/]+/)*pod[0-9a-fA-F-]{32,36}"),
    _pattern("libvirt", r"machine-(?P<given>(?:qemu|lxc)\\x2d\d+\\x2d[^/]+)\.scope"),
    _pattern("systemd-nspawn", r"systemd-nspawn@(?P<given>[^/]+)\.service"),
    _pattern("machine", r"machine-(?P<given>[^/]+)\.scope"),
    _pattern("lxc", r"lxc\.payload[./](?P<given>[^/]+)"),
    _pattern("lxc", r"lxc\.monitor[./](?P<given>[^/]+)", "monitor"),
    _pattern("lxc", r"lxc/(?P<given>[^/]+)"),
    _pattern("nsview", r"nsview-(?P<given>\d+-\d+-\d+)"),
    _pattern("container", rf"(?:[^/]+-)?{_HEX}(?:\.scope)?"),
)
"""The innermost match counts, the first of those that end at the same name. The last takes any engine's id."""

_POD = re.compile(
    r"[/-]pod(?P<pod>[0-9a-fA-F]{8}(?:[-_][0-9a-fA-F]{4}){3}[-_][0-9a-fA-F]{12}|[0-9a-f]{32})(?:\.slice|/|:|$)"
)
_PODMAN_POD = re.compile(r"libpod_pod_(?P<pod>[0-9a-f]{64})(?:\.slice|/|$)")
_QOS = re.compile(r"kubepods(?:\.slice)?[/-](?:[^/]*/)?(?:[^/]*kubepods-)?(?P<qos>burstable|besteffort)")
_KUBEPODS = re.compile(r"kubepods")
_UNIT = re.compile(r"(?:^|/)(?P<unit>[^/]+\.(?:service|scope|slice|socket|mount|swap))(?=/|$)")
_ESCAPED = re.compile(r"\\x([0-9a-f]{2})")


def container_of(paths: Mapping[str, str] | Iterable[str]) -> Container | None:
    """Return what the paths of a process's groups say of it, one for each hierarchy (or a mapping to them).

    A container counts before a unit; of several of a sort that of the first path. None when they say nothing.
    """
    found = [told for path in (paths.values() if isinstance(paths, Mapping) else paths) if (told := _told(path))]
    return min(found, key=lambda told: (not told.is_container, told.engine == "systemd"), default=None)


@lru_cache(maxsize=4096)  # many processes share few groups
def _told(path: str) -> Container | None:
    match, pattern = _innermost(path)
    if match is None or pattern is None:
        unit = _unit(path)
        return None if unit is None else Container("systemd", unit=unit)
    fields = match.groupdict()
    way = path[: match.end()]
    pod = _POD.search(way) or _PODMAN_POD.search(way)
    given = fields.get("given")
    return Container(
        engine=pattern.engine,
        id=fields.get("id"),
        given=None if given is None else unescaped(given),
        pod=None if pod is None else pod["pod"].replace("_", "-"),
        qos=_qos(way),
        unit=_unit(way),
        role=pattern.role,
    )


def _innermost(path: str) -> tuple[re.Match[str] | None, Pattern | None]:
    best: tuple[re.Match[str] | None, Pattern | None] = (None, None)
    for pattern in PATTERNS:
        for match in pattern.expression.finditer(path):
            if best[0] is None or match.end() > best[0].end():
                best = match, pattern
    return best


def _unit(path: str) -> str | None:
    """The innermost unit of systemd on the way; slices count only where there is nothing else."""
    units = [match["unit"] for match in _UNIT.finditer(path)]
    proper = [unit for unit in units if not unit.endswith(".slice")]
    return unescaped((proper or units)[-1]) if units else None


def _qos(path: str) -> str | None:
    if _KUBEPODS.search(path) is None:
        return None
    found = _QOS.search(path)
    return "guaranteed" if found is None else found["qos"]


def unescaped(name: str) -> str:
    r"""Undo systemd's escapes of a unit's name: ``\x2d`` is a hyphen (systemd-escape(1))."""
    raw = _ESCAPED.sub(lambda escape: chr(int(escape[1], 16)), name)
    return raw if raw.isascii() else raw.encode("latin-1", "replace").decode("utf-8", "surrogateescape")
