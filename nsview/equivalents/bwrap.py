"""bwrap(1), bubblewrap: the options of 0.8 and, for overlays, of 0.11."""

from __future__ import annotations

import base64
import signal

from nsview.equivalents import shell, wrappers
from nsview.equivalents.account import Account, new_namespaces
from nsview.equivalents.equivalent import Caller, Equivalent, equivalent
from nsview.equivalents.file_options import MODES, words_of
from nsview.equivalents.nsview_run import is_root_inside, kept_capabilities
from spawner import Spec, SpecError, compile_spec
from spawner.oci import IDMapping, Overlay
from spawner.plan import At, Packed

_UNSHARED = ("user", "ipc", "pid", "network", "uts", "cgroup")
_OPTION = {"network": "--unshare-net"}


def write(spec: Spec, caller: Caller) -> Equivalent:
    """Put a Spec into a shell command around bwrap(1)."""
    account = Account(spec, "bwrap(1)")
    line = shell.Line()
    wrappers.outer(account, line)
    for group in wrappers.limits(account):
        line.add(*group)
    if account.asks("user.umask"):
        account.said("user.umask")
        line.add("sh", "-c", f'umask {spec.user.umask:03o} && exec "$@"', "sh")
    line.add("bwrap")
    _namespaces(account, caller, line)
    _files(account, line)
    _security(account, caller, line)
    _life(account, caller, line)
    line.add("--")
    _inside(account, caller, line)
    line.add(*spec.args)
    wrappers.streams(account, line)
    _explain(account)
    return equivalent(line.text(), account)


def _namespaces(account: Account, caller: Caller, line: shell.Line) -> None:
    spec = account.spec
    asked = new_namespaces(spec)
    for name in _UNSHARED:
        if name in asked:
            account.said(f"namespaces[{name}]")
            line.add(_OPTION.get(name, f"--unshare-{name}"))
    account.said("namespaces[mount]")
    if "mount" not in asked:
        account.note("bwrap always makes a mount namespace.")
    elif spec.rootfs_propagation == "private":
        account.said("rootfs_propagation")
    if "user" in asked:
        _ids(account, caller, line)
    if spec.hostname is not None and "uts" in asked:
        account.said("hostname")
        line.add("--hostname", spec.hostname)
    if "network" in asked and spec.loopback:
        account.said("loopback")


def _ids(account: Account, caller: Caller, line: shell.Line) -> None:
    """Map one user and one group, those of whoever runs it, as bwrap does; it denies setgroups."""
    spec = account.spec
    for field, option, own in (("uid_mappings", "--uid", caller.uid), ("gid_mappings", "--gid", caller.gid)):
        lines: tuple[IDMapping, ...] = getattr(spec, field)
        if len(lines) == 1 and lines[0].size == 1 and lines[0].host_id == own:
            account.said(field)
            line.add(option, str(lines[0].container_id))
        elif lines:
            account.cannot(field, "bwrap maps one id alone, that of whoever runs it")
        else:
            account.note("bwrap maps the ids of whoever runs it where no map is asked for.")
    if spec.setgroups == "deny":
        account.said("setgroups")


def _files(account: Account, line: shell.Line) -> None:
    spec = account.spec
    if spec.rootfs is not None:
        account.said("rootfs")
        line.add("--dev-bind", spec.rootfs, "/")
    elif not spec.mounts:
        line.add("--dev-bind", "/", "/")
    for number, operation in enumerate(spec.mounts):
        account.said(f"mounts[{number}]")
        if isinstance(operation, Overlay):
            account.note("Overlays need bubblewrap 0.11.")
        for group in words_of(operation, line, MODES):
            line.add(*group)
    if spec.mount_proc is not None:
        account.said("mount_proc")
        line.add("--proc", spec.mount_proc)
    if spec.rootfs_readonly:
        account.said("rootfs_readonly")
        line.add("--remount-ro", "/")
    if spec.cwd is not None:
        account.said("cwd")
        line.add("--chdir", spec.cwd)


