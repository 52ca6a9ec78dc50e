"""Trials for nsview doctor: what a veth and its masquerade take, done in a network namespace that is thrown away."""

from __future__ import annotations

from ipaddress import ip_interface

from nsview.network import masquerade
from nsview.network.netlink import nftables, rtnetlink
from nsview.network.pair import End

_END = End("lo", 1, ip_interface("10.0.0.1/24"), ip_interface("10.0.0.2/24"), gateway=False)


def make_pair() -> None:
    """Make a pair of links; OSError says why not."""
    with rtnetlink() as links:
        links.link("add", ifname="nsv-0", kind="veth", peer={"ifname": "nsv-1"})


def make_rules() -> None:
    """Write the table of a masquerade with a lent link, and read it back; OSError says why not."""
    with nftables(2) as tables:
        masquerade.write(tables, _END, {1: "lo"})
        masquerade.compare(tables, _END, {1: "lo"})
