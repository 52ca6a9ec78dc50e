"""What the files in /proc/PID/net tell of links, addresses and routes, for who may not enter a network namespace.

Sources: proc_pid_net(5), net/core/net-procfs.c, net/ipv4/fib_trie.c, net/ipv6/addrconf.c. All functions are pure.
"""

from __future__ import annotations

import re
import struct
from ipaddress import IPv4Address, IPv4Network, IPv6Address

from nsview.host.content.links import SCOPES, Address, Link
from nsview.host.content.routes import Hop, Route
from nsview.host.text import printable

_DEV_COLUMNS = (
    "rx_bytes", "rx_packets", "rx_errors", "rx_dropped", None, None, None, "multicast",
    "tx_bytes", "tx_packets", "tx_errors", "tx_dropped", None, "collisions",
)  # fmt: skip
_RTF_REJECT = 0x0200
_LOCAL_HOST = re.compile(r"\|-- (\S+)\n\s+/32 host LOCAL\b")
_IPV6_SCOPES = {0x00: 0, 0x10: 254, 0x20: 253, 0x40: 200}
"""IPV6_ADDR_* (net/ipv6.h) and the scope that rtnetlink gives for it."""


def links(dev: bytes | None) -> tuple[Link, ...] | None:
    """Return the links of /proc/net/dev: their names, which hold no colon or blank, and counters."""
    if dev is None:
        return None
    found = []
    for line in dev.split(b"\n")[2:]:
        name, colon, numbers = line.partition(b":")
        if colon:
            counters = zip(_DEV_COLUMNS, map(int, numbers.split()), strict=False)
            found.append(Link(printable(name.strip()), counters={key: value for key, value in counters if key}))
    return tuple(found)


def addresses(fib_trie: bytes | None, if_inet6: bytes | None) -> tuple[Address, ...] | None:
    """Return the local IPv4 addresses, whose links are not told, and the IPv6 ones; None when both are unknown."""
    if fib_trie is None and if_inet6 is None:
        return None
    local = dict.fromkeys(_LOCAL_HOST.findall((fib_trie or b"").decode("ascii")))
    return (*(Address(4, address) for address in local), *_ipv6(if_inet6 or b""))


def _ipv6(text: bytes) -> tuple[Address, ...]:
    found = []
    for line in text.splitlines():
        number, index, prefix, scope, _, name = line.split()
        code = _IPV6_SCOPES.get(int(scope, 16) & 0xF0)
        found.append(
            Address(
                6,
                str(IPv6Address(int(number, 16))),
                int(prefix, 16),
                int(index, 16),
                printable(name),
                None if code is None else SCOPES[code],
            )
        )
    return tuple(found)


def routes(route: bytes | None) -> tuple[Route, ...] | None:
    """Return IPv4's main routes of /proc/net/route; IPv6's file does not tell the tables apart."""
    if route is None:
        return None
    found = []
    for line in route.split(b"\n")[1:]:
        words = line.split()
        if len(words) < 8:
            continue
        name, destination, gateway, flags, _, _, metric, mask = words[:8]
        network = IPv4Network((_ipv4(destination), str(_ipv4(mask))))
        nowhere = int(flags, 16) & _RTF_REJECT or name == b"*"  # a blackhole has no link
        way = Hop(None if int(gateway, 16) == 0 else str(_ipv4(gateway)), None, printable(name))
        found.append(
            Route(
                4,
                "default" if network.prefixlen == 0 else str(network),
                () if nowhere else (way,),
                table="main",
                metric=int(metric),
            )
        )
    return tuple(found)


def _ipv4(word: bytes) -> IPv4Address:
    return IPv4Address(struct.pack("=I", int(word, 16)))
