"""The values a Spec is made of, in the words of the OCI runtime-spec where it has them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class IDMapping:
    """One line of a uid_map or gid_map: ``size`` ids from ``container_id`` inside are ``host_id``… outside."""

    container_id: int
    host_id: int
    size: int = 1


@dataclass(frozen=True, slots=True)
class TimeOffset:
    """What a new time namespace adds to a clock, in seconds and nanoseconds (time_namespaces(7))."""

    secs: int = 0
    nanosecs: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Whose credentials the program gets, as ids inside its user namespace; None leaves one alone.

    ``additional_gids`` are the supplementary groups, () for none at all.
    """

    uid: int | None = None
    gid: int | None = None
    additional_gids: tuple[int, ...] | None = None
    umask: int | None = None


@dataclass(frozen=True, slots=True)
class Join:
    """An existing namespace to enter: ``type`` is its OCI name, ``path`` a file such as /proc/PID/ns/net.

    ``identity`` is the inode of the pidfd of the process meant by a path in /proc/PID, which no later process of that
    number has; None trusts the path.
    """

    type: str
    path: str
    identity: int | None = None


@dataclass(frozen=True, slots=True)
class Keep:
    """A new namespace to keep by a bind mount: ``type`` is its OCI name, ``path`` the file to mount it on."""

    type: str
    path: str


# ---- files ----


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """A directory or file of the present root, and all that is mounted below it, at ``destination``.

    ``devices`` lets device files work there. ``optional``: nothing happens where ``source`` does not exist.
    """

    source: str
    destination: str
    read_only: bool = False
    devices: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tmpfs:
    """A new, empty tmpfs of at most ``size`` bytes (None: half the memory)."""

    destination: str
    size: int | None = None
    mode: int = 0o755


@dataclass(frozen=True, slots=True, kw_only=True)
class Proc:
    """A new procfs of the pid namespace."""

    destination: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dev:
    """A new tmpfs with the six device files every program expects, its own devpts, and a console."""

    destination: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mqueue:
    """The POSIX message queues of the ipc namespace."""

    destination: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dir:
    """A directory, which may be there already; then its mode stays as it is."""

    destination: str
    mode: int = 0o755


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file with this content. ``bound``: it is mounted there, and so may cover another; ``read_only`` implies it."""

    destination: str
    content: bytes = b""
    mode: int = 0o666
    bound: bool = False
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Symlink:
    """A symbolic link at ``destination`` to ``target``; one that is there already with this target will do."""

    target: str
    destination: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chmod:
    """Another mode for what is at ``destination``."""

    destination: str
    mode: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RemountReadOnly:
    """The mount at ``destination`` becomes read-only; mounts below it do not."""

    destination: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """An overlay of directories of the present root, the lowest first.

    Written to ``upper`` (with ``work`` beside it on the same file system); to a tmpfs that ends with the mount where
    that is None; nowhere where ``read_only``.
    """

    destination: str
    lower: tuple[str, ...]
    upper: str | None = None
    work: str | None = None
    read_only: bool = False


FileOperation = Bind | Tmpfs | Proc | Dev | Mqueue | Dir | File | Symlink | Chmod | RemountReadOnly | Overlay


# ---- limits ----


@dataclass(frozen=True, slots=True)
class Rlimit:
    """A resource limit, setrlimit(2); ``type`` as RLIMIT_NOFILE; None is no limit."""

    type: str
    soft: int | None
    hard: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IOMax:
    """Limits of one block device by its number, per second; None is no limit."""

    major: int
    minor: int
    read_bps: int | None = None
    write_bps: int | None = None
    read_iops: int | None = None
    write_iops: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a cgroup may use: ``memory`` bytes, ``pids`` tasks, ``cpus`` (1.5 is one and a half)."""

    memory: int | None = None
    pids: int | None = None
    cpus: float | None = None
    io_max: tuple[IOMax, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduler:
    """sched_setattr(2): ``policy`` as SCHED_BATCH, and what it takes (``runtime`` and the like in nanoseconds)."""

    policy: str
    nice: int = 0
    priority: int = 0
    runtime: int = 0
    deadline: int = 0
    period: int = 0


@dataclass(frozen=True, slots=True)
class IOPriority:
    """ioprio_set(2): ``type`` as IOPRIO_CLASS_BE, ``priority`` 0 (first) to 7."""

    type: str
    priority: int = 4


# ---- security ----


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """The five sets by name (CAP_NET_RAW); None leaves a set as it comes, capabilities(7)."""

    bounding: frozenset[str] | None = None
    effective: frozenset[str] | None = None
    inheritable: frozenset[str] | None = None
    permitted: frozenset[str] | None = None
    ambient: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Seccomp:
    """One seccomp filter: a profile in the OCI runtime-spec's (or Docker's) JSON, or a compiled ``program``.

    ``program`` is an array of struct sock_filter, as seccomp_export_bpf(3) writes it; ``name`` is for people.
    """

    name: str
    profile: str | None = None
    program: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Landlock:
    """Paths the program may use, and no others: ``read`` to read and execute below, ``write`` for everything."""

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()


# ---- network ----


@dataclass(frozen=True, slots=True, kw_only=True)
class Veth:
    """A pair of links between the host and a new network namespace; addresses as 10.0.0.1/24 or fd00::1/64.

    The child's default route goes to the host's address where ``default_route``; ``masquerade`` hides it behind the
    host's own addresses.
    """

    host_address: str
    child_address: str
    host_name: str | None = None
    child_name: str = "eth0"
    default_route: bool = True
    masquerade: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cgroup:
    """A control group made for the child and removed with it; ``name`` is unique on its own where None."""

    name: str | None = None
    resources: Resources = field(default_factory=Resources)
