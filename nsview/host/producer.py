"""Which producer reads the snapshots, and why: the BPF task iterator where it may be had, else /proc.

Loading the iterator takes as long as reading a thousand processes from /proc. So a first snapshot of few comes from
/proc, and the iterator is loaded for the second: a command that looks once does not wait for what it does not need.
"""

from __future__ import annotations

import os
from enum import StrEnum
from threading import Lock

from nsview.host import _scan
from nsview.host.bpf import obstacles
from nsview.host.bpf.iterator import Iterator, Refusal, RefusedError

ENVIRONMENT = "NSVIEW_SNAPSHOT"
FEW = 1000
"""As many processes are read from /proc in the time that loading the iterator takes."""


class Producer(StrEnum):
    """Who fills the records."""

    BPF = "bpf"
    PROC = "proc"


class Chooser:
    """Reads with the producer that can be had; keeps the iterator, once loaded, for later snapshots."""

    def __init__(self) -> None:
        """Load nothing yet."""
        self._lock = Lock()
        self._iterator: Iterator | None = None
        self._failed: Refusal | None = None
        self._took = 0

    def read(self, forced: Producer | None = None) -> tuple[Producer, bytes]:
        """Return who read and the packed records (layout.py) of every process.

        Raises RefusedError when the iterator is asked for and cannot be had, OSError when nothing can be read.
        """
        if forced is Producer.PROC or (forced is None and not self._pays()):
            return Producer.PROC, _scan.scan()
        try:
            return Producer.BPF, self._by_iterator()
        except RefusedError:
            if forced is Producer.BPF:
                raise
            return Producer.PROC, _scan.scan()

    def refusal(self) -> Refusal | None:
        """Say why the iterator cannot be had; None when it can, which loading it has proved."""
        try:
            self._loaded()
        except RefusedError as error:
            return error.refusal
        return None

    def close(self) -> None:
        """Give the iterator back."""
        if self._iterator is not None:
            self._iterator.close()
            self._iterator = None

    def disinherit(self) -> None:
        """Close what a fork has copied to us, unless the number is of something else by now: the engine's children
        arrange their descriptors before Python hears of the fork.
        """
        try:
            if self._iterator is not None and "bpf" in os.readlink(f"/proc/self/fd/{self._iterator.link}"):
                self.close()
        except (FileNotFoundError, PermissionError):
            return  # closed already, or no /proc to look into: one descriptor too many, which no program of ours gets

    def _pays(self) -> bool:
        self._took += 1
        # proc_root_getattr(): every process is a link of /proc.
        return self._iterator is not None or self._took > 1 or os.stat("/proc").st_nlink > FEW

    def _by_iterator(self) -> bytes:
        iterator = self._loaded()
        try:
            return iterator.read()
        except OSError as error:
            if error.errno in obstacles.PASSING:
                raise
            self._failed = Refusal(f"the iterator cannot be read any more: {error.strerror}")
            raise RefusedError(self._failed) from None

    def _loaded(self) -> Iterator:
        refusal = obstacles.first() or self._failed
        if refusal is None and self._iterator is None:
            with self._lock:
                if self._iterator is None:
                    try:
                        self._iterator = Iterator.load()
                    except RefusedError as error:
                        self._failed = error.refusal
                refusal = self._failed
        if refusal is not None:
            raise RefusedError(refusal)
        assert self._iterator is not None
        return self._iterator


_chooser = Chooser()
"""The one of this process. A forked child loads its own, with the privileges it then has."""


def read(forced: Producer | None = None) -> tuple[Producer, bytes]:
    """Read with this process's chooser: :meth:`Chooser.read`."""
    return _chooser.read(forced)


def refusal() -> Refusal | None:
    """Ask this process's chooser: :meth:`Chooser.refusal`."""
    return _chooser.refusal()


def asked_for() -> Producer | None:
    """Read from the environment which producer is asked for, None for any; ValueError when it is none."""
    asked = os.environ.get(ENVIRONMENT, "")
    if asked in ("", "auto"):
        return None
    try:
        return Producer(asked)
    except ValueError:
        raise ValueError(f"{ENVIRONMENT} is {asked!r}: give auto, bpf or proc") from None


def complaint() -> str | None:
    """Say what is wrong with what the environment asks for: no producer at all, or one that cannot be had here."""
    try:
        asked = asked_for()
    except ValueError as error:
        return str(error)
    if asked is Producer.BPF and (refused := refusal()):
        return f"{ENVIRONMENT}={asked} cannot be done here: {refused}"
    return None


def _in_child() -> None:
    global _chooser
    inherited, _chooser = _chooser, Chooser()
    inherited.disinherit()


os.register_at_fork(after_in_child=_in_child)
