"""Namespaces as trees: below their parents, or below the user namespaces that own them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from nsview.host.namespaces.namespace import Namespace

Relation = Callable[[Namespace], int | None]

RELATIONS: Mapping[str, Relation] = {
    "parent": lambda namespace: namespace.parent,
    "owner": lambda namespace: namespace.owner,
}
"""By name: the inode of the namespace above."""


def drawn(namespaces: Sequence[Namespace], above: Relation) -> Iterator[tuple[str, Namespace]]:
    """Yield the lines of the tree, depth first: what stands left of the name, as ``│  └─ ``, and the namespace.

    Siblings stay in the order given. One whose namespace above is not among them is a root.
    """
    present = {namespace.inode for namespace in namespaces}
    children: dict[int | None, list[Namespace]] = {}
    for namespace in namespaces:
        up = above(namespace)
        children.setdefault(up if up in present and up != namespace.inode else None, []).append(namespace)
    seen: set[int] = set()
    stack = [("", "", root) for root in reversed(children.get(None, []))]
    while stack:
        branches, indent, namespace = stack.pop()
        if namespace.inode in seen:
            continue  # a recording may claim a circle
        seen.add(namespace.inode)
        yield branches, namespace
        below = children.get(namespace.inode, [])
        for child in reversed(below):
            last = child is below[-1]
            stack.append((indent + ("└─ " if last else "├─ "), indent + ("   " if last else "│  "), child))
