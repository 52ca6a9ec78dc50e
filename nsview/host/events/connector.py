"""Events from the kernel itself: the proc connector, and taskstats for what each task has used.

Sources: drivers/connector/cn_proc.c, net/netlink/af_netlink.c, netlink(7).
"""

from __future__ import annotations

import errno
import os
import random
import select
import socket
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from nsview.host.events import exit_accounts, proc_events
from nsview.host.events.brief import Known, without_brief
from nsview.host.events.datagrams import ROOM, take_waiting
from nsview.host.events.event import LOST, WHAT, Event
from nsview.host.events.generic_netlink import PATIENCE
from nsview.host.events.refusal import refusal
from nsview.host.events.soon_after import name_after
from nsview.host.events.stoppable import Stoppable

BUFFER = 16 << 20
"""Bytes that may wait to be read: the kernel counts some 800 for an event, 1,300 for an account."""

_BURST = 2 << 20
_MOST = 16384
"""So many are read before what they say is passed on."""
_NETLINK_CONNECTOR, _SOL_NETLINK, _BROADCAST_ERROR = 11, 270, 4


class Connector(Stoppable):
    """The kernel's own events. One thread reads; any thread may call stop(). Use as a context manager.

    ``lost`` counts what the kernel could not deliver, as far as its numbers tell; ``without_accounts`` says why
    exits come without CPU times, None where they have them. ``what``: only these events; what is lost of them
    is then not counted. ``names``: read the new name after an exec, if the process is still there. With ``known``
    set, what is told of lives that are over before they are known is left out (brief.py), where ``what`` has no other
    events than fork, exec and exit.
    """

    describes_itself = "the kernel tells every event"

    def __init__(
        self,
        what: Collection[str] | None = None,
        *,
        accounts: bool = True,
        names: bool = True,
        buffer: int = BUFFER,
    ) -> None:
        """Begin to listen. Raises SourceRefusedError where the kernel does not let us, or tells nothing."""
        if what is not None and (unknown := set(what) - set(WHAT)):
            raise ValueError(f"no events {', '.join(sorted(unknown))}; there are {', '.join(WHAT)}")
        self.lost = 0
        self.without_accounts: str | None = None
        self.known: Known | None = None
        self._what = None if what is None else frozenset(what) - {LOST}
        self._names = names
        self._numbers: dict[int, int] = {}
        self._overrun = False
        self._accounts = exit_accounts.Accounts()
        try:
            self._events, self._ahead_ns = _listen(buffer, self._what)
        except OSError as error:
            raise refusal(error) from None
        self._told: exit_accounts.Subscription | None = None
        if accounts and (self._what is None or "exit" in self._what):
            self._subscribe(buffer)
        super().__init__()

    def _subscribe(self, buffer: int) -> None:
        try:
            self._told = exit_accounts.Subscription(buffer)
        except OSError as error:
            self.without_accounts = str(refusal(error))
        except BaseException:
            self._events.close()
            raise

    def close(self) -> None:
        """Stop listening; not while another thread reads: let that one stop() first."""
        if self._events.fileno() < 0:
            return
        try:
            self._events.send(proc_events.request(proc_events.IGNORE, 0))
            if self._told is not None:
                self._told.close()
        finally:
            self._events.close()
            os.close(self._stopping)

    @property
    def holds_bursts(self) -> bool:
        """False where the queue is short for want of privilege: some hundreds of events at once, and some are lost."""
        return self._events.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= _BURST

    def read(self, timeout: float | None = None, gather: float = 0.0) -> list[Event]:
        """Wait up to ``timeout`` seconds (None: for ever) for events and return those that are there, in order.

        With ``gather`` wait that many seconds more after the first, so as to wake up rarely; the buffer holds
        some twenty thousand. [] when the time is over or after stop().
        """
        end = None if timeout is None else time.monotonic() + timeout
        while self._waits_until(self._events, None if end is None else max(0.0, end - time.monotonic())):
            if gather > 0:
                self._waits_until(None, gather)
            if events := self._waiting():
                return events
        return []

    def _waiting(self) -> list[Event]:
        """Take all that is there; it may be but answers to other listeners."""
        waiting = take_waiting(self._events, _MOST)
        self._overrun |= waiting.overrun
        events = list(self._decoded(self._wanted(waiting.datagrams)))
        # Only when the queue is empty does the kernel add to it again (netlink_rcv_wake()), so that who looks at
        # everything again at this event misses nothing.
        if self._overrun and waiting.was_all:
            self._overrun = False
            events.append(_lost(None))
        return self._completed(events)

    def _waits_until(self, events: socket.socket | None, timeout: float | None) -> bool:
        """Wait for events; False when the time is over or stop() was called."""
        poller = select.poll()
        poller.register(self._stopping, select.POLLIN)
        if events is not None:
            poller.register(events, select.POLLIN | select.POLLERR)
        found = poller.poll(None if timeout is None else timeout * 1000)
        return not self._stopped and bool(found)

    def _decoded(self, datagrams: Iterable[bytes]) -> Iterator[Event]:
        for datagram in datagrams:
            message = proc_events.message(datagram)
            if message is None:
                continue
            if self._what is None and (gap := self._gap(message)):
                self.lost += gap
                yield _lost(gap, message.when_ns + self._ahead_ns)
            event = message.event
            if event is not None and self._ahead_ns:
                event = replace(event, when_ns=event.when_ns + self._ahead_ns)
            if event is not None and (self._what is None or event.what in self._what):
                yield event

    def _wanted(self, datagrams: list[bytes]) -> list[bytes]:
        if self.known is None or self._what is None or not self._what <= {"fork", "exec", "exit"}:
            return datagrams
        ahead = self._ahead_ns
        known = self.known if not ahead else replace(self.known, until_ns=self.known.until_ns - ahead)
        return without_brief(filter(proc_events.is_whole, datagrams), known)

    def _gap(self, message: proc_events.Message) -> int:
        """How many messages of its CPU are missing before this one (send_msg() numbers all, answers too)."""
        before = self._numbers.get(message.cpu)
        self._numbers[message.cpu] = message.number
        return 0 if before is None else (message.number - before - 1) & 0xFFFFFFFF

    def _completed(self, events: list[Event]) -> list[Event]:
        """Give exits their accounts, and execs the names they gave."""
        if self._told is not None and self._take_accounts():
            # Which of two tasks of one number an account is of can no longer be told: they go without.
            self._accounts.clear()
            events.append(_lost(None, source="accounts"))
        gone = {event.pid for event in events if event.what == "exit"}
        for at, event in enumerate(events):
            if event.what == "exit":
                events[at] = self._accounts.complete(event)
            elif event.what == "exec" and self._names and event.pid not in gone:
                events[at] = replace(event, comm=name_after(event))
        if any(event.what == LOST for event in events):
            self._accounts.clear()
        return events

    def _take_accounts(self) -> bool:
        """Take what taskstats has told; True when some of it was lost."""
        assert self._told is not None
        overrun = False
        while True:
            waiting = take_waiting(self._told.socket, _MOST)
            overrun |= waiting.overrun
            for account in map(exit_accounts.account, waiting.datagrams):
                if account is not None:
                    self._accounts.add(account)
            if waiting.was_all:
                return overrun


