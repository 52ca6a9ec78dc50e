"""A new network namespace: lo, and a veth pair to the host."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from ipaddress import IPv4Interface, IPv6Interface, ip_interface

from spawner.cause import Cause
from spawner.draft import Draft
from spawner.errors import Problem
from spawner.oci import Veth
from spawner.plan import Held, Named, Out, Packed, Undo
from spawner.spec import Spec

Interface = IPv4Interface | IPv6Interface

VETH = "veth"
"""The label of what the parent does."""

UNCONNECTED = Problem(
    "a veth needs somebody who makes it: the engine speaks no rtnetlink",
    "launch(…, network=nsview.network.Connector()), or leave the veth out",
)

_SIOCGIFFLAGS = Named(0x8913, "SIOCGIFFLAGS")
_SIOCSIFFLAGS = Named(0x8914, "SIOCSIFFLAGS")
_IFF_UP = 0x1
_IFF_RUNNING = 0x40
_IFREQ_SIZE = 40
_IFREQ = struct.Struct("=16sH")


def loopback(draft: Draft) -> None:
    """Set lo up, and read back that it is."""
    if "network" not in draft.asked or not draft.spec.loopback:
        return
    kind = Named(2 | os.O_CLOEXEC, "SOCK_DGRAM|SOCK_CLOEXEC")
    request = Packed("=16sh14x8x", (b"lo", _IFF_UP | _IFF_RUNNING), '{"lo", IFF_UP|IFF_RUNNING}')
    fd = draft.add("socket for lo", "socket", Named(2, "AF_INET"), kind, 0, phase="network")
    draft.add(
        "lo up",
        "ioctl",
        fd,
        _SIOCSIFFLAGS,
        request,
        phase="network",
        why="a new network namespace has lo down",
    )
    flags = draft.add("read flags of lo", "ioctl", fd, _SIOCGIFFLAGS, Out(_IFREQ_SIZE, b"lo"), phase="network")
    draft.expect("lo", flags, "up", _up_or_down)
    draft.add("close socket", "close", fd, phase="network")


def _up_or_down(result: int, request: bytes) -> str | None:
    if result < 0:
        return None
    _name, flags = _IFREQ.unpack_from(request)
    return "up" if flags & _IFF_UP else "down"


def veth(draft: Draft) -> None:
    """Let the parent connect the new network namespace to the host."""
    wanted = draft.spec.veth
    if wanted is not None:
        draft.act(VETH, _described(wanted), lambda held: _connect(held, wanted), phase="network")


def _described(veth: Veth) -> str:
    ends = f"{veth.host_name or 'nsv-N'} {veth.host_address} here, {veth.child_name} {veth.child_address} there"
    extras = (", the default route" if veth.default_route else "") + (", masquerade" if veth.masquerade else "")
    return f"make a veth pair: {ends}{extras}"


def _connect(held: Held, veth: Veth) -> Undo:
    # Plans are remembered: what connects is the launch's, so it is asked for on the child and not kept here.
    assert held.network is not None
    return held.network.connect(held, veth)


# ---- what is wrong beforehand ----

_NAME_MAX = 15  # IFNAMSIZ with its NUL
_NO_NAMES = (".", "..", "all", "default")
_NOT_IN_NAMES = frozenset("/:% \t\n\v\f\r\0")


def problems(spec: Spec, asked: frozenset[str]) -> Iterator[Problem]:
    """What is wrong with this part of a Spec that asks for these new namespaces."""
    veth = spec.veth
    if veth is None:
        return
    if "network" not in asked:
        yield Problem("a veth without a new network namespace has nowhere to lead", "add one (-n)")
    for what, name in (("host_name", veth.host_name), ("child_name", veth.child_name)):
        if name is not None and (wrong := _wrong_name(name)):
            yield Problem(f"{what} {name!r} {wrong}", f"use 1 to {_NAME_MAX} bytes without space, / : or %")
    if veth.child_name == "lo":
        yield Problem("a new network namespace has a link named lo already", "choose another child_name, such as eth0")
    yield from _wrong_addresses(veth)


def _wrong_name(name: str) -> str:
    """As dev_valid_name() of net/core/dev.c has it; a % would be a pattern, all and default are sysctl's."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "cannot be encoded for the kernel"
    if not 1 <= size <= _NAME_MAX:
        return f"is {size} bytes long"
    if name in _NO_NAMES or not _NOT_IN_NAMES.isdisjoint(name):
        return "cannot name a network link"
    return ""


