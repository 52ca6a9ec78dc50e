"""docker run: options of the Docker client 20.10 and later; an image stands for the root directory.

Source: docs.docker.com, reference of `docker container run`.
"""

from __future__ import annotations

from nsview.equivalents import shell
from nsview.equivalents.account import Account, new_namespaces, ranges
from nsview.equivalents.equivalent import Caller, Equivalent, equivalent
from nsview.equivalents.nsview_run import kept_capabilities
from spawner import Spec, Stdio
from spawner.oci import Bind, Dev, Mqueue, Proc, Tmpfs

_OWN = {"pid": "--pid", "ipc": "--ipc", "uts": "--uts", "network": "--network"}
"""What a container has of its own unless it is told `host`."""

_NO_ULIMIT = ("RLIMIT_AS",)
"""Docker has no name for it: its own processes in the container would be limited too."""


def write(spec: Spec, caller: Caller) -> Equivalent:
    """Put a Spec into a docker command."""
    account = Account(spec, "docker run")
    line = shell.Line("docker", "run", "--rm")
    _streams(account, line)
    _namespaces(account, line)
    _files(account, line)
    _limits(account, line)
    _security(account, caller, line)
    _process(account, caller, line)
    before, image = _image(account)
    if spec.args:
        line.add("--entrypoint", spec.args[0])
    line.raw(image)
    if spec.args[1:]:
        line.add(*spec.args[1:])
    if spec.stdio is Stdio.NULL:
        line.raw("</dev/null >/dev/null 2>&1")
    _explain(account)
    return equivalent(before + line.text(), account)


def _image(account: Account) -> tuple[str, str]:
    """(commands that make the image, its name as the shell reads it)."""
    root = account.spec.rootfs
    if root is None:
        account.note("Docker runs an image, not this machine's files: set IMAGE to one that has the program.")
        return "", '"${IMAGE:?}"'
    account.said("rootfs")
    account.note("The root directory becomes an image first: what the program writes does not come back into it.")
    return f"tar -C {shell.quoted(root)} -c . | docker import - nsview-root\n", "nsview-root"


def _streams(account: Account, line: shell.Line) -> None:
    match account.spec.stdio:
        case Stdio.PTY:
            account.said("stdio", "window")
            line.add("-it")
        case Stdio.PIPE:
            account.cannot("stdio", "the shell's | and > make pipes")
        case _:
            account.said("stdio")
            line.add("-i")


def _namespaces(account: Account, line: shell.Line) -> None:
    spec = account.spec
    asked = new_namespaces(spec)
    for name, option in _OWN.items():
        if name in asked:
            account.said(f"namespaces[{name}]")
            if name == "network":
                line.add(option, "none")
        else:
            line.add(option, "host")
    account.said("namespaces[cgroup]", "namespaces[mount]")
    line.add("--cgroupns", "private" if "cgroup" in asked else "host")
    if "mount" not in asked:
        account.note("A container always has a mount namespace and a root of its own.")
    if "network" in asked and spec.loopback:
        account.said("loopback")
    if spec.hostname is not None and "uts" in asked:
        account.said("hostname")
        line.add("--hostname", spec.hostname)
    if spec.domainname is not None and "uts" in asked:
        account.said("domainname")
        line.add("--domainname", spec.domainname)


def _files(account: Account, line: shell.Line) -> None:
    spec = account.spec
    if spec.rootfs_readonly:
        account.said("rootfs_readonly")
        line.add("--read-only")
    if spec.mount_proc == "/proc":
        account.said("mount_proc")
    if spec.rootfs_propagation == "private":
        account.said("rootfs_propagation")
    for number, operation in enumerate(spec.mounts):
        words = _operation(operation)
        if words is not None:
            account.said(f"mounts[{number}]")
            if words:
                line.add(*words)
    if not spec.masked_paths and not spec.readonly_paths:
        line.add("--security-opt", "systempaths=unconfined")


def _operation(operation: object) -> list[str] | None:
    """Options for a mount; none where a container has it anyway, None where there are no options."""
    match operation:
        case Bind(optional=False) if not set(operation.source + operation.destination) & set(',"'):
            read_only = ",readonly" if operation.read_only else ""
            return ["--mount", f"type=bind,source={operation.source},target={operation.destination}{read_only}"]
        case Tmpfs() if ":" not in operation.destination:
            size = "" if operation.size is None else f",size={operation.size}"
            return ["--tmpfs", f"{operation.destination}:mode={operation.mode:04o}{size}"]
        case Proc(destination="/proc") | Dev(destination="/dev") | Mqueue(destination="/dev/mqueue"):
            return []
        case _:
            return None


