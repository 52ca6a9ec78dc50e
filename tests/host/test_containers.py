"""Whose a group is, by the paths that engines are documented to make."""

from __future__ import annotations

import pytest

from nsview.host.containers import Container, container_of

ID = "3f2a91c07b5e" + "0" * 52
OTHER = "c0ffee00c0de" + "1" * 52
POD = "6f3e2a10-9b7c-4d5e-8f90-1a2b3c4d5e6f"
POD_UNIT = POD.replace("-", "_")
KUBEPODS = "/kubepods.slice/kubepods-burstable.slice"

CONTAINERS = [
    # Docker: cgroupfs and systemd drivers, --cgroup-parent, docker in docker.
    (f"/docker/{ID}", "docker", {}),
    (f"/system.slice/docker-{ID}.scope", "docker", {"unit": f"docker-{ID}.scope"}),
    (f"/mine.slice/docker-{ID}.scope", "docker", {"unit": f"docker-{ID}.scope"}),
    (f"/docker/{OTHER}/docker/{ID}", "docker", {}),
    (f"/docker/{ID}/init.scope", "docker", {}),
    # The kubelet: cgroupfs and systemd drivers, with each runtime.
    (f"/kubepods/burstable/pod{POD}/{ID}", "kubernetes", {"pod": POD, "qos": "burstable"}),
    (f"/kubepods/pod{POD}/{ID}", "kubernetes", {"pod": POD, "qos": "guaranteed"}),
    (f"/kubepods/besteffort/pod{POD}/crio-{ID}", "cri-o", {"pod": POD, "qos": "besteffort"}),
    (
        f"{KUBEPODS}/kubepods-burstable-pod{POD_UNIT}.slice/cri-containerd-{ID}.scope",
        "containerd",
        {"pod": POD, "qos": "burstable", "unit": f"cri-containerd-{ID}.scope"},
    ),
    (
        f"{KUBEPODS}/kubepods-burstable-pod{POD_UNIT}.slice/crio-{ID}.scope",
        "cri-o",
        {"pod": POD, "qos": "burstable", "unit": f"crio-{ID}.scope"},
    ),
    (
        f"{KUBEPODS}/kubepods-burstable-pod{POD_UNIT}.slice/crio-conmon-{ID}.scope",
        "cri-o",
        {"pod": POD, "qos": "burstable", "unit": f"crio-conmon-{ID}.scope", "role": "monitor"},
    ),
    (
        f"/kubepods.slice/kubepods-pod{POD_UNIT}.slice/docker-{ID}.scope",
        "docker",
        {"pod": POD, "qos": "guaranteed", "unit": f"docker-{ID}.scope"},
    ),
    (
        f"/system.slice/containerd.service/kubepods-besteffort-pod{POD_UNIT}.slice:cri-containerd:{ID}",
        "containerd",
        {"pod": POD, "qos": "besteffort", "unit": "containerd.service"},
    ),
    (
        f"/docker/{OTHER}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice"
        f"/kubelet-kubepods-burstable-pod{POD_UNIT}.slice/cri-containerd-{ID}.scope",
        "containerd",
        {"pod": POD, "qos": "burstable", "unit": f"cri-containerd-{ID}.scope"},
    ),
    # Podman: root and rootless, payload below a service, in a pod, its monitor.
    (f"/machine.slice/libpod-{ID}.scope", "podman", {"unit": f"libpod-{ID}.scope"}),
    (f"/machine.slice/libpod-{ID}.scope/container", "podman", {"unit": f"libpod-{ID}.scope"}),
    (f"/libpod_parent/libpod-{ID}", "podman", {}),
    (
        f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope",
        "podman",
        {"unit": f"libpod-{ID}.scope"},
    ),
    (f"/system.slice/web.service/libpod-payload-{ID}", "podman", {"unit": "web.service"}),
    (
        f"/machine.slice/machine-libpod_pod_{OTHER}.slice/libpod-{ID}.scope",
        "podman",
        {"pod": OTHER, "unit": f"libpod-{ID}.scope"},
    ),
    (
        f"/machine.slice/libpod-conmon-{ID}.scope",
        "podman",
        {"unit": f"libpod-conmon-{ID}.scope", "role": "monitor"},
    ),
    (f"/system.slice/nerdctl-{ID}.scope", "containerd", {"unit": f"nerdctl-{ID}.scope"}),
    # Any engine that uses ids of this length.
    (f"/ecs/task-1/{ID}", "container", {}),
    (f"/my.slice/thing-{ID}.scope", "container", {"unit": f"thing-{ID}.scope"}),
]


