"""Id maps of several lines and ranges, which the parent writes; who the child is inside once they are there."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from apart import NOBODY, apart, become_nobody
from leftovers import Census
from mapped import COUNT, FIRST, RANGE, USER, in_range, numbers, with_subids
from running import PLANNING, output, shell

from spawner import IDMapping, LaunchError, Mechanism, Spec, SpecError, Stdio, compile_spec, launch
from spawner.oci import User
from spawner.parts import ids as part

pytestmark = pytest.mark.needs_root  # to map ids that are not ours, and to become somebody without privileges

PR_GET_DUMPABLE = 3
TRUE = Spec(args=("/bin/true",), stdio=Stdio.NULL)
SUBIDS = f"nobody:{FIRST}:{COUNT}\n"


def is_dumpable() -> int:
    return ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0)


def failure(action: Callable[[], object]) -> tuple[str, int | None, str]:
    """Step, errno and text of the LaunchError; nothing may be left."""
    census = Census()
    with pytest.raises(LaunchError) as caught:
        action()
    assert census.difference(1) == []
    return caught.value.step, caught.value.errno, str(caught.value)


# ---- root maps a range ----


# runc tests/integration/userns.bats; go-sandbox runs as root of a range
@pytest.mark.parametrize("via", PLANNING)
def test_a_range_is_mapped_and_the_child_is_root_of_it(via: Mechanism, nothing_left: Census) -> None:
    text = output(in_range("id -u; id -g; id -G; cat /proc/self/uid_map /proc/self/gid_map", via=via))
    assert numbers(text) == [[0], [0], [0], [0, FIRST, COUNT], [0, FIRST, COUNT]]


def test_a_file_made_inside_is_of_root_there_and_of_the_range_here(tmp_path: Path, nothing_left: Census) -> None:
    tmp_path.chmod(0o777)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    assert output(in_range(f"umask 022; touch {tmp_path}/made && stat -c '%u %g' {tmp_path}/made")) == "0 0\n"
    found = (tmp_path / "made").stat()
    assert (found.st_uid, found.st_gid) == (FIRST, FIRST)


def test_whoever_is_mapped_stays_who_it_is(nothing_left: Census) -> None:
    lines = (IDMapping(1234, 0), IDMapping(0, FIRST, 1000))
    assert output(in_range("id -u; id -g", uid_mappings=lines, gid_mappings=lines)) == "1234\n1234\n"


def test_where_neither_we_nor_0_are_mapped_the_ids_inside_are_nobodys(nothing_left: Census) -> None:
    lines = (IDMapping(5, FIRST, 10),)
    assert output(in_range("id -u; id -g", uid_mappings=lines, gid_mappings=lines)) == "65534\n65534\n"


def test_one_id_of_somebody_else_is_mapped_by_root(nothing_left: Census) -> None:
    lines = (IDMapping(0, FIRST + 7),)
    text = output(in_range("id -u; id -g; cat /proc/self/uid_map", uid_mappings=lines, gid_mappings=lines))
    assert numbers(text) == [[0], [0], [0, FIRST + 7, 1]]


def test_groups_of_ours_do_not_reach_into_a_foreign_range(nothing_left: Census) -> None:
    def run() -> str:
        os.setgroups([4, 24])
        return output(in_range("grep Groups /proc/self/status"))

    assert str(apart(run)).split() == ["Groups:"]


# kernel/user_namespace.c map_write takes up to 340 extents
def test_as_many_lines_as_the_kernel_takes(nothing_left: Census) -> None:
    lines = tuple(IDMapping(2 * i, 2 * i) for i in range(340))
    found = numbers(output(in_range("cat /proc/self/uid_map", uid_mappings=lines, gid_mappings=())))
    assert sorted(found) == [[2 * i, 2 * i, 1] for i in range(340)]


# /proc/self is root's after a change of ids (prctl(2) PR_SET_DUMPABLE): time offsets could not be written any more
@pytest.mark.parametrize("via", PLANNING)
def test_what_comes_after_the_maps_still_finds_its_own_files_in_proc(via: Mechanism, nothing_left: Census) -> None:
    from spawner import TimeOffset

    spec = in_range("cat /proc/self/timens_offsets", via=via, time_offsets=(("boottime", TimeOffset(5)),))
    spec = replace(spec, namespaces=USER | {"time", "pid", "mount"}, mount_proc="/proc")
    assert output(spec).split()[3:] == ["boottime", "5", "0"]


# kernel/cred.c commit_creds: new ids make the memory undumpable, ours too where a child shares it
@pytest.mark.parametrize("via", PLANNING)
@pytest.mark.parametrize("user", [User(), User(uid=1000, gid=1000)], ids=["root inside", "somebody inside"])
def test_we_stay_dumpable_whoever_the_child_becomes(via: Mechanism, user: User, nothing_left: Census) -> None:
    for spec in (in_range("id -u", via=via, user=user), shell("id -u", user=user)):
        before = is_dumpable()
        output(spec)
        assert is_dumpable() == before == 1


def test_a_map_of_our_own_id_alone_is_still_written_by_the_child() -> None:
    own = (IDMapping(0, os.geteuid()),)
    plan = compile_spec(replace(TRUE, namespaces=USER, uid_mappings=own, gid_mappings=(IDMapping(0, os.getegid()),)))
    assert plan.actions == ()
    assert plan.suspends
    assert [step.label for step in plan.steps if step.phase == "ids"][3:6] == [
        "open uid_map",
        "write uid_map",
        "close uid_map",
    ]


# ---- setgroups ----


# Go syscall/exec_linux_test.go TestCloneNEWUSERAndRemap/setgroups=true and =false
@pytest.mark.parametrize("via", PLANNING)
@pytest.mark.parametrize("policy", ["allow", "deny"])
def test_root_may_have_setgroups_either_way(policy: str, via: Mechanism, nothing_left: Census) -> None:
    own = (IDMapping(0, 0),)
    spec = in_range("id -un; cat /proc/self/setgroups", setgroups=policy, via=via)
    assert output(spec) == f"root\n{policy}\n"
    assert output(replace(spec, uid_mappings=own, gid_mappings=own)) == f"root\n{policy}\n"


# Go TestEmptyCredGroupsDisableSetgroups
def test_credentials_without_groups_start_where_setgroups_is_denied(nothing_left: Census) -> None:
    own = (IDMapping(0, 0),)
    spec = in_range("cat /proc/self/setgroups", uid_mappings=own, gid_mappings=own, setgroups="deny")
    assert output(replace(spec, user=User(uid=0, gid=0))) == "deny\n"


# ---- the kernel's rules, each told beforehand ----

RULES = {
    "no size": [(0, FIRST, 0)],
    "no id": [(2**32 - 1, FIRST, 1)],
    "beyond the last inside": [(2**32 - 5, FIRST, 5)],
    "beyond the last outside": [(0, 2**32 - 5, 5)],
    "overlap inside": [(0, FIRST, 10), (9, FIRST + 10, 10)],
    "overlap outside": [(0, FIRST, 10), (10, FIRST + 9, 10)],
    "341 lines": [(2 * i, 2 * i, 1) for i in range(341)],
    "a page of text": [(10**9 + 2 * i, 10**9 + 2 * i, 1) for i in range(171)],
}


@pytest.mark.parametrize("rule", RULES)
def test_what_the_kernel_refuses_of_a_map_is_told_beforehand(rule: str, nothing_left: Census) -> None:
    lines = RULES[rule]
    with launch(replace(TRUE, namespaces=USER), hold="execve") as child:
        fd = os.open(f"/proc/{child.pid}/uid_map", os.O_WRONLY)
        try:
            with pytest.raises(OSError, match="Invalid argument"):
                os.write(fd, "".join(f"{a} {b} {c}\n" for a, b, c in lines).encode())
        finally:
            os.close(fd)
    for name in ("uid_mappings", "gid_mappings"):
        with pytest.raises(SpecError) as caught:
            compile_spec(replace(TRUE, namespaces=USER, **{name: tuple(IDMapping(*line) for line in lines)}))  # type: ignore[arg-type]
        (problem,) = caught.value.problems
        assert problem.remedy


def test_a_page_of_text_less_one_line_is_taken(nothing_left: Census) -> None:
    lines = tuple(IDMapping(*line) for line in RULES["a page of text"][:-1])
    assert len(numbers(output(in_range("cat /proc/self/uid_map", uid_mappings=lines)))) == 170


# ---- without privilege: newuidmap ----


def unprivileged_range(directory: Path, subids: str, action: Callable[[], object]) -> object:
    def run() -> object:
        with_subids(directory, subids)
        become_nobody()
        return action()

    return apart(run)


# util-linux sys-utils/unshare.c --map-auto: 0 is the caller, the rest its subordinate ids
@pytest.mark.needs("newuidmap")
@pytest.mark.parametrize("via", PLANNING)
def test_anybody_may_map_the_ranges_of_etc_subuid(via: Mechanism, tmp_path: Path) -> None:
    lines = (IDMapping(0, NOBODY), IDMapping(1, FIRST, COUNT))
    spec = in_range("id -u; id -g; cat /proc/self/uid_map /proc/self/gid_map", uid_mappings=lines, gid_mappings=lines)
    text = unprivileged_range(tmp_path, SUBIDS, lambda: output(replace(spec, via=via)))
    assert numbers(str(text)) == [[0], [0], *([[0, NOBODY, 1], [1, FIRST, COUNT]] * 2)]


@pytest.mark.needs("newuidmap")
def test_anybody_may_be_root_of_a_range_and_become_somebody_in_it(tmp_path: Path) -> None:
    user = User(uid=33, gid=34, additional_gids=(35,), umask=0o77)
    spec = in_range("id -u; id -g; id -G; umask; grep CapEff /proc/self/status", user=user)
    lines = str(unprivileged_range(tmp_path, SUBIDS, lambda: output(spec))).split()
    assert lines == ["33", "34", "34", "35", "0077", "CapEff:", "0" * 16]


@pytest.mark.needs("newuidmap")
def test_a_range_that_is_not_in_etc_subuid_is_refused_in_the_programs_words(tmp_path: Path) -> None:
    spec = replace(TRUE, namespaces=USER, uid_mappings=RANGE, gid_mappings=RANGE)
    found = unprivileged_range(tmp_path, f"nobody:{FIRST}:10\n", lambda: failure(lambda: launch(spec)))
    step, number, text = found  # type: ignore[misc]
    assert (step, number) == ("write uid_map", errno.EPERM)
    assert "newuidmap" in text
    assert "not allowed" in text
    assert "/etc/subuid" in text


def test_a_range_without_newuidmap_is_refused_and_the_package_named() -> None:
    spec = replace(TRUE, namespaces=USER, uid_mappings=RANGE, gid_mappings=RANGE)

    def run() -> tuple[str, int | None, str]:
        become_nobody()
        os.environ["PATH"] = "/nowhere"
        return failure(lambda: launch(spec))

    step, number, text = apart(run)
    assert (step, number) == ("write uid_map", errno.ENOENT)
    assert "apt install uidmap" in text


# subprocess cannot tell how a program ended where SIGCHLD is ignored: the map itself is what counts
@pytest.mark.needs("newuidmap")
@pytest.mark.parametrize("count", [COUNT, 10], ids=["written", "refused"])
def test_what_newuidmap_did_is_read_from_the_kernel(count: int, tmp_path: Path) -> None:
    spec = in_range("id -u")

    def action() -> object:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        try:
            with launch(spec) as child:
                return Path(f"/proc/{child.pid}/uid_map").read_text().split()
        except LaunchError as error:
            return error.step

    found = unprivileged_range(tmp_path, f"nobody:{FIRST}:{count}\n", action)
    assert found == (["0", str(FIRST), str(COUNT)] if count == COUNT else "read back uid_map")


# Go TestCloneNEWUSERAndRemap as nobody: setgroups=true must be EPERM
@pytest.mark.parametrize("user", [User(), User(additional_gids=())], ids=["allow", "groups"])
def test_without_privilege_setgroups_is_refused_before_or_by_the_kernel(user: User) -> None:
    own = (IDMapping(0, NOBODY),)
    spec = replace(TRUE, namespaces=USER, uid_mappings=own, gid_mappings=own, user=user)

    def run() -> object:
        become_nobody()
        if user == User():
            return failure(lambda: launch(replace(spec, setgroups="allow")))[:2]
        with pytest.raises(SpecError) as caught:
            launch(spec)
        return str(caught.value)

    found = apart(run)
    if user == User():
        assert found == ("write gid_map", errno.EPERM)
    else:
        assert "setgroups has to be denied" in str(found)


# Go TestUnshareUidGidMapping: root of its own namespaces may chroot
@pytest.mark.parametrize("via", PLANNING)
def test_nobody_may_chroot_in_namespaces_of_its_own(via: Mechanism) -> None:
    own = (IDMapping(0, NOBODY),)
    spec = shell("exec chroot / id -u", namespaces=USER | {"mount"}, uid_mappings=own, gid_mappings=own, via=via)

    def run() -> str:
        become_nobody()
        return output(replace(spec, env=(("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),)))

    assert apart(run) == "0\n"


# ---- whole or not at all ----


@pytest.mark.parametrize("via", PLANNING)
@pytest.mark.parametrize("label", ["write setgroups", "write uid_map", "write gid_map"])
def test_a_map_that_fails_is_named_and_leaves_nothing(label: str, via: Mechanism, nothing_left: Census) -> None:
    spec = in_range("true", setgroups="deny", via=via)
    with pytest.raises(LaunchError) as caught:
        launch(spec, inject=(label, errno.EDQUOT))
    assert (caught.value.step, caught.value.errno) == (label, errno.EDQUOT)


@pytest.mark.parametrize("via", PLANNING)
def test_a_fault_at_any_step_after_the_maps_leaves_nothing(via: Mechanism, nothing_left: Census) -> None:
    plan = compile_spec(in_range("true", user=User(uid=5, gid=6, additional_gids=(7,), umask=0o22), via=via))
    phases = {"ids", "credentials"}
    steps = [i for i, step in enumerate(plan.steps) if step.phase in phases and not step.bearing]
    assert len(steps) > 8
    for index in steps:
        with pytest.raises(LaunchError) as caught:
            launch(plan, inject=(index, errno.EDQUOT))
        assert (caught.value.index, caught.value.errno) == (index, errno.EDQUOT)
        assert nothing_left.difference() == []


def test_a_map_is_held_before_and_written_then(nothing_left: Census) -> None:
    with launch(in_range("id -u"), hold="drop groups") as child:
        assert Path(f"/proc/{child.pid}/uid_map").read_text().split() == ["0", str(FIRST), str(COUNT)]
        assert Path(f"/proc/{child.pid}/status").read_text().partition("Uid:")[2].split()[0] == "0"
        child.resume()


# google/nsjail#236, Ubuntu 24.04: the namespace is made, and the map refused
def test_apparmors_restriction_is_named_where_it_is_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    switch = tmp_path / "apparmor_restrict_unprivileged_userns"
    switch.write_text("1\n")
    monkeypatch.setattr(part, "_APPARMOR", switch)
    with pytest.raises(LaunchError) as caught:
        launch(in_range("true"), inject=("write uid_map", errno.EPERM))
    assert "AppArmor" in str(caught.value)
    switch.write_text("0\n")
    with pytest.raises(LaunchError) as caught:
        launch(in_range("true"), inject=("write uid_map", errno.EPERM))
    assert "AppArmor" not in str(caught.value)