def _limits(account: Account, line: shell.Line) -> None:
    spec = account.spec
    for number, each in enumerate(spec.rlimits):
        if each.type in _NO_ULIMIT:
            account.cannot(f"rlimits[{number}]", "docker has no --ulimit of this name")
            continue
        account.said(f"rlimits[{number}]")
        both = ":".join("-1" if value is None else str(value) for value in (each.soft, each.hard))
        line.add("--ulimit", f"{each.type.removeprefix('RLIMIT_').lower()}={both}")
    if spec.cgroup is not None:
        wanted = spec.cgroup.resources
        if wanted.io_max:
            account.cannot("cgroup.resources.io_max", "--device-read-bps and its like take a device by its file")
        if wanted.memory is not None:
            # As much with swap as without: ours bounds both together.
            line.add("--memory", str(wanted.memory), "--memory-swap", str(wanted.memory))
        if wanted.pids is not None:
            line.add("--pids-limit", str(wanted.pids))
        if wanted.cpus is not None:
            line.add("--cpus", f"{wanted.cpus:g}")
        account.cannot("cgroup.name", "a container's group is called as the container's id")
        account.said("cgroup")
    if spec.cpu_affinity:
        account.said("cpu_affinity")
        account.note("--cpuset-cpus limits the control group to these processors, not the process.")
        line.add("--cpuset-cpus", ranges(spec.cpu_affinity))
    if spec.oom_score_adj is not None:
        account.said("oom_score_adj")
        line.add("--oom-score-adj", str(spec.oom_score_adj))


def _security(account: Account, caller: Caller, line: shell.Line) -> None:
    spec = account.spec
    if spec.no_new_privs:
        account.said("no_new_privs")
        line.add("--security-opt", "no-new-privileges")
    names = kept_capabilities(spec, caller)
    if names is not None:
        account.said("capabilities")
        line.add("--cap-drop", "ALL")
        for name in sorted(names):
            line.add("--cap-add", name)
    elif spec.capabilities is None:
        line.add("--cap-add", "ALL")
    if not spec.seccomp:
        line.add("--security-opt", "seccomp=unconfined")
    elif len(spec.seccomp) == 1 and spec.seccomp[0].program is None:
        account.said("seccomp")
        profile = spec.seccomp[0].profile
        if profile is None:
            account.note("The default filter is Docker's own; nsview's is made after it.")
        else:
            line.raw(f"--security-opt seccomp={shell.here_document(profile)}")


def _process(account: Account, caller: Caller, line: shell.Line) -> None:
    spec, user = account.spec, account.spec.user
    if user.uid is not None:
        account.said("user.uid", "user.gid")
        line.add("--user", f"{user.uid}" + ("" if user.gid is None else f":{user.gid}"))
    if user.additional_gids is not None:
        account.said("user.additional_gids")
        for gid in user.additional_gids:
            line.add("--group-add", str(gid))
    if spec.cwd is not None:
        account.said("cwd")
        line.add("--workdir", spec.cwd)
    if spec.init:
        account.said("init")
        line.add("--init")
    account.said("new_session")
    account.note("The program has the environment of the image; -e NAME passes a variable on.")
    if spec.env is not None:
        account.said("env")
        for name, value in shell.environment_changes(spec.env, caller.environment)[1]:
            line.add("-e", f"{name}={value}")


def _explain(account: Account) -> None:
    account.cannot("namespaces[user]", "the daemon gives all containers one or none (userns-remap)")
    account.cannot("uid_mappings", "the daemon maps ids, for all containers alike (userns-remap)")
    account.cannot("gid_mappings", "the daemon maps ids, for all containers alike (userns-remap)")
    account.cannot("namespaces[time]", "Docker makes no time namespaces")
    account.cannot("time_offsets", "Docker makes no time namespaces")
    account.cannot("loopback", "Docker always sets lo up")
    account.cannot("veth", "--network bridge gives it a pair to Docker's own bridge")
    account.cannot("user", "--user takes a group only with a user; a umask it does not take")
    account.cannot("mounts", "docker has binds of what is there (--mount) and tmpfs (--tmpfs)")
    account.cannot("mount_proc", "a container has its /proc at /proc")
    account.cannot("rootfs_propagation", "Docker's mounts are private; -v takes a propagation for each bind")
    account.cannot("masked_paths", "Docker masks its own list of paths, or none")
    account.cannot("readonly_paths", "Docker has its own list of paths, or none")
    account.cannot("seccomp", "docker takes one profile in JSON")
    account.cannot("nice", "docker sets no priorities")
    account.cannot("scheduler", "docker sets no policies")
    account.cannot("io_priority", "docker sets no priorities")
    account.cannot("pdeathsig", "containerd's shim is its parent")
    account.cannot("join", "docker enters namespaces of containers alone (--network container:NAME)")
    account.cannot("keep", "docker binds no namespaces")
    account.cannot("capabilities", "--cap-add and --cap-drop make all sets alike")
    account.cannot("via", "runc makes the process")
    account.cannot("clone_flags", "runc makes the process")
