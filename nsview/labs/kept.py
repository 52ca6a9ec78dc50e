"""Measurements that labs leave behind: kept with the machine and kernel they are true of, and found again there only.

A file for each lab and machine, in the state directory of who invoked us: a lab's document (document.py) of which
only the measurements are kept. {"version": 1, "lab", "on": {"kernel", "build", "architecture", "machine", "cpus"},
"boot", "when", "euid", "thorough", "measurements"}.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from nsview import places
from nsview.labs.document import document, measurement_of
from nsview.labs.lab import Measurement, Report

VERSION = 1
LARGEST = 1 << 20
_DIRECTORY = "measurements"
_MACHINE = Path("/etc/machine-id")
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Identity:
    """What a time is true of.

    ``build`` is the kernel's ``uname -v``; ``machine`` is machine-id(5), else this boot's id.
    """

    kernel: str
    build: str
    architecture: str
    machine: str
    cpus: int

    @classmethod
    def here(cls) -> Identity:
        """Of this machine and the kernel that runs."""
        names = os.uname()
        # Another machine of the same kernel is another machine: a home may be on several. Without a name of its own a
        # machine is known by its boot, and measured anew after the next.
        machine = _line(_MACHINE) or _line(_BOOT)
        return cls(names.release, names.version, names.machine, machine, len(os.sched_getaffinity(0)))

    @property
    def digest(self) -> str:
        """A name for files."""
        return hashlib.sha256("\0".join(map(str, asdict(self).values())).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Kept:
    """What a lab measured: ``when`` in ISO 8601, by whom; ``this_boot``: whether since the machine was last started."""

    lab: str
    on: Identity
    when: str
    euid: int
    thorough: bool
    this_boot: bool
    measurements: tuple[Measurement, ...]

    def measurement(self, key: str) -> Measurement | None:
        """The measurement of this key, if it was made."""
        return next((each for each in self.measurements if each.key == key), None)


@dataclass(frozen=True, slots=True)
class Found:
    """What there is of one lab: ``kept``, or None; ``told``: why a file there could not be used, a sentence."""

    lab: str
    kept: Kept | None = None
    told: str = ""


def path_of(lab: str, on: Identity, environ: Mapping[str, str] = os.environ) -> Path:
    """Where a lab's measurements of a machine are; it need not exist."""
    return places.state_directory(environ) / _DIRECTORY / f"{lab}-{on.digest}.json"


def kept_of(report: Report) -> Kept:
    """What is worth keeping of a report that was made here and now."""
    told = document(report)
    machine = told["machine"]
    assert isinstance(machine, dict)
    return Kept(
        report.lab.name,
        Identity.here(),
        machine["when"],
        machine["euid"],
        report.setting.thorough,
        True,
        report.measurements,
    )


def keep(report: Report) -> Path | None:
    """Keep what a lab measured here just now in place of what it measured here before; its file.

    None where it has measured nothing. Raises OSError.
    """
    if not report.measurements:
        return None
    kept, told = kept_of(report), document(report)
    path = path_of(kept.lab, kept.on)
    content = {
        "version": VERSION,
        "lab": kept.lab,
        "on": asdict(kept.on),
        "boot": _line(_BOOT),
        "when": kept.when,
        "euid": kept.euid,
        "thorough": kept.thorough,
        "measurements": told["measurements"],
    }
    places.write(path, json.dumps(content, indent=1).encode() + b"\n")
    return path


def find(lab: str) -> Found:
    """Find what a lab has measured on this machine and kernel. Never raises for what is or is not in the file."""
    on = Identity.here()
    path = path_of(lab, on)
    try:
        raw = places.read(path, LARGEST + 1)
    except FileNotFoundError:
        return Found(lab)
    except OSError as error:
        return Found(lab, told=f"{path}: {error.strerror}")
    try:
        return Found(lab, _read(lab, on, raw))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        return Found(lab, told=f"{path} holds no measurements ({_in_a_line(error)}): ignored")


def _read(lab: str, on: Identity, raw: bytes) -> Kept:
    """Raises KeyError, TypeError, ValueError or RecursionError for what keep() has not written."""
    if len(raw) > LARGEST:
        raise ValueError("it is too large")
    told = json.loads(raw)
    if told["version"] != VERSION:
        raise ValueError(f"version {told['version']!r} is not known")
    if told["lab"] != lab or Identity(**told["on"]) != on:
        raise ValueError("it is of another lab, machine or kernel")
    measurements = tuple(measurement_of(each) for each in told["measurements"])
    for each in measurements:
        _check(each)
    if not isinstance(told["when"], str) or not told["when"].isprintable():
        raise ValueError("it does not say when")
    if type(told["euid"]) is not int:
        raise ValueError("it does not say by whom")
    this_boot = told["boot"] == _line(_BOOT)
    return Kept(lab, on, told["when"], told["euid"], bool(told["thorough"]), this_boot, measurements)


def _check(measurement: Measurement) -> None:
    """Raise ValueError for anything but texts and numbers where they should be."""
    texts = [measurement.key, measurement.title, *(line.name for line in measurement.series)]
    texts += [text for axis in (measurement.x, measurement.y) for text in (axis.title, axis.unit)]
    texts += measurement.labels.values()
    if not all(isinstance(text, str) and text.isprintable() for text in texts):
        raise ValueError("a name is none")
    for line in measurement.series:
        for x, point in line.points:
            numbers = (x, point.median, point.lower, point.upper, point.count)
            # bool is an int, NaN and infinity are floats of JSON's that no clock has told
            if not all(type(number) in (int, float) and 0 <= number < float("inf") for number in numbers):
                raise ValueError("a number is none")


def _line(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _in_a_line(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error).splitlines()[0]
