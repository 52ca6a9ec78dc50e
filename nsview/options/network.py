"""Options for a new network namespace: its loopback, and a pair of links to the host."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from nsview.options import words
from nsview.options.option import ON, Option, refuse
from spawner import Spec
from spawner.oci import Veth

TITLE = "network"


def _veth(text: str) -> Veth:
    from ipaddress import ip_interface  # few launches need it

    host, comma, child = text.partition(",")
    try:
        both = [ip_interface(address) for address in (host, child)]
    except ValueError as error:
        raise words.Refused(f"{text!r} is no HOST/LEN,CHILD/LEN, as 10.9.8.1/24,10.9.8.2/24: {error}") from None
    if not comma or both[0].version != both[1].version:
        raise words.Refused(f"{text!r}: one address is of IPv4, the other of IPv6")
    if both[0].ip == both[1].ip:
        raise words.Refused(f"{text!r}: both ends have the same address")
    return Veth(host_address=host, child_address=child)


OPTIONS: tuple[Option, ...] = (
    Option(("--no-loopback",), "leave lo down in a new network namespace", ON),
    Option(
        ("--veth",),
        "a pair of links with these addresses (a new network namespace is implied), the default route by the host's",
        {"metavar": "HOST/LEN,CHILD/LEN", "type": _veth},
    ),
    Option(("--masquerade",), "let the other end of --veth reach what the host reaches, behind its addresses", ON),
)


def fields(asked: argparse.Namespace, base: Spec) -> dict[str, Any]:
    """What these options make of a Spec."""
    veth: Veth | None = asked.veth or base.veth
    if asked.masquerade and veth is None:
        refuse("--masquerade without --veth has no addresses to hide", "add --veth HOST/LEN,CHILD/LEN")
    if veth is not None and asked.masquerade:
        veth = replace(veth, masquerade=True)
    implied = {"network"} if asked.veth else set()
    return {
        "loopback": base.loopback and not asked.no_loopback,
        "veth": veth,
        "namespaces": base.namespaces | implied,
    }
