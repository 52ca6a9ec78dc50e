"""Each namespace, seen from inside the child and from outside."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from apart import apart, mount, own_mounts
from running import EVERY_KIND, EVERYTHING, PLANNING, output, shell

from spawner import IDMapping, Mechanism, Spec, Stdio, TimeOffset, launch
from spawner.namespaces import KINDS

pytestmark = pytest.mark.needs_root


def link(kind: str, process: str = "self") -> int:
    return int(os.readlink(f"/proc/{process}/ns/{kind}").split("[")[1].rstrip("]"))


@pytest.mark.parametrize("via", PLANNING)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.proc)
def test_only_the_namespace_asked_for_is_new(kind, via, nothing_left):
    spec = shell("cd /proc/self/ns; for n in mnt net pid user uts ipc cgroup time; do readlink $n; done")
    spec = replace(spec, namespaces=frozenset({kind.name}), via=via)
    with launch(spec) as child:
        reported = child.namespaces
    seen = dict(line.rstrip("]\n").split(":[") for line in output(spec).splitlines())
    for other in KINDS:
        ours = link(other.proc)
        if other is kind:
            assert int(seen[other.proc]) != ours
            assert reported[other.name] != ours
        else:
            assert int(seen[other.proc]) == ours
            assert reported[other.name] == ours


@pytest.mark.parametrize("via", PLANNING)
def test_the_reported_namespaces_are_those_of_the_living_child(via, nothing_left):
    with launch(replace(EVERYTHING, args=("/bin/sleep", "60"), via=via)) as child:
        assert child.namespaces == {kind.name: link(kind.proc, str(child.pid)) for kind in KINDS}
        assert all(child.namespaces[kind.name] != link(kind.proc) for kind in KINDS)


def test_a_child_that_has_long_ended_still_tells_its_namespaces(nothing_left):
    with launch(replace(EVERYTHING, args=("/bin/true",))) as child:
        child.wait()
        assert None not in child.namespaces.values()


@pytest.mark.parametrize("via", PLANNING)
def test_host_and_domain_name_are_set_inside_only(via, nothing_left):
    before = socket.gethostname()
    spec = shell("hostname; cat /proc/sys/kernel/domainname", namespaces=frozenset({"uts"}), via=via)
    spec = replace(spec, hostname="demo", domainname="example.net")
    assert output(spec).split() == ["demo", "example.net"]
    assert socket.gethostname() == before


@pytest.mark.parametrize("via", PLANNING)
def test_child_of_a_new_pid_namespace_is_pid_1_and_sees_itself_alone(via, nothing_left):
    spec = shell("echo $$; set -- /proc/[0-9]*; echo $#", via=via)
    spec = replace(spec, namespaces=frozenset({"pid", "mount"}), mount_proc="/proc")
    pid, processes = output(spec).split()
    assert pid == "1"
    assert processes == "1"


@pytest.mark.parametrize("via", PLANNING)
def test_mounts_inside_do_not_reach_us(via, nothing_left, tmp_path):
    before = Path("/proc/self/mountinfo").read_bytes()
    spec = shell(f"mount -t tmpfs none {tmp_path} && touch {tmp_path}/x && ls {tmp_path}", via=via)
    assert output(replace(spec, namespaces=frozenset({"mount"}))) == "x\n"
    assert list(tmp_path.iterdir()) == []
    assert Path("/proc/self/mountinfo").read_bytes() == before


@pytest.mark.parametrize(("propagation", "mark"), [("shared", "shared:"), ("private", ""), ("slave", "")])
def test_propagation_of_the_new_mounts_is_as_asked(propagation, mark, nothing_left):
    spec = shell("grep ' / / ' /proc/self/mountinfo", namespaces=frozenset({"mount"}), rootfs_propagation=propagation)
    optional = output(spec).split(" - ")[0].split()[6:]
    assert optional == [] if not mark else optional[0].startswith(mark)


@pytest.mark.parametrize(("asked", "flags"), [(True, "UP"), (False, "")])
def test_lo_is_up_unless_left_down(asked, flags, nothing_left):
    spec = shell("cat /sys/class/net/lo/flags || ip -o link show lo", namespaces=frozenset({"network"}))
    text = output(replace(spec, args=("/bin/sh", "-c", "ip -o link show lo"), loopback=asked))
    assert ("UP" in text.split("<")[1].split(">")[0].split(",")) is asked


def test_a_server_on_the_new_lo_answers_inside_and_not_outside(nothing_left):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        spec = shell(f"(exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null && echo open || echo closed")
        spec = replace(spec, args=("/bin/bash", *spec.args[1:]))
        assert output(spec) == "open\n"
        assert output(replace(spec, namespaces=frozenset({"network"}))) == "closed\n"


def uptime(line: str) -> Decimal:
    """Seconds as the kernel wrote them: a float's sum is not always the nearest float."""
    return Decimal(line.split()[0])


