"""Threads that live as long as the process, for children whose death is tied to their parent's.

PR_SET_PDEATHSIG fires when the *thread* that made the child ends (prctl(2)), so a child made by a passing
worker thread would be killed under it. There are as many as were ever busy at once.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from queue import SimpleQueue
from typing import Any, TypeVar

Answer = TypeVar("Answer")

_Jobs = SimpleQueue[tuple[Future[Any], Callable[[], Any]]]

_NAME = "spawner"

_idle: list[_Jobs] = []  # append and pop are atomic

os.register_at_fork(after_in_child=_idle.clear)  # the threads stay behind


def call(job: Callable[[], Answer]) -> Answer:
    """Run ``job`` in a thread that will not end before the process does: the main one, or one of ours."""
    if threading.current_thread() is threading.main_thread():
        return job()
    future: Future[Answer] = Future()
    try:
        jobs = _idle.pop()
    except IndexError:
        jobs = SimpleQueue()
        threading.Thread(target=_serve, args=(jobs,), name=_NAME, daemon=True).start()
    jobs.put((future, job))
    return future.result()


def native_ids() -> list[int]:
    """Kernel's ids of the threads that live as long as the process: the parents of what is made in them."""
    return [one.native_id for one in threading.enumerate() if one.name == _NAME and one.native_id is not None]


def undisturbed(job: Callable[[], None]) -> None:
    """Run ``job`` to its end, whatever a signal handler raises meanwhile: that is raised afterwards.

    Handlers run in the main thread (signal(7) of Python's documentation), so the job runs in a passing one.
    """
    if threading.current_thread() is not threading.main_thread():
        job()
        return
    done: Future[None] = Future()
    turn = threading.Lock()

    def once() -> None:
        if turn.acquire(blocking=False):
            _fulfil(done, job)

    late: BaseException | None = None
    try:
        threading.Thread(target=once, name="spawner once").start()
    except RuntimeError:  # there is no thread to be had: then with what may come
        once()
    except BaseException as error:  # noqa: BLE001 - a handler's, and the thread may run or not
        late = error
        once()
    while not done.done():
        try:
            wait((done,))
        except BaseException as error:  # noqa: BLE001 - a handler's, to be raised when the job is done
            late = error
    if late is not None:
        raise late
    done.result()


def _fulfil(future: Future[Answer], job: Callable[[], Answer], first: Callable[[], None] = lambda: None) -> None:
    """Do the job, then what comes ``first`` before whoever waits hears of it."""
    try:
        answer = job()
    except BaseException as error:  # noqa: BLE001 - handed to the caller, who waits for it
        first()
        future.set_exception(error)
    else:
        first()
        future.set_result(answer)


def _serve(jobs: _Jobs) -> None:
    while True:
        _serve_one(*jobs.get(), jobs)


def _serve_one(future: Future[Any], job: Callable[[], Any], jobs: _Jobs) -> None:
    """A function of its own, so that nothing of a job is kept until the next."""
    _fulfil(future, job, lambda: _idle.append(jobs))
