"""Text that the kernel gives of networks, as it may come: hostile names, rows of other kernels, both byte orders."""

from __future__ import annotations

import struct

from nsview.host.content import network_files
from nsview.host.content.ipc import SemaphoreSet
from nsview.host.content.routes import Hop
from nsview.host.content.sockets import parse_network, parse_packet, parse_unix
from nsview.host.content.unix_sockets import decoded
from nsview.host.content.user import Extent, UserContent, outside
from nsview.host.content.visitor import as_ours

TITLE = b"Num       RefCount Protocol Flags    Type St Inode Path\n"
ROW = b"0000000000000000: 00000002 00000000 %s %s %s %5d"


def words(number: bytes) -> str:
    """The hexadecimal of an address as the kernel of this machine prints it: 32-bit words in its own order."""
    return "".join(f"{word:08X}" for word in struct.unpack(f"={len(number) // 4}I", number))


def test_addresses_are_read_in_the_order_of_this_machine():
    local, peer = words(bytes([10, 1, 2, 3])), words(bytes([127, 0, 0, 1]))
    line = f"   0: {local}:0050 {peer}:1F90 01 0000000A:0000000B 00:00000000 00000000  1000        0 4711 1 x\n"
    [one] = parse_network(b"title\n" + line.encode(), "tcp", 4)
    assert (one.address, one.port, one.peer_address, one.peer_port) == ("10.1.2.3", 80, "127.0.0.1", 8080)
    assert (one.state, one.uid, one.inode, one.send_queue, one.receive_queue) == ("established", 1000, 4711, 10, 11)


def test_a_state_that_nobody_has_named_yet_is_its_number():
    local = words(bytes(15) + b"\1")
    line = f"   0: {local}:0050 {local}:0000 63 00000000:00000000 00:00000000 00000000  0        0 7 1 x\n"
    [one] = parse_network(b"title\n" + line.encode(), "udp", 6)
    assert (one.address, one.state) == ("::1", "99")


def test_packet_sockets():
    text = b"title\nffff8880 3      3    0003   2     1 2304   0      6301192\n"
    [one] = parse_packet(text)
    assert (one.type, one.port, one.link, one.inode, one.receive_queue) == ("raw", 3, 2, 6301192, 2304)


def test_a_name_with_a_newline_stays_one_socket():
    text = TITLE + ROW % (b"00010000", b"0001", b"01", 11) + b" @one\nstill one\n\x1b[2J\n"
    text += ROW % (b"00000000", b"0002", b"01", 12) + b"\n" + ROW % (b"00000000", b"0005", b"03", 13) + b" /path\n"
    one, two, three = parse_unix(text)
    assert (one.path, one.state, one.type, one.abstract) == (r"@one\nstill one\n\x1b[2J", "listen", "stream", True)
    assert (two.path, two.state, two.type) == (None, "close", "dgram")
    assert (three.path, three.state, three.type, three.abstract) == ("/path", "established", "seqpacket", False)


def unix_message(name: bytes | None, is_path: bool) -> memoryview:
    """What the kernel dumps of a listening socket with inode 9 (linux/unix_diag.h)."""
    message = struct.pack("=BBBBIQ", 1, 1, 10, 0, 9, 0)
    if name is not None:
        message += struct.pack("=HH", 4 + len(name), 0) + name + bytes(-len(name) % 4)
    if is_path:
        message += struct.pack("=HHII", 12, 1, 5, 6)
    return memoryview(message)


def test_an_abstract_name_never_passes_for_a_path():
    path, abstract = decoded(unix_message(b"/run/x\0", True)), decoded(unix_message(b"\0/run/x", False))
    assert (path.path, path.abstract) == ("/run/x", False)
    assert (abstract.path, abstract.abstract) == ("@/run/x", True)
    unnamed = decoded(unix_message(None, False))
    assert (unnamed.path, unnamed.abstract, unnamed.state) == (None, False, "listen")


def test_links_of_the_file_have_their_names_and_counters():
    text = b"title\ntitle\n a\xff\x1b: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
    [link] = network_files.links(text)
    assert link.name == r"a\xff\x1b"
    assert link.counters == {
        "rx_bytes": 1, "rx_packets": 2, "rx_errors": 3, "rx_dropped": 4, "multicast": 8,
        "tx_bytes": 9, "tx_packets": 10, "tx_errors": 11, "tx_dropped": 12, "collisions": 14,
    }  # fmt: skip


def test_routes_of_the_file():
    def row(name: str, *numbers: str) -> str:
        return f"{name}\t" + "\t".join(numbers) + "\n"

    gateway, net, mask = (words(bytes(four)) for four in ((10, 0, 0, 1), (10, 9, 0, 0), (255, 255, 0, 0)))
    text = "title\n" + row("eth0", "00000000", gateway, "0003", "0", "0", "100", "00000000", "0", "0", "0")
    text += row("*", net, "00000000", "0001", "0", "0", "7", mask, "0", "0", "0")
    default, blackhole = network_files.routes(text.encode())
    assert (default.destination, default.hops, default.metric) == ("default", (Hop("10.0.0.1", None, "eth0"),), 100)
    assert (blackhole.destination, blackhole.hops) == ("10.9.0.0/16", ())


def test_what_is_not_there_is_unknown_and_not_nothing():
    assert network_files.links(None) is None
    assert network_files.routes(None) is None
    assert network_files.addresses(None, None) is None
    assert network_files.addresses(b"", None) == ()


MAPS = UserContent((Extent(0, 1000, 1), Extent(1, 100000, 65536)), (Extent(0, None, 5),), False)


def test_ids_from_inside_become_ours():
    assert [outside(MAPS.uid_map, number) for number in (0, 1, 65536, 65537)] == [1000, 100000, 165535, None]
    assert outside(MAPS.gid_map, 3) is None


def test_ids_of_a_content_are_ours_wherever_they_stand():
    inside = SemaphoreSet(key=1, id=2, mode=3, uid=0, gid=0, creator_uid=5, count=6)
    assert as_ours((inside,), MAPS) == (SemaphoreSet(1, 2, 3, 1000, None, 100004, 6),)
