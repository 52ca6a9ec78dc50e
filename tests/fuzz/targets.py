"""What is fuzzed, and what may come of it: an answer, or one refusal of the kind that is promised. All else escapes."""

# ruff: noqa: PT017 - a refusal is one of the outcomes looked for, and it has a shape

from __future__ import annotations

import argparse
import errno
import json
import os
from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any, NoReturn
from unittest.mock import patch

import mutations

from nsview import options
from nsview.cli import Parser
from nsview.commands import enter
from nsview.commands import run as run_command
from nsview.host.text import printable
from nsview.options import files
from nsview.options.option import Option
from spawner import Facts, IDMapping, Plan, Spec, SpecError, TimeOffset, compile_spec, oci
from spawner.saved import file as spec_file
from spawner.saved.toml_text import toml
from spawner.seccomp.default import DEFAULT
from spawner.seccomp.profile import ProfileError
from spawner.seccomp.profile import read as read_profile

Target = Callable[[Random], str]
"""Tries one input and says what came of it; raises what must not be."""

# ---- Spec files ----

FULL = Spec(
    args=("sh", "-c", "true"),
    env=(("PATH", "/bin"), ("A", "b c")),
    cwd="/",
    namespaces=frozenset({"mount", "uts", "user"}),
    join=(oci.Join("network", "/proc/1/ns/net"),),
    keep=(oci.Keep("uts", "/run/uts"),),
    hostname="box",
    time_offsets=(("boottime", TimeOffset(5, 6)),),
    veth=oci.Veth(host_address="10.9.8.1/24", child_address="10.9.8.2/24"),
    uid_mappings=(IDMapping(0, 1000), IDMapping(1, 100000, 65536)),
    user=oci.User(uid=0, additional_gids=(1, 2)),
    rootfs="/srv/root",
    mounts=(
        oci.Bind(source="/usr", destination="/usr", read_only=True),
        oci.Tmpfs(destination="/tmp", size=1 << 20),
        oci.File(destination="/etc/hello", content=b"hello\n"),
        oci.File(destination="/etc/bytes", content=b"\xff\0"),
        oci.Overlay(destination="/o", lower=("/a", "/b")),
    ),
    rlimits=(oci.Rlimit("RLIMIT_NOFILE", 64, None),),
    cgroup=oci.Cgroup(name="box", resources=oci.Resources(cpus=1.5, io_max=(oci.IOMax(major=8, minor=0),))),
    cpu_affinity=frozenset({0, 1}),
    capabilities=oci.Capabilities(bounding=frozenset({"CAP_KILL"})),
    seccomp=(oci.Seccomp("default"), oci.Seccomp("raw", program=b"\x06\0\0\0\0\0\xff\x7f")),
    landlock=oci.Landlock(read=("/usr",)),
)
SOURCES = {"toml": spec_file.dump(FULL, "toml"), "json": spec_file.dump(FULL, "json")}
PLAIN = json.loads(SOURCES["json"])


def _words_of(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(word for item in value.values() for word in _words_of(item))]
    if isinstance(value, list):
        return [word for item in value for word in _words_of(item)]
    return [value] if isinstance(value, str) else []


SPEC_WORDS = sorted({*_words_of(PLAIN), *Spec.__dataclass_fields__, "base64", "type", "proc", "dev", "chmod", "mqueue"})


def _without_none(value: Any) -> Any:
    """What TOML can say of it."""
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_none(item) for item in value if item is not None]
    return value


def spec_text(random: Random) -> tuple[str, str]:
    """(text, format) of a file that is a Spec's, nearly or not at all."""
    form = random.choice(spec_file.FORMATS)
    match random.randrange(4):
        case 0:
            return mutations.garbled(random, SOURCES[form]), form
        case 1:
            plain = mutations.structure(random, SPEC_WORDS, 4)
        case _:
            plain = PLAIN
            for _ in range(random.randint(1, 3)):
                plain = mutations.changed(random, plain, SPEC_WORDS)
    if form == "json" or not isinstance(plain, dict):
        return json.dumps(plain), "json"
    return toml(_without_none(plain)), "toml"


def spec_files(random: Random) -> str:
    """load() answers a Spec, or SpecFileError with a message of one line; what it answers can be saved again."""
    text, form = spec_text(random)
    try:
        spec = spec_file.load(text, form)
    except spec_file.SpecFileError as error:
        assert len(printable(str(error)).splitlines()) == 1, str(error)
        assert len(str(error)) < 4000, str(error)
        return "refused"
    hash(spec)
    again = spec_file.load(spec_file.dump(spec, form), form)
    assert again == spec or "nan" in repr(spec), (spec, again)
    return "read"


