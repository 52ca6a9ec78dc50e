"""Run as the first process of a pid namespace: pids are used again and again while everything reads and signals.

Usage: churn.py SECONDS (or longer, until pids were used again often enough). What is read of one process must all
be of the same number (churner.py), and signals, sent in the UI's way to those of even number, must meet no other.
Prints JSON: how many processes were made, how often what was looked at, and every mix-up.
"""

from __future__ import annotations

import json
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from subprocess import PIPE, Popen

from churner import OOM, WINDOW, user_of

from nsview.host.difference import compare_processes
from nsview.host.events.event import Event
from nsview.host.events.polling import Polling
from nsview.host.facts import read_facts
from nsview.host.lives import Lives
from nsview.host.namespaces import discover, namespaces_of
from nsview.host.process import PinnedProcess, ProcessGoneError
from nsview.host.snapshot import ProcessRecord, Snapshot, take
from nsview.tui.acting.held import Held

CHURNER = (sys.executable, "-I", "-S", str(Path(__file__).with_name("churner.py")))

REUSED = 4 * WINDOW
"""A number so high means that pids were used some four times each."""


class Reader:
    """Looks at everything in turn, and keeps what it found wrong."""

    def __init__(self) -> None:
        self.looks: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.random = random.Random(1)
        self.polling = Polling(0.05)
        self.lives = Lives(take())
        self.highest = 0

    def expect(self, what: str, number: int, right: bool, found: object) -> None:
        self.looks[what] += 1
        if not right:
            self.wrong.append(f"{what} of number {number}: {found}")

    def look(self) -> None:
        snapshot = take()
        numbered = dict(numbers(snapshot))
        self.highest = max([self.highest, *numbered.values()])
        for pid in self.random.sample(sorted(numbered), min(2, len(numbered))):
            if numbered[pid] % 2 == 0:
                self.kill(snapshot.records[pid])
        for pid, number in numbered.items():
            record = snapshot.records[pid]
            self.expect("record", number, record.uid in (None, user_of(number)), record)
        for pid in self.random.sample(sorted(numbered), min(3, len(numbered))):
            self.facts(snapshot.records[pid], numbered[pid])
        if len(numbered) >= 2:
            one, two = self.random.sample(sorted(numbered), 2)
            self.difference(snapshot.records[one], snapshot.records[two], numbered)
        self.namespaces(snapshot)
        self.events(self.polling.read(0))
        if self.looks["look"] % 20 == 0:
            self.lives.rescan(snapshot)
        self.looks["look"] += 1

    def facts(self, record: ProcessRecord, number: int) -> None:
        try:
            with PinnedProcess(record.pid, record.start_time) as process:
                facts = read_facts(process)
                score = process.read("oom_score_adj")
        except ProcessGoneError:
            self.looks["facts of the gone"] += 1
            return
        self.expect("name", number, facts.comm in (None, f"n{number}"), facts)
        self.expect("users", number, facts.uids in (None, (user_of(number),) * 4), facts)
        self.expect("umask", number, facts.umask is None or int(facts.umask, 8) == number % 0o1000, facts)
        self.expect("score", number, score in (None, b"%d\n" % (number % OOM)), score)

    def difference(self, one: ProcessRecord, two: ProcessRecord, numbered: Mapping[int, int]) -> None:
        try:
            rows = compare_processes(one.pid, two.pid, one.start_time, two.start_time)
        except ProcessGoneError:
            self.looks["differences of the gone"] += 1
            return
        (row,) = [row for row in rows if row.attribute == "name"]
        names = f"n{numbered[one.pid]}", f"n{numbered[two.pid]}"
        right = row.parent in (None, names[0]) and row.child in (None, names[1])
        self.expect("difference", numbered[one.pid], right, row)

    def namespaces(self, snapshot: Snapshot) -> None:
        found = discover(snapshot) if self.looks["look"] % 10 == 0 else namespaces_of(snapshot)
        strangers = [pid for namespace in found.values() for pid in namespace.members if pid not in snapshot.records]
        self.expect("members", 0, not strangers, strangers)

    def kill(self, record: ProcessRecord) -> None:
        try:
            with Held(record.identity) as held:
                held.signal(signal.SIGKILL)
        except ProcessLookupError:
            self.looks["signals to the gone"] += 1
        else:
            self.looks["signals"] += 1

    def events(self, events: list[Event]) -> None:
        for event in events:
            self.looks["events"] += 1
            for life in self.lives.fold(event):
                tokens = {name for name in life.names if is_token(name)}
                self.expect("life", life.pid, len(tokens) <= 1, life)


def numbers(snapshot: Snapshot) -> Iterator[tuple[int, int]]:
    for pid, record in snapshot.records.items():
        if is_token(record.comm):
            yield pid, int(record.comm[1:])


def is_token(name: str) -> bool:
    return name[:1] == "n" and name[1:].isdecimal()


def main(seconds: float) -> None:
    with ExitStack() as stack:
        churners = [stack.enter_context(Popen([*CHURNER, number], stdin=PIPE, stdout=PIPE)) for number in "01"]
        reader = Reader()
        began = time.monotonic()
        while time.monotonic() < began + seconds or reader.highest < REUSED:
            reader.look()
        took = time.monotonic() - began
        told = [json.loads(churner.communicate()[0]) for churner in churners]
        reader.polling.close()
    made = sum(number for number, *_ in told)
    wrong = [*reader.wrong, *(line for _, *lines in told for line in lines)]
    print(json.dumps({"made": made, "a_second": round(made / took), "looks": reader.looks, "wrong": wrong}))


if __name__ == "__main__":
    main(float(sys.argv[1]))
