"""User names by uid."""

from __future__ import annotations

import pwd
from collections.abc import Mapping
from functools import lru_cache

from nsview.host.text import printable

_told: dict[int, str] = {}


def told(names: Mapping[int, str]) -> None:
    """Take the names that a recording tells: its uids are those of another time, perhaps of another machine."""
    _told.update(names)
    user_name.cache_clear()


@lru_cache(maxsize=4096)
def user_name(uid: int) -> str:
    """Return the name of a user, or the number where it has none (getpwuid(3); the answer is kept)."""
    if uid in _told:
        return _told[uid]
    try:
        return printable(pwd.getpwuid(uid).pw_name)
    except KeyError:
        return str(uid)
