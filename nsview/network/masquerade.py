"""A child's traffic to the outside goes under the host's own address: one nftables table for each veth.

The table is named after the index of the host's end, which no later link gets: a table whose link is gone was left
behind (its maker was killed) and is swept. It also remembers, as chains, which links were lent: made to forward though
they did not. Such a link forwards nothing but answers, and stops when the last table that names it goes.

Rules (nft(8)), the child's address being C and the host's end L:
    chain postrouting  ip saddr C  oif != L  masquerade
    chain forward      iif L  ip saddr != C  drop
    chain lent_N       iif N  ct state != established, related  drop
What is for the host itself is never forwarded, so nothing here touches it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyroute2.nftables.expressions import genex, masq, verdict

from nsview.network import forwarding
from nsview.network.netlink import NetlinkError, nftables, rtnetlink
from nsview.network.pair import End, Pair, exists
from spawner.errors import LaunchError
from spawner.parts.network import VETH

PATIENCE = 5.0
"""Seconds in which another nsview must be done with what it changes."""

_PAUSE = 0.005
_NFPROTO = {4: 2, 6: 10}
_AF = {4: 2, 6: 10}
_SADDR = {4: (12, 4), 6: (8, 16)}
"""Where a source address is in the header, and its length."""

_TABLE = re.compile(r"nsview-(\d+)")
_LENT = re.compile(r"lent_(\d+)")
_ACCEPT, _DROP = 1, 0
_IIF, _OIF = 4, 5
_EQUAL, _OTHER = 0, 1
_CT_STATE = 0
_ESTABLISHED_RELATED = 2 | 4
_NETWORK_HEADER = 1
_FILTER, _SRCNAT = 0, 100
_RT_TABLE_MAIN = 254
_LACKING = (errno.EINVAL, errno.ENOENT, errno.EOPNOTSUPP, errno.EAFNOSUPPORT)
"""What a kernel without nf_tables, or without one of the expressions, answers to what is well-formed otherwise."""


def add(pair: Pair) -> None:
    """Masquerade the child of a pair; OSError or LaunchError, after which remove() is to be called all the same."""
    end = pair.host
    version = end.own.version
    with _alone(), nftables(_NFPROTO[version]) as tables:
        lent = _to_lend(tables, end)
        # The table first: whoever finds it can take back what follows, should we be killed here.
        with _nftables_needed():
            write(tables, end, lent)
        compare(tables, end, lent)
        for name in (end.name, *lent.values()):
            forwarding.switch(version, name, wanted=True)


def remove(pair: Pair) -> None:
    """Take the table away, and what was lent for it alone."""
    with _alone(), nftables(_NFPROTO[pair.host.own.version]) as tables:
        _drop(tables, pair.host.own.version, pair.host.index)


def sweep(*, asked: bool) -> None:
    """Take away tables whose link is gone; where nobody ``asked`` for masquerade, only if that loads no module."""
    if not asked and os.path.exists("/proc/modules") and not os.path.exists("/sys/module/nf_tables"):
        return
    try:
        for version, family in _NFPROTO.items():
            with _alone(), nftables(family) as tables, rtnetlink() as links:
                for index in _named(tables):
                    if not exists(links, index):
                        _drop(tables, version, index)
    except OSError as error:
        # No tables, then; and what needs the privilege to make links will tell of it.
        if error.errno not in (errno.EPROTONOSUPPORT, errno.EPERM):
            raise


@contextmanager
def _nftables_needed() -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        if error.code in _LACKING:
            raise OSError(errno.EPROTONOSUPPORT, os.strerror(errno.EPROTONOSUPPORT)) from error
        raise


@contextmanager
def _alone() -> Iterator[None]:
    """Keep others of us from changing this network namespace: its own file is the lock."""
    fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        until = time.monotonic() + PATIENCE
        never = threading.Event()
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise LaunchError(
                        VETH,
                        errno=errno.EBUSY,
                        cause="another process keeps the network namespace locked (flock of /proc/self/ns/net)",
                        remedy="end it: grep its inode in /proc/locks",
                    ) from None
                never.wait(_PAUSE)
        yield
    finally:
        os.close(fd)


def _to_lend(tables: Any, end: End) -> dict[int, str]:
    """Links that answers come back by and that do not forward by themselves: index to name."""
    version = end.own.version
    with rtnetlink() as links:
        names = {link["index"]: link.get_attr("IFLA_IFNAME") for link in links.get_links()}
        routes = links.get_routes(family=_AF[version], table=_RT_TABLE_MAIN)
        outgoing = {
            index: names[index]
            for route in routes
            if route.get_attr("RTA_DST") is None
            and (index := route.get_attr("RTA_OIF")) in names
            and index != end.index
        }
    if forwarding.everywhere(version):
        if closed := [name for name in outgoing.values() if not forwarding.on(version, name)]:
            raise LaunchError(
                VETH,
                errno=errno.ENETUNREACH,
                cause=f"this host forwards, but somebody has set {' '.join(closed)} not to",
                remedy=f"sysctl -w net.ipv{version}.conf.{closed[0]}.forwarding=1, or leave masquerade out",
            )
        return {}
    if not outgoing:
        raise LaunchError(
            VETH,
            errno=errno.ENETUNREACH,
            cause=f"this host has no default route of IPv{version}, and does not forward: there is no way out",
            remedy=f"add a default route, or sysctl -w net.ipv{version}.conf.all.forwarding=1, or leave masquerade out",
        )
    already = {index for table in _named(tables) for index in _lent_by(tables, table)}
    return {index: name for index, name in outgoing.items() if index in already or not forwarding.on(version, name)}


def write(tables: Any, end: End, lent: dict[int, str]) -> None:
    """Write the table of a host's end."""
    name, child = _name(end.index), end.peer.ip.packed
    saddr = _payload(*_SADDR[end.own.version])
    us = struct.pack("=I", end.index)
    tables.table("add", name=name)
    _chain(tables, name, "postrouting", "nat", _SRCNAT)
    _rule(tables, name, "postrouting", saddr, _compared(_EQUAL, child), _meta(_OIF), _compared(_OTHER, us), masq()[0])
    _chain(tables, name, "forward", "filter", _FILTER)
    _rule(tables, name, "forward", _meta(_IIF), _compared(_EQUAL, us), saddr, _compared(_OTHER, child), *verdict(_DROP))
    for index in lent:
        chain = f"lent_{index}"
        _chain(tables, name, chain, "filter", _FILTER)
        link = struct.pack("=I", index)
        _rule(tables, name, chain, _meta(_IIF), _compared(_EQUAL, link), *_unanswering(), *verdict(_DROP))


