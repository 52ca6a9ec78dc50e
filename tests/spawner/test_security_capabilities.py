"""Capabilities: the five sets as the kernel has them once the program runs, and what it could not have."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from apart import NOBODY, apart, become_nobody
from running import output, shell

from nsview.host import capabilities as host
from spawner import IDMapping, LaunchError, Spec, SpecError, _native, compile_spec, launch
from spawner import capabilities as caps
from spawner.oci import Capabilities, User

SETS = "grep -E '^(Cap|NoNewPrivs)' /proc/self/status"
NAMES = {
    "CapInh": "inheritable",
    "CapPrm": "permitted",
    "CapEff": "effective",
    "CapBnd": "bounding",
    "CapAmb": "ambient",
}
PR_CAPBSET_READ, PR_CAPBSET_DROP = 23, 24


def fields(text: str) -> dict[str, int]:
    return {NAMES[name]: int(value, 16) for name, value in re.findall(r"^(Cap\w+):\s+(\w+)$", text, re.MULTILINE)}


def sets(spec: Spec) -> dict[str, int]:
    """What /proc/self/status of the program says of its sets."""
    return fields(output(spec))


def alike(*names: str, **other: frozenset[str] | None) -> Capabilities:
    """The same capabilities in all five sets, but for ``other``."""
    wanted: dict[str, frozenset[str] | None] = dict.fromkeys(caps.SETS, frozenset(names))
    return Capabilities(**{**wanted, **other})


def refusal(spec: Spec) -> str:
    with pytest.raises(SpecError) as error:
        compile_spec(spec)
    return str(error.value)


# ---- the table ----


def test_names_are_those_of_the_hosts_view() -> None:
    assert tuple(f"CAP_{name}" for name in host.NAMES) == caps.NAMES


@pytest.mark.parametrize("text", ["CAP_NET_RAW", "net_raw", "Cap_Net_Raw", " NET_RAW "])
def test_a_name_may_lack_its_prefix_and_be_in_any_case(text: str) -> None:
    assert caps.parse(text) == "CAP_NET_RAW"


def test_an_unknown_name_is_told_with_what_was_meant() -> None:
    message = refusal(shell(SETS, capabilities=Capabilities(bounding=frozenset({"CAP_NET_RAV"}))))
    assert "CAP_NET_RAV" in message
    assert "CAP_NET_RAW" in message


def test_the_last_capability_is_the_kernels() -> None:
    assert caps.last() == int(Path("/proc/sys/kernel/cap_last_cap").read_text())


def test_our_own_bounding_and_ambient_sets_are_the_kernels() -> None:
    found = fields(Path("/proc/thread-self/status").read_text())
    assert (caps.bounding(), caps.ambient()) == (found["bounding"], found["ambient"])


# ---- what the program has ----


@pytest.mark.needs("root")
def test_no_capability_is_left_of_none() -> None:  # runc tests/integration/capabilities.bats "runc run no capability"
    assert sets(shell(SETS, capabilities=alike())) == dict.fromkeys(caps.SETS, 0)


@pytest.mark.needs("root")
def test_roots_program_has_the_five_sets_that_were_asked_for() -> None:
    wanted = caps.mask(["CAP_CHOWN", "CAP_KILL"])
    assert sets(shell(SETS, capabilities=alike("CAP_CHOWN", "CAP_KILL"))) == dict.fromkeys(caps.SETS, wanted)


@pytest.mark.needs("root")
def test_roots_program_has_its_bounding_set_and_needs_no_ambient_one() -> None:
    # runc tests/integration/capabilities.bats "runc run with some capabilities"
    none, some = frozenset[str](), frozenset({"CAP_SYS_ADMIN"})
    found = sets(
        shell(
            SETS,
            capabilities=Capabilities(bounding=some, permitted=some, effective=some, inheritable=none, ambient=none),
        )
    )
    admin = caps.SYS_ADMIN
    assert found == {"bounding": admin, "permitted": admin, "effective": admin, "inheritable": 0, "ambient": 0}


@pytest.mark.needs("root")
def test_what_is_not_asked_for_stays_as_execve_makes_it() -> None:
    before = sets(shell(SETS))
    found = sets(shell(SETS, capabilities=Capabilities(bounding=frozenset({"CAP_CHOWN"}))))
    assert found == {**before, "bounding": 1, "permitted": 1, "effective": 1}


def test_the_sets_of_a_new_user_namespace_are_cut_too() -> None:
    # The kernel refills the bounding set for the creator of a user namespace.
    spec = shell(
        SETS,
        namespaces=frozenset({"user"}),
        uid_mappings=(IDMapping(0, os.geteuid()),),
        gid_mappings=(IDMapping(0, os.getegid()),),
        capabilities=alike("CAP_SYS_CHROOT"),
    )
    assert sets(spec) == dict.fromkeys(caps.SETS, caps.mask(["CAP_SYS_CHROOT"]))


def test_a_program_that_is_not_roots_keeps_what_is_ambient() -> None:
    # bubblewrap tests/test-run.sh "expected caps as uid != 0", with --cap-add
    wanted = {"CAP_SYS_CHROOT", "CAP_SYSLOG", "CAP_BPF"}  # the last two lie beyond the first word of 32 bits
    spec = shell(
        SETS,
        namespaces=frozenset({"user"}),
        uid_mappings=(IDMapping(1000, os.geteuid()),),
        gid_mappings=(IDMapping(1000, os.getegid()),),
        capabilities=alike(*wanted),
    )
    assert sets(spec) == dict.fromkeys(caps.SETS, caps.mask(wanted))


def test_a_program_that_is_not_roots_has_no_capability_of_itself() -> None:
    # bubblewrap tests/test-run.sh "no caps as uid != 0"
    spec = shell(
        SETS,
        namespaces=frozenset({"user"}),
        uid_mappings=(IDMapping(1000, os.geteuid()),),
        gid_mappings=(IDMapping(1000, os.getegid()),),
    )
    found = sets(spec)
    assert (found["permitted"], found["effective"], found["ambient"]) == (0, 0, 0)


def test_keep_caps_hands_on_all_that_is_permitted() -> None:  # unshare(1) --keep-caps
    spec = shell(
        SETS,
        namespaces=frozenset({"user"}),
        uid_mappings=(IDMapping(1000, os.geteuid()),),
        gid_mappings=(IDMapping(1000, os.getegid()),),
        keep_caps=True,
    )
    assert sets(spec) == dict.fromkeys(caps.SETS, caps.known())


@pytest.mark.needs("root")
def test_ambient_capabilities_survive_a_change_of_user() -> None:
    # go src/syscall/exec_linux_test.go TestAmbientCaps: CAP_SYSLOG lies beyond the first 32
    wanted = ("CAP_SYS_TIME", "CAP_SYSLOG")
    spec = shell(
        f"{SETS}; id -u",
        capabilities=alike(*wanted),
        user=User(uid=NOBODY, gid=NOBODY, additional_gids=()),
    )
    text = output(spec)
    assert fields(text) == dict.fromkeys(caps.SETS, caps.mask(wanted))
    assert text.splitlines()[-1] == str(NOBODY)


@pytest.mark.needs("root")
def test_ambient_capabilities_survive_a_change_of_user_in_a_user_namespace() -> None:
    # go src/syscall/exec_linux_test.go TestAmbientCapsUserns
    wanted = ("CAP_SYS_TIME", "CAP_SYSLOG")
    spec = shell(
        f"{SETS}; id -u",
        namespaces=frozenset({"user"}),
        uid_mappings=(IDMapping(0, 0, NOBODY + 1),),
        gid_mappings=(IDMapping(0, 0, NOBODY + 1),),
        setgroups="allow",
        capabilities=alike(*wanted),
        user=User(uid=NOBODY, gid=NOBODY, additional_gids=()),
    )
    text = output(spec)
    assert fields(text) == dict.fromkeys(caps.SETS, caps.mask(wanted))
    assert text.splitlines()[-1] == str(NOBODY)


@pytest.mark.needs("root")
def test_a_change_of_user_leaves_no_capability_that_was_not_asked_for() -> None:
    # go-sandbox container TestContainerSetCred
    found = sets(shell(SETS, user=User(uid=NOBODY, gid=NOBODY, additional_gids=())))
    assert (found["permitted"], found["effective"], found["ambient"]) == (0, 0, 0)


@pytest.mark.needs("root")
def test_keep_caps_survives_a_change_of_user() -> None:
    ours = fields(Path("/proc/thread-self/status").read_text())
    found = sets(shell(SETS, user=User(uid=NOBODY, gid=NOBODY, additional_gids=()), keep_caps=True))
    assert (found["effective"], found["ambient"]) == (ours["permitted"], ours["permitted"])


@pytest.mark.needs("root")
def test_a_dropped_capability_is_missed_by_the_program() -> None:  # go-sandbox forkexec TestFork_DropCaps
    all_but_chown = frozenset(caps.names(caps.bounding() & ~1).split())
    spec = shell(
        "chown 1 /proc/self/fd/0 2>/dev/null; touch owned && chown 1 owned",
        cwd=os.path.realpath("/tmp"),
        capabilities=Capabilities(bounding=all_but_chown),
    )
    with launch(spec) as child:
        ended = child.wait()
    Path("/tmp/owned").unlink()
    assert ended is not None
    assert ended.status == 1


# ---- what is explained beforehand ----

NONE = frozenset[str]()
KILL = frozenset({"CAP_KILL"})


@pytest.mark.needs("root")
@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Capabilities(permitted=NONE, effective=KILL), "effective set is not in the permitted set"),
        (Capabilities(permitted=NONE, inheritable=KILL, ambient=KILL), "ambient set is not in the permitted set"),
        # runc tests/integration/capabilities.bats "ambient caps not set in inheritable result in a warning"
        (Capabilities(inheritable=NONE, ambient=KILL), "ambient set is not in the inheritable set"),
        (Capabilities(bounding=NONE, inheritable=KILL), "inheritable set is not in the bounding set"),
    ],
)
def test_sets_that_contradict_each_other_are_explained_and_refused_by_the_kernel(
    wanted: Capabilities, words: str
) -> None:
    assert f"CAP_KILL in the {words}" in refusal(shell("true", capabilities=wanted))
    with pytest.raises(LaunchError) as error:
        launch(shell("true", capabilities=wanted, check=False))
    assert error.value.errno_name == "EPERM"
    assert error.value.cause


@pytest.mark.needs("root")
def test_what_execve_would_give_roots_program_is_explained() -> None:
    message = refusal(shell("true", capabilities=Capabilities(permitted=KILL, effective=KILL)))
    assert "execve would add" in message
    assert "CAP_SYS_ADMIN" in message


def test_what_execve_would_take_from_another_users_program_is_explained() -> None:
    spec = shell(
        "true",
        namespaces=frozenset({"user"}),
        uid_mappings=(IDMapping(1000, os.geteuid()),),
        capabilities=Capabilities(permitted=KILL, effective=KILL, ambient=NONE),
    )
    assert "execve would take CAP_KILL from the permitted set" in refusal(spec)


def test_what_this_kernel_does_not_know_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caps, "last", lambda: 39)
    message = refusal(shell("true", capabilities=Capabilities(bounding=frozenset({"CAP_CHECKPOINT_RESTORE"}))))
    assert "this kernel does not know CAP_CHECKPOINT_RESTORE" in message


def test_keep_caps_and_sets_are_two_wishes() -> None:
    assert "two things" in refusal(shell("true", keep_caps=True, capabilities=alike()))


@pytest.mark.needs("root")
def test_what_is_not_in_our_own_bounding_set_cannot_be_given() -> None:
    def without_chown() -> str:
        _native.call(_native.SYSCALLS["prctl"], PR_CAPBSET_DROP, 0, 0, 0, 0)
        assert _native.call(_native.SYSCALLS["prctl"], PR_CAPBSET_READ, 0, 0, 0, 0) == 0
        return refusal(shell("true", capabilities=Capabilities(bounding=frozenset({"CAP_CHOWN"}))))

    assert "cannot grow by CAP_CHOWN" in apart(without_chown)


@pytest.mark.needs("root")
def test_without_privilege_the_bounding_set_stays_and_that_is_explained() -> None:
    spec = shell("true", capabilities=Capabilities(bounding=NONE))

    def as_nobody() -> tuple[str, str | None]:
        become_nobody()
        message = refusal(spec)
        with pytest.raises(LaunchError) as error:
            launch(shell("true", capabilities=Capabilities(bounding=NONE), check=False))
        return message, error.value.errno_name

    message, errno_name = apart(as_nobody)
    assert "CAP_SETPCAP" in message
    assert errno_name == "EPERM"


@pytest.mark.needs("root")
def test_without_privilege_the_empty_sets_are_for_everyone() -> None:
    wanted = Capabilities(permitted=NONE, effective=NONE, inheritable=NONE, ambient=NONE)

    def as_nobody() -> dict[str, int]:
        become_nobody()
        return sets(shell(SETS, capabilities=wanted))

    found = apart(as_nobody)
    assert [found[name] for name in ("permitted", "effective", "inheritable", "ambient")] == [0, 0, 0, 0]


# ---- nothing is left, nothing is added ----


def test_a_launch_without_capabilities_has_no_step_for_them() -> None:
    assert not [
        step.label for step in compile_spec(shell("true")).steps if step.syscall in ("prctl", "capset", "capget")
    ]


@pytest.mark.needs("root")
@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize(
    "label", ["drop CAP_CHOWN", "clear ambient", "capset", "raise ambient CAP_KILL", "read capabilities"]
)
def test_a_refused_step_leaves_nothing(label: str) -> None:
    with pytest.raises(LaunchError) as error:
        launch(shell("true", capabilities=alike("CAP_KILL")), inject=(label, 1))
    assert error.value.step == label


@pytest.mark.needs("root")
@pytest.mark.usefixtures("nothing_left")
def test_a_kernel_that_says_otherwise_ends_the_launch() -> None:
    """A capset that does nothing, as a wrong engine would have it: the read-back finds out."""
    plan = compile_spec(shell("true", capabilities=alike("CAP_KILL")))
    lying = [step for step in plan.steps if step.label == "capset"]
    steps = tuple(replace(step, syscall="getpid", args=()) if step in lying else step for step in plan.steps)
    steps = tuple(replace(step, syscall="getpid", args=()) if "raise" in step.label else step for step in steps)
    with pytest.raises(LaunchError) as error:
        launch(replace(plan, steps=steps))
    assert error.value.step == "read back effective capabilities"
