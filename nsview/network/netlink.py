"""pyroute2's sockets, their errors as OSError: the kernel's errno and what it was about."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.nftables.main import NFTables

__all__ = ["NetlinkError", "errors", "nftables", "rtnetlink"]


@contextmanager
def rtnetlink() -> Iterator[Any]:
    """A socket for links, addresses and routes of the calling thread's network namespace."""
    with errors(), IPRoute() as socket:
        yield socket


@contextmanager
def nftables(family: int) -> Iterator[Any]:
    """A socket for the tables of a family (NFPROTO_*) in the calling thread's network namespace."""
    with errors():
        socket = NFTables(nfgen_family=family)
        try:
            yield socket
        finally:
            socket.close()


@contextmanager
def errors() -> Iterator[None]:
    """Raise what the kernel answered as OSError."""
    try:
        yield
    except NetlinkError as error:
        raise OSError(error.code, os.strerror(error.code)) from error