def _chain(tables: Any, table: str, name: str, kind: str, priority: int) -> None:
    hook = "postrouting" if kind == "nat" else "forward"
    tables.chain("add", table=table, name=name, hook=hook, type=kind, policy=_ACCEPT, priority=priority)


def _rule(tables: Any, table: str, chain: str, *expressions: Any) -> None:
    tables.rule("add", table=table, chain=chain, expressions=[list(expressions)])


def _payload(offset: int, length: int) -> Any:
    return genex("payload", {"dreg": 1, "base": _NETWORK_HEADER, "offset": offset, "len": length})


def _meta(key: int) -> Any:
    return genex("meta", {"dreg": 1, "key": key})


def _compared(how: int, data: bytes) -> Any:
    return genex("cmp", {"sreg": 1, "op": how, "data": _data(data)})


def _unanswering() -> tuple[Any, ...]:
    """Of a connection that began outside."""
    mask = {
        "sreg": 1,
        "dreg": 1,
        "len": 4,
        "mask": _data(struct.pack("=I", _ESTABLISHED_RELATED)),
        "xor": _data(bytes(4)),
    }
    return genex("ct", {"dreg": 1, "key": _CT_STATE}), genex("bitwise", mask), _compared(_EQUAL, bytes(4))


def _data(raw: bytes) -> Any:
    return {"attrs": [("NFTA_DATA_VALUE", raw)]}


def compare(tables: Any, end: End, lent: dict[int, str]) -> None:
    """Read back that every chain has its rule."""
    name = _name(end.index)
    wanted = {"postrouting", "forward", *(f"lent_{index}" for index in lent)}
    found = [
        rule.get_attr("NFTA_RULE_CHAIN") for rule in tables.get_rules() if rule.get_attr("NFTA_RULE_TABLE") == name
    ]
    if sorted(found) != sorted(wanted):
        raise LaunchError("read back veth", path=name, cause=f"rules in {sorted(wanted)} were made, found are {found}")


def _name(index: int) -> str:
    return f"nsview-{index}"


def _named(tables: Any) -> list[int]:
    """The links that have a table of ours."""
    with _nftables_needed():
        names = [table.get_attr("NFTA_TABLE_NAME") for table in tables.get_tables()]
    return [int(found[1]) for name in names if (found := _TABLE.fullmatch(name))]


def _lent_by(tables: Any, index: int) -> list[int]:
    """The links that a table remembers as lent."""
    chains = (
        chain.get_attr("NFTA_CHAIN_NAME")
        for chain in tables.get_chains()
        if chain.get_attr("NFTA_CHAIN_TABLE") == _name(index)
    )
    return [int(found[1]) for name in chains if (found := _LENT.fullmatch(name))]


def _drop(tables: Any, version: int, index: int) -> None:
    """Delete a table, after what is lent by it alone has been given back: killed between, we can be swept after."""
    others = {lent for table in _named(tables) if table != index for lent in _lent_by(tables, table)}
    own = set(_lent_by(tables, index)) - others
    if own and not forwarding.everywhere(version):
        with rtnetlink() as links:
            for link in links.get_links():
                name = link.get_attr("IFLA_IFNAME")
                if link["index"] in own and forwarding.on(version, name):
                    forwarding.switch(version, name, wanted=False)
    try:
        tables.table("del", name=_name(index))
    except NetlinkError as error:
        if error.code != errno.ENOENT:
            raise
