"""The routes of a network namespace, of every table (rtnetlink(7), linux/rtnetlink.h)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nsview.host.content.links import FAMILIES, SCOPES

TABLES = {253: "default", 254: "main", 255: "local"}

TYPES = (
    "unspec", "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit",
    "throw", "nat", "xresolve",
)  # fmt: skip
"""RTN_* by number."""

ORIGINS = {
    0: "unspec", 1: "redirect", 2: "kernel", 3: "boot", 4: "static", 8: "gated", 9: "ra", 10: "mrt", 11: "zebra",
    12: "bird", 13: "dnrouted", 14: "xorp", 15: "ntk", 16: "dhcp", 17: "mrouted", 18: "keepalived", 42: "babel",
    84: "openr", 186: "bgp", 187: "isis", 188: "ospf", 189: "rip", 192: "eigrp",
}  # fmt: skip
"""RTPROT_*."""

_RTM_F_CLONED = 0x200


@dataclass(frozen=True, slots=True)
class Hop:
    """One way on: through a gateway, by a link (index and name), or both; ``weight`` among several."""

    gateway: str | None
    link: int | None
    link_name: str | None
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Route:
    """A route of ``family`` 4 or 6. ``destination`` is ``default`` or a network; ``table`` ``main``, ``local`` or
    another's number; ``origin`` is who made it. No metric counts as 0 in IPv4; None is unknown, or for the source:
    none.
    """

    family: int
    destination: str
    hops: tuple[Hop, ...]
    table: str | None = None
    type: str | None = None
    metric: int | None = None
    source: str | None = None
    origin: str | None = None
    scope: str | None = None


def routes(messages: Iterable[Any], own: Mapping[int, str]) -> tuple[Route, ...]:
    """Return the routes of pyroute2's RTM_NEWROUTE messages in the kernel's order; ``own`` are the links' names."""
    return tuple(
        _route(message, own)
        for message in messages
        if message["family"] in FAMILIES and not message["flags"] & _RTM_F_CLONED
    )


def _route(message: Any, own: Mapping[int, str]) -> Route:
    table = message.get_attr("RTA_TABLE") or message["table"]
    several = message.get_attr("RTA_MULTIPATH")
    if several:
        hops = tuple(Hop(_gateway(hop), hop["oif"], own.get(hop["oif"]), hop["hops"] + 1) for hop in several)
    else:
        link, gateway = message.get_attr("RTA_OIF"), _gateway(message)
        hops = () if link is None and gateway is None else (Hop(gateway, link, own.get(link)),)
    target = message.get_attr("RTA_DST")
    number = message["type"]
    return Route(
        family=FAMILIES[message["family"]],
        destination="default" if target is None else f"{target}/{message['dst_len']}",
        hops=hops,
        table=TABLES.get(table, str(table)),
        type=TYPES[number] if number < len(TYPES) else str(number),
        metric=message.get_attr("RTA_PRIORITY") or 0,
        source=message.get_attr("RTA_PREFSRC"),
        origin=ORIGINS.get(message["proto"], str(message["proto"])),
        scope=SCOPES.get(message["scope"], str(message["scope"])),
    )


def _gateway(message: Any) -> str | None:
    """Of IPv4 through an IPv6 neighbour, the gateway is an address of the other family (RTA_VIA)."""
    via = message.get_attr("RTA_VIA")
    found: str | None = message.get_attr("RTA_GATEWAY") or (via["addr"] if via else None)
    return found
