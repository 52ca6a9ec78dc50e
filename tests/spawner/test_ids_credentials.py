"""The program's user, group, groups and umask: set, read back, and with setuid's usual effect on capabilities."""

from __future__ import annotations

import errno
import os
from dataclasses import replace

import pytest
from apart import NOBODY, apart, become_nobody
from leftovers import Census
from mapped import USER, in_range
from running import PLANNING, output, shell

from spawner import IDMapping, LaunchError, Mechanism, Spec, SpecError, Stdio, compile_spec, launch
from spawner.flags import BY_NAME
from spawner.oci import Rlimit, User

pytestmark = pytest.mark.needs_root

TRUE = Spec(args=("/bin/true",), stdio=Stdio.NULL)
SOMEBODY = User(uid=1234, gid=2345, additional_gids=(7, 3), umask=0o27)
WAYS = (*PLANNING, Mechanism.FORK)
WHO = "grep -E '^(Uid|Gid|Groups|Cap...):' /proc/self/status; umask"


def status(text: str) -> dict[str, list[str]]:
    """Lines of /proc/PID/status as words by name; the last line, without one, is the umask."""
    found = {name: words.split() for name, colon, words in (line.partition(":") for line in text.splitlines()) if colon}
    return {**found, "umask": [text.split()[-1]]}


# go-sandbox pkg/forkexec TestContainerSetCred
@pytest.mark.parametrize("via", WAYS)
def test_the_program_is_who_it_was_asked_to_be(via: Mechanism, nothing_left: Census) -> None:
    found = status(output(shell(WHO, user=SOMEBODY, via=via)))
    assert found["Uid"] == ["1234"] * 4
    assert found["Gid"] == ["2345"] * 4
    assert found["Groups"] == ["3", "7"]
    assert found["umask"] == ["0027"]


# setuid(2), capabilities(7): whoever is not 0 any more has none, not even where the set-up had to keep them
@pytest.mark.parametrize("via", WAYS)
@pytest.mark.parametrize("kept", [False, True], ids=["nothing later", "a limit later"])
def test_another_user_than_0_has_no_capability(kept: bool, via: Mechanism, nothing_left: Census) -> None:
    limits = (Rlimit("RLIMIT_NOFILE", 50, 50),) if kept else ()
    found = status(output(shell(WHO, user=SOMEBODY, rlimits=limits, via=via)))
    assert found["CapPrm"] == found["CapEff"] == found["CapAmb"] == ["0" * 16]


def test_securebits_are_afterwards_as_they_were(nothing_left: Census) -> None:
    plan = compile_spec(replace(TRUE, user=SOMEBODY, rlimits=(Rlimit("RLIMIT_NOFILE", 50, 50),)), hold=True)
    labels = [step.label for step in plan.steps]
    assert labels.index("keep capabilities") < labels.index("user") < labels.index("restore securebits")
    script = "import ctypes; print(ctypes.CDLL(None).prctl(27, 0, 0, 0, 0))"  # PR_GET_SECUREBITS
    spec = shell(f'exec /usr/bin/env python3 -c "{script}"', user=SOMEBODY, rlimits=(Rlimit("RLIMIT_NOFILE", 50, 50),))
    assert output(spec) == "0\n"


# Go TestGroupCleanup, TestGroupCleanupUserNamespace
@pytest.mark.parametrize("namespaces", [frozenset(), USER], ids=["here", "user namespace"])
def test_groups_are_dropped_where_none_are_asked_for(namespaces: frozenset[str], nothing_left: Census) -> None:
    own = (IDMapping(0, 0),) if namespaces else ()

    def run() -> str:
        os.setgroups([4, 24])
        spec = shell("id; grep Groups /proc/self/status", namespaces=namespaces, uid_mappings=own, gid_mappings=own)
        return output(replace(spec, user=User(uid=0, gid=0, additional_gids=())))

    text = str(apart(run))
    assert text.startswith("uid=0(root) gid=0(root)")
    assert text.splitlines()[1].split() == ["Groups:"]


def test_what_is_not_asked_for_stays(nothing_left: Census) -> None:
    def run() -> list[str]:
        os.setgroups([4, 24])
        os.umask(0o71)
        return [output(shell(WHO, user=user)) for user in (User(), User(gid=5), User(uid=5))]

    plain, gid, uid = (status(text) for text in apart(run))
    assert plain["Groups"] == gid["Groups"] == uid["Groups"] == ["4", "24"]
    assert plain["umask"] == gid["umask"] == ["0071"]
    assert (gid["Uid"][0], gid["Gid"][0]) == ("0", "5")
    assert (uid["Uid"][0], uid["Gid"][0]) == ("5", "0")
    assert gid["CapEff"] == plain["CapEff"] != ["0" * 16]