def _lost(count: int | None, when_ns: int | None = None, source: str = "events") -> Event:
    when = time.monotonic_ns() if when_ns is None else when_ns
    return Event(when, LOST, 0, 0, count=count, source=source)


def _listen(buffer: int, what: Collection[str] | None) -> tuple[socket.socket, int]:
    """Return a socket on which events come, and what our clock is ahead of theirs.

    Events have the CLOCK_MONOTONIC of the first time namespace, and it may not be ours; the answer to our request
    tells. OSError where we may not, TimeoutError without an answer.
    """
    events = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, _NETLINK_CONNECTOR)
    try:
        exit_accounts.enlarge(events, buffer)
        # Or some kernels (c46bfba1337d) stop telling anybody anything once the queue of a sole listener is full.
        events.setsockopt(_SOL_NETLINK, _BROADCAST_ERROR, 1)
        events.bind((0, proc_events.CN_IDX_PROC))
        ack = random.getrandbits(31)
        before = time.monotonic_ns()
        events.send(proc_events.request(proc_events.LISTEN, ack))
        answered = _answered_ns(events, ack + 1)
        after = time.monotonic_ns()
        if what is not None:
            events.send(proc_events.request(proc_events.LISTEN, ack, what))
    except BaseException:
        events.close()
        raise
    return events, 0 if before <= answered <= after else (before + after) // 2 - answered


def _answered_ns(events: socket.socket, ack: int) -> int:
    """Return when the kernel answered; what came before is dropped, as are other listeners' answers."""
    poller = select.poll()
    poller.register(events, select.POLLIN)
    end = time.monotonic() + PATIENCE
    while (left := end - time.monotonic()) > 0:
        poller.poll(left * 1000)
        try:
            datagram, sender = events.recvfrom(ROOM)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ENOBUFS):
                raise
            continue
        message = proc_events.message(datagram) if sender[0] == 0 else None
        if message is not None and message.ack == ack:
            if message.error:
                raise OSError(message.error, os.strerror(message.error))
            return message.when_ns
    raise TimeoutError(errno.ETIMEDOUT, "no answer came")
