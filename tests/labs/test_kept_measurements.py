"""What labs measured is kept with the machine and kernel it is true of, and found again only there."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nsview.advice.advice import advise
from nsview.advice.costs import COPIED, costs_of
from nsview.advice.telling import costs_told
from nsview.advice.wants import Asker
from nsview.advice.wants import find as want
from nsview.labs import kept
from nsview.labs.kept import Found, Identity, Kept, find, keep, path_of
from nsview.labs.lab import Axis, Measurement, Report, Series, Setting, Spread
from nsview.labs.table import find as lab

SIZE, TIME, INTO = Axis("the parent's memory", "bytes", True), Axis("time", "ns", True), Axis("into", "")
MIB = 1 << 20
NOBODY = 65534


def spread(median: float) -> Spread:
    return Spread(median, median - 1000, median + 1000, 7)


def series(name: str, **points: float) -> Series:
    return Series(name, tuple((int(x[1:]) * MIB, spread(median)) for x, median in points.items()))


WHOLE = Measurement(
    "whole",
    "until the child has been waited for",
    SIZE,
    TIME,
    (
        series("clone3", x16=1_100_000, x64=1_200_000, x256=1_300_000),
        series("fork", x16=2_100_000, x256=9_300_000),
        series("fork+unshare", x16=2_200_000, x256=9_400_000),
        series(COPIED, x16=2_000_000, x256=9_000_000),
    ),
)
SETS = {0.0: "none", 1.0: "uts", 2.0: "mount+uts+pid", 3.0: "all 3", 4.0: "mount", 5.0: "pid"}
LAUNCHES = Measurement(
    "launches",
    "a launch until the child has been waited for",
    INTO,
    TIME,
    (Series("clone3", tuple((x, spread(3_000_000 + x * 100_000)) for x in SETS)),),
    SETS,
)


def report(name: str, *measurements: Measurement) -> Report:
    return Report(lab(name), measurements, None, Setting())


def there() -> Kept:
    found = find("mechanisms")
    assert found.told == ""
    assert found.kept is not None
    return found.kept


def test_what_is_kept_is_found_as_it_was() -> None:
    assert find("mechanisms") == Found("mechanisms")
    path = keep(report("mechanisms", WHOLE, LAUNCHES))
    assert path is not None
    assert path.is_relative_to(os.environ["XDG_STATE_HOME"])
    assert there().measurements == (WHOLE, LAUNCHES)
    assert there().on == Identity.here()
    assert there().this_boot
    assert find("isolation") == Found("isolation")


def test_a_lab_that_measured_nothing_leaves_what_was_kept() -> None:
    keep(report("mechanisms", WHOLE))
    assert keep(report("mechanisms")) is None
    assert there().measurements == (WHOLE,)


@pytest.mark.parametrize(
    "changed", [{"kernel": "1.0"}, {"build": "#2"}, {"architecture": "vax"}, {"machine": "f" * 32}, {"cpus": 4096}]
)
def test_measurements_of_another_kernel_or_machine_are_not_this_ones(changed, monkeypatch) -> None:
    keep(report("mechanisms", WHOLE))
    elsewhere = replace(Identity.here(), **changed)
    monkeypatch.setattr(Identity, "here", classmethod(lambda _: elsewhere))
    assert find("mechanisms") == Found("mechanisms")
    keep(report("mechanisms", LAUNCHES))
    monkeypatch.undo()


def test_a_file_put_in_the_place_of_another_machines_is_not_believed(monkeypatch) -> None:
    keep(report("mechanisms", WHOLE))
    ours = path_of("mechanisms", Identity.here())
    elsewhere = replace(Identity.here(), kernel="1.0")
    monkeypatch.setattr(Identity, "here", classmethod(lambda _: elsewhere))
    ours.rename(path_of("mechanisms", elsewhere))
    found = find("mechanisms")
    assert found.kept is None
    assert "another lab, machine or kernel" in found.told


def test_another_boot_of_the_same_machine_is_told() -> None:
    path = keep(report("mechanisms", WHOLE))
    assert path is not None
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "boot": "another"}))
    assert not there().this_boot
    lines = list(costs_told(costs_of([("clone3", "clone3")], frozenset(), [find("mechanisms")])))
    assert any("before the machine was last started" in line for line in lines)


def broken(path: Path) -> list[bytes]:
    """What may be in a file that keep() has not written."""
    told = json.loads(path.read_text())

    def with_point(**changes: object) -> bytes:
        changed = json.loads(json.dumps(told))
        changed["measurements"][0]["series"][0]["points"][0] |= changes
        return json.dumps(changed).encode()

    return [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b" " * (kept.LARGEST + 10),
        json.dumps({**told, "version": 2}).encode(),
        json.dumps({**told, "measurements": 3}).encode(),
        json.dumps({**told, "when": "\x1b[2J"}).encode(),
        json.dumps({name: value for name, value in told.items() if name != "on"}).encode(),
        with_point(median="fast"),
        with_point(median=-1),
        with_point(median=True),
        with_point(median=float("nan")),
        with_point(x=None),
        json.dumps({**told, "euid": float("inf")}).encode(),
        with_point(label="\n"),
    ]


def test_a_file_that_holds_none_is_told_in_a_line_and_ignored() -> None:
    path = keep(report("mechanisms", WHOLE))
    assert path is not None
    for content in broken(path):
        path.write_bytes(content)
        found = find("mechanisms")
        assert found.kept is None, content[:200]
        assert str(path) in found.told
        assert "\n" not in found.told
    keep(report("mechanisms", WHOLE))
    assert there().measurements == (WHOLE,)


def test_a_file_that_cannot_be_read_is_told() -> None:
    path_of("mechanisms", Identity.here()).mkdir(parents=True)
    found = find("mechanisms")
    assert found.kept is None
    assert "directory" in found.told


def test_costs_are_those_measured_and_no_others() -> None:
    keep(report("mechanisms", WHOLE))
    keep(report("isolation", LAUNCHES))
    found = [find("mechanisms"), find("isolation")]
    measured = {point.median for each in (WHOLE, LAUNCHES) for line in each.series for _, point in line.points}
    for names in (["own-hostname"], ["own-pids", "own-hostname"], ["function"], ["fast"], ["limits", "hold"]):
        costs = advise([want(name) for name in names], Asker(), found).costs
        cited = [cost for _, times in costs.by_way for cost in times]
        assert cited
        assert {cost.spread.median for cost in cited} <= measured
    sizes = dict(advise([want("fast")], Asker(), found).costs.by_way)["clone3"]
    assert [cost.at for cost in sizes] == [16 * MIB, 256 * MIB]


def test_a_set_of_namespaces_is_cited_as_measured_or_kind_by_kind() -> None:
    keep(report("isolation", LAUNCHES))
    found = [find("isolation")]

    def labels(*kinds: str) -> list[str]:
        costs = costs_of([("clone3", "clone3")], frozenset(kinds), found)
        return [cost.label for _, times in costs.by_way for cost in times]

    assert labels("uts") == ["uts"]
    assert labels("mount", "uts", "pid") == ["mount+uts+pid", "all 3"]
    assert labels("mount", "uts") == ["uts", "mount"]
    assert labels("network") == []


def test_nothing_measured_is_said_with_the_command_that_measures() -> None:
    advice = advise([want("own-hostname")], Asker(), [find("mechanisms"), find("isolation")])
    assert advice.costs.by_way == ()
    (line,) = costs_told(advice.costs)
    assert "nsview lab mechanisms and nsview lab isolation" in line
    assert not any(character.isdigit() for character in line)


@pytest.fixture
def of_nobody() -> Iterator[Path]:
    """A directory that is nobody's, where anyone may go."""
    with tempfile.TemporaryDirectory() as name:
        os.chown(name, NOBODY, NOBODY)
        yield Path(name)


@pytest.mark.needs("root")
def test_under_sudo_they_are_the_invoking_users(of_nobody: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_UID", str(NOBODY))
    monkeypatch.setenv("XDG_STATE_HOME", str(of_nobody))
    path = keep(report("mechanisms", WHOLE))
    assert path is not None
    assert {made.stat().st_uid for made in (path, *path.parents[:2])} == {NOBODY}
    assert there().measurements == (WHOLE,)
