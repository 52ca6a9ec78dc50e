"""`nsview run` with the options that ask for a Spec; what no option says goes into a profile, so it is exact."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from nsview.equivalents import shell
from nsview.equivalents.account import Account, default_of, items, limit, new_namespaces, ranges, signal_name, size
from nsview.equivalents.equivalent import Caller, Equivalent, equivalent
from nsview.equivalents.file_options import MODES, is_exact, words_of
from spawner import Spec, Stdio
from spawner.capabilities import NAMES, SETS
from spawner.flags import ALL_BITS, format_mask
from spawner.namespaces import KINDS
from spawner.oci import IDMapping, Seccomp, User
from spawner.saved.file import dump

_LONG = {"network": "net"}
_OF_PROCESS = re.compile(r"/proc/([0-9]+)/ns/[a-z]+")

Words = list[list[str]]


def write(spec: Spec, caller: Caller) -> Equivalent:
    """Put a Spec into the words of `nsview run`."""
    account = Account(spec, "nsview run")
    words: Words = []
    profile: dict[str, Any] = {}
    for names, say in _SAYINGS:
        said = say(spec, caller)
        if said is None:
            profile |= {name: getattr(spec, name) for name in names}
        else:
            words += said
        account.said(*names)
    # What is as by default, and what every item is of, has been gone through: see _SAYINGS.
    account.said(*(item.path for item in items(spec)))
    line = shell.Line("nsview", "run")
    if profile:
        text = dump(Spec(args=(), **profile)).replace("args = []\n", "")
        line.raw(f"--profile {shell.here_document(text)}")
    for group in words:
        line.add(*group)
    for operation in spec.mounts if "mounts" not in profile else ():
        for group in words_of(operation, line, MODES):
            line.add(*group)
    if spec.args:
        line.add("--", *spec.args)
    return equivalent(line.text(), account)


# Each says some fields of a Spec, or answers None where no options do.


def _namespaces(spec: Spec, _caller: Caller) -> Words | None:
    kept = {each.type: each.path for each in spec.keep}
    if len(kept) < len(spec.keep) or not kept.keys() <= spec.namespaces or "" in kept.values():
        return None
    if not spec.namespaces <= {kind.name for kind in KINDS}:
        return None
    plain = "".join(kind.letter for kind in KINDS if kind.name in spec.namespaces and kind.name not in kept)
    files = [[f"--{_LONG.get(name, name)}={path}"] for name, path in kept.items()]
    return [*([[f"-{plain}"]] if plain else []), *files]


def _join(spec: Spec, _caller: Caller) -> Words | None:
    found = []
    for each in spec.join:
        of_process = _OF_PROCESS.fullmatch(each.path)
        if each.identity is not None and of_process is None:
            return None
        where = each.path if each.identity is None or of_process is None else f"{of_process[1]}:{each.identity}"
        if where.replace(":", "").isdigit() and each.identity is None:
            return None  # it would be read as a pid
        found.append(["--join", f"{each.type}={where}"])
    return found


def _clone_flags(spec: Spec, _caller: Caller) -> Words | None:
    if spec.clone_flags & ~ALL_BITS:
        return None
    return [["--clone-flags", format_mask(spec.clone_flags).replace("|", ",")]] if spec.clone_flags else []


def _plain(name: str, option: str) -> Callable[[Spec, Caller], Words | None]:
    def say(spec: Spec, _caller: Caller) -> Words | None:
        value = getattr(spec, name)
        return [] if value is None else [[option, str(value)]]

    return say


def _flag(name: str, option: str, when: bool = True) -> Callable[[Spec, Caller], Words | None]:
    return lambda spec, _caller: [[option]] if getattr(spec, name) is when else []


def _maps(spec: Spec, caller: Caller) -> Words | None:
    root = ((IDMapping(0, caller.uid),), (IDMapping(0, caller.gid),))
    same = ((IDMapping(caller.uid, caller.uid),), (IDMapping(caller.gid, caller.gid),))
    asked = (spec.uid_mappings, spec.gid_mappings)
    if (spec.uid_mappings or spec.gid_mappings or spec.setgroups) and "user" not in spec.namespaces:
        return None
    if asked == root:
        found = [["-r"]]
    elif asked == same:
        found = [["-c"]]
    else:
        found = [
            [option, f"{line.container_id},{line.host_id},{line.size}"]
            for option, lines in zip(("--map-users", "--map-groups"), asked, strict=True)
            for line in lines
        ]
    return found + ([["--setgroups", spec.setgroups]] if spec.setgroups else [])


def _user(spec: Spec, _caller: Caller) -> Words | None:
    user = spec.user
    if user == User():
        return []
    if user.gid is not None and user.additional_gids is None:
        return None
    found = []
    if user.uid is not None:
        found.append(["-S", str(user.uid)])
    if user.gid is not None:
        found.append(["-G", str(user.gid)])
    if user.additional_gids is not None and (user.gid is None or user.additional_gids):
        found.append([f"--groups={','.join(map(str, user.additional_gids))}"])
    if user.umask is not None:
        found.append(["--umask", f"{user.umask:o}"])
    return found


def _time(spec: Spec, _caller: Caller) -> Words | None:
    clocks = [clock for clock, _ in spec.time_offsets]
    in_order = clocks == [clock for clock in ("monotonic", "boottime") if clock in clocks]
    if not in_order or any(offset.nanosecs for _, offset in spec.time_offsets):
        return None
    return [[f"--{clock}={offset.secs}"] for clock, offset in spec.time_offsets]


def _propagation(spec: Spec, _caller: Caller) -> Words | None:
    return [] if spec.rootfs_propagation == "private" else [["--propagation", spec.rootfs_propagation]]


def _proc(spec: Spec, _caller: Caller) -> Words | None:
    if spec.mount_proc is None:
        return []
    if "mount" not in spec.namespaces or not spec.mount_proc:
        return None
    return [["--mount-proc"] if spec.mount_proc == "/proc" else [f"--mount-proc={spec.mount_proc}"]]


def _root(spec: Spec, _caller: Caller) -> Words | None:
    if spec.rootfs is None:
        return []
    return [["-R", spec.rootfs]] if "mount" in spec.namespaces else None


def _mounts(spec: Spec, _caller: Caller) -> Words | None:
    """Said by write(), behind all others; all or none, for a profile's would come before them."""
    if not spec.mounts:
        return []
    return [] if "mount" in spec.namespaces and all(map(is_exact, spec.mounts)) else None


