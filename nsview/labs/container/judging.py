"""What the attempts came to: findings and conclusions, made of the answers alone. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nsview.host.abilities import findings
from nsview.labs.container.attempts import Attempt, Held, foreseen, holding
from nsview.labs.container.inside import DONE
from nsview.labs.container.layers import LANDLOCK, LAYERS, SECCOMP, in_force, without
from nsview.labs.container.trials import WHOLE, Layers, Told
from nsview.labs.lab import Conclusion, Finding, Verdict
from spawner import Spec


@dataclass(frozen=True, slots=True)
class Trials:
    """All answers: outside of any container, and by what was taken away from it (WHOLE: nothing)."""

    spec: Spec
    settings: Mapping[str, int | None]
    outside: Mapping[str, str]
    told: Mapping[Layers, Told]
    attempts: tuple[Attempt, ...]
    pushed: int
    """Keys that a caller with a terminal of its own then read from it."""

    def held(self, attempt: Attempt, removed: Layers = WHOLE) -> tuple[Held, ...]:
        """The layers that ought to stop it."""
        return holding(attempt, self.layers(removed), self.settings)

    def foreseen(self, attempt: Attempt, removed: Layers = WHOLE) -> str:
        """What ought to be answered."""
        return foreseen(attempt, self.layers(removed), self.settings)

    def layers(self, removed: Layers = WHOLE) -> Layers:
        """Those in force without some; taking away the mounts takes away what makes them read-only, too."""
        return in_force(without(self.spec, removed))

    def answer(self, attempt: Attempt, removed: Layers = WHOLE) -> str | None:
        """What was answered; None where there is no such container here, or it was not asked."""
        return self.told[removed].answers.get(attempt.key) if removed in self.told else None

    def alone(self, attempt: Attempt) -> dict[str, str | None]:
        """The answer with each of the layers that ought to stop it alone."""
        every = frozenset(each.layer for each in self.held(attempt))
        return {each.layer: self.answer(attempt, every - {each.layer}) for each in self.held(attempt)}

    def bare(self, attempt: Attempt) -> str | None:
        """The answer without any of them."""
        return self.answer(attempt, frozenset(each.layer for each in self.held(attempt)))

    def shown(self, attempt: Attempt) -> bool:
        """Whether it is ever done: else nothing is shown by its being refused inside."""
        return bool(self.held(attempt)) and DONE in (self.outside.get(attempt.key), self.bare(attempt))


def verdict_of(right: bool) -> Verdict:
    """As expected, or otherwise."""
    return Verdict.AS_EXPECTED if right else Verdict.OTHERWISE


def tried_from_inside(attempt: Attempt, trials: Trials) -> Iterator[Finding]:
    """What the whole container answered, what was answered outside, and which layers it takes."""
    key, answer, outside = attempt.key, trials.answer(attempt) or "?", trials.outside[attempt.key]
    held = trials.held(attempt)
    if not held:
        lacking = ", ".join(dict.fromkeys(each.layer for each in attempt.held))
        why = f"nothing would stop it: this container is without {lacking}"
        yield Finding(f"attempt.{key}", attempt.done, "stopped", answer, Verdict.LEFT_OUT, why)
        return
    if not trials.shown(attempt) and attempt.takes and answer != DONE:
        why = f"it is refused outside, too ({outside}): it takes {attempt.takes}"
        yield Finding(f"attempt.{key}", attempt.done, held[0].answer, answer, Verdict.LEFT_OUT, why)
        return
    right = answer == held[0].answer
    why = f"held by {_joined([each.layer for each in held])}"
    yield Finding(f"attempt.{key}", attempt.done, held[0].answer, answer, verdict_of(right), why)
    if outside == DONE or not attempt.takes:
        yield Finding(f"outside.{key}", f"{attempt.done}, unconfined", DONE, outside, verdict_of(outside == DONE))
    else:
        why = f"it takes {attempt.takes}"
        yield Finding(f"outside.{key}", f"{attempt.done}, unconfined", DONE, outside, Verdict.LEFT_OUT, why)
    yield _layers(attempt, trials)


def _layers(attempt: Attempt, trials: Trials) -> Finding:
    """The same held by one layer at a time, and by none."""
    held = trials.held(attempt)
    answers = [*trials.alone(attempt).values(), trials.bare(attempt)]
    expected = _by_layer(held, [*(each.answer for each in held), DONE])
    answered = _by_layer(held, ["?" if each is None else each for each in answers])
    verdict, why = verdict_of(expected == answered), "each stops it by itself, and all else does not"
    if None in answers:
        verdict, why = Verdict.LEFT_OUT, _why_not(held, trials)
    return Finding(
        f"layers.{attempt.key}", f"{attempt.done}, held by one layer at a time", expected, answered, verdict, why
    )


def _by_layer(held: tuple[Held, ...], answers: list[str]) -> str:
    names = [*(each.layer for each in held), "none of these" if len(held) > 1 else f"no {held[0].layer}"]
    return "; ".join(f"{name}: {answer}" for name, answer in zip(names, answers, strict=True))


def _why_not(held: tuple[Held, ...], trials: Trials) -> str:
    """Why a container without some of these layers cannot be had here."""
    every = frozenset(each.layer for each in held)
    wanted = (every, *(every - {each.layer} for each in held))
    refused = ((removed, trials.told[removed].refused) for removed in wanted if removed in trials.told)
    return next(
        (f"no container can be made here without {_joined(sorted(each))}: {why}" for each, why in refused if why),
        "it was not asked",
    )


def _joined(names: list[str]) -> str:
    return ", ".join(names)


# ---- the security view ----


def viewed(trials: Trials) -> Iterator[Finding]:
    """Whether the security view and the kernel say the same of a process without a filter."""
    told = trials.told.get(frozenset({SECCOMP}))
    if told is None or told.standing is None:
        return
    view = {each.ability.name: each.verdict for each in findings(told.standing, LANDLOCK in trials.layers())}
    for attempt in trials.attempts:
        verdict, answer = view.get(attempt.ability), told.answers.get(attempt.key)
        if verdict is None or verdict.can is None or answer is None:
            continue
        yield Finding(
            f"view.{attempt.key}",
            f"{attempt.done}, unfiltered, as the security view tells",
            DONE if verdict.can else "refused",
            DONE if answer == DONE else "refused",
            verdict_of(verdict.can == (answer == DONE)),
            f"{verdict.why}; the kernel answered {answer}",
        )


# ---- one layer less ----


def one_less(trials: Trials) -> Iterator[Finding]:
    """For each layer in force: which attempts are answered otherwise without it, and no others."""
    for layer in LAYERS:
        told = trials.told.get(frozenset({layer}))
        if layer not in trials.layers() or told is None:
            continue
        asked = [each for each in trials.attempts if each.key in told.answers and trials.shown(each)]
        expected = {each.key: trials.foreseen(each, frozenset({layer})) for each in asked}
        answered = {each.key: told.answers[each.key] for each in asked}
        yield Finding(
            f"without.{layer.replace(' ', '-').replace('_', '-')}",
            f"all attempts without the {layer} alone: what is answered otherwise",
            _changed(expected, trials),
            _changed(answered, trials) if not told.refused else "refused",
            Verdict.LEFT_OUT if told.refused else verdict_of(expected == answered),
            told.refused or "what another layer holds too stays refused",
        )


def _changed(answers: Mapping[str, str], trials: Trials) -> str:
    whole = {each.key: trials.answer(each) for each in trials.attempts}
    return ", ".join(f"{key} {answer}" for key, answer in answers.items() if answer != whole[key]) or "nothing"


# ---- what follows ----


def concluded(trials: Trials, release: str) -> Iterator[Conclusion]:
    """What follows from the answers."""
    shown = [each for each in trials.attempts if trials.shown(each)]
    yield from _filter_alone(shown, trials)
    yield from _each_layer(shown, trials)
    stopped = [each for each in shown if trials.answer(each) != DONE]
    out = ", ".join(each.key for each in shown if each not in stopped)
    yield Conclusion(
        "nobody-gets-out",
        f"{len(stopped)} of {len(shown)} attempts that can be done elsewhere were stopped"
        + (f", but {out} was done" if out else "")
        + f"; the kernel itself is shared all the same: inside, uname(2) tells the machine's {release}.",
        verdict_of(bool(shown) and len(stopped) == len(shown)),
        {"attempts": len(shown), "stopped": len(stopped)},
    )


def _filter_alone(shown: list[Attempt], trials: Trials) -> Iterator[Conclusion]:
    removed = frozenset({SECCOMP})
    answers = {each.key: trials.answer(each, removed) for each in shown}
    asked = [each for each in shown if answers[each.key] is not None]
    if not asked:
        return
    through = [each.key for each in asked if answers[each.key] == DONE]
    ought = [each.key for each in asked if trials.foreseen(each, removed) == DONE]
    yield Conclusion(
        "what-the-filter-alone-stops",
        f"Without the seccomp filter {len(through)} of {len(asked)} attempts get through"
        + (f": {', '.join(through)}." if through else "."),
        verdict_of(through == ought),
        {"attempts": len(asked), "through": len(through)},
    )


def _each_layer(shown: list[Attempt], trials: Trials) -> Iterator[Conclusion]:
    """How many attempts each layer stops by itself, and how many nothing else does, of those without it done."""
    asked = [each for each in shown if trials.bare(each) == DONE and None not in trials.alone(each).values()]
    if not asked:
        return
    stops = {each.key: [name for name, answer in trials.alone(each).items() if answer != DONE] for each in asked}
    numbers: dict[str, float | int | str] = {"attempts": len(asked)}
    parts = []
    for layer in LAYERS:
        able = sum(layer in names for names in stops.values())
        only = sum(names == [layer] for names in stops.values())
        if able:
            numbers |= {f"{layer}: stops": able, f"{layer}: only it": only}
            parts.append(f"{layer} {able} ({only})")
    several = sum(len(names) > 1 for names in stops.values())
    numbers["several"] = several
    yield Conclusion(
        "each-layer-by-itself",
        f"Taken away one after the other, the layers stop by themselves, and in brackets where no other does, of "
        f"{len(asked)} attempts: {', '.join(parts)}; {several} are stopped by more than one.",
        verdict_of(all(stops[each.key] == [held.layer for held in trials.held(each)] for each in asked)),
        numbers,
    )
