"""A plan is data: the flat tuple of system calls a newborn child will make, printable like strace."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntFlag
from typing import Protocol

from spawner.oci import Veth
from spawner.signals import signal_name
from spawner.spec import Mechanism, Stdio


class Named(int):
    """A number that prints as the names it was made of: ``Named(0x44000, "MS_REC|MS_PRIVATE")``."""

    text: str

    def __new__(cls, value: int, text: str) -> Named:
        """Make the number ``value``, printed as ``text``."""
        self = super().__new__(cls, value)
        self.text = text
        return self

    def __reduce__(self) -> tuple[type[Named], tuple[int, str]]:
        return Named, (int(self), self.text)


@dataclass(frozen=True, slots=True)
class Result:
    """What an earlier step returned, by its index: a descriptor, mostly."""

    step: int


@dataclass(frozen=True, slots=True)
class Slot:
    """A number known only at the launch, by name: a descriptor of the parent, say."""

    name: str


@dataclass(frozen=True, slots=True)
class Strings:
    """A NULL-terminated array of C strings, as execve(2) takes them; printed as ``shown`` where given."""

    values: tuple[bytes, ...]
    shown: str | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """A path known only at the launch, by name, of less than ``size`` bytes."""

    name: str
    size: int = 256


@dataclass(frozen=True, slots=True)
class At:
    """A pointer, within a struct, to these bytes, or to another struct."""

    data: bytes | Packed


@dataclass(frozen=True, slots=True)
class Packed:
    """A struct in memory: ``format`` as for the struct module, without alignment; printed as ``shown``.

    A value may be known only at the launch (Slot), be what an earlier step returned (Result: 32 bits, or decimal text
    where its format is s), or point to bytes (At, format Q).
    """

    format: str
    values: tuple[int | bytes | Slot | Result | At, ...]
    shown: str

    def fields(self) -> Iterator[tuple[str, int | bytes | Slot | Result | At | None]]:
        """Each field's format with its value; None for padding."""
        values = iter(self.values)
        for count, kind in _FIELD.findall(self.format.lstrip("=@")):
            if kind == "x":
                yield count + kind, None
            elif kind == "s" or not count:
                yield count + kind, next(values)
            else:
                for _ in range(int(count)):
                    yield kind, next(values)


_FIELD = re.compile(r"(\d*)([a-zA-Z])")


@dataclass(frozen=True, slots=True)
class Out:
    """Memory of ``size`` bytes for the kernel to write into: zeroed, but for what it begins with."""

    size: int
    begins: bytes = b""


Argument = int | str | bytes | Result | Slot | Text | Strings | Packed | Out


class Bearing(IntFlag):
    """How the child's loop takes a step's result (enum step_flag in _child.h)."""

    FORKS = 1
    EXPECT_ZERO = 2
    TOLERATE_ALL = 4
    INIT = 8  # two go on: the old process to the LAST step, the new one behind that
    LAST = 16  # by which the old process becomes the reaper
    QUIET = 32  # from here on no call but the steps' own: no clock is read and nobody waited for


PLAIN = Bearing(0)


@dataclass(frozen=True, slots=True)
class Step:
    """One system call of the child.

    ``label`` names it in timelines and errors, ``phase`` groups it for people, ``path`` is the file it is
    about. ``tolerated`` are errnos (at most four) after which the plan goes on. ``only_if`` names an earlier step
    without whose success this one is passed over, ``unless`` one without whose failure it is (a step that was passed
    over counts as failed).
    """

    label: str
    syscall: str
    args: tuple[Argument, ...]
    phase: str
    why: str = ""
    path: str | None = None
    tolerated: tuple[int, ...] = ()
    bearing: Bearing = PLAIN
    only_if: Result | None = None
    unless: Result | None = None

    def __str__(self) -> str:
        return f"{self.syscall}({', '.join(map(_shown, self.args))})"


