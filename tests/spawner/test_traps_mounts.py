"""New mount namespaces keep what is mounted inside to themselves, also where the host's mounts are shared."""

from __future__ import annotations

from pathlib import Path

import pytest
from apart import MS_SHARED, apart, mount, own_mounts
from running import PLANNING, output, shell

from spawner import LaunchError, Mechanism, Spec, Stdio, launch

pytestmark = pytest.mark.needs_root


def inside_and_outside(via: Mechanism, propagation: str, directory: Path) -> tuple[int, int]:
    """How often ``directory`` is a mount point in the child that mounts on it, and in us, whose mounts are shared."""

    def run() -> tuple[int, int]:
        own_mounts(MS_SHARED)
        spec = shell(
            f"mount -t tmpfs none {directory} && grep -c ' {directory} ' /proc/self/mountinfo",
            namespaces=frozenset({"mount"}),
            rootfs_propagation=propagation,
            via=via,
        )
        inside = int(output(spec))
        return inside, Path("/proc/self/mountinfo").read_text().count(f" {directory} ")

    return apart(run)


# golang/go#19661: a clone of shared mounts is their peer: what the child mounts appears on a systemd host
@pytest.mark.parametrize("propagation", ["private", "slave"])
@pytest.mark.parametrize("via", PLANNING)
def test_mounts_inside_do_not_reach_shared_mounts_outside(via: Mechanism, propagation: str, tmp_path: Path) -> None:
    assert inside_and_outside(via, propagation, tmp_path) == (1, 0)


def test_private_is_what_one_gets_without_asking(tmp_path: Path) -> None:
    assert inside_and_outside(Mechanism.AUTO, Spec(args=("x",)).rootfs_propagation, tmp_path) == (1, 0)


# mount_namespaces(7): asked for by name, it is what one gets
@pytest.mark.parametrize("propagation", ["shared", "unchanged"])
@pytest.mark.parametrize("via", PLANNING)
def test_mounts_inside_reach_shared_mounts_outside_if_asked_to(
    via: Mechanism, propagation: str, tmp_path: Path
) -> None:
    assert inside_and_outside(via, propagation, tmp_path) == (1, 1)


# a fresh /proc is a mount too
@pytest.mark.parametrize("via", PLANNING)
def test_proc_mounted_inside_leaves_shared_mounts_outside_alone(via: Mechanism) -> None:
    def run() -> tuple[bytes, bytes]:
        own_mounts(MS_SHARED)
        before = Path("/proc/self/mountinfo").read_bytes()
        namespaces = frozenset({"mount", "pid"})
        with launch(shell("true", namespaces=namespaces, mount_proc="/proc", via=via)) as child:
            child.wait()
        return before, Path("/proc/self/mountinfo").read_bytes()

    before, after = apart(run)
    assert after == before


# "a host file or mount changed by a failed launch": never
@pytest.mark.parametrize("via", PLANNING)
def test_a_failed_launch_leaves_the_mounts_as_they_were(via: Mechanism, tmp_path: Path) -> None:
    def run() -> tuple[bytes, bytes]:
        own_mounts(MS_SHARED)
        mount("none", str(tmp_path), "tmpfs")
        before = Path("/proc/self/mountinfo").read_bytes()
        spec = Spec(args=("/no/such",), namespaces=frozenset({"mount", "pid"}), stdio=Stdio.NULL, via=via)
        for mount_proc in ("/proc", "/no/such/place", str(tmp_path)):
            with pytest.raises(LaunchError):
                launch(Spec(args=spec.args, namespaces=spec.namespaces, mount_proc=mount_proc, via=via))
        return before, Path("/proc/self/mountinfo").read_bytes()

    before, after = apart(run)
    assert after == before
