"""Seccomp filters in force: what they answer, in which order they are installed, and what the engine says of them."""

from __future__ import annotations

import errno
import json
import os
import signal
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from answers import answers, number, program
from apart import apart, become_nobody
from running import output, read_all, shell

from spawner import IDMapping, LaunchError, Spec, SpecError, Stdio, compile_spec, launch
from spawner.oci import Capabilities, Seccomp, User
from spawner.seccomp.compile import compile_profile

pytestmark = pytest.mark.needs("libseccomp", "seccomp")

STATUS = "grep -E '^(NoNewPrivs|Seccomp|Seccomp_filters):' /proc/self/status | tr -d '\\t\\n'"
ODD = errno.EDOM
"""An errno that no system call used here answers by itself."""

RETURN_ALLOW = struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000)
LSEEK, MADVISE = "lseek", "madvise"


def profile(*rules: dict[str, object], default: str = "SCMP_ACT_ALLOW", **whole: object) -> Seccomp:
    return Seccomp("test", profile=json.dumps({"defaultAction": default, "syscalls": list(rules), **whole}))


def deny(*names: str, number: int = ODD, **fields: object) -> dict[str, object]:
    return {"names": list(names), "action": "SCMP_ACT_ERRNO", "errnoRet": number, **fields}


def allow(*names: str) -> dict[str, object]:
    return {"names": list(names), "action": "SCMP_ACT_ALLOW"}


ENOUGH = allow(
    "read", "write", "writev", "openat", "close", "fstat", "newfstatat", "mmap", "munmap", "mprotect", "brk", "pread64",
    "execve", "arch_prctl", "prctl", "prlimit64", "set_tid_address", "set_robust_list", "rseq", "getrandom", "access",
    "exit_group", "exit", "rt_sigaction", "rt_sigprocmask", "ioctl", "readlink", "seccomp", "futex", "fadvise64",
    "lseek", "tgkill", "getpid", "gettid", "copy_file_range", "statx",
)  # fmt: skip
"""What cat(1) needs to print its status."""

CAT = Spec(args=("/bin/cat", "/proc/self/status"), stdio=Stdio.PIPE, no_new_privs=True)


def filters(spec: Spec) -> str:
    """What /proc/self/status of cat says."""
    lines = dict(line.split(":", 1) for line in output(spec).splitlines())
    return " ".join(lines[name].strip() for name in ("Seccomp", "Seccomp_filters"))


# ---- what is in force ----


def test_without_a_filter_there_is_none() -> None:  # bubblewrap tests/test-seccomp.py no_seccomp
    ours = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    assert filters(CAT) == f"{ours['Seccomp'].strip()} {ours['Seccomp_filters'].strip()}"
    assert not [step for step in compile_spec(CAT).steps if step.syscall == "seccomp"]


def test_an_allow_list_lets_through_what_it_names_and_nothing_else() -> None:
    # bubblewrap tests/test-seccomp.py allowlist
    wanted = profile(ENOUGH, default="SCMP_ACT_ERRNO")
    assert filters(replace(CAT, seccomp=(wanted,))) == "2 1"
    refused = launch_text(replace(CAT, args=("/bin/mkdir", "/tmp/never"), seccomp=(wanted,)))
    assert "Operation not permitted" in refused
    assert not os.path.exists("/tmp/never")


def launch_text(spec: Spec) -> str:
    """What a program that fails said on its standard error."""
    with launch(spec) as child:
        assert child.stderr is not None
        text = read_all(child.stderr)
        ended = child.wait()
    assert ended is not None
    assert ended.status != 0
    return text


