"""Links between a launched child's network and the host's: what the engine asks a Networker for.

Importing this is cheap: pyroute2 is imported when the first veth is asked for.
"""

from nsview.network.connector import Connector

__all__ = ["Connector"]