def _security(account: Account, caller: Caller, line: shell.Line) -> None:
    spec = account.spec
    account.said("no_new_privs")
    if not spec.no_new_privs:
        account.note("bwrap always sets no_new_privs.")
    names = kept_capabilities(spec, caller)
    in_user = "user" in new_namespaces(spec)
    if in_user:
        account.note("In a user namespace bwrap gives no capability that it does not have outside.")
    if caller.uid and not in_user:
        account.note("Run without privilege, bwrap makes a user namespace too, in which the ids stay as they are.")
    if caller.uid:
        account.note("Run without privilege, bwrap empties the bounding set, and makes ambient what --cap-add names.")
    if caller.uid and in_user and is_root_inside(spec, caller) and spec.capabilities is None:
        line.add("--cap-add", "ALL")
    if names is not None:
        account.said("capabilities")
        account.note("bwrap leaves the bounding set as it is; with no_new_privs nothing comes back from there.")
        line.add("--cap-drop", "ALL")
        for name in sorted(names):
            line.add("--cap-add", name)
    if spec.seccomp and (programs := _filters(spec)):
        account.said("seccomp")
        for program in programs:
            text = base64.b64encode(program).decode()
            line.add("--add-seccomp-fd", line.feed_text(f"<(base64 -d <<<'{text}')"))


def _filters(spec: Spec) -> list[bytes]:
    """The compiled filters of a Spec's plan; none where it has no plan."""
    try:
        plan = compile_spec(Spec(args=spec.args or ("true",), seccomp=spec.seccomp, no_new_privs=True))
    except SpecError:
        return []
    found = []
    for step in plan.steps:
        filter_ = step.args[2] if step.syscall == "seccomp" else None
        if isinstance(filter_, Packed) and isinstance(pointed := filter_.values[1], At):
            assert isinstance(pointed.data, bytes)
            found.append(pointed.data)
    return found


def _life(account: Account, caller: Caller, line: shell.Line) -> None:
    spec = account.spec
    asked = new_namespaces(spec)
    if spec.pdeathsig == signal.SIGKILL:
        account.said("pdeathsig")
        line.add("--die-with-parent")
    if spec.new_session:
        account.said("new_session")
        line.add("--new-session")
    if spec.init and "pid" in asked:
        account.said("init")
    elif "pid" in asked:
        line.add("--as-pid-1")
    if spec.env is None or len(dict(spec.env)) != len(spec.env):
        return
    account.said("env")
    gone, changed, empty = shell.environment_changes(spec.env, caller.environment)
    if empty:
        line.add("--clearenv")
    for name in gone:
        line.add("--unsetenv", name)
    for name, value in changed:
        line.add("--setenv", name, value)


def _inside(account: Account, caller: Caller, line: shell.Line) -> None:
    """setpriv(1) for the ids that bwrap does not set, with the capabilities that it has left."""
    if not any(account.asks(f"user.{name}") for name in ("uid", "gid", "additional_gids")):
        return
    if account.spec.capabilities is not None:
        account.cannot("user", "bwrap takes the capabilities that a change of ids needs")
        return
    for group in wrappers.privileges(account, caller):
        line.add(*group)
    account.note("setpriv(1) is executed in the new root, and has to be there too.")


def _explain(account: Account) -> None:
    account.cannot("namespaces[time]", "bwrap makes no time namespaces")
    account.cannot("time_offsets", "bwrap makes no time namespaces")
    account.cannot("domainname", "bwrap sets the host name alone")
    account.cannot("loopback", "bwrap always sets lo up")
    account.cannot("cgroup", "systemd-run --scope in front of it makes one")
    account.cannot("masked_paths", "mount over each: --tmpfs on a directory, --ro-bind /dev/null on a file")
    account.cannot("readonly_paths", "--ro-bind each on itself, if it is there")
    account.cannot("argv0", "bwrap has --argv0 only since 0.9")
    account.cannot("init", "bwrap puts one above the program in a new pid namespace alone")
    account.cannot("pdeathsig", "bwrap knows SIGKILL alone (--die-with-parent)")
    account.cannot("keep_caps", "bwrap has --cap-add for each capability")
    account.cannot("join", "put nsenter(1) before it")
    account.cannot("keep", "bwrap binds no namespaces")
    account.cannot("veth", "`ip link add … type veth peer … netns PID` makes one")
    account.cannot("via", "bwrap has its own way: clone(2), then a second process in a pid namespace")
    account.cannot("clone_flags", "bwrap has an option for namespaces alone")
