"""A throw-away parent: it makes one child as it is told, and says what it sees of what the child did.

``python -m nsview.labs.sharing.subject``: one request on each line of standard input, an array of a method's name and
its arguments; the answer is one line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from nsview.labs.sharing.things import BY_THING, Prepared
from spawner import Child, LaunchError, Spec, SpecError, Stdio, calls, launch
from spawner.flags import bits


class Subject:
    """One child at a time."""

    def __init__(self) -> None:
        self._prepared: Prepared | None = None
        self._child: calls.Run | Child | None = None

    def change(self, thing: str, flags: list[str]) -> dict[str, Any]:
        """Make a child that changes the thing and then waits: its pid, calls that failed, and what is seen."""
        try:
            self._prepared = prepared = BY_THING[thing].prepare()
        except OSError as error:  # ENOSYS: a kernel without System V IPC, or without block devices
            return {"refused": str(error)}
        steps = (*prepared.change, calls.call("getpid"))
        try:
            child = calls.start(steps, flags=bits(*flags) if flags else 0, hold=len(steps) - 1)
        except (SpecError, LaunchError) as error:
            return {"refused": str(error)}
        self._child = child
        failed = [answer.result for answer in child.answers[:-1] if answer.result is None or answer.result < 0]
        return {"pid": child.pid, "failed": failed, "changed": prepared.look()}

    def ended(self) -> dict[str, Any]:
        """Let the child end; what is seen then."""
        assert isinstance(self._child, calls.Run)
        assert self._prepared is not None
        self._child.resume()
        return {"changed": self._prepared.look()}

    def execute(self, thing: str, flags: list[str]) -> dict[str, Any]:
        """Launch a program with these flags; answers when it runs."""
        try:
            self._prepared = BY_THING[thing].prepare()
            spec = Spec(args=("sleep", "infinity"), stdio=Stdio.NULL, clone_flags=bits(*flags))
            self._child = launch(spec)
        except (SpecError, LaunchError, OSError) as error:
            return {"refused": str(error)}
        return {"pid": self._child.pid}

    def thread(self, flags: list[str]) -> dict[str, Any]:
        """Who a child says it is, and whether it stands among our threads."""
        with calls.start((calls.call("getpid"), calls.call("gettid")), flags=bits(*flags), hold=1) as child:
            listed = str(child.pid) in os.listdir("/proc/self/task")
            said = child.answers[0].result
            child.resume()
        return {"ours": os.getpid(), "said": said, "listed": listed}

    def close(self) -> None:
        """End the child, and give back what would outlive us."""
        if self._child is not None:
            self._child.close()
        if self._prepared is not None:
            self._prepared.drop()


def main() -> None:
    """Serve until standard input ends."""
    subject = Subject()
    try:
        for line in sys.stdin:
            name, *arguments = json.loads(line)
            print(json.dumps(getattr(subject, name)(*arguments)), flush=True)
    finally:
        subject.close()


if __name__ == "__main__":
    main()