class Held(Protocol):
    """A child that waits for its parent to act."""

    @property
    def pid(self) -> int:
        """Its process id in our pid namespace."""
        ...

    @property
    def pidfd(self) -> int:
        """A descriptor of it."""
        ...

    @property
    def network(self) -> Networker | None:
        """What connects it to a network, as given to launch()."""
        ...


Undo = Callable[[], None]


class Networker(Protocol):
    """What makes links: not the engine, which speaks no rtnetlink."""

    def connect(self, held: Held, veth: Veth) -> Undo:
        """Connect a child that waits in its new network namespace, whole or not at all, and answer what undoes it.

        Raises OSError or LaunchError, as what undoes it does.
        """
        ...


@dataclass(frozen=True, slots=True)
class Action:
    """What the parent does while the child waits before step ``before``.

    ``does`` raises OSError or LaunchError, and may answer what undoes it: called if the launch fails later, or, where
    ``lasting`` is false, when the child is closed too. ``text`` is what it does, for people.
    """

    before: int
    label: str
    text: str
    does: Callable[[Held], Undo | None]
    phase: str
    path: str | None = None
    lasting: bool = False


class Prepared(Protocol):
    """What was made before the child: ``slots`` for its plan, and how to take it away again."""

    @property
    def slots(self) -> dict[str, int | bytes]:
        """Numbers and paths by the names of the plan's slots."""
        ...

    def lend(self) -> list[int]:
        """The descriptors among them, which are closed once the child has its own."""
        ...

    def undo(self) -> None:
        """Take it away: if the launch fails, and when the child is closed."""
        ...


@dataclass(frozen=True, slots=True)
class Preparation:
    """What the parent makes before there is a child. ``does`` raises OSError or LaunchError and leaves nothing then."""

    label: str
    text: str
    does: Callable[[], Prepared]
    phase: str
    path: str | None = None


@dataclass(frozen=True, slots=True)
class ReadBack:
    """What a step must have read from the kernel: ``found`` words the answer as ``wanted`` is worded.

    ``found`` is given what the step returned and what the kernel wrote for it, and answers None for unknown. ``wanted``
    may be known only at the launch: the text of a slot that a Preparation gives.
    """

    what: str
    step: int
    wanted: str | Slot
    found: Callable[[int, bytes], str | None]


@dataclass(frozen=True, slots=True)
class Look:
    """What the parent looks at from outside once the child runs its program.

    ``wrong`` answers what is not as it was asked for, or None where all is well or unknown: the child may have ended.
    """

    what: str
    wrong: Callable[[Held], str | None]


def _quoted(value: str | bytes, limit: int = 64) -> str:
    text = value if isinstance(value, str) else value.decode("utf-8", "backslashreplace")
    cut = text[:limit].encode("unicode_escape", "surrogateescape").decode("ascii", "backslashreplace")
    cut = cut.replace('"', '\\"')
    return f'"{cut}"' + ("…" if len(text) > limit else "")


