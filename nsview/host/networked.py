"""What the network of a process has, as the files of the process tell it: links, addresses, routes, who listens."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nsview.host.attribute import Attribute
from nsview.host.content.network import NetworkContent, read_through
from nsview.host.process import PinnedProcess

_MOST_SHOWN = 8


def network_of(process: PinnedProcess) -> NetworkContent | None:
    """Read it, without entering its network namespace; None when nothing of it can be read."""
    content = read_through(process)
    return None if content.links is None and content.sockets is None else content


def _links(content: NetworkContent) -> frozenset[str] | None:
    return None if content.links is None else frozenset(link.name for link in content.links)


def _addresses(content: NetworkContent) -> frozenset[str] | None:
    if content.addresses is None:
        return None
    return frozenset(it.address if it.prefix is None else f"{it.address}/{it.prefix}" for it in content.addresses)


def _routes(content: NetworkContent) -> frozenset[str] | None:
    return None if content.routes is None else frozenset(route.destination for route in content.routes)


def _listening(content: NetworkContent) -> frozenset[str] | None:
    if content.sockets is None:
        return None
    waiting = (socket for socket in content.sockets if socket.port and _takes(socket.protocol, socket.state))
    return frozenset(f"{it.protocol} {f'[{it.address}]' if it.family == 6 else it.address}:{it.port}" for it in waiting)


def _takes(protocol: str, state: str | None) -> bool:
    return state == "listen" if protocol == "tcp" else protocol in ("udp", "udplite") and state == "close"


def _words(found: Iterable[str]) -> str:
    """Word a set: the first few, and how many more."""
    names = sorted(found)
    more = len(names) - _MOST_SHOWN
    return ", ".join(names[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "") or "none"


def _set(
    name: str,
    get: Callable[[NetworkContent], frozenset[str] | None],
    source: str,
    why_same: str,
    why_different: str,
) -> Attribute[NetworkContent]:
    def text(content: NetworkContent) -> str | None:
        found = get(content)
        return None if found is None else _words(found)

    def delta(one: NetworkContent, two: NetworkContent) -> str | None:
        before, after = get(one), get(two)
        return None if before is None or after is None else f"+{len(after - before)} −{len(before - after)}"

    return Attribute(name, text, source, why_same, why_different, delta, value=get)


ATTRIBUTES: tuple[Attribute[NetworkContent], ...] = (
    _set(
        "links",
        _links,
        "/proc/PID/net/dev",
        "links of the same names",
        "a link is in one network namespace: veth pairs reach from one into another",
    ),
    _set(
        "addresses",
        _addresses,
        "/proc/PID/net/fib_trie and if_inet6",
        "the same addresses",
        "addresses belong to links, and so to one network namespace",
    ),
    _set(
        "routes",
        _routes,
        "/proc/PID/net/route",
        "the same IPv4 routes",
        "routes belong to the network namespace: a new one has none",
    ),
    _set(
        "listening",
        _listening,
        "/proc/PID/net/tcp, udp and more",
        "the same ports are taken",
        "ports are taken in one network namespace, and free in the other",
    ),
)
