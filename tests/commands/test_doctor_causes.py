"""Doctor names beforehand what a launch would be refused for: each cause is brought about, and doctor run under it.

What cannot be brought about without changing the machine (a sysctl of the first user namespace, a library that is not
there, an initramfs) is told to the probe instead.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shlex
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from leftovers import Census
from nobody import Runner

from nsview.commands import doctor_calls as calls
from nsview.commands import doctor_reading as reading
from nsview.commands import doctor_trials as trials
from nsview.commands.doctor_finding import State
from nsview.commands.doctor_probes import PROBES, look
from spawner import _native
from spawner.seccomp import compile as compiler

NSVIEW = str(Path(sys.executable).with_name("nsview"))
Row = dict[str, str]


def doctor(row: str) -> str:
    """The shell command that asks for one row."""
    return f"exec {shlex.quote(NSVIEW)} doctor --json {shlex.quote(row)}"


def told(text: str, row: str) -> Row:
    [found] = [entry for entry in json.loads(text)["findings"] if entry["name"] == row]
    return dict(found)


def under(row: str, *command: str, before: Callable[[], None] | None = None) -> Row:
    """Run a command that ends in doctor(row), in a process that ``before`` was called in, and give the row."""
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=before)
    assert (done.returncode, done.stderr) == (0, "")
    return told(done.stdout, row)


def here(row: str) -> Row:
    """What the probe itself answers, in this process."""
    finding = look(next(probe for probe in PROBES if probe.name == row))
    return {"state": finding.state.value, "detail": finding.detail, "remedy": finding.remedy or ""}


# ---- limits ----


@pytest.mark.needs("root", "unshare", "userns")
def test_a_limit_of_no_namespaces_is_named(nothing_left: Census) -> None:
    script = "echo 0 > /proc/sys/user/max_uts_namespaces; " + doctor("namespace limits")
    row = under("namespace limits", "unshare", "-Ur", "sh", "-c", script)
    assert row["state"] == "no"
    assert row["detail"] == "user.max_uts_namespaces is 0"
    assert row["remedy"] == "sysctl -w user.max_uts_namespaces=10000"


@pytest.mark.needs("root", "unshare", "userns")
def test_a_limit_that_is_exhausted_further_out_is_named(nothing_left: Census) -> None:
    """The one uts namespace allowed is taken; from inside, the limit looks like billions."""
    inner = shlex.join(["exec", "unshare", "-u", "unshare", "-Ur", "sh", "-c", doctor("namespace limits")])
    script = f"echo 1 > /proc/sys/user/max_uts_namespaces; {inner}"
    row = under("namespace limits", "unshare", "-Ur", "sh", "-c", script)
    assert row["state"] == "no"
    assert row["detail"] == "user.max_uts_namespaces is reached, here or further out"
    assert "end what holds them" in row["remedy"]


def test_few_mounts_to_go_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    count = len(reading.mounts())
    monkeypatch.setattr(reading, "text", {"/proc/sys/fs/mount-max": str(count + 3)}.get)
    row = here("mount limit")
    assert (row["state"], row["remedy"]) == ("limited", "sysctl -w fs.mount-max=100000")
    assert row["detail"] == f"{count} of at most {count + 3} in a mount namespace"


@pytest.mark.needs("root")
def test_low_hard_limits_are_named_to_who_cannot_raise_them(nobody: Runner) -> None:
    done = nobody("sh", "-c", "ulimit -n 512; " + doctor("hard limits"))
    row = told(done.stdout, "hard limits")
    assert row["state"] == "limited"
    assert "NOFILE 512" in row["detail"]
    assert row["remedy"]


# ---- the root, /proc ----


@pytest.mark.needs("root", "unshare", "userns")
def test_a_chroot_is_named_which_forbids_user_namespaces(tmp_path: Path, nothing_left: Census) -> None:
    for row in ("root directory", "user namespace"):
        script = f"mount --rbind / {tmp_path} && chroot {tmp_path} sh -c {shlex.quote(doctor(row))}"
        answer = under(row, "unshare", "-m", "sh", "-c", script)
        assert "chroot" in answer["detail"] if row == "root directory" else "EPERM" in answer["detail"]
        assert answer["state"] == ("limited" if row == "root directory" else "no")
        assert answer["remedy"]


@pytest.mark.needs("root", "unshare")
def test_without_a_chroot_none_is_found(nothing_left: Census) -> None:
    assert not trials.outside_of_chroot()
    assert under("root directory", "unshare", "-m", "sh", "-c", doctor("root directory"))["state"] == "ok"


def test_an_initramfs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = trials.Refusal("pivot_root(2)", errno.EINVAL)
    monkeypatch.setattr(trials, "both_ways", lambda *_: (refusal, refusal))
    monkeypatch.setattr(reading, "mounts", lambda: [("/", "rootfs", "rw", "rw")])
    row = here("root directory")
    assert row["state"] == "no"
    assert "initramfs" in row["detail"]
    assert "switch_root" in row["remedy"]


@pytest.mark.needs("root", "unshare", "userns")
def test_what_covers_proc_is_named(nothing_left: Census) -> None:
    # bubblewrap issue 284: "Operation not permitted" for a masked /proc
    for row in ("fresh /proc", "/proc"):
        script = "mount -t tmpfs none /proc/sys; " + doctor(row)
        answer = under(row, "unshare", "-m", "sh", "-c", script)
        assert answer["state"] == "limited"
        assert "/proc/sys" in answer["detail"] + answer["remedy"]


# ---- filters ----


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def filtering(answers: dict[str, int]) -> Callable[[], None]:
    """An action that has these system calls answer so from then on (seccomp(2): SECCOMP_RET_ERRNO)."""
    load, equal, answer = 0x20, 0x15, 0x06
    rows = [(load, 0, 0, 0)]
    for name, number in answers.items():
        rows += [(equal, 0, 1, _native.SYSCALLS[name]), (answer, 0, 0, 0x00050000 | number)]
    rows.append((answer, 0, 0, 0x7FFF0000))
    code = b"".join(struct.pack("=HBBI", *row) for row in rows)
    program = _Program(len(rows), ctypes.c_char_p(code))

    def install() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        for words in ((38, 1, 0, 0, 0), (22, 2, ctypes.byref(program), 0, 0)):  # no_new_privs, then the filter
            if libc.prctl(*words) != 0:
                raise OSError(ctypes.get_errno(), "prctl")

    return install


@pytest.mark.needs("root", "seccomp")
def test_calls_that_a_filter_refuses_are_named(nothing_left: Census) -> None:
    # moby issue 42680: clone3 refused by a container's profile
    before = filtering({"clone3": errno.ENOSYS, "move_mount": errno.EPERM, "pivot_root": errno.EPERM})
    row = under("system calls", "sh", "-c", doctor("system calls"), before=before)
    assert row["state"] == "limited"
    for said in ("seccomp filter", "clone3 (ENOSYS", "move_mount (EPERM", "pivot_root (EPERM"):
        assert said in row["detail"]
    assert "fsopen" not in row["detail"]
    assert "seccomp profile" in row["remedy"]


def test_every_call_is_one_the_engine_knows_and_a_launch_may_make() -> None:
    assert {call.name for call in calls.CALLS} <= _native.SYSCALLS.keys()
    assert all(call.why for call in calls.CALLS)


@pytest.mark.needs("root", "userns")
def test_nobody_has_its_calls_tried_in_a_user_namespace(nobody: Runner) -> None:
    row = told(nobody("nsview", "doctor", "--json", "system calls").stdout, "system calls")
    assert (row["state"], row["remedy"]) == ("ok", None)
    assert f"all {len(calls.CALLS)}" in row["detail"]


@pytest.mark.parametrize(
    ("sysctl", "forbids", "allows"),
    [("kernel.unprivileged_userns_clone", "0", "1"), ("kernel.apparmor_restrict_unprivileged_userns", "1", "0")],
)
def test_a_distributions_sysctl_against_user_namespaces_is_named(
    sysctl: str, forbids: str, allows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # nsjail issues 236 and 243: under AppArmor the namespace is made, and the next step is refused
    refusal = trials.Refusal("unshare(CLONE_NEWNS)", errno.EPERM)
    monkeypatch.setattr(trials, "create_user_namespace_unprivileged", lambda: refusal)
    monkeypatch.setattr(reading, "text", {"/proc/sys/" + sysctl.replace(".", "/"): forbids}.get)
    row = here("unprivileged user namespaces")
    assert (row["state"], row["remedy"]) == ("no", f"sysctl -w {sysctl}={allows}")


# ---- ids ----


@pytest.mark.needs("root", "unshare", "userns")
def test_setgroups_that_is_denied_in_our_user_namespace_is_told() -> None:
    row = under("setgroups", "unshare", "-Ur", "sh", "-c", doctor("setgroups"))
    assert row["state"] == "limited"
    assert "denied" in row["detail"]
    assert under("setgroups", "sh", "-c", doctor("setgroups"))["state"] == "ok"


@pytest.mark.needs("root", "newuidmap")
def test_nobody_is_told_how_to_get_more_ids(nobody: Runner) -> None:
    row = told(nobody("nsview", "doctor", "--json", "subordinate").stdout, "subordinate ids")
    assert row["state"] == "limited"
    assert "/etc/subuid" in row["detail"]
    assert "--add-subuids" in row["remedy"]


def test_newuidmap_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", "/nowhere")
    row = here("subordinate ids")
    assert (row["state"], row["remedy"]) == ("limited", "apt install uidmap")


# ---- what a launch can make ----


@pytest.mark.needs("root")
def test_nobody_is_told_that_control_groups_are_not_theirs(nobody: Runner, nothing_left: Census) -> None:
    row = told(nobody("nsview", "doctor", "--json", "control groups").stdout, "own control groups")
    assert row["state"] == "no"
    assert "Delegate=yes" in row["remedy"]


@pytest.mark.needs("root", "userns")
@pytest.mark.parametrize("row", ["overlayfs", "veth", "masquerade"])
def test_nobody_is_told_that_a_user_namespace_helps(row: str, nobody: Runner, nothing_left: Census) -> None:
    answer = told(nobody("nsview", "doctor", "--json", row).stdout, row)
    assert answer["state"] == "limited"
    assert "only inside a new user namespace" in answer["detail"]
    assert answer["remedy"] == "add -U -r, or run with sudo"


@pytest.mark.needs("root")
@pytest.mark.parametrize("row", ["overlayfs", "veth", "masquerade", "root directory", "own control groups"])
def test_trying_leaves_nothing(row: str, nothing_left: Census) -> None:
    assert here(row)["state"] in (State.OK, State.LIMITED)


@pytest.mark.parametrize(
    ("row", "number", "said"),
    [
        ("overlayfs", errno.ENODEV, "modprobe overlay"),
        ("veth", errno.EOPNOTSUPP, "modprobe veth"),
        ("masquerade", errno.EPROTONOSUPPORT, "nft_masq"),
    ],
)
def test_what_the_kernel_lacks_comes_with_its_module(
    row: str, number: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = trials.Refusal("trying it", number)
    monkeypatch.setattr(trials, "both_ways", lambda *_: (refusal, refusal))
    answer = here(row)
    assert answer["state"] == "no"
    assert said in answer["remedy"]


def test_a_missing_libseccomp_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> object:
        raise OSError("libseccomp.so.2: cannot open shared object file")

    monkeypatch.setattr(compiler, "library", missing)
    assert here("libseccomp")["remedy"] == "apt install libseccomp2"
