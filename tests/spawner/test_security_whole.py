"""Everything about security at once, by each way to make a child."""

from __future__ import annotations

import os

import pytest
from apart import NOBODY
from running import output, shell

from spawner import IDMapping, LaunchError, Mechanism, Spec, launch
from spawner import capabilities as caps
from spawner.oci import Capabilities, Landlock, Seccomp, User

SYSTEM = tuple(path for path in ("/usr", "/bin", "/lib", "/lib64", "/etc") if os.path.exists(path))
KEPT = frozenset({"CAP_NET_RAW", "CAP_SYSLOG"})
LOOK = """
    grep -E '^(Cap(Bnd|Eff|Amb)|NoNewPrivs|Seccomp|Uid):' /proc/self/status | tr -s '\\t\\n' ' '
    unshare -m true 2>/dev/null || printf 'no mounts '
    ls /var >/dev/null 2>&1 || printf 'no var '
    touch /tmp/made 2>/dev/null || printf 'no file'
"""

pytestmark = pytest.mark.needs("libseccomp", "landlock", "seccomp")


def everything(**fields: object) -> Spec:
    wanted = Capabilities(bounding=KEPT, permitted=KEPT, effective=KEPT, inheritable=KEPT, ambient=KEPT)
    return shell(
        LOOK,
        capabilities=wanted,
        seccomp=(Seccomp("default"),),
        landlock=Landlock(read=(*SYSTEM, "/proc"), write=("/dev/null",)),
        **fields,
    )


def expected(uid: int, no_new_privs: bool) -> str:
    bits = f"{caps.mask(KEPT):016x}"
    ids = " ".join([str(uid)] * 4)
    return (
        f"Uid: {ids} CapEff: {bits} CapBnd: {bits} CapAmb: {bits} NoNewPrivs: {int(no_new_privs)} Seccomp: 2 "
        "no mounts no var no file"
    )


SHARING = (Mechanism.VFORK,)
"""Which share our memory whatever is asked for: a change of ids would be ours too."""
PLANNED = [way for way in Mechanism if way not in (Mechanism.AUTO, Mechanism.POSIX_SPAWN)]


@pytest.mark.needs("root")
@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("no_new_privs", [True, False])
@pytest.mark.parametrize("via", [way for way in PLANNED if way not in SHARING])
def test_all_of_it_holds_for_another_user_however_the_child_is_made(via: Mechanism, no_new_privs: bool) -> None:
    spec = everything(via=via, no_new_privs=no_new_privs, user=User(uid=NOBODY, gid=NOBODY, additional_gids=()))
    assert output(spec) == expected(NOBODY, no_new_privs)


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("no_new_privs", [True, False])
def test_all_of_it_holds_in_a_user_namespace(no_new_privs: bool) -> None:
    spec = everything(
        no_new_privs=no_new_privs,
        namespaces=frozenset({"user", "mount", "pid"}),
        uid_mappings=(IDMapping(1000, os.geteuid()),),
        gid_mappings=(IDMapping(1000, os.getegid()),),
    )
    assert output(spec) == expected(1000, no_new_privs)


@pytest.mark.needs("root")
@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("via", PLANNED)
def test_each_step_that_is_refused_is_named_and_leaves_nothing(via: Mechanism) -> None:
    labels = ("drop CAP_CHOWN", "no_new_privs", "landlock", "capset", "raise ambient CAP_SYSLOG", "seccomp")
    for label in labels:
        with pytest.raises(LaunchError) as error:
            launch(everything(via=via, no_new_privs=True), inject=(label, 1))
        assert error.value.step == label
        assert error.value.cause


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("no_new_privs", [True, pytest.param(False, marks=pytest.mark.needs("root"))])
def test_the_init_above_a_filtered_program_is_filtered_too(no_new_privs: bool) -> None:
    script = "grep -hE '^Seccomp(_filters)?:' /proc/self/status /proc/$PPID/status | tr -d '\\t\\n'"
    found = output(shell(script, seccomp=(Seccomp("default"),), no_new_privs=no_new_privs, init=True))
    assert found == "Seccomp:2Seccomp_filters:1" * 2
