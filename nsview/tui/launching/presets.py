"""Named ways to fill in the launch panel: from a plain fork to a sandbox, each of which can be launched as it is."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, replace

from nsview.labs.container.contained import contained, programs
from nsview.tui.launching.form import Form, Ids, filled
from nsview.tui.launching.sections import ON
from nsview.tui.launching.spec_rows import rows_of
from spawner import Mechanism, Spec
from spawner.flags import bits
from spawner.namespaces import KINDS
from spawner.oci import Bind, Dev, Dir, Proc, Tmpfs

DAY = 86400


@dataclass(frozen=True, slots=True)
class Preset:
    """A named way to fill in the form. The command line stays as it is."""

    name: str
    title: str
    does: str
    form: Form


_ALL = frozenset(kind.name for kind in KINDS)
_USUAL = _ALL - {"time"}
"""Of a container; the clocks are the machine's."""


def _form(names: str = "", texts: Mapping[str, str] | None = None, ids: Ids = Ids.ROOT, via: str = "auto") -> Form:
    return filled(Form(namespaces=frozenset(names.split()), ids=ids, via=Mechanism(via)), texts or {})


def _alone(name: str, isolates: str) -> Preset:
    return Preset(
        f"only-{name}",
        f"only {name}",
        f"one new namespace: {isolates}",
        _form(name, ids=Ids.NONE if name == "user" else Ids.ROOT),
    )


def _system() -> str:
    """The machine's programs and settings, read-only, and nothing else of its files."""
    etc = Bind(source="/etc", destination="/etc", read_only=True, optional=True)
    rest = (Proc(destination="/proc"), Dev(destination="/dev"), Tmpfs(destination="/tmp", mode=0o1777))
    below = (Dir(destination="/run"), Dir(destination="/root"))
    return rows_of(Spec(args=(), mounts=(*programs(), etc, *rest, *below)))["files"]


def _contained() -> Form:
    """The container that the lab proves, as `nsview lab container` makes it."""
    spec = replace(contained(), pdeathsig=signal.SIGKILL)
    texts = {key: text for key, text in rows_of(spec).items() if key not in ("--map-users", "--map-groups")}
    kept = tuple((name, value) for name in _UNSHOWN if (value := getattr(spec, name)))
    return replace(filled(Form(namespaces=spec.namespaces, ids=Ids.ROOT), texts), kept=kept)


_UNSHOWN = ("rootfs_readonly", "masked_paths", "readonly_paths")
"""Fields of it that no row shows."""

_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID")
"""Enough to install and run what changes its user, as most container engines leave."""

_CONTAINER = replace(_form(texts={"--mount-proc": "/proc", "--hostname": "box"}), namespaces=_USUAL)
_FULL = replace(
    _form(
        texts={
            "files": _system(),
            "--hostname": "box",
            "--wd": "/",
            "capabilities": "cap-drop ALL\n" + "\n".join(f"cap-add {name}" for name in _CAPABILITIES),
            "--no-new-privs": ON,
            "--seccomp": "default",
            "--init": ON,
        }
    ),
    namespaces=_USUAL,
)
_SANDBOX = replace(
    _form(
        texts={
            "files": "ro-bind / /\ndev /dev\nproc /proc\nperms 1777\ntmpfs /tmp",
            "--wd": "/tmp",
            "capabilities": "cap-drop ALL",
            "--no-new-privs": ON,
            "--seccomp": "default",
            "--rlimit": "CORE=0 NOFILE=256",
            "--init": ON,
        },
        ids=Ids.SAME,
    ),
    namespaces=_USUAL,
)

PRESETS: tuple[Preset, ...] = (
    Preset("plain", "plain child", "nothing new: the cheapest way there is", _form()),
    Preset("fork", "plain fork", "copies the page tables, as in 1971", _form(via="fork")),
    Preset("vfork", "vfork", "borrows the memory and suspends us until execve", _form(via="vfork")),
    Preset("posix_spawn", "posix_spawn", "the C library's own, for comparison", _form(via="posix_spawn")),
    Preset(
        "thread-like",
        "thread-like sharing",
        "shares memory, directory, descriptors and semaphores until execve, as a thread would for good",
        replace(_form(), clone_flags=bits("VM", "VFORK", "FS", "FILES", "SYSVSEM")),
    ),
    *(_alone(kind.name, kind.isolates) for kind in KINDS),
    Preset(
        "rootless", "rootless (unshare -r)", "a user namespace in which you are root; needs no privilege", _form("user")
    ),
    Preset(
        "unshare-pid",
        "unshare -rpf --mount-proc",
        "pid 1 of its own pids, and a /proc that shows only them",
        _form("user pid mount", {"--mount-proc": "/proc"}),
    ),
    Preset("unshare-net", "unshare -rn", "a network of its own, with nothing in it but lo", _form("user network")),
    Preset("unshare-mount", "unshare -rm", "mounts that nobody else sees", _form("user mount")),
    Preset(
        "unshare-same",
        "unshare -c --keep-caps",
        "the same ids as outside, with every capability inside",
        _form("user", {"--keep-caps": ON}, Ids.SAME),
    ),
    Preset("container", "container-like", "all but time, root inside, its own /proc, named box", _CONTAINER),
    Preset(
        "two-step",
        "container by fork+unshare",
        "the same in the old way: fork first, then unshare",
        replace(_CONTAINER, via=Mechanism.FORK_UNSHARE),
    ),
    Preset(
        "full-container",
        "full container",
        "a root of its own of the machine's programs, six capabilities, seccomp, an init",
        replace(_FULL, namespaces=_USUAL - {"user"}),
    ),
    Preset(
        "rootless-container",
        "rootless container",
        "the same without privilege: in a user namespace, root inside",
        _FULL,
    ),
    Preset(
        "proven-container",
        "proven container",
        "as the lab makes it and tries to get out of it: nothing left but reading its files, within limits",
        _contained(),
    ),
    Preset(
        "sandbox",
        "sandbox",
        "the machine's files read-only, no network, no capability, no new privilege, seccomp",
        _SANDBOX,
    ),
    Preset(
        "day-ahead",
        "a day ahead",
        "clocks since boot that are 24 hours further; see /proc/uptime",
        _form("time", {"--monotonic": str(DAY), "--boottime": str(DAY)}),
    ),
    Preset(
        "hold",
        "container, held before exec",
        "all set up, waiting for you to look before the program starts",
        replace(_CONTAINER, hold=True),
    ),
)
"""In the order in which the panel offers them."""

PRESET_OF = {preset.name: preset for preset in PRESETS}
