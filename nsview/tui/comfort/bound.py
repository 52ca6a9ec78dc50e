"""All keys that anything on the screen is bound to, with whom: for the palette, the help and people's own keymaps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from textual.binding import Binding
from textual.dom import DOMNode


@dataclass(frozen=True, slots=True)
class Bound:
    """A binding of ours and the node that has it."""

    binding: Binding
    node: DOMNode


def bound_to(node: DOMNode) -> Iterator[Bound]:
    """Yield the bindings of one node that have a name of ours: of its class, and of those it is made from."""
    seen: set[str] = set()
    for kind in type(node).__mro__:
        for binding in kind.__dict__.get("BINDINGS", ()):
            if isinstance(binding, Binding) and binding.id and binding.id not in seen:
                seen.add(binding.id)
                yield Bound(binding, node)


def all_bound(root: DOMNode) -> list[Bound]:
    """Return those of a node and of everything below it, each name once."""
    found: dict[str, Bound] = {}
    for node in root.walk_children(with_self=True):
        for one in bound_to(node):
            assert one.binding.id is not None
            found.setdefault(one.binding.id, one)
    return [*found.values()]
