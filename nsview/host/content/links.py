"""The links and addresses of a network namespace, and where a link's other end is (rtnetlink(7), linux/if_link.h)."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nsview.host.text import printable

PEERED = frozenset(("netkit", "veth", "vxcan"))
"""Kinds of links that come in pairs."""

FLAGS = (
    "UP", "BROADCAST", "DEBUG", "LOOPBACK", "POINTOPOINT", "NOTRAILERS", "RUNNING", "NOARP", "PROMISC", "ALLMULTI",
    "MASTER", "SLAVE", "MULTICAST", "PORTSEL", "AUTOMEDIA", "DYNAMIC", "LOWER_UP", "DORMANT", "ECHO",
)  # fmt: skip
"""IFF_* by bit: linux/if.h."""

COUNTERS = (
    "rx_bytes", "rx_packets", "rx_errors", "rx_dropped", "tx_bytes", "tx_packets", "tx_errors", "tx_dropped",
    "multicast", "collisions",
)  # fmt: skip
"""Of struct rtnl_link_stats64."""

HARDWARE = {1: "ether", 24: "ieee1394", 32: "infiniband", 280: "can", 512: "ppp", 768: "ipip", 769: "ip6tnl",
            772: "loopback", 776: "sit", 778: "gre", 823: "ip6gre", 65534: "none"}  # fmt: skip
"""ARPHRD_*: linux/if_arp.h; what a link without a kind of its own is."""

FAMILIES = {2: 4, 10: 6}
"""AF_INET and AF_INET6; a listing has others too, as of multicast forwarding (RTNL_FAMILY_IPMR)."""

SCOPES = {0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere"}

ADDRESS_FLAGS = (
    "secondary", "nodad", "optimistic", "dadfailed", "homeaddress", "deprecated", "tentative", "permanent",
    "mngtmpaddr", "noprefixroute", "autojoin", "stable-privacy",
)  # fmt: skip
"""IFA_F_* by bit: linux/if_addr.h."""

_NOT_ASSIGNED = 0xFFFFFFFF
_NOT_TO_BE_SEEN = frozenset((errno.EPERM, errno.EACCES, errno.ENODEV, errno.EINVAL, errno.EOPNOTSUPP))


@dataclass(frozen=True, slots=True)
class OtherLink:
    """A link that another one refers to: ``index`` and ``name`` are its own, in ``namespace`` (inode).

    ``nsid`` is the number by which the referring namespace knows that one, None when both are the same. None is
    unknown: the name of a link that we may not see, a namespace that nothing known to us holds.
    """

    index: int
    name: str | None
    namespace: int | None
    nsid: int | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A link. ``kind`` is veth, bridge and so on, or the hardware; ``state`` RFC 2863's word; ``master`` the
    bridge or bond it is in. ``peer`` is the other end of a pair, ``below`` the link that a vlan and the like
    stands on. Names are safe to print; None is unknown, or for the last three: none.
    """

    name: str
    index: int | None = None
    kind: str | None = None
    flags: tuple[str, ...] | None = None
    state: str | None = None
    mac: str | None = None
    mtu: int | None = None
    alias: str | None = None
    alternative_names: tuple[str, ...] = ()
    counters: Mapping[str, int] = field(default_factory=dict)
    master: OtherLink | None = None
    peer: OtherLink | None = None
    below: OtherLink | None = None

    @property
    def is_up(self) -> bool | None:
        """True when it has been set up; None is unknown."""
        return None if self.flags is None else "UP" in self.flags


@dataclass(frozen=True, slots=True)
class Address:
    """An address of a link (by index and name), of ``family`` 4 or 6; ``peer`` is the far end's where it is
    point to point. None is unknown, or for the peer and the label: none.
    """

    family: int
    address: str
    prefix: int | None = None
    link: int | None = None
    link_name: str | None = None
    scope: str | None = None
    flags: tuple[str, ...] | None = None
    peer: str | None = None
    label: str | None = None


