"""A veth pair: made with one end in the other network namespace from the start, configured, read back, removed.

Sources: rtnetlink(7), veth(4), linux/if_addr.h.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_interface
from typing import Any

from nsview.network.netlink import NetlinkError, rtnetlink
from spawner.errors import LaunchError
from spawner.oci import Veth
from spawner.parts.network import VETH, Interface, address

PATIENCE = 5.0
"""Seconds in which both ends must be up once they are set so; the kernel takes at most one."""

_PAUSE = 0.005
_IFF_UP = 1
_IFA_F_NODAD, _IFA_F_DADFAILED, _IFA_F_TENTATIVE = 0x02, 0x08, 0x40
_RT_TABLE_MAIN = 254
_RT_SCOPE_LINK = 253
_FAMILIES = {4: 2, 6: 10}
_PREFIX = "nsv-"
_NO_IPV6 = (errno.EACCES, errno.EOPNOTSUPP, errno.EAFNOSUPPORT)


@dataclass(frozen=True, slots=True)
class End:
    """One end as wanted: ``peer`` is the other's address; ``gateway`` whether the default route goes there."""

    name: str
    index: int
    own: Interface
    peer: Interface
    gateway: bool

    @property
    def family(self) -> int:
        """AF_INET or AF_INET6."""
        return _FAMILIES[self.own.version]

    @property
    def beyond(self) -> bool:
        """Whether the other's address is outside the own prefix, so that it takes a route of its own."""
        return self.peer.ip not in self.own.network


@dataclass(frozen=True, slots=True)
class Pair:
    """Both ends; their indices are never used again in their namespaces, unlike their names."""

    host: End
    child: End


def make(veth: Veth, child: int) -> Pair:
    """Make the pair, the child's end in the network namespace of descriptor ``child``, and give it."""
    own, peer = address(veth.host_address), address(veth.child_address)
    with rtnetlink() as links:
        _refuse_overlap(links, own, peer)
        name = _made(links, veth, child)
        try:
            [link] = links.get_links(ifname=name)
            index, other = link["index"], link.get_attr("IFLA_LINK")
        except BaseException:
            links.link("del", ifname=name)
            raise
    return Pair(
        End(name, index, own, peer, gateway=False),
        End(veth.child_name, other, peer, own, gateway=veth.default_route),
    )


def _made(links: Any, veth: Veth, child: int) -> str:
    """Make it under the name asked for, or the first free one."""
    taken = {link.get_attr("IFLA_IFNAME") for link in links.get_links()}
    for name in [veth.host_name] if veth.host_name else _names(taken):
        if name in taken:
            raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), name)
        try:
            links.link("add", ifname=name, kind="veth", peer={"ifname": veth.child_name, "net_ns_fd": child})
        except NetlinkError as error:
            if error.code != errno.EEXIST:
                raise
            if list(links.link_lookup(ifname=name)):
                continue  # somebody else was faster
            raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), veth.child_name) from error
        return name
    raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), veth.host_name or _PREFIX)


def _names(taken: set[str]) -> Iterator[str]:
    return (name for number in range(10_000) if (name := f"{_PREFIX}{number}") not in taken)


def _refuse_overlap(links: Any, own: Interface, peer: Interface) -> None:
    """What the host reaches now it must reach afterwards too: a second link to the same addresses would take over."""
    for found in links.get_addr(family=_FAMILIES[own.version]):
        theirs = address_of(found)
        if theirs.is_link_local and theirs.version == 6:
            continue
        for ours in (own.network, own.network.__class__(peer.ip)):
            if theirs.network.overlaps(ours):
                raise LaunchError(
                    VETH,
                    errno=errno.EADDRINUSE,
                    path=str(ours),
                    cause=f"the host has {theirs} already, which overlaps",
                    remedy="choose addresses that nobody has yet",
                )


def address_of(message: Any) -> Interface:
    """The address and prefix that a message of rtnetlink tells of; of IPv4 the own one and not the peer's."""
    text = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
    return ip_interface(f"{text}/{message['prefixlen']}")


def configure(end: End) -> None:
    """Give an end, in whose network namespace we are, its address, set it up, and add its routes."""
    with rtnetlink() as links:
        # Nobody else can have the address, and a tentative one (RFC 4862) could not be used for a second.
        flags = {"flags": _IFA_F_NODAD} if end.own.version == 6 else {}
        try:
            links.addr("add", index=end.index, address=str(end.own.ip), prefixlen=end.own.network.prefixlen, **flags)
        except NetlinkError as error:
            if end.own.version == 6 and error.code in _NO_IPV6:
                raise LaunchError(
                    VETH,
                    errno=error.code,
                    path=end.name,
                    cause="IPv6 is switched off for new links",
                    remedy="sysctl -w net.ipv6.conf.default.disable_ipv6=0, or use IPv4",
                ) from error
            raise
        links.link("set", index=end.index, state="up")
        if end.beyond:
            scope = {"scope": _RT_SCOPE_LINK} if end.own.version == 4 else {}
            links.route("add", dst=str(end.peer.ip), oif=end.index, family=end.family, **scope)
        if end.gateway:
            links.route("add", dst="default", gateway=str(end.peer.ip), oif=end.index, family=end.family)


def check(end: End) -> None:
    """Read an end back once it is up; LaunchError says where the kernel does not have what was asked for."""
    wanted = {f"{end.name} up", f"address {end.own}"}
    if end.beyond:
        wanted.add(f"route to {end.peer.ip}")
    if end.gateway:
        wanted.add(f"default route by {end.peer.ip}")
    with rtnetlink() as links:
        until = time.monotonic() + PATIENCE
        never = threading.Event()
        while lacking := wanted - set(_found(links, end)):
            if time.monotonic() > until:
                said = ", ".join(sorted(lacking))
                raise LaunchError("read back veth", path=end.name, cause=f"the kernel has not: {said}")
            never.wait(_PAUSE)


def _found(links: Any, end: End) -> Iterator[str]:
    """What the kernel says of an end, in the words of check()."""
    for link in links.get_links(end.index):
        if link["flags"] & _IFF_UP and link.get_attr("IFLA_OPERSTATE") == "UP":
            yield f"{link.get_attr('IFLA_IFNAME')} up"
    for found in links.get_addr(index=end.index):
        if not (found.get_attr("IFA_FLAGS") or 0) & (_IFA_F_TENTATIVE | _IFA_F_DADFAILED):
            yield f"address {address_of(found)}"
    for route in links.get_routes(family=end.family, table=_RT_TABLE_MAIN, oif=end.index):
        gateway, to = route.get_attr("RTA_GATEWAY"), route.get_attr("RTA_DST")
        if to is None and gateway is not None:
            yield f"default route by {gateway}"
        elif to is not None and gateway is None:
            yield f"route to {to}"


def remove(pair: Pair) -> None:
    """Remove the host's end, and the other with it, and see it gone; it may be gone with its namespace already."""
    with rtnetlink() as links:
        try:
            links.link("del", index=pair.host.index)
        except NetlinkError as error:
            if error.code != errno.ENODEV:
                raise
        if exists(links, pair.host.index):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), pair.host.name)


def exists(links: Any, index: int) -> bool:
    """Whether there is a link of this index."""
    try:
        return bool(list(links.get_links(index)))
    except NetlinkError as error:
        if error.code != errno.ENODEV:
            raise
        return False
