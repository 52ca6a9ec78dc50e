"""unshare(1) and its neighbours in util-linux: nsenter, setpriv, prlimit, nice, taskset and the like around it.

Written for util-linux 2.36 and later; of id maps it takes what 2.38 does.
"""

from __future__ import annotations

from nsview.equivalents import shell, wrappers
from nsview.equivalents.account import Account, new_namespaces, signal_name
from nsview.equivalents.equivalent import Caller, Equivalent, equivalent
from spawner import Spec
from spawner.namespaces import BY_NAME, KINDS

_LONG = {"network": "net"}


def write(spec: Spec, caller: Caller) -> Equivalent:
    """Put a Spec into a shell command around unshare(1)."""
    account = Account(spec, "unshare(1)")
    line = shell.Line()
    wrappers.outer(account, line)
    _enter(account, line)
    _unshare(account, caller, line)
    _inside(account, caller, line)
    line.add(*spec.args)
    wrappers.streams(account, line)
    _explain(account)
    return equivalent(line.text(), account)


def _enter(account: Account, line: shell.Line) -> None:
    joins = account.spec.join
    if not joins:
        return
    account.said("join")
    line.add("nsenter", *(f"--{_LONG.get(each.type, each.type)}={each.path}" for each in joins), "--")
    if any(each.identity is not None for each in joins):
        account.note("Whether /proc/PID is still the process that was meant is not looked at before it is entered.")


def _unshare(account: Account, caller: Caller, line: shell.Line) -> None:
    spec = account.spec
    asked = new_namespaces(spec)
    groups: list[list[str]] = []
    kept = {each.type: each.path for each in spec.keep}
    letters = "".join(kind.letter for kind in KINDS if kind.name in asked and kind.name not in kept)
    if letters:
        groups.append([f"-{letters}"])
    groups += [[f"--{_LONG.get(name, name)}={path}"] for name, path in kept.items()]
    account.said("keep", *(f"namespaces[{name}]" for name in BY_NAME))
    if asked & {"pid", "time"}:
        groups.append(_fork(account))
    groups += _maps(account, caller)
    if spec.keep_caps and "user" in asked:
        account.said("keep_caps")
        groups.append(["--keep-caps"])
    for clock, offset in spec.time_offsets:
        if offset.nanosecs:
            account.cannot(f"time_offsets[{clock}]", "unshare(1) takes whole seconds")
            continue
        account.said(f"time_offsets[{clock}]")
        groups.append([f"--{clock}={offset.secs}"])
    if "mount" in asked:
        account.said("rootfs_propagation")
        if spec.rootfs_propagation != "private":
            groups.append(["--propagation", spec.rootfs_propagation])
    if spec.mount_proc is not None and "mount" in asked and not spec.mounts:
        account.said("mount_proc")
        groups.append(["--mount-proc"] if spec.mount_proc == "/proc" else [f"--mount-proc={spec.mount_proc}"])
    if spec.rootfs is not None:
        account.said("rootfs")
        account.note("unshare -R changes the root by chroot(2), so the old root stays mounted outside of it.")
        groups.append(["-R", spec.rootfs])
    if spec.cwd is not None:
        account.said("cwd")
        groups.append(["-w", spec.cwd])
    if groups:
        line.add("unshare")
        for group in groups:
            line.add(*group)
        line.add("--")


def _fork(account: Account) -> list[str]:
    """A child of unshare's is in a new pid or time namespace, unshare itself is not."""
    spec = account.spec
    if spec.pdeathsig and not (spec.user.uid or spec.user.gid):
        account.said("pdeathsig")
        name = signal_name(spec.pdeathsig).removeprefix("SIG")
        return ["--kill-child" if name == "KILL" else f"--kill-child={name}"]
    return ["--fork"]


