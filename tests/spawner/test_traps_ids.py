"""User namespaces: what an unprivileged process may map, in which order, and how a refusal is explained."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from apart import NEWUSER, apart, become_nobody, call
from leftovers import Census
from running import EVERY_KIND, EVERYTHING, PLANNING, output, shell

from spawner import Facts, IDMapping, LaunchError, Mechanism, Spec, SpecError, Stdio, compile_spec, launch
from spawner.namespaces import KINDS

pytestmark = pytest.mark.needs_root  # to become somebody without privileges

NOBODY = 65534
TRUE = Spec(args=("/bin/true",), stdio=Stdio.NULL)
MAPPED = shell(
    "id -u; id -g; cat /proc/self/setgroups /proc/self/uid_map /proc/self/gid_map",
    namespaces=frozenset({"user"}),
    uid_mappings=(IDMapping(0, NOBODY),),
    gid_mappings=(IDMapping(0, NOBODY),),
)

Failure = tuple[str, int | None, str]


def failure_of(spec: Spec) -> Failure:
    """Step, errno and text of the LaunchError; nothing may be left."""
    census = Census()
    with pytest.raises(LaunchError) as caught:
        launch(spec)
    assert census.difference(1) == []
    return caught.value.step, caught.value.errno, str(caught.value)


def unprivileged(action: Callable[[], object]) -> Callable[[], object]:
    def run() -> object:
        become_nobody()
        return action()

    return run


# user_namespaces(7): one line, of the writer's own effective id
@pytest.mark.parametrize("via", PLANNING)
def test_anybody_may_be_root_inside(via: Mechanism) -> None:
    lines = str(apart(unprivileged(lambda: output(replace(MAPPED, via=via))))).splitlines()
    assert [line.split() for line in lines] == [["0"], ["0"], ["deny"], ["0", "65534", "1"], ["0", "65534", "1"]]


@pytest.mark.parametrize("via", PLANNING)
def test_anybody_may_have_every_namespace_with_a_user_namespace(via: Mechanism) -> None:
    spec = replace(EVERYTHING, uid_mappings=MAPPED.uid_mappings, gid_mappings=MAPPED.gid_mappings, via=via)
    spec = replace(spec, args=("/bin/sh", "-c", "readlink /proc/self/ns/*; hostname; id -u"), stdio=Stdio.PIPE)
    text = str(apart(unprivileged(lambda: output(spec))))
    assert text.split()[-2:] == ["demo", "0"]
    assert not {os.readlink(f"/proc/self/ns/{kind.proc}") for kind in KINDS} & set(text.split())


# user_namespaces(7): the first process inside has every capability there
def test_being_root_inside_brings_every_capability() -> None:
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    text = apart(unprivileged(lambda: output(replace(MAPPED, args=("grep", "CapEff", "/proc/self/status")))))
    assert int(str(text).split()[1], 16) == (1 << last + 1) - 1


# util-linux#3851: "unshare -p: EPERM, how do I know what is wrong?"
@pytest.mark.parametrize("kind", sorted(EVERY_KIND - {"user"}))
@pytest.mark.parametrize("via", PLANNING)
def test_a_namespace_without_privilege_is_refused_with_what_would_help(via: Mechanism, kind: str) -> None:
    spec = replace(TRUE, namespaces=frozenset({kind}), via=via)
    step, number, text = apart(unprivileged(lambda: failure_of(spec)))  # type: ignore[misc]
    made = "unshare" if via is Mechanism.FORK_UNSHARE else str(via)
    assert (step, number) == ("unshare time" if kind == "time" else made, errno.EPERM)
    assert "CAP_SYS_ADMIN" in text
    assert "run as root" in text
    assert "-r" in text


# a range or foreign id is EPERM for an unprivileged writer
@pytest.mark.parametrize(("uid", "gid", "step"), [(0, NOBODY, "uid_map"), (NOBODY, 0, "gid_map")])
def test_the_id_of_another_is_refused_and_the_rule_told(uid: int, gid: int, step: str) -> None:
    spec = replace(MAPPED, uid_mappings=(IDMapping(0, uid),), gid_mappings=(IDMapping(0, gid),))
    found = apart(unprivileged(lambda: failure_of(spec)))
    assert found[:2] == (f"write {step}", errno.EPERM)  # type: ignore[index]
    assert "only its own effective id" in found[2]  # type: ignore[index]


# CVE-2014-8989: an unprivileged gid map needs setgroups denied first; "allow" is EPERM at the map
def test_setgroups_is_denied_before_the_gid_map_is_written() -> None:
    nobody = Facts(uid=NOBODY, gid=NOBODY, capabilities=0)
    labels = [step.label for step in compile_spec(MAPPED, given=nobody).steps]
    assert labels.index("write setgroups") < labels.index("write gid_map")
    labels = [action.label for action in compile_spec(replace(MAPPED, setgroups="deny"), given=Facts()).actions]
    assert labels.index("write setgroups") < labels.index("write gid_map")


def test_without_privilege_setgroups_cannot_stay_allowed() -> None:
    step, number, text = apart(unprivileged(lambda: failure_of(replace(MAPPED, setgroups="allow"))))  # type: ignore[misc]
    assert (step, number) == ("write gid_map", errno.EPERM)
    assert "setgroups" in text


# prctl(2) PR_SET_DUMPABLE; "dumpable was 0 right after setresuid": /proc/self then belongs to root
def test_a_process_that_is_not_dumpable_is_told_so() -> None:
    def run() -> Failure:
        become_nobody(dumpable=False)
        return failure_of(MAPPED)

    step, number, text = apart(run)
    assert (step, number) == ("open setgroups", errno.EACCES)
    assert "not dumpable" in text


# user_namespaces(7): EPERM in a chroot
@pytest.mark.parametrize("via", PLANNING)
def test_a_user_namespace_from_a_chroot_is_refused_and_the_chroot_named(via: Mechanism, tmp_path: Path) -> None:
    def run() -> Failure:
        os.chroot(tmp_path)
        with pytest.raises(LaunchError) as caught:
            launch(Spec(args=TRUE.args, namespaces=frozenset({"user"}), via=via))
        return caught.value.step, caught.value.errno, str(caught.value)

    step, number, text = apart(run)
    assert (step, number) == ("unshare" if via is Mechanism.FORK_UNSHARE else str(via), errno.EPERM)
    assert "chroot" in text


# user_namespaces(7): the creator's ids must be mapped in its own namespace
def test_a_user_namespace_by_somebody_unmapped_is_refused() -> None:
    def run() -> Failure:
        call("unshare", NEWUSER)
        return failure_of(replace(TRUE, namespaces=frozenset({"user"})))

    step, number, text = apart(run)
    assert (step, number) == ("clone3", errno.EPERM)
    assert "not mapped" in text


# setresuid(2): 2^32 - 1 means "no id"; kernel/user_namespace.c map_write cuts larger numbers off: 2^32 would map 0
@pytest.mark.parametrize(
    "mapping",
    [
        *(IDMapping(number, 0) for number in (-1, 2**32 - 1, 2**32, 2**70)),
        *(IDMapping(0, number) for number in (-1, 2**32 - 1, 2**32, 2**70)),
        IDMapping(0, 0, 0),
        IDMapping(0, 0, -1),
    ],
    ids=str,
)
def test_what_is_no_id_is_refused_before_anything_runs(mapping: IDMapping) -> None:
    with pytest.raises(SpecError) as caught:
        compile_spec(replace(MAPPED, uid_mappings=(mapping,)))
    assert any("4294967294" in problem.remedy for problem in caught.value.problems)


def test_the_largest_id_there_is_can_be_mapped(nothing_left: Census) -> None:
    spec = replace(MAPPED, uid_mappings=(IDMapping(2**32 - 2, 0),), gid_mappings=(IDMapping(2**32 - 2, 0),))
    assert output(spec).split()[:2] == ["4294967294", "4294967294"]


# user_namespaces(7): without a map every id reads as the overflow id
def test_without_a_map_the_ids_inside_are_nobodys(nothing_left: Census) -> None:
    assert output(shell("id -u; id -g", namespaces=frozenset({"user"}))).split() == ["65534", "65534"]


# prctl's death signal is cleared by a change of ids; ours is set after the maps, and so stays
@pytest.mark.parametrize("via", PLANNING)
def test_the_death_signal_outlives_the_maps(via: Mechanism) -> None:
    labels = [step.label for step in compile_spec(replace(EVERYTHING, via=via)).steps]
    assert labels.index("parent death signal") > labels.index("write gid_map")


# kernel.unprivileged signals: a child in its own user namespace is still ours to signal and to end
@pytest.mark.parametrize("via", PLANNING)
def test_a_child_in_a_user_namespace_is_ended_by_its_unprivileged_parent(via: Mechanism) -> None:
    def run() -> int | None:
        become_nobody()
        with launch(replace(MAPPED, args=("/bin/sleep", "1000"), via=via)) as child:
            child.signal(signal.SIGTERM)
            ended = child.wait()
            return None if ended is None else ended.signal

    assert apart(run) == signal.SIGTERM
