"""A thread that lives as long as the process, for children whose death is tied to their parent's.

PR_SET_PDEATHSIG fires when the *thread* that made the child ends (prctl(2)), so a child made by a passing
worker thread would be killed under it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

Answer = TypeVar("Answer")

_lock = threading.Lock()
_jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] | None = None


def call(job: Callable[[], Answer]) -> Answer:
    """Run ``job`` in a thread that will not end before the process does: the main one, or ours."""
    if threading.current_thread() is threading.main_thread():
        return job()
    future: Future[Answer] = Future()
    _queue().put((future, job))
    return future.result()


def _queue() -> SimpleQueue[tuple[Future[Any], Callable[[], Any]]]:
    global _jobs
    with _lock:
        if _jobs is None:
            _jobs = SimpleQueue()
            threading.Thread(target=_serve, args=(_jobs,), name="spawner", daemon=True).start()
        return _jobs


def _serve(jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]]]) -> None:
    while True:
        future, job = jobs.get()
        try:
            answer = job()
        except BaseException as error:  # noqa: BLE001 - handed to the caller, who waits for it
            future.set_exception(error)
        else:
            future.set_result(answer)