def _rlimits(spec: Spec, _caller: Caller) -> Words | None:
    if len({each.type for each in spec.rlimits}) < len(spec.rlimits):
        return None
    found = []
    for each in spec.rlimits:
        both = limit(each.soft) if each.soft == each.hard else f"{limit(each.soft)}:{limit(each.hard)}"
        found.append(["--rlimit", f"{each.type.removeprefix('RLIMIT_')}={both}"])
    return found


def _cgroup(spec: Spec, _caller: Caller) -> Words | None:
    if spec.cgroup is None:
        return []
    resources, found = spec.cgroup.resources, []
    if spec.cgroup.name is not None:
        found.append(["--cgroup-name", spec.cgroup.name])
    if resources.memory is not None:
        found.append(["--memory", size(resources.memory)])
    if resources.pids is not None:
        found.append(["--pids", str(resources.pids)])
    if resources.cpus is not None:
        found.append(["--cpus", repr(resources.cpus)])
    for each in resources.io_max:
        rates = zip(
            ("rbps", "wbps", "riops", "wiops"),
            (each.read_bps, each.write_bps, each.read_iops, each.write_iops),
            strict=True,
        )
        shown = ",".join(f"{name}={size(rate)}" for name, rate in rates if rate is not None)
        found.append(["--io-max", f"{each.major}:{each.minor},{shown}"])
    return found or None


def _processors(spec: Spec, _caller: Caller) -> Words | None:
    return [["--cpu-affinity", ranges(spec.cpu_affinity)]] if spec.cpu_affinity else []


def _integer(name: str, option: str) -> Callable[[Spec, Caller], Words | None]:
    def say(spec: Spec, _caller: Caller) -> Words | None:
        value = getattr(spec, name)
        return [] if value is None else [[f"{option}={value}"]]

    return say


def _capabilities(spec: Spec, caller: Caller) -> Words | None:
    names = kept_capabilities(spec, caller)
    if spec.capabilities is None:
        return []
    if names is None or spec.keep_caps:
        return None
    return [["--cap-drop", "ALL"], *(["--cap-add", name.removeprefix("CAP_")] for name in sorted(names))]


def kept_capabilities(spec: Spec, caller: Caller) -> frozenset[str] | None:
    """Those that --cap-drop ALL and a --cap-add for each leave, for root or for anybody else; None: no such sets."""
    wanted = spec.capabilities
    root = is_root_inside(spec, caller)
    if wanted is None or wanted.permitted is None or root is None or not wanted.permitted <= set(NAMES):
        return None
    names = wanted.permitted
    sets = {name: getattr(wanted, name) for name in SETS}
    usual: dict[str, frozenset[str] | None] = dict.fromkeys(SETS, names)
    usual |= {"inheritable": frozenset(), "ambient": None} if root else {}
    return names if sets == usual else None


def is_root_inside(spec: Spec, caller: Caller) -> bool | None:
    """Whether the program will be user 0 of its namespace; None where that cannot be told."""
    if spec.user.uid is not None:
        return spec.user.uid == 0
    if any(join.type == "user" for join in spec.join):
        return None
    if "user" not in new_namespaces(spec):
        return caller.uid == 0
    for line in spec.uid_mappings:
        if 0 <= caller.uid - line.host_id < line.size:
            return line.container_id + caller.uid - line.host_id == 0
    return any(line.container_id == 0 for line in spec.uid_mappings)