class Neighbourhood:
    """Finds the other links that those of one namespace refer to; use within it, with an open pyroute2 socket."""

    def __init__(self, rtnetlink: Any, namespace: int, known: Iterable[int]) -> None:
        """Keep the socket, the namespace's inode, and descriptors of all known network namespaces, which are gone
        through when one of them is looked for first.
        """
        self._rtnetlink = rtnetlink
        self._namespace = namespace
        self._known = known
        self._by_nsid: dict[int, int] | None = None

    def find(self, index: int, nsid: int | None, own: Mapping[int, str]) -> OtherLink:
        """Return the link with ``index`` in the namespace that is known here as ``nsid`` (None: in this one, whose
        links are ``own``).
        """
        if nsid is None:
            return OtherLink(index, own.get(index), self._namespace)
        return OtherLink(index, self._name(index, nsid), self._numbers().get(nsid), nsid)

    def _name(self, index: int, nsid: int) -> str | None:
        """Ask for a link of the other namespace from here, which takes CAP_NET_ADMIN there."""
        from pyroute2.netlink.exceptions import NetlinkError

        try:
            [found] = self._rtnetlink.link("get", index=index, if_netnsid=nsid)
        except NetlinkError as error:
            if error.code in _NOT_TO_BE_SEEN:
                return None
            raise
        return _text(found.get_attr("IFLA_IFNAME"))

    def _numbers(self) -> dict[int, int]:
        """The inodes of known namespaces by the numbers they have here."""
        if self._by_nsid is None:
            self._by_nsid = {}
            for fd in self._known:
                nsid = nsid_of(self._rtnetlink, fd)
                if nsid is not None:
                    self._by_nsid[nsid] = os.fstat(fd).st_ino
        return self._by_nsid


def nsid_of(rtnetlink: Any, namespace: int) -> int | None:
    """Return the number that a pyroute2 socket's namespace has given to that of a descriptor (RTM_GETNSID), if any."""
    nsid = rtnetlink.get_netnsid(fd=namespace)["nsid"]
    return None if nsid is None or nsid == _NOT_ASSIGNED else int(nsid)


def links(messages: Iterable[Any], neighbourhood: Neighbourhood) -> tuple[Link, ...]:
    """Return the links of pyroute2's RTM_NEWLINK messages, by index."""
    messages = sorted(messages, key=lambda message: message["index"])
    own = {message["index"]: _text(message.get_attr("IFLA_IFNAME")) or "" for message in messages}
    return tuple(_link(message, own, neighbourhood) for message in messages)


def _link(message: Any, own: Mapping[int, str], neighbourhood: Neighbourhood) -> Link:
    kind = _kind(message)
    other = None
    if message.get_attr("IFLA_LINK"):
        other = neighbourhood.find(message.get_attr("IFLA_LINK"), message.get_attr("IFLA_LINK_NETNSID"), own)
    master = message.get_attr("IFLA_MASTER")
    properties = message.get_attr("IFLA_PROP_LIST")
    state = message.get_attr("IFLA_OPERSTATE")
    counters = message.get_attr("IFLA_STATS64") or message.get_attr("IFLA_STATS") or {}
    return Link(
        name=own[message["index"]],
        index=message["index"],
        kind=kind,
        flags=_flags(message["flags"], FLAGS),
        state=None if state is None else str(state).lower(),
        mac=message.get_attr("IFLA_ADDRESS"),
        mtu=message.get_attr("IFLA_MTU"),
        alias=_text(message.get_attr("IFLA_IFALIAS")),
        alternative_names=()
        if properties is None
        else tuple(printable(name) for name in properties.get_attrs("IFLA_ALT_IFNAME")),
        counters={name: counters[name] for name in COUNTERS if name in counters},
        master=None if not master else neighbourhood.find(master, None, own),
        peer=other if kind in PEERED else None,
        below=None if kind in PEERED else other,
    )


def _kind(message: Any) -> str:
    information = message.get_attr("IFLA_LINKINFO")
    kind = None if information is None else information.get_attr("IFLA_INFO_KIND")
    return _text(kind) or HARDWARE.get(message["ifi_type"], str(message["ifi_type"]))


def addresses(messages: Iterable[Any], own: Mapping[int, str]) -> tuple[Address, ...]:
    """Return the addresses of pyroute2's RTM_NEWADDR messages, by link; ``own`` are the links' names by index."""
    ours = (message for message in messages if message["family"] in FAMILIES)
    return tuple(_address(message, own) for message in sorted(ours, key=lambda message: message["index"]))


def _address(message: Any, own: Mapping[int, str]) -> Address:
    there, here = message.get_attr("IFA_ADDRESS"), message.get_attr("IFA_LOCAL")
    address = here or there
    flags = message.get_attr("IFA_FLAGS")
    label = _text(message.get_attr("IFA_LABEL"))
    name = own.get(message["index"])
    return Address(
        family=FAMILIES[message["family"]],
        address=address,
        prefix=message["prefixlen"],
        link=message["index"],
        link_name=name,
        scope=SCOPES.get(message["scope"], str(message["scope"])),
        flags=_flags(message["flags"] if flags is None else flags, ADDRESS_FLAGS),
        peer=there if there != address else None,
        label=label if label != name else None,
    )


def _flags(mask: int, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for bit, name in enumerate(names) if mask >> bit & 1)


def _text(value: bytes | str | None) -> str | None:
    return None if value is None else printable(value)
