"""The sockets of a network namespace, from the files in /proc/PID/net and for unix(7) ones from the kernel's dump.

Sources: proc_pid_net(5), net/ipv4/tcp_ipv4.c, net/ipv4/udp.c, net/ipv4/raw.c, net/packet/af_packet.c, net/unix/.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from nsview.host.text import printable

STATES = (
    None, "established", "syn_sent", "syn_recv", "fin_wait1", "fin_wait2", "time_wait", "close", "close_wait",
    "last_ack", "listen", "closing", "new_syn_recv", "bound_inactive",
)  # fmt: skip
"""The kernel's names (net/tcp_states.h) by number, for sockets of every kind."""

TYPES = {1: "stream", 2: "dgram", 3: "raw", 5: "seqpacket", 10: "packet"}

TABLES = (
    ("tcp", 4, "tcp"), ("tcp", 6, "tcp6"), ("udp", 4, "udp"), ("udp", 6, "udp6"),
    ("udplite", 4, "udplite"), ("udplite", 6, "udplite6"), ("raw", 4, "raw"), ("raw", 6, "raw6"),
    ("icmp", 4, "icmp"), ("icmp", 6, "icmp6"),
)  # fmt: skip
"""Protocol, family and file."""

_ACCEPTS = 0x10000
_CONNECTED = 3
_UNIX = re.compile(
    rb"[0-9a-f]+: [0-9A-F]+ [0-9A-F]{8} ([0-9A-F]{8}) ([0-9A-F]{4}) ([0-9A-F]{2}) +(\d+)(?: (.*))?", re.S
)


@dataclass(frozen=True, slots=True)
class Socket:
    """A socket. Addresses are of the network kinds; ``path`` of unix ones, safe to print, ``@`` for the NUL of an
    abstract one; ``peer`` is the inode at the other end of a unix connection; ``link`` the index of the link that a
    packet socket listens on, 0 for all.

    ``port`` is the protocol number for raw sockets, the id for icmp ones. ``inode`` is 0 when no file can lead to
    it any more (time_wait). None does not apply, or is unknown.
    """

    protocol: str
    inode: int
    state: str | None = None
    type: str | None = None
    family: int | None = None
    address: str | None = None
    port: int | None = None
    peer_address: str | None = None
    peer_port: int | None = None
    path: str | None = None
    abstract: bool = False
    peer: int | None = None
    link: int | None = None
    uid: int | None = None
    receive_queue: int | None = None
    send_queue: int | None = None


def read_network_sockets(read: Callable[[str], bytes | None]) -> tuple[Socket, ...] | None:
    """Return all but unix ones; ``read`` gives a file of the directory ``net``, None when it is not there."""
    found: list[Socket] = []
    seen = False
    for protocol, family, name in TABLES:
        text = read(name)
        if text is not None:
            seen = True
            found += parse_network(text, protocol, family)
    text = read("packet")
    if text is not None:
        seen = True
        found += parse_packet(text)
    return tuple(found) if seen else None


def parse_network(text: bytes, protocol: str, family: int) -> Iterator[Socket]:
    """Yield the rows of a file like /proc/net/tcp. Pure, as are the others."""
    for line in text.decode("ascii").splitlines()[1:]:
        words = line.split()
        address, port = _address(words[1], family)
        peer, peer_port = _address(words[2], family)
        sending, receiving = words[4].split(":")
        yield Socket(
            protocol,
            int(words[9]),
            _state(int(words[3], 16)),
            family=family,
            address=address,
            port=port,
            peer_address=peer,
            peer_port=peer_port,
            uid=int(words[7]),
            receive_queue=int(receiving, 16),
            send_queue=int(sending, 16),
        )


def _address(word: str, family: int) -> tuple[str, int]:
    """Turn ``0100007F:1F90`` into address and port: the address is 32-bit words as the machine has them."""
    number, port = word.split(":")
    words = [int(number[at : at + 8], 16) for at in range(0, len(number), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    return str(IPv4Address(packed) if family == 4 else IPv6Address(packed)), int(port, 16)


def _state(number: int) -> str:
    known = STATES[number] if number < len(STATES) else None
    return known or str(number)


def parse_packet(text: bytes) -> Iterator[Socket]:
    """Yield the rows of /proc/net/packet; the port is the ethernet protocol, 3 (ETH_P_ALL) for all."""
    for line in text.decode("ascii").splitlines()[1:]:
        _, _, kind, protocol, link, _, waiting, uid, inode = line.split()
        yield Socket(
            "packet",
            int(inode),
            type=TYPES.get(int(kind), kind),
            port=int(protocol, 16),
            link=int(link),
            uid=int(uid),
            receive_queue=int(waiting),
        )


def parse_unix(text: bytes) -> Iterator[Socket]:
    r"""Yield the rows of /proc/net/unix, for where the dump is not to be had: it does not tell the peers.

    Names are written as they are, so that one with a newline takes several lines: what is no row of its own belongs
    to the one before. A name that imitates a row cannot be told from one; the dump cannot be deceived.
    """
    rows: list[bytes] = []
    for line in text.split(b"\n")[1:]:
        if _UNIX.fullmatch(line):
            rows.append(line)
        elif rows:
            rows[-1] += b"\n" + line
    for row in rows:
        match = _UNIX.fullmatch(row.removesuffix(b"\n") if row is rows[-1] else row)
        if match is None:
            continue
        flags, kind, state, inode, name = match.groups()
        listening = int(flags, 16) & _ACCEPTS
        yield Socket(
            "unix",
            int(inode),
            "listen" if listening else "established" if int(state, 16) == _CONNECTED else "close",
            type=TYPES.get(int(kind, 16), str(int(kind, 16))),
            path=None if name is None else printable(name),
            abstract=name is not None and name.startswith(b"@"),
        )