def _seccomp(spec: Spec, _caller: Caller) -> Words | None:
    usual = [each == Seccomp("default") for each in spec.seccomp]
    return [["--seccomp", "default"]] * len(usual) if all(usual) else None


def _landlock(spec: Spec, _caller: Caller) -> Words | None:
    if spec.landlock is None:
        return []
    read = [["--landlock-ro", path] for path in spec.landlock.read]
    return [*read, *(["--landlock-rw", path] for path in spec.landlock.write)] or None


def _veth(spec: Spec, _caller: Caller) -> Words | None:
    veth = spec.veth
    if veth is None:
        return []
    if veth.host_name is not None or veth.child_name != "eth0" or not veth.default_route:
        return None
    if "network" not in spec.namespaces:
        return None
    masquerade = [["--masquerade"]] if veth.masquerade else []
    return [["--veth", f"{veth.host_address},{veth.child_address}"], *masquerade]


def _stdio(spec: Spec, _caller: Caller) -> Words | None:
    if spec.stdio is Stdio.INHERIT:
        return []
    return [["--pty"]] if spec.stdio is Stdio.PTY else None


def _window(spec: Spec, _caller: Caller) -> Words | None:
    """With --pty it is the size of the terminal that one is at; without, it means nothing."""
    return []


def _death_signal(spec: Spec, _caller: Caller) -> Words | None:
    if spec.pdeathsig is None or not spec.pdeathsig:
        return [["--no-kill-child"]]
    if spec.pdeathsig == signal.SIGKILL:
        return []
    return [[f"--kill-child={signal_name(spec.pdeathsig).removeprefix('SIG')}"]]


def _environment(spec: Spec, caller: Caller) -> Words | None:
    if spec.env is None:
        return []
    if len(dict(spec.env)) != len(spec.env):
        return None
    gone, changed, empty = shell.environment_changes(spec.env, caller.environment)
    found = [["--unsetenv", name] for name in gone]
    if empty:
        found = [["--clearenv"]]
        if "PWD" in caller.environment and "PWD" not in dict(spec.env):
            found.append(["--unsetenv", "PWD"])
    return found + [["--setenv", name, value] for name, value in changed]


def _never(*names: str) -> Callable[[Spec, Caller], Words | None]:
    defaults = {each.name: default_of(each) for each in fields(Spec)}

    def say(spec: Spec, _caller: Caller) -> Words | None:
        return [] if all(getattr(spec, name) == defaults[name] for name in names) else None

    return say


_SAYINGS: tuple[tuple[tuple[str, ...], Callable[[Spec, Caller], Words | None]], ...] = (
    (("namespaces", "keep"), _namespaces),
    (("join",), _join),
    (("clone_flags",), _clone_flags),
    (("via",), lambda spec, _: [] if spec.via == "auto" else [["--via", str(spec.via)]]),
    (("check",), _flag("check", "--no-check", False)),
    (("exit_signal",), _never("exit_signal")),
    (("uid_mappings", "gid_mappings", "setgroups"), _maps),
    (("user",), _user),
    (("keep_caps",), _flag("keep_caps", "--keep-caps")),
    (("hostname",), _plain("hostname", "--hostname")),
    (("domainname",), _plain("domainname", "--domainname")),
    (("time_offsets",), _time),
    (("rootfs_propagation",), _propagation),
    (("mount_proc",), _proc),
    (("rootfs",), _root),
    (
        ("rootfs_readonly", "masked_paths", "readonly_paths"),
        _never("rootfs_readonly", "masked_paths", "readonly_paths"),
    ),
    (("cwd",), _plain("cwd", "-w")),
    (("rlimits",), _rlimits),
    (("cgroup",), _cgroup),
    (("nice",), _integer("nice", "--nice")),
    (("cpu_affinity",), _processors),
    (("scheduler", "io_priority", "personality"), _never("scheduler", "io_priority", "personality")),
    (("oom_score_adj",), _integer("oom_score_adj", "--oom-score-adj")),
    (("no_new_privs",), _flag("no_new_privs", "--no-new-privs")),
    (("capabilities",), _capabilities),
    (("seccomp",), _seccomp),
    (("landlock",), _landlock),
    (("loopback",), _flag("loopback", "--no-loopback", False)),
    (("veth",), _veth),
    (("init",), _flag("init", "--init")),
    (("new_session",), _flag("new_session", "--new-session")),
    (("stdio",), _stdio),
    (("window",), _window),
    (("pdeathsig",), _death_signal),
    (("env",), _environment),
    (("argv0",), _plain("argv0", "--argv0")),
    (("mounts",), _mounts),
)
"""Fields, and who says them; a test looks that every field of Spec but ``args`` is here once."""
