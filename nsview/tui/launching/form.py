"""What a person filled in on the launch panel, as a value, and from it to words, a Spec and a plan. Pure.

There is one way from a form to a Spec: the words that `nsview run` would be given, read by its own parser.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from nsview import options
from nsview.advice.advice import Advice, advise_on
from nsview.labs.kept import Found
from nsview.options import namespaces as namespace_options
from nsview.tui.launching import sections
from nsview.tui.launching.sections import ROWS, RowError, wrong_with
from spawner import Mechanism, Plan, Problem, Spec, SpecError, Stdio, compile_spec
from spawner.flags import format_mask
from spawner.namespaces import KINDS, flags_of
from spawner.rules import Caller, When, refusals


class Ids(StrEnum):
    """How ids are mapped into a new user namespace; the value is what the panel calls it."""

    NONE = "no map (nobody)"
    ROOT = "root inside"
    SAME = "same id inside"


_MAPPED_BY = {Ids.ROOT: "--map-root-user", Ids.SAME: "--map-current-user"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """The launch panel's fields, as they were typed.

    ``fields``: what the rows of sections.py hold, by key; a row that holds nothing is not in it.
    ``kept``: fields of a Spec that no row shows, from a profile; they are launched and saved all the same.
    """

    command: str = "sh"
    namespaces: frozenset[str] = frozenset()
    clone_flags: int = 0
    ids: Ids = Ids.ROOT
    via: Mechanism = Mechanism.AUTO
    hold: bool = False
    fields: tuple[tuple[str, str], ...] = ()
    kept: tuple[tuple[str, Any], ...] = ()

    def toggle(self, namespace: str) -> Form:
        """Pick a namespace (OCI name), or drop it."""
        return replace(self, namespaces=self.namespaces ^ {namespace})

    def text(self, key: str) -> str:
        """What a row holds; empty where it holds nothing."""
        return dict(self.fields).get(key, "")

    def put(self, key: str, text: str) -> Form:
        """The form with another text in a row; an empty one takes the row out. Raises KeyError for no row."""
        held = {**dict(self.fields), ROWS[key].key: text}
        return replace(self, fields=tuple((name, held[name]) for name in ROWS if held.get(name)))


def filled(form: Form, texts: Mapping[str, str]) -> Form:
    """The form with these texts in its rows."""
    for key, text in texts.items():
        form = form.put(key, text)
    return form


@dataclass(frozen=True, slots=True)
class Origin:
    """Who launches, and from where: privilege, environment, rows and columns of the terminal, what is known there."""

    privileged: bool = True
    """Whether we have CAP_SYS_ADMIN here."""
    env: Mapping[str, str] = field(default_factory=dict)
    window: tuple[int, int] = (24, 80)
    found: tuple[Found, ...] = ()
    """What labs have measured on this machine."""


class FormError(ValueError):
    """Fields that cannot be read; ``problems`` says which and why, ``wrong`` by the keys of their rows."""

    def __init__(self, *problems: Problem, wrong: Mapping[str, str] | None = None) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems
        self.wrong = dict(wrong or {})


def words(command: str) -> tuple[str, ...]:
    """Split a command line as sh does, without expanding anything; raises FormError."""
    try:
        found = tuple(sections.split(command))
    except RowError as error:
        message, _, remedy = str(error).partition("; ")
        raise FormError(Problem(f"the command line cannot be split: {message}", remedy)) from error
    if not found:
        raise FormError(Problem("no program to run", "type a command line such as: sh"))
    return found


def words_of(form: Form) -> tuple[str, ...]:
    """The words that follow `nsview run` on a command line of the same meaning, but for what is ``kept``.

    What a program launched here gets besides is a terminal of its own. Raises FormError for what cannot be split.
    """
    program = words(form.command)
    return (*option_words(form), *(("--",) if program[0].startswith("-") else ()), *program)


def option_words(form: Form) -> tuple[str, ...]:
    """Those of them that come before the program. Raises FormError."""
    try:
        return tuple(word for option in _said(form) for word in option)
    except RowError as error:
        raise FormError(Problem(str(error))) from error


def _said(form: Form) -> Iterator[tuple[str, ...]]:
    """Each option with its values, in the order of `nsview run --help`."""
    for kind in KINDS:
        name = f"--{namespace_options.long_name(kind.name)}"
        if path := form.text(name):
            yield (f"{name}={path}",)
        elif kind.name in form.namespaces:
            yield (name,)
    if form.clone_flags:
        yield "--clone-flags", format_mask(form.clone_flags).replace("|", ",")
    if form.via is not Mechanism.AUTO:
        yield "--via", form.via.value
    if "user" in form.namespaces and form.ids in _MAPPED_BY:
        yield (_MAPPED_BY[form.ids],)
    for key, text in form.fields:
        if key in sections.KEPT_AT:
            continue
        row = ROWS[key]
        for name, *values in sections.values(row, text):
            rest = row.options[0].rest
            if rest.get("nargs") != "?":
                yield name, *values
            else:
                yield (name,) if values == [str(rest.get("const"))] else (f"{name}={values[0]}",)


def plain_spec(form: Form, base: Spec | None = None) -> Spec:
    """The Spec that `nsview run` makes of the form's words. Raises FormError and SpecError."""
    said = words_of(form)
    if base is None:
        base = Spec(args=(), **dict(form.kept))
    spec = options.spec_of(sections.parsed(said), base)
    kept = dict(form.kept)
    # The options take no word of it from what they begin from: with none of them it is SIGKILL.
    return replace(spec, pdeathsig=kept["pdeathsig"] or None) if "pdeathsig" in kept else spec