def _maps(account: Account, caller: Caller) -> list[list[str]]:
    spec = account.spec
    groups: list[list[str]] = []
    own = (caller.uid, caller.gid)
    both = (spec.uid_mappings, spec.gid_mappings)
    inside = [
        lines[0].container_id if len(lines) == 1 and lines[0].size == 1 and lines[0].host_id == me else None
        for lines, me in zip(both, own, strict=True)
    ]
    if inside == [0, 0]:
        groups.append(["-r"])
        account.said("uid_mappings", "gid_mappings")
    elif all(lines for lines in both) and inside == list(own):
        groups.append(["-c"])
        account.said("uid_mappings", "gid_mappings")
    else:
        groups += _map(account, "uid_mappings", "user", caller.uid)
        groups += _map(account, "gid_mappings", "group", caller.gid)
    if spec.setgroups is not None:
        account.said("setgroups")
        groups.append(["--setgroups", spec.setgroups])
    return groups


def _map(account: Account, field: str, kind: str, own: int) -> list[list[str]]:
    lines = getattr(account.spec, field)
    single = [line for line in lines if line.size == 1 and line.host_id == own]
    ranges = [line for line in lines if line not in single]
    if len(single) > 1 or len(ranges) > 1:
        account.cannot(field, "unshare(1) of util-linux 2.38 takes one's own id and one range; 2.39 takes more")
        return []
    account.said(field)
    if ranges:
        account.note(
            f"A range is mapped by new{kind[0]}idmap(1): /etc/sub{kind[0]}id has to give it to whoever runs this."
        )
    return [
        *([f"--map-{kind}={line.container_id}"] for line in single),
        *([f"--map-{kind}s={line.host_id},{line.container_id},{line.size}"] for line in ranges),
    ]


def _inside(account: Account, caller: Caller, line: shell.Line) -> None:
    """What runs inside, before the program; it has to be found there."""
    spec = account.spec
    before = len(line.groups)
    first: list[str] = []
    if spec.hostname is not None:
        account.said("hostname")
        first.append(f"hostname {shell.quoted(spec.hostname)}")
    if spec.domainname is not None:
        account.said("domainname")
        first.append(f"domainname {shell.quoted(spec.domainname)}")
    if "network" in new_namespaces(spec):
        account.said("loopback")
        if spec.loopback:
            first.append("ip link set lo up")
    if spec.user.umask is not None:
        account.said("user.umask")
        first.append(f"umask {spec.user.umask:03o}")
    if first:
        line.add("sh", "-c", " && ".join([*first, 'exec "$@"']), "sh")
    for group in (*wrappers.limits(account), *wrappers.privileges(account, caller), *wrappers.session(account)):
        line.add(*group)
    if words := shell.env_words(account, caller):
        line.add(*words)
    if spec.argv0 is not None:
        account.said("argv0")
        line.add("bash", "-c", 'exec -a "$0" "$@"', spec.argv0)
    if len(line.groups) > before and (spec.rootfs is not None or any(each.type == "mount" for each in spec.join)):
        account.note("What stands before the program here is executed in the new root, and has to be there too.")


def _explain(account: Account) -> None:
    """Say of what is left why, or what else does it."""
    account.cannot("mounts", "unshare(1) makes no tree of files; bwrap does")
    account.cannot("mount_proc", "unshare(1) makes no tree of files; bwrap does")
    account.cannot("cgroup", "systemd-run --scope in front of it makes one")
    account.cannot("seccomp", "util-linux loads no filters; bwrap does")
    account.cannot("landlock", "setpriv(1) has --landlock-access only since util-linux 2.41")
    account.cannot("veth", "`ip link add … type veth peer … netns PID` makes one")
    account.cannot("init", "put an init such as tini before the program")
    account.cannot("via", "unshare(1) calls unshare(2), and fork(2) with --fork")
    account.cannot("clone_flags", "unshare(1) calls unshare(2), which takes namespaces; clone(2) takes this")
    account.cannot("exit_signal", "the parent of a program that a shell starts gets SIGCHLD")
