"""What a person filled in on the launch panel, as a value: presets, and from the form to a Spec. Pure."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from spawner import IDMapping, Mechanism, Plan, Problem, Spec, SpecError, Stdio, TimeOffset, compile_spec
from spawner.namespaces import KINDS, flags_of
from spawner.rules import Caller, When, refusals

DAY = 86400


class Ids(StrEnum):
    """How ids are mapped into a new user namespace; the value is what the panel calls it."""

    NONE = "no map (nobody)"
    ROOT = "root inside"
    SAME = "same id inside"


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """The launch panel's fields, as they were typed. Empty text means not set."""

    command: str = "sh"
    namespaces: frozenset[str] = frozenset()
    clone_flags: int = 0
    ids: Ids = Ids.ROOT
    mount_proc: bool = False
    hostname: str = ""
    domainname: str = ""
    monotonic: str = ""
    boottime: str = ""
    cwd: str = ""
    via: Mechanism = Mechanism.AUTO
    hold: bool = False

    def toggle(self, namespace: str) -> Form:
        """Pick a namespace (OCI name), or drop it."""
        return replace(self, namespaces=self.namespaces ^ {namespace})


@dataclass(frozen=True, slots=True)
class Origin:
    """Who launches, and from where: effective ids, privilege, environment, rows and columns of the terminal."""

    uid: int
    gid: int
    privileged: bool = True
    """Whether we have CAP_SYS_ADMIN here."""
    env: Mapping[str, str] = field(default_factory=dict)
    window: tuple[int, int] = (24, 80)


@dataclass(frozen=True, slots=True)
class Preset:
    """A named way to fill in the form. The command line stays as it is."""

    name: str
    title: str
    does: str
    form: Form


_CONTAINER = Form(
    namespaces=frozenset({"mount", "uts", "ipc", "network", "pid", "user", "cgroup"}),
    mount_proc=True,
    hostname="box",
)


def _alone(name: str, isolates: str) -> Preset:
    form = Form(namespaces=frozenset({name}), ids=Ids.NONE)
    return Preset(f"only-{name}", f"only {name}", f"one new namespace: {isolates}", form)


