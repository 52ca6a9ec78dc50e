"""Whether the kernel passes packets on that come in by a link: per link, the least that masquerading takes.

A packet is forwarded where the link it came in by is set so: net.ipv4.conf.LINK.forwarding (net/ipv4/route.c,
ip_route_input_slow), and for IPv6 net.ipv6.conf.LINK.force_forwarding (net/ipv6/ip6_output.c, ip6_forward; older
kernels lack it and know only the whole machine's). So the child's requests need the veth's, and the answers that of the
link they come back by. All functions are about the network namespace of the calling thread.
"""

from __future__ import annotations

from pathlib import Path

from spawner.errors import LaunchError
from spawner.parts.network import VETH

_CONF = {4: "/proc/sys/net/ipv4/conf", 6: "/proc/sys/net/ipv6/conf"}
_FILE = {4: "forwarding", 6: "force_forwarding"}


def everywhere(version: int) -> bool:
    """Whether the host forwards whatever link a packet of IP ``version`` came in by, by its own choice."""
    return Path(_CONF[version], "all", "forwarding").read_text().strip() != "0"


def on(version: int, name: str) -> bool:
    """Whether packets of IP ``version`` that come in by the link are forwarded."""
    if version == 6 and everywhere(6):
        return True
    path = Path(_CONF[version], name, _FILE[version])
    try:
        return path.read_text().strip() != "0"
    except FileNotFoundError:
        return False


def switch(version: int, name: str, *, wanted: bool) -> None:
    """Set it, and read back that it is so. LaunchError where this kernel cannot say it of one link."""
    if version == 6 and wanted and everywhere(6):
        return
    path = Path(_CONF[version], name, _FILE[version])
    try:
        path.write_text("1" if wanted else "0")
    except FileNotFoundError as error:
        raise LaunchError(
            VETH,
            errno=error.errno,
            path=str(path),
            cause=f"this kernel cannot let a single link forward IPv{version}",
            remedy=f"let all do it, sysctl -w net.ipv{version}.conf.all.forwarding=1, or leave masquerade out",
        ) from error
    if on(version, name) != wanted:
        raise LaunchError("read back veth", path=str(path), cause=f"{int(wanted)} was written, and it is not so")
