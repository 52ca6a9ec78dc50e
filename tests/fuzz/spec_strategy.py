"""Any Spec whatever, for hypothesis: led by the types of its dataclasses, as the files are."""

from __future__ import annotations

import types
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from spawner import Spec

# What a path or an argument can be: any bytes, as Python shows them (PEP 383).
TEXTS = st.one_of(st.text(max_size=12), st.binary(max_size=6).map(lambda data: data.decode("utf-8", "surrogateescape")))
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXTS,
    int: st.integers(),
    float: st.floats(allow_nan=False),
    bool: st.booleans(),
    bytes: st.one_of(st.binary(max_size=20), st.text(max_size=12).map(str.encode)),
}


def values(shape: Any) -> st.SearchStrategy[Any]:
    """Any value of this type."""
    if get_origin(shape) in (Union, types.UnionType):
        return st.one_of([st.none() if kind is type(None) else values(kind) for kind in get_args(shape)])
    if get_origin(shape) is tuple:
        items = get_args(shape)
        if items[-1] is Ellipsis:
            return st.lists(values(items[0]), max_size=3).map(tuple)
        return st.tuples(*map(values, items))
    if get_origin(shape) is frozenset:
        return st.frozensets(values(get_args(shape)[0]), max_size=3)
    if is_dataclass(shape):
        return st.deferred(lambda: instances(shape))
    if issubclass(shape, Enum):
        return st.sampled_from(shape)
    return PLAIN[shape]


def instances(shape: Any) -> st.SearchStrategy[Any]:
    """Any instance of this dataclass."""
    hints = get_type_hints(shape)
    return st.builds(shape, **{field.name: values(hints[field.name]) for field in fields(shape)})


specs = instances(Spec)