def _shown(argument: Argument) -> str:
    match argument:
        case Named(text=text):
            return text
        case int():
            return str(argument)
        case str() | bytes():
            return _quoted(argument)
        case Result(step=step):
            return f"#{step}"
        case Slot(name=name):
            return f"<{name}>"
        case Strings(values=values, shown=shown):
            return shown or "[" + ", ".join(map(_quoted, values)) + "]"
        case Packed(shown=shown):
            return shown
        case Text(name=name):
            return f"{{{name}}}"
        case Out():
            return "…"


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Everything decided about a launch: how the child is made and what it does, step by step.

    ``clone_flags`` are all bits given to the call (the engine's own included), ``why`` says in a sentence why
    the mechanism was chosen, ``notes`` tell what a person would not expect. ``suspends`` is true where the
    parent thread sleeps until the child has exec'ed (CLONE_VFORK). ``asked`` are the namespaces (OCI names)
    that must turn out to be new. Two plans are equal only if they are the same object.
    """

    mechanism: Mechanism
    why: str
    clone_flags: int
    flags_text: str
    exit_signal: int
    steps: tuple[Step, ...]
    asked: frozenset[str]
    stdio: Stdio
    window: tuple[int, int]
    pdeathsig: int | None
    notes: tuple[str, ...] = ()
    argv: tuple[bytes, ...] = ()
    envp: tuple[bytes, ...] = ()
    new_session: bool = False
    program: tuple[str, ...] = ()
    read_back: tuple[tuple[str, int], ...] = ()
    """Which step reads which of the child's namespaces (OCI name, index)."""
    checks: tuple[ReadBack, ...] = ()
    """What else is compared with the kernel's word once execve has succeeded."""
    looks: tuple[Look, ...] = ()
    """What is looked at from outside then."""
    preparations: tuple[Preparation, ...] = ()
    """What the parent makes before the child, in this order."""
    actions: tuple[Action, ...] = ()
    """What the parent does while the child waits, in the order of the steps they come before."""
    veth: Veth | None = None
    """The links that launch() needs a Networker for."""
    first_filter: int | None = None
    """Index of the step that installs the first seccomp filter."""
    clocks: tuple[tuple[int, int], ...] = ()
    """(step that moves the child's clock, step that reads by how much), in order."""
    second_fork: int | None = None
    """Index of the step in which the child forks once more and goes on as its own sibling."""
    init: bool = False
    """Whether the child becomes a reaper on the way, and the program its child."""
    entry: bool = False
    """Whether the child goes on in Python at the end, instead of executing a program."""

    def filters_before(self, index: int) -> bool:
        """Whether a seccomp filter is in force at step ``index``."""
        return self.first_filter is not None and self.first_filter < index

    @property
    def suspends(self) -> bool:
        """Whether the calling thread is suspended until the child has exec'ed or died."""
        vfork = 0x4000
        return self.mechanism in (Mechanism.VFORK, Mechanism.POSIX_SPAWN) or bool(self.clone_flags & vfork)

    @property
    def confirms(self) -> bool:
        """Whether the parent must hear from the child: to hold it, or that execve is over and not only begun.

        CLONE_VFORK wakes the parent when the old memory is let go (exec_mmap), which is before the new time
        namespace is entered.
        """
        return not self.suspends or "time" in self.asked

    @property
    def birth_label(self) -> str:
        """The name of the system call that makes the child."""
        return "fork" if self.mechanism is Mechanism.FORK_UNSHARE else str(self.mechanism)

    @property
    def birth(self) -> str:
        """The call that makes the child, as strace would print it."""
        match self.mechanism:
            case Mechanism.CLONE3:
                return f"clone3({{flags={self.flags_text or 0}, exit_signal={self._exit_signal_text or 0}}})"
            case Mechanism.CLONE:
                return f"clone(flags={'|'.join(filter(None, (self.flags_text, self._exit_signal_text))) or 0})"
            case Mechanism.FORK | Mechanism.FORK_UNSHARE:
                return "fork()"
            case other:
                return f"{other}()"

    @property
    def _exit_signal_text(self) -> str:
        return signal_name(self.exit_signal) if self.exit_signal else ""

    def __str__(self) -> str:
        width = len(str(max(len(self.steps) - 1, 0)))
        lines = [f"{'':{width}}  parent: {preparation.text}" for preparation in self.preparations]
        lines.append(f"{'':{width}}  {self.birth}")
        for index, step in enumerate(self.steps):
            lines += [f"{'':{width}}  parent: {action.text}" for action in self.actions if action.before == index]
            lines.append(f"{index:{width}}  {step}{_condition(step)}")
        return "\n".join(lines)


def _condition(step: Step) -> str:
    if step.only_if is not None:
        return f"   # only if step {step.only_if.step} succeeded"
    return f"   # only if step {step.unless.step} failed" if step.unless is not None else ""
