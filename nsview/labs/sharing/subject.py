"""The throw-away parent of the lab on sharing: it makes one child as it is told, and says what it sees of its deeds."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from nsview.labs.parent import serve
from nsview.labs.sharing.things import BY_THING, Prepared
from spawner import Child, LaunchError, Spec, SpecError, Stdio, calls, launch
from spawner.flags import bits


class Subject:
    """One child at a time."""

    def __init__(self) -> None:
        self._prepared: Prepared | None = None
        self._child: calls.Run | Child | None = None
        self._may_execute = threading.Event()

    def _prepare(self, thing: str) -> Prepared:
        """The thing; no signal comes between its making and its being known to close()."""
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            self._prepared = BY_THING[thing].prepare()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return self._prepared

    def change(self, thing: str, flags: list[str]) -> dict[str, Any]:
        """Make a child that changes the thing and then waits: its pid, calls that failed, and what is seen."""
        try:
            prepared = self._prepare(thing)
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
            self._prepare(thing)
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

    def refused(self, flags: list[str]) -> dict[str, Any]:
        """What the kernel answers to these flags, sent as they are: the number of its error, 0 for a child."""
        try:
            calls.run((calls.call("getpid"),), flags=bits(*flags), check=False).close()
        except LaunchError as error:
            return {"errno": error.errno}
        return {"errno": 0}

    def another(self) -> dict[str, Any]:
        """Make another thread of this process, that waits to execute a program; its id."""
        begun = threading.Event()

        def execute() -> None:
            begun.set()
            self._may_execute.wait()
            os.execvp("cat", ("cat",))  # it reads standard input, and ends when that ends, as we would

        thread = threading.Thread(target=execute, daemon=True)
        thread.start()
        begun.wait()
        return {"tid": thread.native_id}

    def ruin(self) -> dict[str, Any]:
        """Let it; there is an answer only if that left us here."""
        self._may_execute.set()
        for thread in threading.enumerate():
            if thread is not threading.current_thread():
                thread.join()
        return {"refused": "execve failed"}

    def close(self) -> None:
        """End the child, and give back what would outlive us."""
        if self._child is not None:
            self._child.close()
        if self._prepared is not None:
            self._prepared.drop()


if __name__ == "__main__":
    serve(Subject())
