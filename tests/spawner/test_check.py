"""What is known to be wrong is said before anything runs: all of it, with a remedy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from spawner import IDMapping, LaunchError, Mechanism, Spec, SpecError, TimeOffset, compile_spec, launch
from spawner.flags import BY_NAME

TRUE = Spec(args=("/bin/true",))


def bit(name: str) -> int:
    return BY_NAME[f"CLONE_{name}"].bit


CASES = {
    "no program": (Spec(args=()), "no program"),
    "empty program": (Spec(args=("",)), "no program"),
    "NUL in an argument": (Spec(args=("/bin/true", "a\0b")), "NUL"),
    "NUL in a path": (replace(TRUE, cwd="/\0"), "NUL"),
    "name of a variable": (replace(TRUE, env=(("A=B", "c"),)), "'A=B'"),
    "kind of namespace": (replace(TRUE, namespaces=frozenset({"net"})), "unknown namespace 'net'"),
    "propagation": (replace(TRUE, rootfs_propagation="rprivate"), "unknown propagation"),
    "clock": (replace(TRUE, time_offsets=(("realtime", TimeOffset(1)),)), "no offset for a clock"),
    "setgroups": (replace(TRUE, setgroups="yes"), "setgroups cannot be 'yes'"),
    "hostname of the machine": (replace(TRUE, hostname="x"), "would rename this machine"),
    "domain of the machine": (replace(TRUE, domainname="x"), "would rename this machine's domain"),
    "host's own mounts": (replace(TRUE, mount_proc="/proc"), "would mount over the host's own tree"),
    "map without user namespace": (replace(TRUE, uid_mappings=(IDMapping(0, 0),)), "has no map to write"),
    "offsets without time namespace": (
        replace(TRUE, time_offsets=(("boottime", TimeOffset(1)),)),
        "no clock of its own",
    ),
    "long hostname": (replace(TRUE, namespaces=frozenset({"uts"}), hostname="x" * 65), "longer than 64 bytes"),
    "range of ids": (
        replace(TRUE, namespaces=frozenset({"user"}), uid_mappings=(IDMapping(0, 2**32 - 2, 2),)),
        "ends beyond the last",
    ),
    "negative id": (replace(TRUE, namespaces=frozenset({"user"}), uid_mappings=(IDMapping(-1, 0),)), "negative id"),
    "thread": (replace(TRUE, clone_flags=bit("THREAD") | bit("SIGHAND") | bit("VM")), "ends all other threads"),
    "shared directory": (replace(TRUE, clone_flags=bit("FS"), cwd="/"), "would move this process too"),
    "no cgroup to go into": (replace(TRUE, clone_flags=bit("INTO_CGROUP")), "needs a cgroup"),
    "legacy clone loses a flag": (
        replace(TRUE, clone_flags=bit("CLEAR_SIGHAND"), via=Mechanism.CLONE),
        "CLONE_CLEAR_SIGHAND",
    ),
    "kernel's rule": (replace(TRUE, clone_flags=bit("FS"), namespaces=frozenset({"mount"})), "clone3 refuses"),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_said_with_a_remedy_and_nothing_runs(name, nothing_left):
    spec, words = CASES[name]
    with pytest.raises(SpecError) as caught:
        launch(spec)
    assert words in str(caught.value)
    assert all(problem.remedy for problem in caught.value.problems)


def test_every_problem_is_told_at_once():
    spec = replace(TRUE, hostname="x", mount_proc="/proc", clone_flags=bit("INTO_CGROUP"))
    with pytest.raises(SpecError) as caught:
        compile_spec(spec)
    assert len(caught.value.problems) == 3


@pytest.mark.needs_root
def test_unchecked_flags_go_to_the_kernel_which_refuses_them_itself(nothing_left):
    spec = replace(TRUE, clone_flags=bit("FS"), namespaces=frozenset({"mount"}))
    with pytest.raises(SpecError):
        launch(spec)
    with pytest.raises(LaunchError) as caught:
        launch(replace(spec, check=False))
    assert (caught.value.step, caught.value.errno_name) == ("clone3", "EINVAL")


def test_what_would_end_us_is_refused_even_unchecked():
    flags = bit("THREAD") | bit("SIGHAND") | bit("VM")
    with pytest.raises(SpecError):
        launch(replace(TRUE, clone_flags=flags, check=False))


def test_a_flag_with_a_side_effect_is_noted_in_the_plan():
    plan = compile_spec(replace(TRUE, clone_flags=bit("FS")))
    assert any("CLONE_FS" in note for note in plan.notes)
    assert compile_spec(TRUE).notes == ()