def test_the_largest_id_and_a_large_group_are_set_and_read_back(nothing_left: Census) -> None:
    most = 2**32 - 2
    found = status(output(shell(WHO, user=User(uid=most, gid=most, additional_gids=(most, 2**31)))))
    assert found["Uid"] == found["Gid"] == [str(most)] * 4
    assert found["Groups"] == [str(2**31), str(most)]


def test_our_own_umask_and_groups_are_as_before(nothing_left: Census) -> None:
    before = os.getgroups(), os.getresuid(), os.getresgid()
    mask = os.umask(0o22)
    try:
        output(shell(WHO, user=SOMEBODY))
        assert os.umask(0o22) == 0o22
    finally:
        os.umask(mask)
    assert (os.getgroups(), os.getresuid(), os.getresgid()) == before


# go-sandbox: a credential that the kernel did not set must not look set
@pytest.mark.parametrize(
    ("read", "what"),
    [("read user", "user"), ("read group", "group"), ("read umask", "umask"), ("read groups", "groups")],
)
def test_what_is_read_back_otherwise_is_an_error(read: str, what: str, nothing_left: Census) -> None:
    plan = compile_spec(replace(TRUE, user=SOMEBODY))
    index = next(i for i, step in enumerate(plan.steps) if step.label == read)
    check = next(check for check in plan.checks if check.step == index)
    wrong = replace(plan, checks=(replace(check, wanted="something else"),))
    with pytest.raises(LaunchError) as caught:
        launch(wrong)
    assert caught.value.step == f"read back {what}"
    assert "something else was asked for" in caught.value.cause


# ---- told beforehand ----

CASES = {
    "negative uid": (replace(TRUE, user=User(uid=-1)), "-1 is no user id"),
    "no gid": (replace(TRUE, user=User(gid=2**32 - 1)), "is no group id"),
    "no group": (replace(TRUE, user=User(additional_gids=(5, 2**32))), "is no group id"),
    "umask": (replace(TRUE, user=User(umask=0o1000)), "is no umask"),
    "many groups": (replace(TRUE, user=User(additional_gids=tuple(range(65537)))), "65537 supplementary groups"),
    "unmapped user": (in_range("true", user=User(uid=65536)), "user 65536 is not mapped"),
    "unmapped group": (in_range("true", user=User(additional_gids=(70000,))), "group 70000 is not mapped"),
    "no map": (replace(TRUE, namespaces=USER, user=User(uid=0)), "give it a user id map"),
    "groups denied": (in_range("true", setgroups="deny", user=User(additional_gids=())), "setgroups is denied"),
    "shared umask": (replace(TRUE, clone_flags=BY_NAME["CLONE_FS"].bit, user=User(umask=0)), "would be this process's"),
    "shared memory": (replace(TRUE, clone_flags=BY_NAME["CLONE_VM"].bit, user=User(uid=5)), "cannot change its ids"),
    "vfork": (replace(TRUE, via=Mechanism.VFORK, user=User(uid=5)), "cannot change its ids"),
    "posix_spawn": (replace(TRUE, via=Mechanism.POSIX_SPAWN, user=User(uid=5)), "no attribute for user"),
}


@pytest.mark.parametrize("name", CASES)
def test_credentials_that_cannot_be_are_told_beforehand(name: str, nothing_left: Census) -> None:
    spec, words = CASES[name]
    with pytest.raises(SpecError) as caught:
        launch(spec)
    assert words in str(caught.value)
    assert all(problem.remedy for problem in caught.value.problems)


# ---- refused by the kernel ----


@pytest.mark.parametrize(
    ("user", "step"),
    [(User(uid=0), "user"), (User(gid=0), "group"), (User(additional_gids=()), "groups")],
    ids=["user", "group", "groups"],
)
def test_without_privilege_nobody_else_can_be_become(user: User, step: str) -> None:
    def run() -> tuple[str, int | None, str]:
        become_nobody()
        with pytest.raises(LaunchError) as caught:
            launch(replace(TRUE, user=user))
        return caught.value.step, caught.value.errno, str(caught.value)

    found, number, text = apart(run)
    assert (found, number) == (step, errno.EPERM)
    assert "run as root" in text


def test_anybody_may_ask_to_be_who_it_is() -> None:
    def run() -> str:
        become_nobody()
        return output(shell("id -u; id -g; umask", user=User(uid=NOBODY, gid=NOBODY, umask=0o7)))

    assert str(apart(run)).split() == [str(NOBODY), str(NOBODY), "0007"]


# setresuid's loss of dumpability: the child's namespaces are read through a directory opened before
@pytest.mark.parametrize("via", PLANNING)
def test_namespaces_are_still_read_back_after_a_change_of_user(via: Mechanism, nothing_left: Census) -> None:
    spec = replace(TRUE, namespaces=frozenset({"uts", "pid", "mount"}), user=SOMEBODY, via=via)
    with launch(spec) as child:
        assert None not in child.namespaces.values()
