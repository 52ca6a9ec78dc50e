"""Batches of datagrams from the kernel (_datagrams.c)."""

def receive(fd: int, buffer: bytearray, size: int, /) -> tuple[list[bytes], int, bool]:
    """Take what waits on a netlink socket: the kernel's datagrams, how many there were of anybody, whether some
    were dropped.
    """
