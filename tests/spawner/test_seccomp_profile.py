"""Seccomp profiles in JSON: what is read, what is refused and where, without a kernel."""

from __future__ import annotations

import json

import pytest

from spawner.seccomp.profile import ACT_ERRNO, ACTIONS, ProfileError, Rule, read

NONE = frozenset[str]()
ALLOW, KILL = ACTIONS["SCMP_ACT_ALLOW"], ACTIONS["SCMP_ACT_KILL_PROCESS"]


def text(*rules: dict[str, object], **whole: object) -> str:
    return json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": list(rules), **whole})


def rule(name: str = "read", **fields: object) -> dict[str, object]:
    return {"names": [name], "action": "SCMP_ACT_ERRNO", **fields}


def rules(*given: dict[str, object], bounding: frozenset[str] = NONE, **where: object) -> tuple[Rule, ...]:
    return read(text(*given), bounding=bounding, **where).rules  # type: ignore[arg-type]


def names(*given: dict[str, object], **where: object) -> list[str]:
    return [name for found in rules(*given, **where) for name in found.names]  # type: ignore[arg-type]


def test_an_errno_is_eperm_where_none_is_given() -> None:
    assert [found.action for found in rules(rule(), rule(errnoRet=38))] == [ACT_ERRNO | 1, ACT_ERRNO | 38]


def test_the_default_action_has_an_errno_too() -> None:
    assert read(text(defaultAction="SCMP_ACT_ERRNO", defaultErrnoRet=5), bounding=NONE).default == ACT_ERRNO | 5


def test_dockers_errno_is_a_name() -> None:
    given = text(rule(errno="ENOSYS"), defaultAction="SCMP_ACT_ERRNO", defaultErrno="EIO")
    profile = read(given, bounding=NONE)
    assert (profile.default, profile.rules[0].action) == (ACT_ERRNO | 5, ACT_ERRNO | 38)


def test_kill_is_of_the_thread() -> None:
    assert [found.action for found in rules(rule(action="SCMP_ACT_KILL"), rule(action="SCMP_ACT_KILL_PROCESS"))] == [
        0,
        KILL,
    ]


def test_two_conditions_on_one_argument_are_alternatives() -> None:
    args = [{"index": 1, "value": value, "op": "SCMP_CMP_EQ"} for value in (1, 2)]
    assert [[one.value for one in found.comparisons] for found in rules(rule(args=args))] == [[1], [2]]


def test_conditions_on_two_arguments_must_both_hold() -> None:
    args = [{"index": index, "value": 7, "op": "SCMP_CMP_EQ"} for index in (0, 1)]
    assert [[one.index for one in found.comparisons] for found in rules(rule(args=args))] == [[0, 1]]


def test_dockers_conditions_decide_what_is_read() -> None:
    admin = frozenset({"CAP_SYS_ADMIN"})
    given = (
        rule("a", includes={"caps": ["CAP_SYS_ADMIN"]}),
        rule("b", excludes={"caps": ["CAP_SYS_ADMIN"]}),
        rule("c", includes={"arches": ["amd64", "x32"]}),
        rule("d", excludes={"arches": ["amd64"]}),
        rule("e", includes={"minKernel": "4.8"}),
        rule("f", excludes={"minKernel": "4.8"}),
    )
    assert names(*given, bounding=admin, machine="x86_64", kernel=(6, 1)) == ["a", "c", "e"]
    assert names(*given, bounding=NONE, machine="aarch64", kernel=(4, 7)) == ["b", "d", "f"]


def test_dockers_map_gives_the_architectures_of_this_machine() -> None:
    entries = [
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
    ]
    given = text(archMap=entries)
    assert read(given, bounding=NONE, machine="aarch64").architectures == ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM")
    assert read(given, bounding=NONE, machine="x86_64").architectures[0] == "SCMP_ARCH_X86_64"


def test_flags_are_read_and_needless_ones_noted() -> None:
    profile = read(text(flags=["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"]), bounding=NONE)
    assert profile.flags == 2
    assert "TSYNC" in profile.notes[0]


@pytest.mark.parametrize(
    ("given", "place", "words"),
    [
        ("{", "line 1, column 2", "no JSON"),
        ("[]", "$", "an object is expected, not a list"),
        ('{"syscalls": []}', "$", "no defaultAction"),
        (text(defaultAction="SCMP_ACT_ALOW"), "$.defaultAction", "unknown action"),
        (text(defaultAction=3), "$.defaultAction", "a string is expected, not a number"),
        (text(defaultErrnoRat=1), "$.defaultErrnoRat", "unknown key"),
        (text(defaultErrnoRet=1), "$.defaultErrnoRet", "takes no errno"),
        (text(flags=["SECCOMP_FILTER_FLAG_LOUD"]), "$.flags[0]", "unknown flag"),
        (text(architectures="SCMP_ARCH_X86"), "$.architectures", "a list is expected, not a string"),
        (text(architectures=["SCMP_ARCH_X86"], archMap=[{"architecture": "a"}]), "$.archMap", "archMap too"),
        (text(listenerPath="/run/socket"), "$.listenerPath", "a listener"),
        (text(rule(), rule(action="SCMP_ACT_NOTIFY")), "$.syscalls[1].action", "a listener"),
        (text({"action": "SCMP_ACT_ALLOW"}), "$.syscalls[0]", "no system call"),
        (text(rule(names=[7])), "$.syscalls[0].names[0]", "a string is expected"),
        (text({**rule(), "name": "write"}), "$.syscalls[0].name", "names too"),
        (text(rule(errnoRet=4096)), "$.syscalls[0].errnoRet", "0 to 4095"),
        (text(rule(errno="EWRONG")), "$.syscalls[0].errno", "unknown errno"),
        (text(rule(args=[{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}])), "$.syscalls[0].args[0].index", "0 to 5"),
        (text(rule(args=[{"index": 0, "value": -1, "op": "SCMP_CMP_EQ"}])), "$.syscalls[0].args[0].value", "0 to"),
        (text(rule(args=[{"index": 0, "value": 1, "op": "EQ"}])), "$.syscalls[0].args[0].op", "SCMP_CMP_EQ"),
        (text(rule(includes={"minKernel": "new"})), "$.syscalls[0].includes.minKernel", "no kernel version"),
        (text(rule(includes={"cap": []})), "$.syscalls[0].includes.cap", "unknown key"),
    ],
)  # fmt: skip
def test_an_error_names_its_place(given: str, place: str, words: str) -> None:
    with pytest.raises(ProfileError) as error:
        read(given, bounding=NONE, machine="x86_64")
    assert error.value.place == place
    assert words in f"{error.value.message} {error.value.remedy}"
