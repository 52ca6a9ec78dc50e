"""Settings: what a person wrote into config.toml, read as strictly as the command line, and never fatal.

```toml
theme = "nord"            # any of the palette's themes
interval = 2.0            # seconds from one look at the machine to the next
read_only = true          # only look
remember = false          # begin each time as new

[keys]                    # by the names that the help shows
"pane.tree" = "f2"
"launch.step" = "s,space"
```
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nsview.places import config_directory, read

FILE = "config.toml"
LARGEST = 1 << 20
"""Bytes of settings that are read at most."""

INTERVAL_LEAST, INTERVAL_MOST = 0.1, 86400.0

_NO_KEYS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Settings:
    """What was set; None where nothing was. ``keys``: keys (Textual's names, a comma between two) by binding id.

    ``problems`` say, a sentence each, what could not be read: the rest holds.
    """

    theme: str | None = None
    interval: float | None = None
    read_only: bool = False
    remember: bool = True
    keys: Mapping[str, str] = field(default_factory=lambda: _NO_KEYS)
    problems: tuple[str, ...] = ()

    def check(self, themes: Collection[str], keys: Collection[str]) -> Settings:
        """Drop themes and names of keys that there are not, and say so."""
        problems = list(self.problems)
        theme = self.theme
        if theme is not None and theme not in themes:
            problems.append(f"theme: there is no {theme!r}{_meant(theme, themes)}")
            theme = None
        for name in self.keys.keys() - set(keys):
            problems.append(f"keys: nothing is called {name!r}{_meant(name, keys)}")
        known = {name: pressed for name, pressed in self.keys.items() if name in keys}
        return replace(self, theme=theme, keys=known, problems=tuple(problems))


def load() -> Settings:
    """Read the invoking user's settings. No file is no settings; one that cannot be read is a problem told."""
    path = config_directory() / FILE
    try:
        raw = read(path, LARGEST)
    except FileNotFoundError:
        return Settings()
    except OSError as error:
        return Settings(problems=(f"{path}: {error.strerror}",))
    found = parse(raw)
    return replace(found, problems=tuple(f"{path}: {problem}" for problem in found.problems))


def parse(raw: bytes) -> Settings:
    """Read the text of a settings file. Pure."""
    try:
        table = tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return Settings(problems=(f"not TOML: {error}",))
    problems: list[str] = []
    values: dict[str, Any] = {}
    for name, value in table.items():
        wanted = _WANTED.get(name)
        if wanted is None:
            problems.append(f"{name}: there is no such setting{_meant(name, _WANTED)}")
        elif not wanted.holds(value):
            problems.append(f"{name}: {value!r} is not {wanted.words}")
        else:
            values[name] = value
    return Settings(**values, problems=tuple(problems))


@dataclass(frozen=True, slots=True)
class _Wanted:
    words: str
    kind: tuple[type, ...]
    least: float | None = None
    most: float | None = None

    def holds(self, value: object) -> bool:
        if not isinstance(value, self.kind) or (isinstance(value, bool) and bool not in self.kind):
            return False
        if isinstance(value, dict):
            return all(isinstance(pressed, str) and pressed for pressed in value.values())
        if self.least is None or self.most is None:
            return True
        return isinstance(value, (int, float)) and self.least <= value <= self.most


_WANTED: Mapping[str, _Wanted] = {
    "theme": _Wanted("the name of a theme", (str,)),
    "interval": _Wanted("a number of seconds from 0.1 to a day", (int, float), INTERVAL_LEAST, INTERVAL_MOST),
    "read_only": _Wanted("true or false", (bool,)),
    "remember": _Wanted("true or false", (bool,)),
    "keys": _Wanted("a table of keys by name", (dict,)),
}


def _meant(word: str, known: Collection[str]) -> str:
    found = get_close_matches(word, known, n=1)
    return f"; did you mean {found[0]!r}?" if found else ""


def theme_for(environ: Mapping[str, str]) -> str | None:
    """Choose a theme for a terminal of 16 colours, which says so by TERM; None: any theme will do."""
    term = environ.get("TERM", "")
    rich = environ.get("COLORTERM", "") in ("truecolor", "24bit") or "256" in term or "direct" in term
    return None if rich or not term.startswith(_SIXTEEN) else "ansi-dark"


_SIXTEEN = ("linux", "vt", "ansi", "cons", "cygwin", "xterm-16", "xterm-color", "screen", "tmux", "rxvt")


def path_of() -> Path:
    """Where the settings are."""
    return config_directory() / FILE
