"""User names by uid."""

from __future__ import annotations

import pwd
from functools import lru_cache

from nsview.host.text import printable


@lru_cache(maxsize=4096)
def user_name(uid: int) -> str:
    """Return the name of a user, or the number where it has none (getpwuid(3); the answer is kept)."""
    try:
        return printable(pwd.getpwuid(uid).pw_name)
    except KeyError:
        return str(uid)