@pytest.mark.parametrize("via", PLANNING)
def test_clocks_are_ahead_by_the_offsets_inside_only(via, nothing_left):
    offsets = (("boottime", TimeOffset(86400, 500)), ("monotonic", TimeOffset(-5)))
    spec = shell("cat /proc/self/timens_offsets; cat /proc/uptime", namespaces=frozenset({"time"}), via=via)
    before = uptime(Path("/proc/uptime").read_text())
    lines = output(replace(spec, time_offsets=offsets)).splitlines()
    after = uptime(Path("/proc/uptime").read_text())
    assert [line.split() for line in lines[:2]] == [["monotonic", "-5", "0"], ["boottime", "86400", "500"]]
    assert before + 86400 <= uptime(lines[2]) <= after + 86400 + Decimal("0.02")


@pytest.mark.parametrize("via", PLANNING)
@pytest.mark.parametrize(("inside", "name"), [(0, "root"), (1234, "another")])
def test_single_id_map_is_written_and_read_back(via, inside, name, nothing_left):
    spec = shell("id -u; id -g; cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups", via=via)
    spec = replace(
        spec,
        namespaces=frozenset({"user"}),
        uid_mappings=(IDMapping(inside, 0),),
        gid_mappings=(IDMapping(inside, 0),),
    )
    lines = [line.split() for line in output(spec).splitlines()]
    assert lines == [[str(inside)], [str(inside)], [str(inside), "0", "1"], [str(inside), "0", "1"], ["deny"]]


def test_ipc_objects_of_ours_are_not_seen_inside(nothing_left):
    made = subprocess.run(["ipcmk", "-Q"], check=True, capture_output=True, text=True).stdout.split()[-1]
    try:
        spec = shell("tail -n +2 /proc/sysvipc/msg | awk '{print $2}'")
        assert made in output(spec).split()
        assert output(replace(spec, namespaces=frozenset({"ipc"}))) == ""
    finally:
        subprocess.run(["ipcrm", "-q", made], check=True)


def test_cgroup_namespace_makes_our_group_the_root(nothing_left):
    text = output(shell("cat /proc/self/cgroup", namespaces=frozenset({"cgroup"})))
    assert {line.split(":", 2)[2] for line in text.splitlines()} == {"/"}


@pytest.mark.parametrize("via", PLANNING)
def test_all_eight_at_once(via, nothing_left):
    spec = shell("readlink /proc/self/ns/*", namespaces=EVERY_KIND, via=via)
    ours = {os.readlink(f"/proc/self/ns/{kind.proc}") for kind in KINDS}
    assert not ours & set(output(spec).split())


def test_namespace_flags_may_be_given_among_the_clone_flags(nothing_left):
    by_name = Spec(args=("/bin/sleep", "60"), namespaces=frozenset({"uts"}))
    by_flag = Spec(args=("/bin/sleep", "60"), clone_flags=0x04000000)
    with launch(by_name) as first, launch(by_flag) as second:
        assert first.plan.asked == second.plan.asked == {"uts"}
        assert len({first.namespaces["uts"], second.namespaces["uts"], link("uts")}) == 3


def test_auto_is_clone3_here():
    with launch(Spec(args=("/bin/true",))) as child:
        assert child.plan.mechanism is Mechanism.CLONE3


# Go TestUnshareMountNameSpaceChroot: a process in a chroot gives its child mounts that are its own
@pytest.mark.needs("busybox")
@pytest.mark.parametrize("via", PLANNING)
def test_mounts_of_a_child_of_a_chroot_do_not_reach_it(via, nothing_left, tmp_path):
    shutil.copy("/bin/busybox", tmp_path / "busybox")
    for name in ("proc", "there"):
        (tmp_path / name).mkdir()

    def run():
        own_mounts()
        mount(str(tmp_path), str(tmp_path), None, 0x1000)  # a root that is a mount, as propagation wants it
        os.chroot(tmp_path)
        os.chdir("/")
        text = "/busybox mount -t tmpfs none /there && echo made > /there/file && /busybox cat /there/file"
        spec = Spec(args=("/busybox", "sh", "-c", text), namespaces=frozenset({"mount"}), stdio=Stdio.PIPE, via=via)
        return output(spec), os.listdir("/there")

    assert apart(run) == ("made\n", [])
