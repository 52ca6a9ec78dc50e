"""The new root as a value: what a plan has made in it so far, and so where it may make more.

A launch changes nothing of the host's files. So directories, files and links are made only on file systems that the
plan made itself; which those are, and what is in them, follows from the Spec alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

Parts = tuple[str, ...]

_MOST_LINKS = 40  # MAXSYMLINKS, include/linux/namei.h


class Kind(StrEnum):
    """What is known to be at a path."""

    DIRECTORY = "directory"
    FILE = "file"
    LINK = "symbolic link"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """A file system in the new root.

    ``what`` it is, for people. ``ours``: the plan made it, and may make things in it. ``known``: everything in it is
    in the tree. ``exact``: so is the way to it, no link of the host's can be on it. ``at``: where it is mounted, by
    ``operation`` (its index; None for the root).
    """

    what: str
    ours: bool
    known: bool
    exact: bool
    at: Parts = ()
    operation: int | None = None
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Node:
    """One entry: ``target`` of a link; ``maybe`` where it is made only if an optional source exists."""

    kind: Kind
    ground: Ground
    target: str = ""
    maybe: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path leads: ``parents`` are the directories that have to be made on the way, the outermost first.

    ``node`` is None where nothing is there, or nothing is known to be there.
    """

    parts: Parts
    ground: Ground
    parents: tuple[Parts, ...] = ()
    node: Node | None = None

    @property
    def path(self) -> str:
        """As an absolute path without links of the plan's own."""
        return absolute(self.parts)

    @property
    def missing(self) -> bool:
        """Whether it has to be made before something is mounted there, and may be."""
        return self.ground.ours and (self.node is None or self.node.maybe)


class LinkLoopError(ValueError):
    """Links of the plan's own that lead in a circle."""


def absolute(parts: Parts) -> str:
    """The path of these names from the root."""
    return "/" + "/".join(parts)


@dataclass(slots=True)
class Tree:
    """The new root while it is being filled."""

    root: Ground
    nodes: dict[Parts, Node] = field(default_factory=dict)

    def look(self, path: str, *, follow: bool = True) -> Place:
        """Walk to ``path``, through links that the plan made (the last one too where ``follow``).

        On file systems of the host the way is taken by its text: their links are the kernel's to follow. LinkLoopError
        where links lead in a circle.
        """
        pending = _names(path)
        at: list[str] = []
        parents: list[Parts] = []
        node: Node | None = Node(Kind.DIRECTORY, self.root)
        ground, links = self.root, 0
        while pending:
            name = pending.pop(0)
            if name == "..":
                if at:
                    at.pop()
                node, ground = self._at(tuple(at))
                parents = [parent for parent in parents if len(parent) < len(at)]
                continue
            self._pass(tuple(at), node, ground, parents)
            at.append(name)
            node = self.nodes.get(tuple(at))
            if node is not None and node.kind is Kind.LINK and (pending or follow):
                links += 1
                if links > _MOST_LINKS:
                    raise LinkLoopError(path)
                at = [] if node.target.startswith("/") else at[:-1]
                parents = [parent for parent in parents if len(parent) <= len(at)]
                pending = _names(node.target) + pending
                node, ground = self._at(tuple(at))
            elif node is not None:
                ground = node.ground
        return Place(tuple(at), ground, tuple(parents), node)

    def _pass(self, at: Parts, node: Node | None, ground: Ground, parents: list[Parts]) -> None:
        """Note a directory that has to be made before what is below it."""
        if at and ground.ours and (node is None or node.maybe) and at not in parents:
            parents.append(at)

    def _at(self, parts: Parts) -> tuple[Node | None, Ground]:
        if not parts:
            return Node(Kind.DIRECTORY, self.root), self.root
        node = self.nodes.get(parts)
        if node is not None:
            return node, node.ground
        return None, self._at(parts[:-1])[1]

    def make(self, place: Place, kind: Kind, *, target: str = "", maybe: bool = False) -> None:
        """Enter what is made at ``place``, and on the way to it."""
        for parent in place.parents:
            known = self.nodes.get(parent)
            self.nodes[parent] = Node(Kind.DIRECTORY, place.ground, maybe=maybe and (known is None or known.maybe))
        self.nodes[place.parts] = Node(kind, place.ground, target, maybe)

    def mount(self, place: Place, kind: Kind, ground: Ground, *, maybe: bool = False) -> None:
        """Enter a file system mounted at ``place``: it covers all that was there."""
        if place.ground.ours:
            self.make(place, kind, maybe=maybe)
        for parts in [parts for parts in self.nodes if parts[: len(place.parts)] == place.parts]:
            del self.nodes[parts]
        exact = ground.exact and place.ground.exact
        self.nodes[place.parts] = Node(kind, replace(ground, at=place.parts, exact=exact), maybe=maybe)


def _names(path: str) -> list[str]:
    return [name for name in path.split("/") if name not in ("", ".")]
