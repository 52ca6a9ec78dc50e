"""A fault at any point of a launch that asks for everything there is: typed, undone, nothing of the host changed."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import fields, replace
from pathlib import Path

import pytest
from apart import MNT_DETACH, call
from leftovers import until
from running import EVERY_KIND, PLANNING, ended

from nsview.network import Connector
from spawner import IDMapping, LaunchError, Plan, Spec, Stdio, TimeOffset, compile_spec, launch, oci
from spawner.plan import Bearing


def everything(host: Path, **given: object) -> Spec:
    """A Spec in which every field asks for something, but those that exclude what others ask for."""
    for name in ("kept", "source", "upper", "work", "lower"):
        (host / name).mkdir()
    (host / "lower" / "file").write_text("of the host\n")
    spec = Spec(
        args=("/bin/true",),
        env=(("PATH", "/usr/bin:/bin"),),
        cwd="/tmp",
        argv0="called",
        namespaces=EVERY_KIND,
        keep=(oci.Keep("uts", str(host / "kept" / "uts")),),
        hostname="demo",
        domainname="example",
        time_offsets=(("monotonic", TimeOffset(1000)), ("boottime", TimeOffset(86400))),
        veth=oci.Veth(host_address="10.213.7.1/30", child_address="10.213.7.2/30"),
        uid_mappings=(IDMapping(0, 0, 1000), IDMapping(1000, 200000, 100)),
        gid_mappings=(IDMapping(0, 0, 1000), IDMapping(1000, 200000, 100)),
        setgroups="allow",
        user=oci.User(uid=1, gid=2, additional_gids=(3,), umask=0o27),
        rootfs_propagation="slave",
        mounts=(
            oci.Bind(source="/", destination="/", read_only=True),
            oci.Tmpfs(destination="/tmp", size=1 << 20, mode=0o1777),
            oci.Proc(destination="/proc"),
            oci.Dev(destination="/dev"),
            oci.Mqueue(destination="/tmp/mqueue"),
            oci.Dir(destination="/tmp/a/b"),
            oci.File(destination="/tmp/a/file", content=b"text\n"),
            oci.File(destination="/tmp/bound", content=b"bound\n", bound=True, read_only=True),
            oci.Symlink(target="a", destination="/tmp/link"),
            oci.Chmod(destination="/tmp/a", mode=0o700),
            oci.Bind(source=str(host / "source"), destination="/tmp/source", devices=True),
            oci.Bind(source="/nowhere", destination="/tmp/nowhere", optional=True),
            oci.Overlay(destination="/tmp/over", lower=(str(host / "lower"),)),
            oci.Overlay(destination="/tmp/read", lower=(str(host / "lower"), str(host / "source")), read_only=True),
            oci.RemountReadOnly(destination="/tmp/source"),
        ),
        masked_paths=("/proc/kcore", "/proc/acpi", "/nowhere"),
        readonly_paths=("/proc/sys", "/nowhere"),
        rlimits=(oci.Rlimit("RLIMIT_NOFILE", 256, 256), oci.Rlimit("RLIMIT_CORE", 0, 0)),
        cgroup=oci.Cgroup(resources=oci.Resources(memory=64 << 20, pids=20, cpus=1.5)),
        nice=5,
        cpu_affinity=frozenset({0}),
        io_priority=oci.IOPriority("IOPRIO_CLASS_BE", 6),
        oom_score_adj=500,
        personality=0x0040000,
        no_new_privs=True,
        capabilities=oci.Capabilities(
            bounding=frozenset({"CAP_NET_BIND_SERVICE"}),
            permitted=frozenset({"CAP_NET_BIND_SERVICE"}),
            effective=frozenset({"CAP_NET_BIND_SERVICE"}),
            inheritable=frozenset({"CAP_NET_BIND_SERVICE"}),
            ambient=frozenset({"CAP_NET_BIND_SERVICE"}),
        ),
        seccomp=(oci.Seccomp("default"),),
        landlock=oci.Landlock(read=("/",), write=("/tmp", "/dev", "/proc")),
        stdio=Stdio.PTY,
        init=True,
        pdeathsig=9,
    )
    return replace(spec, **given)  # type: ignore[arg-type]


LEFT_OUT = {
    "join": "new namespaces of every kind are asked for",
    "rootfs": "a bind on / is the root",
    "rootfs_readonly": "the root is a read-only bind",
    "mount_proc": "mounts has a procfs",
    "keep_caps": "capabilities are asked for by name",
    "scheduler": "nice is asked for, which the scheduler would set too",
    "exit_signal": "the child is waited for",
    "clone_flags": "each is a test of its own",
    "check": "nothing is refused",
    "window": "its default will do",
    "new_session": "a terminal of its own implies it",
    "loopback": "it is on",
    "via": "each is tried",
}


def tree_of(host: Path) -> list[tuple[str, int, int, int, bytes]]:
    """Everything below a directory of the host: name, mode, owner, times of change apart, content."""
    found = []
    for path in sorted(host.rglob("*")):
        seen = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(seen.st_mode) else b""
        found.append((str(path), seen.st_mode, seen.st_uid, seen.st_gid, content))
    return found


def points(plan: Plan) -> list[int | str]:
    """Every point where a fault may not be passed over: what the parent does, and steps by their index."""
    ours: list[int | str] = [row.label for row in plan.preparations]
    ours += [row.label for row in plan.actions]
    return ours + [i for i, step in enumerate(plan.steps) if not step.bearing & Bearing.TOLERATE_ALL]


def test_the_spec_asks_for_everything_there_is(tmp_path: Path) -> None:
    spec, plain = everything(tmp_path), Spec(args=("x",))
    silent = {field.name for field in fields(Spec) if getattr(spec, field.name) == getattr(plain, field.name)}
    assert silent <= LEFT_OUT.keys()


@pytest.mark.needs("root")
@pytest.mark.parametrize("via", PLANNING)
def test_a_fault_anywhere_is_named_and_leaves_nothing(via, tmp_path, nothing_left):
    spec = everything(tmp_path, via=via)
    network = Connector()
    plan = compile_spec(spec)
    before = tree_of(tmp_path)
    mounts = Path("/proc/self/mountinfo").read_bytes()
    with launch(plan, network=network) as child:
        assert child.wait().code == 0
        made = {event.index for event in child.timeline}
    kept = tmp_path / "kept" / "uts"
    call("umount2", os.fsencode(kept), MNT_DETACH)
    kept.unlink()
    tried = 0
    for point in points(plan):
        if isinstance(point, int) and point not in made:
            continue
        with pytest.raises(LaunchError) as caught:
            launch(plan, inject=(point, errno.EDQUOT), network=network).close()
        label = point if isinstance(point, str) else plan.steps[point].label
        assert (caught.value.step, caught.value.errno) == (label, errno.EDQUOT)
        assert caught.value.index == (None if isinstance(point, str) else point)
        tried += 1
    assert tried > 200
    assert nothing_left.difference() == []
    assert Path("/proc/self/mountinfo").read_bytes() == mounts
    assert tree_of(tmp_path) == before


@pytest.mark.needs("root")
def test_death_anywhere_is_named_and_leaves_nothing(tmp_path, nothing_left):
    network = Connector()
    plan = compile_spec(everything(tmp_path, keep=()), hold=True)
    before = tree_of(tmp_path)
    mounts = Path("/proc/self/mountinfo").read_bytes()
    stops = []
    with launch(plan, hold=0, network=network) as child:
        while child.held is not None:
            stops.append(child.held)
            child.step()
        assert child.wait().code == 0
    assert len(stops) > 200
    for index in stops:
        with launch(plan, hold=index, network=network) as child:
            assert child.held == index
            child.signal(9)
            assert until(lambda: ended(child.pidfd))  # process 1 takes all others with it
            with pytest.raises(LaunchError) as caught:
                child.resume()
        assert (caught.value.errno, caught.value.index) == (None, index)
    assert nothing_left.difference() == []
    assert Path("/proc/self/mountinfo").read_bytes() == mounts
    assert tree_of(tmp_path) == before
