"""The links, addresses, routes and sockets of a network namespace, worded: with who owns each socket, and where each
veth ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from nsview.host.content.links import Address, Link, OtherLink
from nsview.host.content.network import NetworkContent
from nsview.host.content.routes import Hop, Route
from nsview.host.content.socket_owners import Owner, Owners
from nsview.host.content.sockets import Socket
from nsview.host.units import bytes_text
from nsview.wording.inside.section import Inside, Lead, Section, facts
from nsview.wording.table import UNKNOWN, Column, show

LINKS = (
    Column("IDX", right=True, rank=3),
    Column("LINK"),
    Column("KIND", rank=1),
    Column("STATE"),
    Column("MTU", right=True, rank=5),
    Column("RX", right=True, rank=4),
    Column("TX", right=True, rank=4),
    Column("LEADS TO", gives=True),
)
ADDRESSES = (Column("ADDRESS"), Column("LINK"), Column("SCOPE", rank=1), Column("FLAGS", gives=True, rank=2))
ROUTES = (
    Column("DESTINATION"),
    Column("VIA"),
    Column("LINK"),
    Column("SOURCE", rank=2),
    Column("METRIC", right=True, rank=3),
    Column("TABLE", rank=1),
    Column("ORIGIN", rank=5),
    Column("TYPE", rank=4),
)
SOCKETS = (
    Column("PROTO"),
    Column("STATE", rank=1),
    Column("LOCAL", gives=True),
    Column("PEER", gives=True, rank=2),
    Column("OWNER", gives=True),
)

_NO_MAC = (None, "00:00:00:00:00:00")
_INTERNET = ("tcp", "udp", "udplite")


@dataclass(frozen=True, slots=True)
class Names:
    """What ip-netns(8) calls a network namespace: by ``names``, and by its number in our own one."""

    names: Sequence[str]
    nsid: int | None


def shown(
    content: NetworkContent, namespace: int, names: Names, owners: Owners, called: Mapping[int, str | None]
) -> Inside:
    """Word what was read of the namespace with an inode; ``owners`` are those of all sockets, ``called`` is what
    people call network namespaces.
    """
    links = None if content.links is None else [_link(link, namespace, called) for link in content.links]
    addresses = None if content.addresses is None else [_address(address) for address in content.addresses]
    hardware = [(link.mac, link.name, "-", "hardware") for link in content.links or () if link.mac not in _NO_MAC]
    sections = [
        facts("", _names(names), content.unknown_because),
        _section("links", LINKS, links, leads=[_end_of(link) for link in content.links or ()]),
        _section("addresses", ADDRESSES, None if addresses is None else [*addresses, *hardware]),
        _routes(content.routes),
        _sockets(content.sockets, owners),
    ]
    return Inside([section for section in sections if section.rows or section.notes], _document(content, names, owners))


def _names(names: Names) -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = []
    if names.names:
        rows.append(("name in /run/netns", ", ".join(names.names)))
    if names.nsid is not None:
        rows.append(("nsid from here", names.nsid))
    return rows


def _section(
    title: str,
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]] | None,
    notes: Sequence[str] = (),
    leads: Sequence[Lead | None] = (),
) -> Section:
    return Section(title, columns, rows or (), (UNKNOWN, *notes) if rows is None else notes, leads)


def _end_of(link: Link) -> Lead | None:
    """The other end of a pair, else the link below, else the bridge it is in."""
    other = link.peer or link.below or link.master
    return None if other is None or other.namespace is None else Lead("namespace", other.namespace, other.name)


def _link(link: Link, namespace: int, called: Mapping[int, str | None]) -> tuple[str, ...]:
    return (
        show(link.index),
        link.name,
        show(link.kind),
        _state(link),
        show(link.mtu),
        _counter(link, "rx_bytes"),
        _counter(link, "tx_bytes"),
        _leads_to(link, namespace, called),
    )


def _state(link: Link) -> str:
    """Some links, as lo, do not tell their state; then what they were set to is what is known."""
    if link.is_up is None:
        return UNKNOWN
    if not link.is_up:
        return "off"
    return "up" if link.state == "unknown" else show(link.state)


def _counter(link: Link, name: str) -> str:
    return bytes_text(link.counters[name]) if name in link.counters else UNKNOWN


def _leads_to(link: Link, namespace: int, called: Mapping[int, str | None]) -> str:
    words = []
    if link.peer is not None:
        words.append(f"→ {_other(link.peer, namespace, called)}")
    if link.below is not None:
        words.append(f"on {_other(link.below, namespace, called)}")
    if link.master is not None:
        words.append(f"in {_other(link.master, namespace, called)}")
    if link.alias is not None:
        words.append(f"“{link.alias}”")
    return ", ".join(words)


def _other(other: OtherLink, namespace: int, called: Mapping[int, str | None]) -> str:
    name = f"index {other.index}" if other.name is None else other.name
    if other.namespace == namespace:
        return name
    label = None if other.namespace is None else called.get(other.namespace)
    return f"{name} in net {show(other.namespace)}" + ("" if label is None else f" ({label})")


def _address(address: Address) -> tuple[str, ...]:
    text = address.address if address.prefix is None else f"{address.address}/{address.prefix}"
    if address.peer is not None:
        text += f" peer {address.peer}"
    flags = None if address.flags is None else ", ".join(flag for flag in address.flags if flag != "permanent")
    return text, show(address.link_name), show(address.scope), show(flags)


def _routes(routes: Sequence[Route] | None) -> Section:
    """Leave out the local table, which repeats the addresses."""
    if routes is None:
        return _section("routes", ROUTES, None)
    rows = [row for route in routes if route.table != "local" for row in _route(route)]
    local = sum(route.table == "local" for route in routes)
    return _section("routes", ROUTES, rows, [f"and {local} of the table local: --json has them"] if local else [])


def _route(route: Route) -> list[tuple[str, ...]]:
    """One row for each hop."""
    hops = route.hops or (Hop(None, None, None),)
    return [
        (
            route.destination if hop is hops[0] else "",
            hop.gateway or "-",
            (hop.link_name or show(hop.link)) if route.hops else "-",
            route.source or "-",
            show(route.metric),
            show(route.table),
            show(route.origin),
            show(route.type),
        )
        for hop in hops
    ]


def _sockets(sockets: Sequence[Socket] | None, owners: Owners) -> Section:
    """Leave out unix sockets that have no name: the two ends of a socketpair(2), clients."""
    if sockets is None:
        return _section("sockets", SOCKETS, None)
    named = [one for one in sockets if one.protocol != "unix" or one.path is not None]
    named.sort(key=lambda one: (one.protocol == "unix", one.state != "listen"))
    holding = [owners.of(one.inode) for one in named]
    rows = [
        (one.protocol, _state_of(one), _local(one), _remote(one), owners_text(who))
        for one, who in zip(named, holding, strict=True)
    ]
    left = len(sockets) - len(named)
    notes = [f"and {left} unix without a name: --json has them"] if left else []
    leads = [Lead("process", who[0].pid) if who else None for who in holding]
    return _section("sockets", SOCKETS, rows, notes, leads)


def _state_of(socket: Socket) -> str:
    """The kernel has closed for all that need no connection and have none."""
    if socket.protocol in ("packet", "unix") and socket.state != "listen":
        return show(socket.type)
    return "-" if socket.state == "close" and socket.protocol != "tcp" else show(socket.state)


def _local(socket: Socket) -> str:
    if socket.protocol == "unix":
        return socket.path or "-"
    if socket.protocol == "packet":
        link = "every link" if socket.link == 0 else f"link {socket.link}"
        return f"{link}, protocol {socket.port:#06x}"
    return _endpoint(socket.address, socket.port)


def _remote(socket: Socket) -> str:
    if socket.protocol in ("packet", "unix") or (socket.protocol in _INTERNET and not socket.peer_port):
        return "-"
    return _endpoint(socket.peer_address, socket.peer_port)


def _endpoint(address: str | None, port: int | None) -> str:
    return f"[{address}]:{port}" if ":" in (address or "") else f"{show(address)}:{show(port)}"


def owners_text(owners: Sequence[Owner] | None) -> str:
    """Word the processes that have a socket, each once."""
    if owners is None:
        return UNKNOWN
    return ", ".join(dict.fromkeys(f"{owner.pid} {owner.comm}" for owner in owners)) or "-"


def _document(content: NetworkContent, names: Names, owners: Owners) -> dict[str, object]:
    document = asdict(content)
    for name in ("links", "addresses", "routes", "sockets"):
        document[name] = None if document[name] is None else list(document[name])
    for row in document["sockets"] or ():
        holding = owners.of(row["inode"])
        row["owners"] = None if holding is None else [asdict(owner) for owner in holding]
    return {"names": list(names.names), "nsid": names.nsid, **document}