# ---- option lines ----


class _Stopped(Exception):  # noqa: N818 - as SystemExit
    """The parser has ended: with which status, saying what."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message


class _Parser(Parser):
    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        raise _Stopped(status, message or "")


@cache
def _parsers() -> dict[str, argparse.ArgumentParser]:
    subparsers = _Parser(prog="nsview").add_subparsers(parser_class=_Parser)
    for module in (run_command, enter):
        module.add_parser(subparsers)
    for parser in subparsers.choices.values():
        parser.bad_input = 125
    return dict(subparsers.choices)


OPTIONS = {"run": options.by_name(options.GROUPS), "enter": options.by_name(enter.GROUPS)}
VALUES = (
    "", "0", "1", "-1", "07", "0755", "9", "64K", "1T", "99999999999999999999", "4294967295", "4294967296", "0,0,1",
    "0:0:1", "1,2,3,4", "auto", "all", "subids", "/", "/tmp", "/dev/null", "/no/such", "relative", "..", "net", "mount",
    "net=1", "user=/proc/self/ns/user", "net=/dev/null", "uts=999999999", "1:2", "root", "nobody", "no-such-user",
    "NOFILE=64", "core=unlimited", "AS=1:0", "NPROC=", "=", "8:0,rbps=1M", "8:0,wiops=max", "8:0", "0-3,5", "3-1",
    "inf", "1.5", "1e400", "ALL", "all", "NET_RAW", "CAP_KILL", "default", "TERM", "65", "SIGKILL", "allow", "deny",
    "private", "shared", "clone3", "fork+unshare", "posix_spawn", "vfork", "NEWUTS,FS", "PARENT", "0x8000000000000000",
    "THREAD,SIGHAND,VM", "10.9.8.1/24,10.9.8.2/24", "fd00::1/64,fd00::2/64", "10.0.0.1/33,x", "--", "-", "-u", "--net",
    "a b", "é", "\udc80", "x" * 300, "A=B", "PATH",
)  # fmt: skip


def _read_all(fd: int) -> bytes:
    """Whatever else is open here, a pipe of the test's say, might never end."""
    if fd:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return b"content"


def _option_words(random: Random, known: dict[str, Option]) -> list[str]:
    name = random.choice(list(known))
    option = known[name]
    if random.random() < 0.03:
        name = name[: random.randint(1, len(name))] + random.choice(("", "x", " x", "=x", "="))
    value = _fitting(random, option, 0)
    match random.randrange(6):
        case 0 if name.startswith("--"):
            return [f"{name}={value}"]
        case 1 if len(name) == 2:
            return [name + random.choice("mnpUuiCTrcwRSGZ") + random.choice(("", value))]
        case _:
            count = option.values if random.random() < 0.97 else random.randrange(4)
            return [name, *(_fitting(random, option, place) for place in range(count))]


FITTING = {
    "FILE": ("/proc/self/ns/uts", "/dev/null", "/no/such"),
    "TYPE=PID|FILE": ("net=1", "uts=/proc/self/ns/uts", "mnt=/dev/null"),
    "NAME[,NAME…]": ("NEWUTS,FS", "PARENT", "VM", "0x400"),
    "CALL": ("clone3", "clone", "fork", "vfork", "fork+unshare", "posix_spawn"),
    "UID": ("0", "1", "nobody", "4294967294"),
    "GID": ("0", "1", "nogroup", "4294967294"),
    "GID[,GID…]": ("", "0", "1,2"),
    "INNER,OUTER,COUNT": ("0,0,1", "0:100000:65536", "1,1,1", "auto", "all", "subids"),
    "SECONDS": ("5", "-5"),
    "KIND": ("private", "slave", "shared", "unchanged"),
    "DIR": ("/", "/tmp", "relative", "/proc/self/cwd"),
    "OCTAL": ("0", "0755", "1777"),
    "BYTES": ("4096", "64K", "1M", "1T"),
    "NAME=SOFT[:HARD]": ("NOFILE=64:128", "core=0", "AS=1G", "STACK=unlimited"),
    "COUNT": ("1", "100"),
    "CPUS": ("0.5", "2"),
    "DEVICE,KEY=VALUE[,…]": ("8:0,rbps=1M", "8:16,wiops=5,riops=max"),
    "LIST": ("0", "0-1", "0,1"),
    "N": ("0", "5", "-5", "19"),
    "CAP": ("ALL", "KILL", "cap_net_raw"),
    "PROFILE": ("default", "/no/such.json"),
    "HOST/LEN,CHILD/LEN": ("10.9.8.1/24,10.9.8.2/24", "fd00::1/64,fd00::2/64"),
    "SIGNAL": ("TERM", "9", "SIGHUP"),
    "FD": ("0", "1"),
    "SRC": ("/", "/usr", "/no/such", "relative"),
    "DEST": ("/", "/a", "/usr/b", "relative", "/a/../b"),
    "RWSRC": ("/tmp", "/no/such"),
    "PATH": ("/", "/usr", "/a"),
}
"""Values that fit, by what the help calls them."""