def spec_of(form: Form, by: Origin) -> Spec:
    """Make the Spec that the form describes; raises FormError for fields that cannot be read.

    The program gets a terminal of its own, and is killed when we die. posix_spawn(3) has attributes for neither.
    Raises SpecError for fields that do not go together.
    """
    check(form)
    base = Spec(**{"args": (), "env": tuple(environment(by.env).items()), **dict(form.kept)})
    spawns = form.via is Mechanism.POSIX_SPAWN
    return replace(plain_spec(form, base), stdio=Stdio.NULL if spawns else Stdio.PTY, window=by.window)


def check(form: Form) -> None:
    """Raise FormError for each field that cannot be read by itself, all at once."""
    problems: list[Problem] = []
    try:
        words(form.command)
    except FormError as error:
        problems += error.problems
    wrong = {key: sentence for key, text in form.fields if (sentence := wrong_with(ROWS[key], text))}
    problems += [Problem(f"{ROWS[key].label}: {sentence}") for key, sentence in wrong.items()]
    if problems:
        raise FormError(*problems, wrong=wrong)


def environment(ours: Mapping[str, str]) -> dict[str, str]:
    """Return our environment as fits a program in the embedded terminal."""
    env = {name: value for name, value in ours.items() if name not in ("LINES", "COLUMNS", "NO_COLOR")}
    return env | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}


@dataclass(frozen=True, slots=True)
class Outlook:
    """What would happen if the form were launched now: a Spec and its Plan, or the problems in the way.

    ``wrong``: what is wrong with single rows, by their keys. ``advice``: on the way that the plan takes.
    """

    spec: Spec | None = None
    plan: Plan | None = None
    problems: tuple[Problem, ...] = ()
    wrong: Mapping[str, str] = field(default_factory=dict)
    advice: Advice | None = None


def outlook(form: Form, by: Origin) -> Outlook:
    """Work out the plan of a form, or everything that is wrong with it."""
    try:
        spec = spec_of(form, by)
    except FormError as error:
        return Outlook(problems=error.problems, wrong=error.wrong)
    except SpecError as error:
        return Outlook(problems=error.problems)
    problems = _unprivileged(spec, by)
    try:
        plan = compile_spec(spec, hold=form.hold)
    except SpecError as error:
        return Outlook(spec, problems=problems + error.problems)
    if problems:
        return Outlook(spec, None, problems)
    return Outlook(spec, plan, advice=advise_on(spec, plan, hold=form.hold, found=by.found))


def _unprivileged(spec: Spec, by: Origin) -> tuple[Problem, ...]:
    mask = flags_of(spec.namespaces) | spec.clone_flags
    caller = Caller(privileged=by.privileged)
    return tuple(
        Problem(refusal.rule.why, _REMEDY, refusal.errno)
        for refusal in refusals(mask, caller=caller)
        if refusal.rule.when is When.UNPRIVILEGED
    )


_REMEDY = "pick user as well, in which you have every capability; or run nsview as root"


def hold_before(plan: Plan) -> int:
    """Return the index of the step a held child waits before: the first that may start the program."""
    return next(index for index, step in enumerate(plan.steps) if step.phase == "exec")
