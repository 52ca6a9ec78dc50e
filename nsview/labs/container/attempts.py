"""Attempts to get out of a container: what each is, which layers hold it, and what the kernel answers by each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from errno import errorcode

from nsview.labs.container.inside import BYTES, CHILDREN, DONE, FILES, NO_GAIN, NULL, OWN_ROOT
from nsview.labs.container.layers import (
    CAPABILITIES,
    CGROUP,
    CGROUPS,
    LANDLOCK,
    MASKS,
    MOUNT,
    NETWORK,
    NO_NEW_PRIVS,
    PID,
    READ_ONLY,
    RLIMITS,
    SECCOMP,
    SESSION,
    USER,
)
from spawner.seccomp.default import PROFILE


@dataclass(frozen=True, slots=True)
class Held:
    """A layer that stops an attempt by itself, and what the kernel answers then.

    ``where``: only where this file of /proc/sys holds a number, from the least to the most. ``along``: only together
    with that other layer.
    """

    layer: str
    answer: str
    along: str = ""
    where: tuple[str, int, int] | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way to try. ``held``: the layers that stop it, each by itself, in the order in which the kernel asks.

    ``takes`` is what it takes outside of any container ("": nothing), ``ability`` as in nsview.host.abilities.
    """

    key: str
    done: str
    held: tuple[Held, ...]
    takes: str = ""
    ability: str = ""
    spends: bool = False
    """Whether it uses up what a limit is on."""


def filtered(call: str) -> str:
    """What our seccomp profile answers to a call; KeyError where it lets it through, or looks at arguments first."""
    for rule in PROFILE["syscalls"]:
        if call in rule["names"]:
            if rule["action"] != "SCMP_ACT_ERRNO" or rule.get("args"):
                raise KeyError(call)
            return errorcode[rule.get("errnoRet", _EPERM)]
    assert PROFILE["defaultAction"] == "SCMP_ACT_ERRNO"
    return errorcode[PROFILE.get("defaultErrnoRet", _EPERM)]


_EPERM = 1


def _filter(call: str) -> Held:
    return Held(SECCOMP, filtered(call))


def _privilege(answer: str, where: tuple[str, int, int] | None = None) -> tuple[Held, Held]:
    """What takes a capability in the machine's own user namespace, which two layers keep away."""
    return Held(CAPABILITIES, answer, where=where), Held(USER, answer, where=where)


_ANY = 1 << 31
_ROOT, _MODULES = "all capabilities", "all capabilities, and a kernel that loads modules"
_MOUNTING = (_filter("mount"), Held(LANDLOCK, "EPERM"), Held(CAPABILITIES, "EPERM"))
_PROCFS = Held(PID, "ENOENT", along=MOUNT)
"""A procfs shows the processes of the pid namespace that it was mounted in."""
_WRITING = (Held(READ_ONLY, "EROFS"), Held(LANDLOCK, "EACCES"))

