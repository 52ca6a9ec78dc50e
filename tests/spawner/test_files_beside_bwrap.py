"""The same operations beside the same options of bwrap(1): the same root."""

from __future__ import annotations

import pytest
from rooms import LISTING, by_bwrap, room
from running import output

from spawner.oci import Bind, Chmod, Dev, Dir, FileOperation, Proc, Symlink, Tmpfs

pytestmark = pytest.mark.needs_root

PROC = Proc(destination="/proc")


SIDE_BY_SIDE: dict[str, tuple[tuple[FileOperation, ...], str]] = {
    "empty": ((), ""),
    "dirs": (
        (Dir(destination="/a/b/c"), Dir(destination="/p/q", mode=0o700), Dir(destination="/g/h", mode=0o750)),
        "--dir /a/b/c --perms 0700 --dir /p/q --perms 0750 --dir /g/h",
    ),
    "tmpfs": (
        (Tmpfs(destination="/t"), Tmpfs(destination="/u/v", mode=0o1777), Dir(destination="/t/x")),
        "--tmpfs /t --perms 1777 --tmpfs /u/v --dir /t/x",
    ),
    "binds": (
        (
            Bind(source="/etc/hostname", destination="/host"),
            Bind(source="/etc/security", destination="/z", read_only=True),
            Bind(source="/no/such", destination="/n/m", optional=True),
        ),
        "--bind /etc/hostname /host --ro-bind /etc/security /z --bind-try /no/such /n/m",
    ),
    "links": (
        (Symlink(target="a/b", destination="/l"), Dir(destination="/m"), Symlink(target="/x", destination="/m/n")),
        "--symlink a/b /l --dir /m --symlink /x /m/n",
    ),
    "chmod": (
        (Dir(destination="/a"), Chmod(destination="/a", mode=0o701)),
        "--dir /a --chmod 0701 /a",
    ),
}


# The same options of bwrap(1) make the same root, but for parents of mount points and links: it gives them mode 700.
@pytest.mark.needs("bwrap")
@pytest.mark.parametrize("case", SIDE_BY_SIDE)
def test_root_is_as_bwrap_makes_it(case: str) -> None:
    mounts, options = SIDE_BY_SIDE[case]
    assert output(room(LISTING, *mounts)) == by_bwrap(LISTING, *options.split())


@pytest.mark.needs("bwrap")
def test_dev_is_as_bwrap_makes_it_but_for_shm() -> None:
    ours = output(room(LISTING, PROC, Dev(destination="/dev"))).splitlines()
    theirs = by_bwrap(LISTING, "--proc", "/proc", "--dev", "/dev").splitlines()
    assert set(ours) - set(theirs) == {"/dev/shm d 1777 "}
    assert [line.split()[0] for line in ours] == [line.split()[0] for line in theirs]
