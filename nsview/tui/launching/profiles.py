"""Saved Specs on the launch panel: from a Spec's fields to a form that shows them, and back into a file.

A field is shown by rows if those rows, read as `nsview run` reads them, make exactly that field again; else it is
kept as it is, and the panel says so. Nothing a profile holds is lost on the way.
"""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from nsview import places
from nsview.options.profile import text_of
from nsview.tui.launching.form import Form, FormError, Ids, check, filled, plain_spec
from nsview.tui.launching.spec_rows import SHOWN, Texts, Unshown, shown_from
from spawner import IDMapping, Problem, Spec, SpecError
from spawner.flags import ALL_BITS
from spawner.namespaces import BY_NAME
from spawner.saved.file import read_fields

_ROWED = tuple(name for names, _ in SHOWN for name in names)

_ELSEWHERE = ("args", "namespaces", "clone_flags", "via", "stdio", "window")
"""Fields that the panel shows in its own way; the program's terminal is the panel's to give."""


def form_of(said: Mapping[str, Any]) -> Form:
    """The form that shows the fields a saved Spec sets; what no row shows is kept in it."""
    spec = Spec(**{"args": (), "pdeathsig": signal.SIGKILL, **said})
    form = Form(
        command=shlex.join(spec.args) or "sh",
        namespaces=spec.namespaces & BY_NAME.keys(),
        clone_flags=spec.clone_flags & ALL_BITS,
        ids=_choice(spec),
        via=spec.via,
    )
    unknown = {"namespaces": spec.namespaces - BY_NAME.keys(), "clone_flags": spec.clone_flags & ~ALL_BITS}
    untold = tuple((name, value) for name, value in unknown.items() if value)
    form = replace(form, kept=untold)
    for names, tell in SHOWN:
        if names[0] == "uid_mappings" and "user" in spec.namespaces and form.ids is not Ids.NONE:
            continue
        form = _with(form, spec, names, tell)
    rest = [one.name for one in fields(Spec) if one.name not in (*_ELSEWHERE, *_ROWED)]
    form = _keeping(form, spec, rest)
    if _differing(form, spec, (*rest, *_ROWED)):  # what each field's rows say by themselves they do not say together
        return _keeping(replace(form, fields=(), kept=untold), spec, (*rest, *_ROWED))
    return form


def _with(form: Form, spec: Spec, names: tuple[str, ...], tell: Callable[[Spec], Texts]) -> Form:
    """The form with the rows that show these fields; with the fields kept where no rows make them again."""
    partly = spec.mounts[: shown_from(spec.mounts)] if names == ("mounts",) else ()
    base = replace(form, kept=(*form.kept, ("mounts", partly))) if partly else form
    try:
        shown = filled(base, {key: text for key, text in tell(spec).items() if text})
        check(replace(shown, command="sh"))
    except (Unshown, FormError, KeyError):
        return _keeping(form, spec, names)
    return shown if not _differing(shown, spec, names) else _keeping(form, spec, names)


def _differing(form: Form, spec: Spec, names: Iterable[str]) -> list[str]:
    try:
        made = plain_spec(replace(form, command="sh"))
    except (FormError, SpecError):
        return [*names]
    return [name for name in names if _value(made, name) != _value(spec, name)]


def _value(spec: Spec, name: str) -> Any:
    value = getattr(spec, name)
    if name in ("time_offsets", "env") and value is not None:
        return dict(value)  # their order means nothing
    return value or None if name == "pdeathsig" else value  # two ways to say no signal


def _keeping(form: Form, spec: Spec, names: Iterable[str]) -> Form:
    kept = dict(form.kept)
    usual = Spec(args=(), pdeathsig=signal.SIGKILL)
    for name in names:
        if _value(spec, name) != _value(usual, name):
            kept[name] = getattr(spec, name)
    return replace(form, kept=tuple(kept.items()))


def _choice(spec: Spec) -> Ids:
    """Which of the two everyday maps it is, if it is one."""
    maps = spec.uid_mappings, spec.gid_mappings
    uid, gid = os.geteuid(), os.getegid()
    if "user" not in spec.namespaces:
        return Form().ids
    if maps == ((IDMapping(0, uid),), (IDMapping(0, gid),)):
        return Ids.ROOT
    if maps == ((IDMapping(uid, uid),), (IDMapping(gid, gid),)):
        return Ids.SAME
    return Ids.NONE


# ---- files ----


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile as it was found: its path, and the form that shows it."""

    path: Path
    form: Form


def directory() -> Path:
    """Where profiles are that are named without a directory."""
    return places.config_directory() / "profiles"


def path_of(text: str) -> Path:
    """The file meant by what was typed: a name alone is one of the profiles; ``~`` is the invoking user's home."""
    text = text.strip()
    if text == "~" or text.startswith("~/"):
        text = str(places.invoker().home) + text[1:]
    path = Path(text) if "/" in text else directory() / text
    return path if path.suffix in (".toml", ".json") or "/" in text else path.with_name(f"{path.name}.toml")


def called(path: Path) -> str:
    """What to type for this file: its name alone where it is one of the profiles."""
    return path.name if path.parent == directory() else str(path)


def saved() -> list[str]:
    """Names of the profiles there are, sorted; none where their directory cannot be read."""
    try:
        with places.as_invoker():
            found = os.listdir(directory())
    except OSError:
        return []
    return sorted(name for name in found if name.endswith((".toml", ".json")) and not name.startswith("."))


def read(path: Path) -> Profile:
    """Read a profile. Raises SpecError, for a file that cannot be read too."""
    with places.as_invoker():
        if path.exists() and not path.is_file():  # a pipe would keep us waiting
            raise SpecError((Problem(f"{path}: no regular file", "name a saved Spec in TOML or JSON"),))
        return Profile(path, form_of(read_fields(str(path))))


def save(form: Form, path: Path, *, over: bool = False) -> None:
    """Write what the form says as a profile. Raises FormError, SpecError, OSError (FileExistsError unless ``over``)."""
    check(form)
    text = text_of(plain_spec(form), str(path))
    places.write(path, text.encode(), anew=not over)
