"""A host of our own to connect children to: a process in a network namespace where nobody else is.

Nothing is ever sent to an address outside the namespaces made here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from apart import apart, call
from leftovers import Census
from running import read_all

from nsview.network import Connector
from spawner import Child, Spec, Stdio, launch
from spawner.oci import Veth

T = TypeVar("T")

NETWORK = frozenset({"network"})
V4 = Veth(host_address="10.77.0.1/24", child_address="10.77.0.2/24")
V6 = Veth(host_address="fd77::1/64", child_address="fd77::2/64")
WAITING = ("/bin/cat",)
"""A program that lives until its stdin is closed."""

_NEWNET = 0x40000000

# What runs in a child: connects, tells whom the other sees, and passes on what it answers.
CALLER = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=float(sys.argv[3])) as end:
    print(end.makefile().read(), end="")
"""
# A server for one call: says where it listens, then tells the caller the address it is seen by.
SERVER = """
import socket, sys
with socket.create_server((sys.argv[1], 0), family=socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET) as server:
    print(server.getsockname()[1], flush=True)
    end, address = server.accept()
    with end:
        end.sendall(address[0].encode())
"""


def new_host() -> None:
    """Enter a network namespace of our own, with lo up."""
    call("unshare", _NEWNET)
    run("ip", "link", "set", "lo", "up")


def on_another_host(action: Callable[[], T], first: Callable[[], None] = lambda: None) -> T:
    """Do ``action`` in a process of its own, in a network namespace of its own that it leaves as it found it.

    ``first`` makes that process what it is to be otherwise.
    """

    def there() -> T:
        first()
        new_host()
        census = Census()
        answer = action()
        assert census.difference() == []
        return answer

    return apart(there)


def connected(veth: Veth, args: tuple[str, ...] = WAITING, **fields: Any) -> Child:
    """Launch a child with a veth."""
    spec = Spec(args=args, namespaces=NETWORK, veth=veth, stdio=Stdio.PIPE, **fields)
    return launch(spec, network=Connector())


def run(*words: str) -> str:
    """Run a program to its end and give what it printed; AssertionError if it fails."""
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


def asked(child: Child | None, *words: str) -> Any:
    """What ip(8) says, of the network namespace of a child or of ours."""
    inside = () if child is None else ("nsenter", "--net", "--target", str(child.pid))
    return json.loads(run(*inside, "ip", "-json", *words) or "[]")


def names(child: Child | None = None) -> set[str]:
    """The links of a child's network namespace, or of ours."""
    return {link["ifname"] for link in asked(child, "link")}


def call_from(child: Child | None, address: str, port: int, patience: float = 5) -> str:
    """Call a server from a child's network namespace, or from ours, and give its answer."""
    inside = () if child is None else ("nsenter", "--net", "--target", str(child.pid))
    return run(*inside, sys.executable, "-c", CALLER, address, str(port), str(patience))


def served(address: str) -> tuple[subprocess.Popen[str], int]:
    """Start a server for one call in our network namespace; it and its port."""
    return _port_of(subprocess.Popen((sys.executable, "-c", SERVER, address), stdout=subprocess.PIPE, text=True))


def served_in(child: Child, address: str) -> tuple[subprocess.Popen[str], int]:
    """The same in a child's network namespace."""
    words = ("nsenter", "--net", "--target", str(child.pid), sys.executable, "-c", SERVER, address)
    return _port_of(subprocess.Popen(words, stdout=subprocess.PIPE, text=True))


def _port_of(server: subprocess.Popen[str]) -> tuple[subprocess.Popen[str], int]:
    assert server.stdout is not None
    return server, int(server.stdout.readline())


def ended(server: subprocess.Popen[str]) -> None:
    """Close a server that has been called."""
    with server:
        assert server.wait(5) == 0


def said(child: Child) -> str:
    """All that a child on pipes printed, once it has ended well."""
    assert child.stdout is not None
    assert child.stderr is not None
    text, errors = read_all(child.stdout), read_all(child.stderr)
    ended_as = child.wait()
    assert ended_as is not None
    assert ended_as.status == 0, errors
    return text


def setting(name: str) -> str:
    """A sysctl of our network namespace; its parts are separated by / for links have dots in their names."""
    return Path("/proc/sys/net", name).read_text().strip()