ATTEMPTS: tuple[Attempt, ...] = (
    Attempt("signal", "kill(2) a process outside", (Held(PID, "ESRCH"),), ability="signal any process"),
    Attempt(
        "see",
        "look through /proc/PID/root of it",
        (_PROCFS, Held(LANDLOCK, "EACCES"), *_privilege("EACCES")),
        ability="see the machine's processes",
    ),
    Attempt(
        "debug",
        "ptrace(2) it",
        (Held(PID, "ESRCH"), Held(LANDLOCK, "EPERM"), *_privilege("EPERM")),
        "the same user, and kernel.yama.ptrace_scope 0, or all capabilities",
        ability="debug any process",
    ),
    Attempt(
        "enter",
        "setns(2) into its network",
        (_PROCFS, Held(LANDLOCK, "EACCES"), *_privilege("EACCES"), _filter("setns")),
        _ROOT,
    ),
    Attempt(
        "network",
        "reach another machine",
        (Held(NETWORK, "ENETUNREACH"),),
        "a network with a route",
        ability="reach other machines",
    ),
    Attempt(
        "raw-socket", "open a raw socket", (Held(CAPABILITIES, "EPERM"),), "CAP_NET_RAW", ability="open raw sockets"
    ),
    Attempt("mount", "mount(2) a tmpfs", _MOUNTING, _ROOT, ability="mount file systems"),
    Attempt("remount", "mount(2) /usr read-write again", _MOUNTING, _ROOT),
    Attempt(
        "release-agent",
        "open release_agent of a version 1 hierarchy to write",
        (*_MOUNTING, Held(CGROUPS, "ENOENT"), Held(USER, "EPERM")),
        "all capabilities, and a hierarchy of version 1 with the pids controller",
    ),
    Attempt(
        "chroot",
        "chroot(2), and climb out of it",
        (_filter("chroot"), Held(CAPABILITIES, "EPERM"), Held(MOUNT, OWN_ROOT)),
        _ROOT,
    ),
    Attempt(
        "handle",
        "open_by_handle_at(2)",
        (_filter("open_by_handle_at"), *_privilege("EPERM")),
        "all capabilities, and a file system at /usr that gives handles",
    ),
    Attempt(
        "kcore", "open /proc/kcore", (Held(MASKS, NULL), *_privilege("EPERM")), "all capabilities, and a kernel with it"
    ),
    Attempt("keys", "open /proc/keys", (Held(MASKS, NULL),), "a kernel with it"),
    Attempt("timers", "open /proc/timer_list", (Held(MASKS, NULL),), "root, and a kernel with it"),
    Attempt(
        "sysrq",
        "open /proc/sysrq-trigger to write",
        (Held(LANDLOCK, "EACCES"), Held(MASKS, NULL)),
        "root, and a kernel with it",
    ),
    Attempt("proc-sys", "open /proc/sys/vm/swappiness to write", _WRITING, "root", ability="write to /proc/sys"),
    Attempt("own-name", "open /proc/self/comm to write", (Held(LANDLOCK, "EACCES"),)),
    Attempt("firmware", "list /sys/firmware", (Held(MOUNT, "ENOENT"),), "a sysfs with it"),
    Attempt("usr", "make a file in /usr", _WRITING, "root, and a /usr that is mounted read-write"),
    Attempt("device", "mknod(2) of a device", _privilege("EPERM"), _ROOT, ability="make device files"),
    Attempt(
        "terminal",
        "push a key into the caller's terminal (TIOCSTI)",
        (Held(SESSION, "ENXIO"), *_privilege("EIO", ("dev/tty/legacy_tiocsti", 0, 0))),
        "a kernel that lets everybody, or all capabilities",
    ),
    Attempt(
        "hostname",
        "sethostname(2)",
        (_filter("sethostname"), Held(CAPABILITIES, "EPERM")),
        _ROOT,
        ability="change the host name",
    ),
    Attempt(
        "user-namespace",
        "unshare(CLONE_NEWUSER)",
        (_filter("unshare"),),
        "a machine that lets everybody make user namespaces",
        ability="create user namespaces",
    ),
    Attempt(
        "clone3",
        "clone3(CLONE_NEWUSER)",
        (_filter("clone3"),),
        "a machine that lets everybody make user namespaces",
    ),
    Attempt(
        "bpf",
        "bpf(2) a map",
        (_filter("bpf"), *_privilege("EPERM", ("kernel/unprivileged_bpf_disabled", 1, _ANY))),
        "all capabilities",
    ),
    Attempt(
        "perf",
        "perf_event_open(2) of a whole processor",
        (_filter("perf_event_open"), *_privilege("EACCES", ("kernel/perf_event_paranoid", 1, _ANY))),
        "all capabilities, and a kernel with it",
    ),
    Attempt("keyctl", "keyctl(2)", (_filter("keyctl"),), "a kernel with keyrings"),
    Attempt(
        "module",
        "init_module(2)",
        (_filter("init_module"), *_privilege("EPERM")),
        _MODULES,
        ability="load kernel modules",
    ),
    Attempt("module-file", "finit_module(2)", (_filter("finit_module"), *_privilege("EPERM")), _MODULES),
    Attempt(
        "gain",
        "gain capabilities by execve(2) as uid 0",
        (Held(NO_NEW_PRIVS, NO_GAIN), Held(CAPABILITIES, NO_GAIN)),
        "root",
    ),
    Attempt(
        "hard-limit",
        "raise a hard limit",
        _privilege("EPERM"),
        "CAP_SYS_RESOURCE",
        ability="raise hard limits",
    ),
    Attempt("files", f"open {FILES} files", (Held(RLIMITS, "EMFILE"),), spends=True),
    Attempt("children", f"make {CHILDREN} children", (Held(CGROUP, "EAGAIN"),), spends=True),
    Attempt("memory", f"use {BYTES >> 20} MiB", (Held(CGROUP, "SIGKILL"),), spends=True),
)
"""What reaches farthest first; what limits stop comes last."""


def holding(attempt: Attempt, layers: Iterable[str], settings: Mapping[str, int | None]) -> tuple[Held, ...]:
    """Those of ``layers`` that stop it, in the order in which the kernel asks; ``settings`` by files of /proc/sys."""
    present = {"", *layers}
    return tuple(each for each in attempt.held if {each.layer, each.along} <= present and _holds(each, settings))


def _holds(held: Held, settings: Mapping[str, int | None]) -> bool:
    if held.where is None:
        return True
    name, least, most = held.where
    value = settings.get(name)
    return value is not None and least <= value <= most


def foreseen(attempt: Attempt, layers: Iterable[str], settings: Mapping[str, int | None]) -> str:
    """What the kernel is to answer who is held by these layers and no others."""
    holding_it = holding(attempt, layers, settings)
    return holding_it[0].answer if holding_it else DONE


SETTINGS = tuple({each.where[0]: None for row in ATTEMPTS for each in row.held if each.where is not None})
"""The files of /proc/sys that decide."""
