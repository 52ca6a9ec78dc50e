"""How a Spec fills its new root: which operation makes the root, where each other goes, and what speaks against it."""

from __future__ import annotations

from dataclasses import dataclass, field

from spawner.errors import Problem
from spawner.oci import (
    Bind,
    Chmod,
    Dev,
    Dir,
    File,
    FileOperation,
    Overlay,
    Proc,
    RemountReadOnly,
    Symlink,
    Tmpfs,
)
from spawner.spec import Spec
from spawner.tree import Ground, Kind, LinkLoopError, Place, Tree

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
"""The device files of a Dev, bound from the host's."""

DEVICE_LINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
)
"""The links of a Dev."""

RootMount = Bind | Tmpfs | Overlay


@dataclass(frozen=True, slots=True)
class Settled:
    """An operation with the place it turned out to be about; ``number`` tells operations apart."""

    number: int
    operation: FileOperation
    place: Place


@dataclass(slots=True)
class Filling:
    """A new root: what it is itself (``root``: an operation on "/", or None), and what is done in it, in order.

    ``covered`` is how many operations came before the one that makes the root, which hides what they do.
    """

    tree: Tree
    root: RootMount | None = None
    covered: int = 0
    settled: list[Settled] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def switches_root(spec: Spec) -> bool:
    """Whether the child gets another root."""
    return spec.rootfs is not None or bool(spec.mounts)


def fill(spec: Spec) -> Filling:
    """Go through the operations of a Spec that switches the root, whose values are well-formed."""
    at_root = [i for i, op in enumerate(spec.mounts) if isinstance(op, RootMount) and _is_root(op.destination)]
    first, root = 0, None
    if at_root:
        operation = spec.mounts[at_root[-1]]
        assert isinstance(operation, RootMount)
        root, first = operation, at_root[-1] + 1
    filling = Filling(Tree(_root_ground(spec, root)), root, max(first - 1, 0))
    if root is not None and spec.rootfs is not None:
        filling.problems.append(Problem(f"two roots: {spec.rootfs} and what is mounted on /", "leave one of them out"))
    if isinstance(root, Bind) and root.optional:
        filling.problems.append(Problem("the root cannot be optional", "bind / for certain, or leave it out"))
    for number, operation in enumerate(spec.mounts[first:], first):
        _settle(filling, number, operation)
    if spec.mount_proc is not None:
        _settle(filling, len(spec.mounts), Proc(destination=spec.mount_proc))
    return filling


def _is_root(path: str) -> bool:
    return not path.strip("/.") and ".." not in path.split("/")


def _root_ground(spec: Spec, root: RootMount | None) -> Ground:
    if spec.rootfs is not None:
        return _of_host(f"the root {spec.rootfs}")
    return Ground("the new root", ours=True, known=True, exact=True) if root is None else ground_of(root, None)


def _of_host(what: str, number: int | None = None) -> Ground:
    return Ground(what, ours=False, known=False, exact=False, operation=number)


def ground_of(operation: FileOperation, number: int | None) -> Ground:
    """The file system that an operation mounts."""
    match operation:
        case Bind(source=source):
            return _of_host(f"the bind of {source}", number)
        case Tmpfs() | Dev():
            return Ground("a tmpfs of the plan", ours=True, known=True, exact=True, operation=number)
        case Overlay(upper=None, read_only=False):
            return Ground("an overlay on a tmpfs", ours=True, known=False, exact=False, operation=number)
        case Overlay():
            return _of_host("an overlay of the host's directories", number)
        case File():
            return _of_host("a bound file", number)
        case _:
            return _of_host(f"a file system of the kernel's ({type(operation).__name__.lower()})", number)


def _settle(filling: Filling, number: int, operation: FileOperation) -> None:
    tree, problems = filling.tree, filling.problems
    try:
        place = tree.look(operation.destination, follow=not isinstance(operation, Symlink))
    except LinkLoopError:
        problems.append(Problem(f"links lead in a circle on the way to {operation.destination}", "check the links"))
        return
    found = len(problems)
    match operation:
        case Dir():
            if place.node is not None and place.node.kind is Kind.FILE:
                problems.append(_occupied(operation.destination, place))
            elif place.missing:
                tree.make(place, Kind.DIRECTORY)
        case File(bound=False, read_only=False):
            problems += _refusals(operation.destination, place, "make a file", "or bound")
            if len(problems) == found:
                tree.make(place, Kind.FILE)
        case Symlink(target=target):
            node = place.node
            if node is None or (node.kind, node.target) != (Kind.LINK, target):
                problems += _refusals(operation.destination, place, "make a link", "")
                if len(problems) == found:
                    tree.make(place, Kind.LINK, target=target)
        case Chmod():
            problems += _chmod_refusals(operation.destination, place)
        case RemountReadOnly():
            if place.ground.known and place.parts != place.ground.at:
                problems.append(
                    Problem(f"{operation.destination} is no mount that could become read-only", "mount something there")
                )
        case _:
            _mount(filling, number, operation, place)
    if len(problems) == found:
        filling.settled.append(Settled(number, operation, place))


def _mount(filling: Filling, number: int, operation: FileOperation, place: Place) -> None:
    if not place.parts:
        filling.problems.append(
            Problem(
                f"{type(operation).__name__.lower()} cannot be mounted on the root itself ({operation.destination})",
                "mount it elsewhere; a bind, a tmpfs or an overlay can be the root, named as /",
            )
        )
        return
    match operation:
        case Bind():
            kind = Kind.UNKNOWN
        case File():
            kind = Kind.FILE
        case _:
            kind = Kind.DIRECTORY
    node = place.node
    if node is not None and {node.kind, kind} == {Kind.FILE, Kind.DIRECTORY}:
        filling.problems.append(
            Problem(
                f"{operation.destination} is a {node.kind}, on which no {kind} can be mounted", "mount it elsewhere"
            )
        )
    optional = isinstance(operation, Bind) and operation.optional
    filling.tree.mount(place, kind, ground_of(operation, number), maybe=optional)
    if isinstance(operation, Dev):
        _furnish(filling.tree, place)


def _furnish(tree: Tree, place: Place) -> None:
    for name in (*DEVICES, "console"):
        tree.mount(tree.look(f"{place.path}/{name}"), Kind.FILE, _of_host("a device of the host's"))
    for name, target in DEVICE_LINKS:
        tree.make(tree.look(f"{place.path}/{name}", follow=False), Kind.LINK, target=target)
    tree.make(tree.look(f"{place.path}/shm"), Kind.DIRECTORY)
    tree.mount(tree.look(f"{place.path}/pts"), Kind.DIRECTORY, _of_host("a devpts"))


def _occupied(path: str, place: Place) -> Problem:
    what = place.node.kind if place.node is not None else Kind.UNKNOWN
    return Problem(f"there is already a {what} at {path}", "choose another path, or make one of them only")


def _refusals(path: str, place: Place, what: str, alternative: str) -> list[Problem]:
    """Why nothing can be made at a place."""
    if not place.ground.ours:
        return [
            Problem(
                f"to {what} at {path} would change {place.ground.what}, and a launch changes nothing of the host's",
                f"make it beforehand, or put it on a tmpfs or an overlay{f' ({alternative})' if alternative else ''}",
            )
        ]
    if place.node is not None and not place.node.maybe:
        return [_occupied(path, place)]
    return []


def _chmod_refusals(path: str, place: Place) -> list[Problem]:
    if not place.ground.ours:
        return _refusals(path, place, "change the mode", "")
    if place.ground.known and place.node is None:
        return [Problem(f"there is nothing at {path} whose mode could change", "make it first")]
    return []
