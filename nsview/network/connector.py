"""The engine's Networker: a veth pair from the host to a waiting child, whole or not at all."""

from __future__ import annotations

import os
from contextlib import ExitStack

from nsview.network.entry import inside, namespace_of
from spawner.oci import Veth
from spawner.plan import Held, Undo


class Connector:
    """Makes links by rtnetlink and masquerades by nftables, both through pyroute2."""

    def connect(self, held: Held, veth: Veth) -> Undo:
        """Connect ``held`` as ``veth`` says and answer what takes it all away again.

        Blocks until both ends are up and everything has been read back from the kernel. Raises OSError or LaunchError,
        after which nothing is left; so does what it answers, once it has taken away what it could.
        """
        with ExitStack() as undone:
            host = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            undone.callback(os.close, host)
            child = namespace_of(held.pidfd, "net")
            try:
                # In a thread of its own, so that an interrupt finds it done or undone, never half done.
                inside(host, lambda: _make(veth, host, child, undone))
            finally:
                os.close(child)
            taken_away = undone.pop_all()
        return taken_away.close


def _make(veth: Veth, host: int, child: int, undone: ExitStack) -> None:
    """Make everything, from within the host's network namespace; how to take it away is noted as it comes to be."""
    from nsview.network import masquerade, pair  # pyroute2 is slow to import, and few launches have a veth

    masquerade.sweep(asked=veth.masquerade)
    made = pair.make(veth, child)
    undone.callback(lambda: inside(host, lambda: pair.remove(made)))
    pair.configure(made.host)
    inside(child, lambda: pair.configure(made.child))
    pair.check(made.host)
    inside(child, lambda: pair.check(made.child))
    if veth.masquerade:
        undone.callback(lambda: inside(host, lambda: masquerade.remove(made)))
        masquerade.add(made)
