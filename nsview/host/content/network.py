"""What is inside a network namespace: links, addresses, routes, sockets, and its names in /run/netns."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from nsview.host.content import network_files, unix_sockets
from nsview.host.content.entered import inside
from nsview.host.content.links import Address, Link, Neighbourhood, addresses, links, nsid_of
from nsview.host.content.routes import Route, routes
from nsview.host.content.socket_owners import Owner, Owners
from nsview.host.content.sockets import Socket, parse_unix, read_network_sockets
from nsview.host.process import ORDINARY, PinnedProcess
from nsview.host.text import printable

NETNS = "/run/netns"
"""Where ip-netns(8) keeps namespaces by name."""

_DUMPS = 5
"""How often a listing is asked for that changes while the kernel gives it."""


@dataclass(frozen=True, slots=True)
class NetworkContent:
    """Everything in one network namespace; None is unknown, and ``unknown_because`` says why.

    Without entering, what files of a process there tell is known: names and counters of links, IPv6 addresses and
    local IPv4 ones without their links, IPv4's main routes, sockets.
    """

    links: tuple[Link, ...] | None
    addresses: tuple[Address, ...] | None
    routes: tuple[Route, ...] | None
    sockets: tuple[Socket, ...] | None
    unknown_because: str | None = None

    def listening(self, port: int, protocol: str = "tcp") -> tuple[Socket, ...]:
        """Return the sockets that take what comes for a port: listening ones, or unconnected ones of udp."""
        wanted = "listen" if protocol == "tcp" else "close"
        return tuple(
            socket
            for socket in self.sockets or ()
            if (socket.protocol, socket.port, socket.state) == (protocol, port, wanted)
        )

    def owners(self, port: int, owners: Owners, protocol: str = "tcp") -> tuple[Owner, ...] | None:
        """Return which processes own a port; None when somebody may whose files cannot be looked at."""
        found: dict[Owner, None] = {}
        unknown = self.sockets is None
        for socket in self.listening(port, protocol):
            holding = owners.of(socket.inode)
            unknown |= holding is None
            found.update(dict.fromkeys(holding or ()))
        return tuple(found) or (None if unknown else ())

    def members(self, master: int) -> tuple[Link, ...]:
        """Return the links that are in a bridge or bond, by its index."""
        return tuple(link for link in self.links or () if link.master is not None and link.master.index == master)


def read_network(namespace: int, known: Iterable[int] = ()) -> NetworkContent:
    """Read all of the network namespace of a descriptor. ``known``: descriptors of all known ones, among which the
    other ends of links are found; it is gone through only when a link leads to another namespace.
    NotEnteredError when we may not enter.
    """
    return inside((namespace,), lambda: _read_here(os.fstat(namespace).st_ino, known))


def read_through(process: PinnedProcess | None, unknown_because: str | None = None) -> NetworkContent:
    """Read what the files of a process tell of the network namespace it is in, without entering; nothing without."""

    def read(name: str) -> bytes | None:
        return None if process is None else process.read(f"net/{name}")

    unix = read("unix")
    return NetworkContent(
        network_files.links(read("dev")),
        network_files.addresses(read("fib_trie"), read("if_inet6")),
        network_files.routes(read("route")),
        None if (others := read_network_sockets(read)) is None or unix is None else (*others, *parse_unix(unix)),
        unknown_because,
    )


def number_here(namespace: int) -> int | None:
    """Return the nsid by which our own network namespace knows that of a descriptor (network_namespaces(7)), None
    when it has given it none: no link leads there and nobody has asked for one.
    """
    return inside((), lambda: _number_of(namespace))


def names_in_run(directory: str = NETNS) -> dict[int, tuple[str, ...]]:
    """Return the names that ip-netns(8) gave to namespaces, by inode; safe to print."""
    nsfs = os.stat("/proc/self/ns/net").st_dev
    found: dict[int, tuple[str, ...]] = {}
    try:
        names = sorted(os.listdir(directory))
    except OSError as error:
        if error.errno in ORDINARY:
            return {}
        raise
    for name in names:
        try:
            status = os.stat(os.path.join(directory, name))
        except OSError as error:
            if error.errno in ORDINARY:
                continue
            raise
        if status.st_dev == nsfs:
            found[status.st_ino] = (*found.get(status.st_ino, ()), printable(name))
    return found


def _read_here(namespace: int, known: Iterable[int]) -> NetworkContent:
    from pyroute2 import IPRoute  # slow to import, and few commands need it
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        with IPRoute() as rtnetlink:
            found = links(_dumped(lambda: rtnetlink.link("dump")), Neighbourhood(rtnetlink, namespace, known))
            own = {link.index: link.name for link in found if link.index is not None}
            here = addresses(_dumped(rtnetlink.get_addr), own)
            ways = routes(_dumped(rtnetlink.get_routes), own)
    except NetlinkError as error:
        raise OSError(error.code, os.strerror(error.code), "rtnetlink") from error
    return NetworkContent(found, here, ways, _sockets_here())


def _number_of(namespace: int) -> int | None:
    from pyroute2 import IPRoute

    with IPRoute() as rtnetlink:
        return nsid_of(rtnetlink, namespace)


def _dumped(ask: Callable[[], Any]) -> list[Any]:
    """Return a whole listing, asked for again when the kernel says that it changed meanwhile (NLM_F_DUMP_INTR)."""
    from pyroute2.netlink.exceptions import NetlinkDumpInterrupted

    for _ in range(_DUMPS - 1):
        try:
            return list(ask())
        except NetlinkDumpInterrupted:
            continue
    return list(ask())


def _sockets_here() -> tuple[Socket, ...] | None:
    others = read_network_sockets(_read)
    try:
        unix = unix_sockets.read_here()
    except OSError as error:
        if error.errno not in ORDINARY:
            raise
        text = _read("unix")
        unix = () if text is None else tuple(parse_unix(text))
    return None if others is None else (*others, *unix)


def _read(name: str) -> bytes | None:
    """Read a file of the calling thread's network: /proc/net is the main thread's."""
    try:
        with open(f"/proc/thread-self/net/{name}", "rb") as file:
            return file.read()
    except OSError as error:
        if error.errno in ORDINARY:
            return None
        raise
