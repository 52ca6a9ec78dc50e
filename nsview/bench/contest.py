"""Runs a row: its contestants take turns, so that whatever else the machine does meets them alike."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from importlib import import_module
from typing import cast

from nsview.bench.outcome import Result, Standing, State, judge
from nsview.bench.peer import PEERS
from nsview.bench.row import Contest, Contestant, Entry, FailedError, Row, Setting, UnavailableError
from spawner.errors import LaunchError, SpecError

Watch = Callable[[str, int, int], object]
"""Told who is at it, and how many samples of how many there are."""


def perform(row: Row, setting: Setting, watch: Watch = lambda _who, _done, _all: None) -> Result:
    """Measure a row and return what came of it; nothing is left, whether it ends so or is ended by ``setting.stop``."""
    module, _, function = row.where.partition(":")
    prepare = cast(
        "Callable[[Setting, ExitStack], Contest]", getattr(import_module(f"nsview.bench.{module}"), function)
    )
    watch("making ready", 0, 1)
    with ExitStack() as stack:
        try:
            contest = prepare(setting, stack)
        except UnavailableError as error:
            return Result(row, (), (), why=str(error))
        except (FailedError, OSError) as error:
            return Result(row, (), (), error=str(error))
        entries, standings = _entered(row, setting, contest, watch)
        values = _turns(row, setting, entries, standings, watch)
    for name, taken in values.items():
        did, version = entries[name].did, _version(row.contestant(name))
        standings[name] = Standing(row.contestant(name), State.MEASURED, tuple(taken), "", did, version)
    seen = tuple(standings[each.name] for each in row.contestants)
    return Result(row, seen, tuple(judge(aim, seen, contest.lacks) for aim in row.aims), contest.note)


def _entered(
    row: Row, setting: Setting, contest: Contest, watch: Watch
) -> tuple[dict[str, Entry], dict[str, Standing]]:
    """Let each do its thing once: those that could, and what became of those that could not."""
    entries: dict[str, Entry] = {}
    standings: dict[str, Standing] = {}
    for each in row.contestants:
        setting.stop.check()
        watch(each.name, 0, 1)
        if absent := missing(each):
            standings[each.name] = absent
            continue
        try:
            entries[each.name] = contest.makers[each.name]()
        except UnavailableError as error:
            standings[each.name] = Standing(each, State.LEFT_OUT, why=str(error))
        except (FailedError, LaunchError, SpecError, OSError) as error:
            standings[each.name] = _failed(each, error)
    return entries, standings


def missing(each: Contestant) -> Standing | None:
    """Tell of a contestant that is not installed, or needs root that we are not; None where neither is so."""
    if each.program is not None and (peer := PEERS[each.program]).path is None:
        return Standing(each, State.ABSENT, why=f"apt install {peer.package}")
    if each.root is not None and os.geteuid() != 0:
        return Standing(each, State.LEFT_OUT, why=f"needs root {each.root}: run with sudo")
    return None


def _turns(
    row: Row, setting: Setting, entries: Mapping[str, Entry], standings: dict[str, Standing], watch: Watch
) -> dict[str, list[float]]:
    """Let all take turns until each has given its samples: to and fro, so that nobody always comes after the same."""
    wanted = {name: setting.count(row, row.contestant(name)) for name in entries}
    values: dict[str, list[float]] = {name: [] for name in entries}
    whole = sum(wanted.values())
    turn = 0
    while going := [name for name in values if len(values[name]) < wanted[name]]:
        for name in going if turn % 2 == 0 else reversed(going):
            setting.stop.check()
            watch(name, sum(map(len, values.values())), whole)
            try:
                values[name] += entries[name].take(min(row.batch, wanted[name] - len(values[name])))
            except (FailedError, LaunchError, OSError) as error:
                standings[name] = _failed(row.contestant(name), error)
                whole -= wanted[name]
                del values[name]
        turn += 1
    return values


def _failed(each: Contestant, error: Exception) -> Standing:
    return Standing(each, State.FAILED, why=str(error), version=_version(each))


def _version(each: Contestant) -> str | None:
    return None if each.program is None else PEERS[each.program].version