def _fitting(random: Random, option: Option, place: int) -> str:
    names = option.rest.get("metavar")
    name = names[place] if isinstance(names, tuple) and place < len(names) else names
    known = FITTING.get(name) if isinstance(name, str) else None
    return random.choice(known) if known and random.random() < 0.85 else _value(random)


def _value(random: Random) -> str:
    return random.choice(VALUES) if random.random() < 0.95 else mutations.text(random).replace("\0", "")


def option_line(random: Random, command: str) -> list[str]:
    """Options with values of all kinds, most in their places, and a program, mostly."""
    known = OPTIONS[command]
    words = [word for _ in range(random.randint(1, 5)) for word in _option_words(random, known)]
    if command == "enter" and random.random() < 0.8:
        words = ["-t", random.choice((str(os.getpid()), "1", "0", "1:1", "x")), *words]
    return words + random.choice(([], ["true"], ["--", "true", "-x"], ["/bin/sh", "-c", "true"], ["\udc80"], [""]))


def option_lines(random: Random) -> str:
    """Words become a Plan, a SpecError with lines of one line each, or the status 125 with one message."""
    command = random.choice(("run", "run", "run", "enter"))
    words = option_line(random, command)
    module = run_command if command == "run" else enter
    parser = _parsers()[command]
    try:
        asked = parser.parse_args(module.prepare(words))
        with patch.object(files, "read_all", _read_all):
            spec = options.spec_of(asked) if command == "run" else enter.spec_of(asked)
        for fd in getattr(asked, "opened", ()):
            os.close(fd)
        plan = compile_spec(spec, given=Facts())
    except _Stopped as stopped:
        message, _, rest = stopped.message.partition("\n")
        assert stopped.status == 125, (words, stopped.status)
        assert message.startswith(f"nsview {command}: "), (words, stopped.message)
        assert rest == f"Try 'nsview {command} --help'.\n", (words, stopped.message)
        return "bad options"
    except SpecError as error:
        assert error.problems, words
        for problem in error.problems:
            assert len(printable(str(problem)).splitlines()) == 1, (words, str(problem))
        return "refused"
    assert isinstance(plan, Plan)
    assert str(plan), words
    return "planned"


# ---- seccomp profiles ----

PROFILE = json.loads(DEFAULT)
SMALL = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "defaultErrnoRet": 38,
    "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
    "flags": ["SECCOMP_FILTER_FLAG_LOG"],
    "syscalls": [
        {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"},
        {
            "names": ["personality"],
            "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 0, "value": 8, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}],
            "includes": {"caps": ["CAP_SYS_ADMIN"], "minKernel": "4.8"},
            "excludes": {"arches": ["arm64"]},
        },
    ],
}
SECCOMP_WORDS = sorted(
    {*_words_of(SMALL), "archMap", "subArchitectures", "name", "comment", "errnoRet", "listenerPath"}
)


def seccomp_profiles(random: Random) -> str:
    """A text becomes a profile, or ProfileError."""
    match random.randrange(8):
        case 0:
            text = mutations.garbled(random, DEFAULT)
        case 1 | 2:
            text = mutations.garbled(random, json.dumps(SMALL))
        case 3:
            text = json.dumps(mutations.structure(random, SECCOMP_WORDS, 5))
        case _:
            plain: Any = SMALL
            for _ in range(random.randint(1, 3)):
                plain = mutations.changed(random, plain, SECCOMP_WORDS)
            text = json.dumps(plain)
    try:
        read_profile(text, bounding=frozenset({"CAP_SYS_ADMIN"}))
    except ProfileError as error:
        assert error.place, text
        assert error.message, text
        return "refused"
    return "read"


TARGETS: dict[str, Target] = {
    "spec files": spec_files,
    "option lines": option_lines,
    "seccomp profiles": seccomp_profiles,
}
