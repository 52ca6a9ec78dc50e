"""From a Spec's fields to the rows of the launch panel: what one would have typed to get them."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from nsview.options.namespaces import long_name
from nsview.tui.launching.sections import ON
from spawner import IDMapping, Mechanism, Spec
from spawner import capabilities as caps
from spawner.flags import BY_NAME as FLAG
from spawner.oci import (
    Bind,
    Chmod,
    Dev,
    Dir,
    FileOperation,
    IOMax,
    Join,
    Mqueue,
    Overlay,
    Proc,
    RemountReadOnly,
    Rlimit,
    Symlink,
    Tmpfs,
)

Texts = dict[str, str]

_SUFFIXES = ((1 << 40, "T"), (1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K"), (1, ""))


class Unshown(Exception):  # noqa: N818 - no error: it is shown otherwise
    """No row can show this."""


def _maps(lines: Iterable[IDMapping]) -> str:
    return " ".join(f"{line.container_id},{line.host_id},{line.size}" for line in lines)


def _ids(spec: Spec) -> Texts:
    return {"--map-users": _maps(spec.uid_mappings), "--map-groups": _maps(spec.gid_mappings)}


def _user(spec: Spec) -> Texts:
    user = spec.user
    groups = user.additional_gids
    return {
        "--setuid": _number(user.uid),
        "--setgid": _number(user.gid),
        # Another gid alone means no supplementary groups, and an empty list is a comma.
        "--groups": ""
        if groups is None or (not groups and user.gid is not None)
        else ",".join(map(str, groups)) or ",",
        "--umask": "" if user.umask is None else f"{user.umask:03o}",
    }


def _number(value: int | float | None) -> str:
    return "" if value is None else str(value)


def _clocks(spec: Spec) -> Texts:
    if any(offset.nanosecs for _, offset in spec.time_offsets):
        raise Unshown
    return {f"--{name}": str(offset.secs) for name, offset in spec.time_offsets}


def _system(spec: Spec) -> Texts:
    return {
        "--hostname": spec.hostname or "",
        "--domainname": spec.domainname or "",
        "--propagation": "" if spec.rootfs_propagation == "private" else spec.rootfs_propagation,
        "--mount-proc": spec.mount_proc or "",
        "--root": spec.rootfs or "",
        "--wd": spec.cwd or "",
    }


def _perms(mode: int, usual: int) -> str:
    return "" if mode == usual else f"perms {mode:04o}\n"


def _bind(one: Bind) -> str:
    name = "ro-bind" if one.read_only else "dev-bind" if one.devices else "bind"
    return shlex.join((name + "-try" * one.optional, one.source, one.destination))


def _tmpfs(one: Tmpfs) -> str:
    size = "" if one.size is None else f"size {_bytes(one.size)}\n"
    return _perms(one.mode, 0o755) + size + shlex.join(("tmpfs", one.destination))


def _overlay(one: Overlay) -> str:
    sources = "".join(shlex.join(("overlay-src", path)) + "\n" for path in one.lower)
    if one.read_only:
        return sources + shlex.join(("ro-overlay", one.destination))
    if one.upper is None:
        return sources + shlex.join(("tmp-overlay", one.destination))
    return sources + shlex.join(("overlay", one.upper, one.work or "", one.destination))


def _at(name: str, one: Any) -> str:
    return shlex.join((name, one.destination))


_OPERATIONS: dict[type, Callable[[Any], str]] = {
    Bind: _bind,
    Tmpfs: _tmpfs,
    Proc: partial(_at, "proc"),
    Dev: partial(_at, "dev"),
    Mqueue: partial(_at, "mqueue"),
    Dir: lambda one: _perms(one.mode, 0o755) + _at("dir", one),
    Symlink: lambda one: shlex.join(("symlink", one.target, one.destination)),
    Chmod: lambda one: shlex.join(("chmod", f"{one.mode:o}", one.destination)),
    RemountReadOnly: partial(_at, "remount-ro"),
    Overlay: _overlay,
}


def shown_from(mounts: tuple[FileOperation, ...]) -> int:
    """Index of the first operation from which on all have a line: what is before is kept, to come first."""
    return next((index + 1 for index in reversed(range(len(mounts))) if type(mounts[index]) not in _OPERATIONS), 0)


def _files(spec: Spec) -> Texts:
    shown = spec.mounts[shown_from(spec.mounts) :]
    return {"files": "\n".join(_OPERATIONS[type(one)](one) for one in shown)}


def _bytes(value: int | None) -> str:
    if value is None:
        return ""
    factor, suffix = next(one for one in _SUFFIXES if (not value % one[0] and value >= one[0]) or one[0] == 1)
    return f"{value // factor}{suffix}"


def _size(value: int | None) -> str:
    return "unlimited" if value is None else _bytes(value)


def _rlimit(one: Rlimit) -> str:
    name = one.type.removeprefix("RLIMIT_")
    return f"{name}={_size(one.soft)}" + ("" if one.soft == one.hard else f":{_size(one.hard)}")


def _rate(name: str, value: int) -> str:
    return _bytes(value) if name.endswith("bps") else str(value)


def _io(one: IOMax) -> str:
    limits = {"rbps": one.read_bps, "wbps": one.write_bps, "riops": one.read_iops, "wiops": one.write_iops}
    return ",".join(
        (f"{one.major}:{one.minor}", *(f"{name}={_rate(name, value)}" for name, value in limits.items() if value))
    )


def _cgroup(spec: Spec) -> Texts:
    if spec.cgroup is None:
        return {}
    can = spec.cgroup.resources
    return {
        "--cgroup-name": spec.cgroup.name or "",
        "--memory": _bytes(can.memory),
        "--pids": _number(can.pids),
        "--cpus": _number(can.cpus),
        "--io-max": " ".join(map(_io, can.io_max)),
    }


def _numbers(spec: Spec) -> Texts:
    return {
        "--nice": _number(spec.nice),
        "--cpu-affinity": ",".join(map(str, sorted(spec.cpu_affinity))),
        "--oom-score-adj": _number(spec.oom_score_adj),
    }


def _capabilities(spec: Spec) -> Texts:
    if spec.capabilities is None:
        return {"--keep-caps": ON if spec.keep_caps else ""}
    left = sorted(spec.capabilities.bounding or ())
    dropped = sorted(set(caps.NAMES) - set(left))
    if len(dropped) < len(left):
        return {"capabilities": "\n".join(f"cap-drop {_short(name)}" for name in dropped)}
    return {"capabilities": "\n".join(("cap-drop ALL", *(f"cap-add {_short(name)}" for name in left)))}


def _short(name: str) -> str:
    return name.removeprefix("CAP_")


def _security(spec: Spec) -> Texts:
    return {"--no-new-privs": ON if spec.no_new_privs else ""}


def _seccomp(spec: Spec) -> Texts:
    return {"--seccomp": shlex.join(one.name for one in spec.seccomp)}


def _landlock(spec: Spec) -> Texts:
    if spec.landlock is None:
        return {}
    return {"--landlock-ro": shlex.join(spec.landlock.read), "--landlock-rw": shlex.join(spec.landlock.write)}


def _network(spec: Spec) -> Texts:
    veth = spec.veth
    pair = {} if veth is None else {"--veth": f"{veth.host_address},{veth.child_address}"}
    masked = ON if veth is not None and veth.masquerade else ""
    return {"--no-loopback": "" if spec.loopback else ON, **pair, "--masquerade": masked}


def _signal(number: int) -> str:
    named = number in signal.Signals.__members__.values()
    return signal.Signals(number).name.removeprefix("SIG") if named else str(number)


def _life(spec: Spec) -> Texts:
    cannot = spec.via is Mechanism.POSIX_SPAWN or spec.clone_flags & FLAG["CLONE_PARENT"].bit
    return {
        "--init": ON if spec.init else "",
        "--new-session": ON if spec.new_session else "",
        "--argv0": spec.argv0 or "",
        "--no-kill-child": "" if spec.pdeathsig or cannot else ON,
        "--kill-child": "" if spec.pdeathsig in (None, 0, signal.SIGKILL) else _signal(int(spec.pdeathsig or 0)),
    }


def _environment(spec: Spec) -> Texts:
    if spec.env is None:
        return {}
    lines = ["clearenv", *(() if "PWD" in dict(spec.env) else ("unsetenv PWD",))]
    return {"environment": "\n".join((*lines, *(shlex.join(("setenv", *pair)) for pair in spec.env)))}


def _kept_namespaces(spec: Spec) -> Texts:
    return {f"--{long_name(one.type)}": one.path for one in spec.keep}


def _joined(spec: Spec) -> Texts:
    return {"--join": shlex.join(f"{one.type}={_where(one)}" for one in spec.join)}


def _where(one: Join) -> str:
    """A file, or the process that is meant by one in /proc."""
    parts = one.path.split("/")
    return one.path if one.identity is None or len(parts) < 3 else f"{parts[2]}:{one.identity}"


def _unchecked(spec: Spec) -> Texts:
    return {"--no-check": "" if spec.check else ON}


SHOWN: tuple[tuple[tuple[str, ...], Callable[[Spec], Texts]], ...] = (
    (("keep",), _kept_namespaces),
    (("join",), _joined),
    (("check",), _unchecked),
    (("uid_mappings", "gid_mappings"), _ids),
    (("setgroups",), lambda spec: {"--setgroups": spec.setgroups or ""}),
    (("user",), _user),
    (("time_offsets",), _clocks),
    (("hostname", "domainname", "rootfs_propagation", "mount_proc", "rootfs", "cwd"), _system),
    (("mounts",), _files),
    (("rlimits",), lambda spec: {"--rlimit": " ".join(map(_rlimit, spec.rlimits))}),
    (("cgroup",), _cgroup),
    (("nice", "cpu_affinity", "oom_score_adj"), _numbers),
    (("capabilities", "keep_caps"), _capabilities),
    (("no_new_privs",), _security),
    (("seccomp",), _seccomp),
    (("landlock",), _landlock),
    (("loopback", "veth"), _network),
    (("init", "new_session", "argv0", "pdeathsig"), _life),
    (("env",), _environment),
)
"""Fields of a Spec, and the rows that may show them."""


def rows_of(spec: Spec) -> Texts:
    """What the rows hold that show these fields; raises Unshown. Nobody has asked whether they make them again."""
    return {key: text for _, tell in SHOWN for key, text in tell(spec).items() if text}