@pytest.mark.parametrize(("path", "engine", "rest"), CONTAINERS, ids=[row[0].replace(ID, "ID") for row in CONTAINERS])
def test_a_container_is_told_by_its_path(path, engine, rest):
    assert container_of([path]) == Container(engine, id=ID, **rest)
    assert container_of([path]).short_id == "3f2a91c07b5e"


NAMED = [
    ("/lxc/web", Container("lxc", given="web")),
    ("/lxc.payload.web", Container("lxc", given="web")),
    ("/lxc.payload/web/init.scope", Container("lxc", given="web")),
    ("/lxc.monitor.web", Container("lxc", given="web", role="monitor")),
    (
        "/machine.slice/systemd-nspawn@arch.service/payload",
        Container("systemd-nspawn", given="arch", unit="systemd-nspawn@arch.service"),
    ),
    (
        r"/machine.slice/machine-my\x2dbox.scope",
        Container("machine", given="my-box", unit="machine-my-box.scope"),
    ),
    (
        r"/machine.slice/machine-qemu\x2d1\x2dvm.scope/libvirt/vcpu0",
        Container("libvirt", given="qemu-1-vm", unit="machine-qemu-1-vm.scope"),
    ),
    (f"/kubepods/burstable/pod{POD}", Container("kubernetes", pod=POD, qos="burstable")),
    (
        f"{KUBEPODS}/kubepods-burstable-pod{POD_UNIT}.slice",
        Container("kubernetes", pod=POD, qos="burstable", unit=f"kubepods-burstable-pod{POD_UNIT}.slice"),
    ),
    ("/system.slice/x.service/nsview-4711-99-1", Container("nsview", given="4711-99-1", unit="x.service")),
]


@pytest.mark.parametrize(("path", "expected"), NAMED, ids=[row[0] for row in NAMED])
def test_what_has_a_name_instead_of_an_id_is_told_too(path, expected):
    assert container_of([path]) == expected


UNITS = [
    ("/system.slice/ssh.service", "ssh.service"),
    ("/user.slice/user-1000.slice/session-3.scope", "session-3.scope"),
    ("/user.slice/user-1000.slice/user@1000.service/app.slice/app-firefox-1.scope", "app-firefox-1.scope"),
    (r"/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service"),
    ("/init.scope", "init.scope"),
    ("/user.slice", "user.slice"),
    (r"/system.slice/dev\x2dlog.socket", "dev-log.socket"),
    (r"/system.slice/caf\xc3\xa9.service", "café.service"),
]


@pytest.mark.parametrize(("path", "unit"), UNITS)
def test_a_unit_of_systemd_is_no_container(path, unit):
    told = container_of([path])
    assert told == Container("systemd", unit=unit)
    assert told.name == unit
    assert not told.is_container


@pytest.mark.parametrize("path", ["/", "/../..", "/a/b", "/docker", "/docker/short", f"/docker/{ID}0", f"/x{ID}", ""])
def test_a_path_of_nobodys_making_tells_nothing(path):
    assert container_of([path]) is None


def test_the_hierarchy_that_knows_counts():
    paths = {"": "/", "memory": f"/docker/{ID}", "name=systemd": "/system.slice/ssh.service"}
    assert container_of(paths) == Container("docker", id=ID)
    assert container_of({"": "/user.slice", "pids": "/nsview-1-2-3"}) == Container("nsview", given="1-2-3")
    assert container_of({}) is None


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (f"/docker/{ID}", "docker 3f2a91c07b5e"),
        (f"/machine.slice/libpod-conmon-{ID}.scope", "podman 3f2a91c07b5e monitor"),
        (f"/kubepods/pod{POD}", f"kubernetes pod {POD}"),
        ("/lxc/web", "lxc web"),
    ],
)
def test_a_person_gets_a_short_name(path, name):
    assert container_of([path]).name == name
