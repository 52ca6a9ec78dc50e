"""Every preset is launched as it is, and the kernel says that the child is what the preset promises."""

from __future__ import annotations

import os
import signal
from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path

import pytest
from leftovers import Census

from nsview.labs.container.contained import contained
from nsview.labs.container.description import described, with_program
from nsview.tui.launching.form import Origin, outlook, spec_of
from nsview.tui.launching.presets import DAY, PRESET_OF, PRESETS, Preset
from nsview.tui.launching.profiles import form_of
from spawner import Child, Plan, Spec, launch
from spawner.namespaces import KINDS

HERE = Origin(env=dict(os.environ))
pytestmark = pytest.mark.needs("root")


def planned(preset: Preset, command: str) -> Plan:
    """The plan of a preset with another command line, not held."""
    found = outlook(replace(preset.form, command=command, hold=False), HERE)
    assert not found.problems
    assert found.plan is not None
    return found.plan


def told(child: Child) -> str:
    """All that the child writes on its terminal."""
    assert child.pty is not None
    parts = []
    while True:
        try:
            part = os.read(child.pty, 4096)
        except OSError:  # EIO: nobody has the other end any more
            break
        if not part:
            break
        parts.append(part)
    return b"".join(parts).decode()


EACH = [
    pytest.param(
        preset,
        marks=pytest.mark.needs(*(f"{name}_namespace" for name in sorted(preset.form.namespaces))),
        id=preset.name,
    )
    for preset in PRESETS
]


@pytest.mark.parametrize("preset", EACH)
def test_preset_launches_and_its_namespaces_are_new_and_no_others(preset: Preset, nothing_left: Census) -> None:
    with launch(planned(preset, "sleep 1000")) as child:
        inodes = {kind.name: os.stat(f"/proc/{child.pid}/ns/{kind.proc}").st_ino for kind in KINDS}
        child.signal(signal.SIGKILL)
        ended = child.wait()
    assert ended is not None
    assert ended.executed
    for kind in KINDS:
        ours = os.stat(f"/proc/self/ns/{kind.proc}").st_ino
        assert (inodes[kind.name] != ours) is (kind.name in preset.form.namespaces), kind.name


SAYS = 'id -u; hostname; grep -E "^(CapBnd|NoNewPrivs|Seccomp):" /proc/self/status; ls /; touch /usr/x'


@pytest.mark.needs("user_namespace")
@pytest.mark.parametrize("name", ["full-container", "rootless-container"])
def test_container_has_a_root_of_its_own_and_is_bounded(name: str, nothing_left: Census) -> None:
    with launch(planned(PRESET_OF[name], f"sh -c '{SAYS}'")) as child:
        lines = told(child).split()
        child.wait()
    assert lines[:2] == ["0", "box"]
    bounding = int(lines[lines.index("CapBnd:") + 1], 16)
    assert bounding.bit_count() == 6
    assert lines[lines.index("NoNewPrivs:") + 1] == "1"
    assert lines[lines.index("Seccomp:") + 1] == "2"
    assert {"usr", "proc", "dev", "tmp"} <= set(lines)
    assert "work" not in lines
    assert "home" not in lines
    assert "Read-only" in lines
    assert not Path("/usr/x").exists()


@pytest.mark.needs("user_namespace")
def test_sandbox_sees_the_files_and_can_change_and_reach_nothing(nothing_left: Census) -> None:
    asks = "cat /etc/passwd | wc -l; touch /etc/x; ls /tmp | wc -l; ls /sys/class/net | wc -l; wc -l < /proc/net/dev"
    with launch(planned(PRESET_OF["sandbox"], f"sh -c '{SAYS}; {asks}'")) as child:
        lines = told(child).splitlines()
        child.wait()
    assert str(len(Path("/etc/passwd").read_text().splitlines())) in lines
    assert not int(next(line for line in lines if line.startswith("CapBnd")).split()[1], 16)
    assert any("/etc/x" in line and "Read-only" in line for line in lines)
    assert lines[-1] == "3"  # two of headings, and lo
    assert not Path("/etc/x").exists()


def test_thread_like_child_shares_until_it_executes(nothing_left: Census) -> None:
    plan = planned(PRESET_OF["thread-like"], "true")
    assert all(flag in plan.birth for flag in ("CLONE_VM", "CLONE_FS", "CLONE_FILES", "CLONE_SYSVSEM"))
    before = sorted(os.listdir("/proc/self/fd"))
    with launch(plan) as child:
        ended = child.wait()
    assert ended is not None
    assert ended.code == 0
    assert sorted(os.listdir("/proc/self/fd")) == before


@pytest.mark.needs("time_namespace")
def test_a_day_ahead_is_a_day_further(nothing_left: Census) -> None:
    with launch(planned(PRESET_OF["day-ahead"], "cat /proc/uptime")) as child:
        ahead = Decimal(told(child).split()[0]) - Decimal(Path("/proc/uptime").read_text().split()[0])
        child.wait()
    assert DAY - 60 < ahead <= DAY


@pytest.mark.needs("user_namespace")
def test_same_ids_with_every_capability(nothing_left: Census) -> None:
    with launch(planned(PRESET_OF["unshare-same"], "sh -c 'id -u; grep CapEff /proc/self/status'")) as child:
        uid, _, effective = told(child).split()
        child.wait()
    assert uid == str(os.geteuid())
    assert int(effective, 16) == (1 << int(Path("/proc/sys/kernel/cap_last_cap").read_text()) + 1) - 1


TERMINAL = {"args", "env", "stdio", "window", "pdeathsig"}
"""What differs from launch to launch: the program, and how it is tied to who launches."""


def test_the_proven_container_is_the_one_that_the_lab_proves() -> None:
    made = described()
    spec = spec_of(PRESET_OF["proven-container"].form, HERE)
    differing = {field.name for field in fields(Spec) if getattr(spec, field.name) != getattr(made.spec, field.name)}
    assert differing <= TERMINAL | made.left_out.keys()
    proven = with_program(made.spec)
    more = {field.name for field in fields(Spec) if getattr(proven, field.name) != getattr(made.spec, field.name)}
    assert more == {"args", "env", "stdio", "mounts"}
    assert proven.mounts[: len(made.spec.mounts)] == made.spec.mounts


def test_the_form_of_the_proven_container_makes_exactly_its_spec_again() -> None:
    spec = replace(contained(), pdeathsig=signal.SIGKILL)
    said = {field.name: getattr(spec, field.name) for field in fields(Spec) if field.name != "args"}
    shown, preset = form_of(said), PRESET_OF["proven-container"].form
    assert (shown.namespaces, shown.ids, shown.fields) == (preset.namespaces, preset.ids, preset.fields)
    assert dict(shown.kept) == dict(preset.kept)


@pytest.mark.needs("user_namespace", "landlock", "seccomp", "pids_controller", "memory_controller")
def test_proven_container_says_of_itself_what_the_lab_says(nothing_left: Census) -> None:
    with launch(planned(PRESET_OF["proven-container"], f"sh -c '{SAYS}; touch /x; ulimit -n'")) as child:
        lines = told(child).split()
        child.wait()
    assert lines[:2] == ["0", "box"]
    assert int(lines[lines.index("CapBnd:") + 1], 16) == 0
    assert lines[lines.index("NoNewPrivs:") + 1] == "1"
    assert lines[lines.index("Seccomp:") + 1] == "2"
    assert lines[-1] == "64"
    assert "etc" not in lines