PRESETS: tuple[Preset, ...] = (
    Preset("plain", "plain child", "nothing new: the cheapest way there is", Form()),
    Preset("fork", "plain fork", "copies the page tables, as in 1971", Form(via=Mechanism.FORK)),
    Preset("vfork", "vfork", "borrows the memory and suspends us until execve", Form(via=Mechanism.VFORK)),
    Preset("posix_spawn", "posix_spawn", "the C library's own, for comparison", Form(via=Mechanism.POSIX_SPAWN)),
    *(_alone(kind.name, kind.isolates) for kind in KINDS),
    Preset(
        "rootless",
        "rootless (unshare -r)",
        "a user namespace in which you are root; needs no privilege",
        Form(namespaces=frozenset({"user"})),
    ),
    Preset("container", "container-like", "all but time, root inside, its own /proc, named box", _CONTAINER),
    Preset(
        "two-step",
        "container by fork+unshare",
        "the same in the old way: fork first, then unshare",
        replace(_CONTAINER, via=Mechanism.FORK_UNSHARE),
    ),
    Preset(
        "day-ahead",
        "a day ahead",
        "clocks since boot that are 24 hours further; see /proc/uptime",
        Form(namespaces=frozenset({"time"}), monotonic=str(DAY), boottime=str(DAY)),
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


class FormError(ValueError):
    """A field that cannot be read; ``problems`` says which and why."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


def words(command: str) -> tuple[str, ...]:
    """Split a command line as sh does, without expanding anything; raises FormError."""
    try:
        found = tuple(shlex.split(command))
    except ValueError as error:
        remedy = "end the quotation" if "quotation" in str(error) else "put something after the backslash"
        raise FormError(Problem(f"the command line cannot be split: {error}".lower(), remedy)) from error
    if not found:
        raise FormError(Problem("no program to run", "type a command line such as: sh"))
    return found


def _offset(field_name: str, text: str) -> tuple[tuple[str, TimeOffset], ...]:
    if not text.strip():
        return ()
    try:
        return ((field_name, TimeOffset(int(text.strip()))),)
    except ValueError as error:
        message = f"{field_name} offset {text.strip()!r} is not a whole number of seconds"
        raise FormError(Problem(message, f"a day is {DAY}, and -60 goes back a minute")) from error


def spec_of(form: Form, by: Origin) -> Spec:
    """Make the Spec that the form describes; raises FormError for fields that cannot be read.

    The program gets a terminal of its own, and is killed when we die. posix_spawn(3) has attributes for neither.
    """
    problems: list[Problem] = []
    args: tuple[str, ...] = ()
    offsets: tuple[tuple[str, TimeOffset], ...] = ()
    try:
        args = words(form.command)
    except FormError as error:
        problems += error.problems
    for name, text in (("monotonic", form.monotonic), ("boottime", form.boottime)):
        try:
            offsets += _offset(name, text)
        except FormError as error:
            problems += error.problems
    if problems:
        raise FormError(*problems)
    user = "user" in form.namespaces
    spawns = form.via is Mechanism.POSIX_SPAWN
    return Spec(
        args=args,
        env=tuple(environment(by.env).items()),
        cwd=form.cwd or None,
        namespaces=form.namespaces,
        uid_mappings=_map(form.ids, by.uid) if user else (),
        gid_mappings=_map(form.ids, by.gid) if user else (),
        hostname=form.hostname or None,
        domainname=form.domainname or None,
        time_offsets=offsets,
        mount_proc="/proc" if form.mount_proc else None,
        clone_flags=form.clone_flags,
        via=form.via,
        stdio=Stdio.NULL if spawns else Stdio.PTY,
        window=by.window,
        pdeathsig=None if spawns else signal.SIGKILL,
    )


def environment(ours: Mapping[str, str]) -> dict[str, str]:
    """Return our environment as fits a program in the embedded terminal."""
    env = {name: value for name, value in ours.items() if name not in ("LINES", "COLUMNS", "NO_COLOR")}
    return env | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}


def _map(ids: Ids, own: int) -> tuple[IDMapping, ...]:
    match ids:
        case Ids.NONE:
            return ()
        case Ids.ROOT:
            return (IDMapping(0, own),)
        case Ids.SAME:
            return (IDMapping(own, own),)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What would happen if the form were launched now: a Spec and its Plan, or the problems in the way."""

    spec: Spec | None = None
    plan: Plan | None = None
    problems: tuple[Problem, ...] = ()


def outlook(form: Form, by: Origin) -> Outlook:
    """Work out the plan of a form, or everything that is wrong with it."""
    try:
        spec = spec_of(form, by)
    except FormError as error:
        return Outlook(problems=error.problems)
    problems = _unprivileged(spec, by)
    try:
        plan = compile_spec(spec, hold=form.hold)
    except SpecError as error:
        return Outlook(spec, problems=problems + error.problems)
    return Outlook(spec, None if problems else plan, problems)


def _unprivileged(spec: Spec, by: Origin) -> tuple[Problem, ...]:
    mask = flags_of(spec.namespaces) | spec.clone_flags
    caller = Caller(privileged=by.privileged)
    return tuple(
        Problem(refusal.rule.why, _REMEDY, refusal.errno)
        for refusal in refusals(mask, caller=caller)
        if refusal.rule.when is When.UNPRIVILEGED
    )


_REMEDY = "pick user as well, in which you have every capability; or run nsview as root"


def hold_before(plan: Plan) -> int:
    """Return the index of the step a held child waits before: the first that may start the program."""
    return next(index for index, step in enumerate(plan.steps) if step.phase == "exec")