def test_a_deny_list_refuses_what_it_names_and_nothing_else() -> None:  # bubblewrap tests/test-seccomp.py denylist
    calls = {"denied": (number(LSEEK), -1, 0, 0), "other": (number("close"), -1)}
    found = answers(calls, seccomp=(profile(deny(LSEEK)),), no_new_privs=True)
    assert found == {"denied": ODD, "other": errno.EBADF}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_filters_are_stacked_and_all_of_them_hold(order: tuple[int, int]) -> None:
    # bubblewrap tests/test-seccomp.py stacked, in both orders: of two errnos the filter installed last answers
    stack = (profile(deny(LSEEK, MADVISE, number=ODD)), profile(deny(LSEEK, "sync_file_range", number=errno.EXDEV)))
    calls = {name: (number(name), -1, 0, 0, 0) for name in (LSEEK, MADVISE, "sync_file_range")}
    found = answers(calls, seccomp=tuple(stack[place] for place in order), no_new_privs=True)
    assert found == {
        LSEEK: (ODD, errno.EXDEV)[order[1]],
        MADVISE: ODD,
        "sync_file_range": errno.EXDEV,
    }


@pytest.mark.parametrize("count", [1, 3])
def test_the_kernel_counts_the_filters(count: int) -> None:
    assert filters(replace(CAT, seccomp=(profile(deny(LSEEK)),) * count)).split()[1] == str(count)


def test_a_program_of_the_callers_own_is_installed_as_it_is() -> None:
    assert filters(replace(CAT, seccomp=(Seccomp("own", program=RETURN_ALLOW),))) == "2 1"


def test_a_call_can_kill() -> None:  # runc tests/integration/seccomp.bats "SCMP_ACT_KILL"
    for action, how in (("SCMP_ACT_KILL", signal.SIGSYS), ("SCMP_ACT_KILL_PROCESS", signal.SIGSYS)):
        rule = {"names": [LSEEK], "action": action}
        spec = replace(program({"k": (number(LSEEK), -1, 0, 0)}), seccomp=(profile(rule),), no_new_privs=True)
        with launch(spec) as child:
            ended = child.wait()
        assert ended is not None
        assert ended.signal == how


def test_a_default_errno_may_be_chosen() -> None:  # runc tests/integration/seccomp.bats "ERRNO default"
    wanted = profile(allow_all_but(LSEEK), default="SCMP_ACT_ERRNO", defaultErrnoRet=ODD)
    assert answers({"k": (number(LSEEK), -1, 0, 0)}, seccomp=(wanted,), no_new_privs=True) == {"k": ODD}


def allow_all_but(*missing: str) -> dict[str, object]:
    """The calls of our own default, which python needs."""
    from spawner.seccomp.default import ALLOWED

    names = [name for names in ALLOWED.values() for name in names.split() if name not in missing]
    return allow(*names, "clone", "socket")


def test_what_a_profile_is_too_old_to_know_is_missing() -> None:
    # runc tests/integration/seccomp.bats "[seccomp -ENOSYS handling]": newer than the newest call that is named
    rules = (allow_all_but(LSEEK),)
    newest = max(number(name) for name in rules[0]["names"])  # type: ignore[attr-defined]
    calls = {"old": (number(LSEEK), -1, 0, 0), "newer": (newest + 1,), "far": (5000,)}
    found = answers(calls, seccomp=(profile(*rules, default="SCMP_ACT_ERRNO"),), no_new_privs=True)
    assert found == {"old": errno.EPERM, "newer": errno.ENOSYS, "far": errno.ENOSYS}


def test_names_that_the_library_does_not_know_are_noted() -> None:
    plan = compile_spec(replace(CAT, seccomp=(profile(deny("read_minds", LSEEK)),)))
    assert "read_minds" in " ".join(plan.notes)