def _wrong_addresses(veth: Veth) -> Iterator[Problem]:
    ends: list[Interface] = []
    for what, text in (("host_address", veth.host_address), ("child_address", veth.child_address)):
        try:
            ends.append(address(text))
        except ValueError as error:
            yield Problem(f"{what} {text!r}: {error}", "write it as 10.0.0.1/24 or fd00::1/64")
    if len(ends) != 2:
        return
    host, child = ends
    if host.version != child.version:
        yield Problem(
            f"host_address is IPv{host.version} and child_address IPv{child.version}", "use one of them for both"
        )
    elif host.ip == child.ip:
        yield Problem(f"both ends of the veth have the address {host.ip}", "give each its own")


def address(text: str) -> Interface:
    """An address that an end of a veth can have, with the length of its prefix; ValueError says what is wrong."""
    bare, slash, length = text.partition("/")
    if not slash or not length.isascii() or not length.isdecimal():
        raise ValueError("the length of the prefix is missing")
    if "%" in bare:
        raise ValueError("it names a scope")
    end = ip_interface(text)
    for name in ("unspecified", "multicast", "loopback", "reserved"):
        if getattr(end.ip, f"is_{name}"):
            raise ValueError(f"it is {name}: no end of a veth can have it")
    if end.version == 6 and end.is_link_local:
        raise ValueError("it is link-local, which the kernel gives every link by itself")
    if end.network.prefixlen == 0:
        raise ValueError("a prefix of length 0 is the whole internet")
    if end.version == 4 and end.network.prefixlen < 31:
        if end.ip == end.network.network_address:
            raise ValueError(f"it is the address of the network {end.network} itself")
        if end.ip == end.network.broadcast_address:
            raise ValueError(f"it is the broadcast address of {end.network}")
    return end


CAUSES: tuple[Cause, ...] = (
    Cause(
        ("socket for lo",),
        errno.EAFNOSUPPORT,
        "this kernel has no IPv4",
        "leave lo as it is: --no-loopback",
    ),
    Cause(
        (VETH,),
        errno.EPERM,
        "making links needs CAP_NET_ADMIN where both ends are, and entering the child's namespace CAP_SYS_ADMIN",
        "run as root, or launch from within a user and a network namespace of your own",
    ),
    Cause(
        (VETH,),
        errno.EACCES,
        "the child's namespaces, or the settings in /proc/sys/net, are not ours to open",
        "run as root; see nsview doctor",
    ),
    Cause(
        (VETH,),
        errno.EROFS,
        "masquerade has to let links forward, and /proc/sys is read-only here",
        "have the host forward already (sysctl net.ipv4.ip_forward=1), or leave masquerade out",
    ),
    Cause(
        (VETH,),
        errno.EPROTONOSUPPORT,
        "this kernel has no nftables that can masquerade",
        "modprobe -a nf_tables nft_masq nft_ct, or leave masquerade out; see nsview doctor",
    ),
    Cause(
        (VETH,),
        errno.EEXIST,
        "there is a link of that name already",
        "choose another name, or leave host_name out",
    ),
    Cause(
        (VETH,),
        errno.EOPNOTSUPP,
        "this kernel does not know veth links",
        "modprobe veth, or use a kernel built with CONFIG_VETH",
    ),
    Cause((VETH,), errno.ESRCH, "the child ended meanwhile", "see why in its own words"),
    Cause((VETH,), errno.ENOENT, "there is no /proc here", "mount /proc"),
    Cause((VETH,), errno.ETIMEDOUT, "the link did not come up", "see the kernel's log: dmesg"),
)
