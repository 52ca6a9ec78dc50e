"""Types of the native search; the layout of targets and rows is in holders.py."""

TARGET_SIZE: int
ROW_SIZE: int

def descriptors(targets: bytes, sockets: bool) -> tuple[bytes, int, int, int, int, int]: ...
def tasks(targets: bytes) -> tuple[bytes, int, int, int, int, int]: ...