@pytest.mark.parametrize("flag", ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"])
def test_flags_reach_the_kernel(flag: str) -> None:  # runc tests/integration/seccomp.bats "[seccomp] (flags…)"
    plan = compile_spec(replace(CAT, seccomp=(profile(deny(LSEEK), flags=[flag]),)))
    assert [str(step.args[1]) for step in plan.steps if step.label == "seccomp"] == [
        {"SECCOMP_FILTER_FLAG_LOG": "2", "SECCOMP_FILTER_FLAG_SPEC_ALLOW": "4"}[flag]
    ]
    assert filters(replace(CAT, seccomp=(profile(deny(LSEEK), flags=[flag]),))) == "2 1"


# ---- conditions on arguments, against what they mean ----

COMPARE = {
    "NE": lambda found, value, _: found != value,
    "LT": lambda found, value, _: found < value,
    "LE": lambda found, value, _: found <= value,
    "EQ": lambda found, value, _: found == value,
    "GE": lambda found, value, _: found >= value,
    "GT": lambda found, value, _: found > value,
    "MASKED_EQ": lambda found, value, two: found & value == two,
}


@pytest.mark.parametrize("op", COMPARE)
def test_a_condition_compares_all_64_bits(op: str) -> None:
    value, two = (0xFFFFFFFF00000000, 0x500000000) if op == "MASKED_EQ" else (0x500000007, 0)
    args = [{"index": 1, "value": value, "valueTwo": two, "op": f"SCMP_CMP_{op}"}]
    offsets = (0, 7, 0x500000006, 0x500000007, 0x500000008, 0x400000007, 0x600000007, 0x7FFFFFFFFFFFFFFF)
    found = answers(
        {str(offset): (number(LSEEK), -1, offset, 0) for offset in offsets},
        seccomp=(profile(deny(LSEEK, args=args)),),
        no_new_privs=True,
    )
    assert found == {str(offset): ODD if COMPARE[op](offset, value, two) else errno.EBADF for offset in offsets}


def test_all_conditions_of_a_rule_must_hold() -> None:
    args = [{"index": index, "value": 7, "op": "SCMP_CMP_EQ"} for index in (1, 2)]
    calls = {f"{one} {two}": (number(LSEEK), -1, one, two) for one in (7, 8) for two in (7, 8)}
    found = answers(calls, seccomp=(profile(deny(LSEEK, args=args)),), no_new_privs=True)
    assert [key for key, answer in found.items() if answer == ODD] == ["7 7"]


# ---- privilege ----


@pytest.mark.needs("root")
def test_root_needs_no_no_new_privs() -> None:
    text = output(shell(STATUS, seccomp=(profile(deny(LSEEK)),)))
    assert text == "NoNewPrivs:0Seccomp:2Seccomp_filters:1"


@pytest.mark.needs("root")
def test_a_filter_without_no_new_privs_outlasts_the_loss_of_every_capability() -> None:
    none = frozenset[str]()
    wanted = Capabilities(bounding=none, effective=none, permitted=none, inheritable=none, ambient=none)
    spec = shell(f"{STATUS}; id -u", seccomp=(profile(deny(LSEEK)),), capabilities=wanted, user=User(uid=65534))
    assert output(spec) == "NoNewPrivs:0Seccomp:2Seccomp_filters:165534\n"


def test_the_creator_of_a_user_namespace_needs_no_no_new_privs() -> None:
    spec = shell(
        STATUS,
        namespaces=frozenset({"user"}),
        uid_mappings=(IDMapping(0, os.geteuid()),),
        seccomp=(profile(deny(LSEEK)),),
    )
    assert output(spec) == "NoNewPrivs:0Seccomp:2Seccomp_filters:1"


@pytest.mark.needs("root")
def test_without_privilege_no_new_privs_is_implied_and_said() -> None:
    def as_nobody() -> tuple[str, tuple[str, ...]]:
        become_nobody()
        spec = shell(STATUS, seccomp=(profile(deny(LSEEK)),))
        return output(spec), compile_spec(spec).notes

    text, notes = apart(as_nobody)
    assert text == "NoNewPrivs:1Seccomp:2Seccomp_filters:1"
    assert "no_new_privs is set: without CAP_SYS_ADMIN seccomp demands it" in notes


def test_with_no_new_privs_nothing_but_execve_comes_after_the_filter() -> None:
    steps = [step.syscall for step in compile_spec(replace(CAT, seccomp=(profile(deny(LSEEK)),))).steps]
    assert steps[steps.index("seccomp") :] == ["seccomp", "execve"]


@pytest.mark.usefixtures("nothing_left")
def test_a_child_can_be_held_up_to_its_filter_and_not_behind() -> None:
    plan = compile_spec(replace(CAT, seccomp=(profile(ENOUGH, default="SCMP_ACT_KILL_PROCESS"),)), hold=True)
    assert [note for note in plan.notes if "cannot be held behind a filter" in note]
    with launch(plan, hold="seccomp") as child:
        assert child.held == [step.label for step in plan.steps].index("seccomp")
        child.step()
        assert child.held is None
        assert child.stdout is not None
        assert "Seccomp_filters:\t1\n" in read_all(child.stdout)


def test_the_engine_itself_calls_nothing_behind_a_filter_but_its_steps() -> None:
    # Not even the clock, which few filters forget to allow because libc reads it without a system call.
    bare = {"names": ["execve"], "action": "SCMP_ACT_ALLOW"}
    with launch(replace(CAT, seccomp=(profile(bare, default="SCMP_ACT_KILL_PROCESS"),))) as child:
        ended = child.wait()
        last = child.timeline[-1]
    assert ended is not None
    assert (ended.signal, ended.executed) == (signal.SIGSYS, True)
    assert last.start_ns <= last.end_ns


# ---- what cannot be ----


@pytest.mark.usefixtures("nothing_left")
def test_a_filter_that_forbids_execve_is_named() -> None:
    for number_, name in ((errno.EPERM, "EPERM"), (errno.ENOSYS, "ENOSYS")):
        with pytest.raises(LaunchError) as error:
            launch(replace(CAT, seccomp=(profile(deny("execve", number=number_)),)))
        assert (error.value.step, error.value.errno_name) == ("execve", name)
        assert "seccomp filter forbids" in error.value.cause


@pytest.mark.usefixtures("nothing_left")
def test_a_filter_that_kills_at_execve_is_named() -> None:
    with pytest.raises(LaunchError) as error:
        launch(replace(CAT, seccomp=(profile({"names": ["execve"], "action": "SCMP_ACT_KILL_PROCESS"}),)))
    assert error.value.step == "execve"
    assert "the seccomp filter forbids execve" in error.value.cause


@pytest.mark.usefixtures("nothing_left")
def test_a_first_filter_that_forbids_a_second_is_named() -> None:
    with pytest.raises(LaunchError) as error:
        launch(replace(CAT, seccomp=(profile(deny("seccomp", number=errno.EPERM)), profile(deny(LSEEK)))))
    assert error.value.step == "seccomp"
    assert "seccomp filter forbids" in error.value.cause


@pytest.mark.needs("root")
@pytest.mark.usefixtures("nothing_left")
def test_a_filter_before_the_capabilities_that_forbids_capset_is_named() -> None:
    wanted = Capabilities(bounding=frozenset({"CAP_KILL"}))
    with pytest.raises(LaunchError) as error:
        launch(shell("true", seccomp=(profile(deny("capset", number=errno.EPERM)),), capabilities=wanted))
    assert error.value.step == "capset"
    assert "seccomp filter forbids" in error.value.cause
    assert "no_new_privs" in error.value.remedy


@pytest.mark.parametrize("given", [b"", b"1234567", RETURN_ALLOW * 4097])
def test_what_is_no_program_is_told_beforehand(given: bytes) -> None:  # bubblewrap tests/test-seccomp.py invalid
    with pytest.raises(SpecError, match="are no filter"):
        compile_spec(replace(CAT, seccomp=(Seccomp("odd", program=given),)))


@pytest.mark.usefixtures("nothing_left")
def test_what_the_kernel_does_not_take_for_a_program_is_explained() -> None:
    with pytest.raises(LaunchError) as error:
        launch(replace(CAT, seccomp=(Seccomp("odd", program=struct.pack("=HBBI", 0xFFFF, 0, 0, 0)),)))
    assert (error.value.step, error.value.errno_name) == ("seccomp", "EINVAL")
    assert error.value.cause == "the kernel takes no such program, or not these flags"


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Seccomp("mine"), "neither a profile nor a program"),
        (Seccomp("mine", profile="{}", program=RETURN_ALLOW), "a program too"),
        (Seccomp("mine", profile="{}"), r"profile mine: \$: there is no defaultAction"),
        (profile(architectures=["SCMP_ARCH_PDP11"]), r"\$.architectures\[0\]: unknown architecture"),
        (profile(architectures=["X86_64"]), r"\$.architectures\[0\]: unknown architecture"),
    ],
)
def test_what_is_no_filter_is_told_beforehand(wanted: Seccomp, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        compile_spec(replace(CAT, seccomp=(wanted,)))


@pytest.mark.usefixtures("nothing_left")
def test_a_filter_that_is_not_there_ends_the_launch() -> None:
    """A plan whose last step installs nothing, as a wrong engine would have it: it is seen from outside."""
    plan = compile_spec(replace(CAT, args=("/bin/sleep", "60"), seccomp=(profile(deny(LSEEK)),)))
    steps = tuple(replace(step, syscall="getpid", args=()) if step.label == "seccomp" else step for step in plan.steps)
    with pytest.raises(LaunchError) as error:
        launch(replace(plan, steps=steps))
    assert error.value.step == "read back seccomp filters"


# ---- the same filter elsewhere ----


@pytest.mark.needs("bwrap")
def test_bwrap_has_the_same_answers_from_our_compiled_filter(tmp_path: Path) -> None:
    wanted = profile(deny(LSEEK, args=[{"index": 1, "value": 7, "op": "SCMP_CMP_GT"}]), deny("io_uring_setup"))
    assert wanted.profile is not None
    compiled, _, _ = compile_profile(wanted.profile, frozenset())
    calls = {
        "seven": (number(LSEEK), -1, 7, 0),
        "eight": (number(LSEEK), -1, 8, 0),
        "io_uring": (number("io_uring_setup"), 0, 0),
    }
    file = tmp_path / "filter"
    file.write_bytes(compiled)
    with file.open("rb") as source:
        command = [
            "bwrap",
            "--bind",
            "/",
            "/",
            "--dev",
            "/dev",
            "--seccomp",
            str(source.fileno()),
            *program(calls).args,
        ]
        told = subprocess.run(command, pass_fds=(source.fileno(),), capture_output=True, text=True, check=True).stdout
    ours = answers(calls, seccomp=(wanted,), no_new_privs=True)
    assert json.loads(told) == ours == {"seven": errno.EBADF, "eight": ODD, "io_uring": ODD}


def test_setpriv_s_case_of_one_call_that_fails() -> None:
    # util-linux tests/ts/setpriv/seccomp: fallocate(2) is refused by a raw filter, the rest works
    wanted = profile(deny("fallocate", number=errno.EPERM))
    assert wanted.profile is not None
    compiled, _, _ = compile_profile(wanted.profile, frozenset())
    script = "import os\ntry: os.posix_fallocate(os.memfd_create('m'), 0, 9)\nexcept OSError as e: print(e.errno)"
    spec = Spec(
        args=(sys.executable, "-I", "-S", "-c", script),
        stdio=Stdio.PIPE,
        seccomp=(Seccomp("raw", program=compiled),),
        no_new_privs=True,
    )
    assert output(spec) == f"{errno.EPERM}\n"


@pytest.mark.usefixtures("nothing_left")
def test_a_filter_that_refuses_even_to_end_does_not_keep_the_launch_waiting() -> None:
    names = ("execve", "exit", "exit_group")
    with pytest.raises(LaunchError) as error:
        launch(replace(CAT, seccomp=(profile(deny(*names, number=errno.EPERM)),)))
    assert (error.value.step, error.value.errno_name) == ("execve", "EPERM")
