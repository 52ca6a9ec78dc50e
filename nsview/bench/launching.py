"""The launching side of the rows about launching: a process of a chosen size, told how and what to launch.

``python -m nsview.bench.launching BYTES PROGRAM UNSHARE`` answers each line "MEANS KIND COUNT" with COUNT times in
nanoseconds, or with "! " and why there are none. MEANS is a key of MEANS below; KIND none or six; a COUNT of 0 launches
PROGRAM with "namespaces", lets it print and then prints a line of a dot. UNSHARE is the path of unshare(1), or empty.
"""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from spawner import IDMapping, Spec, launch

SIX = frozenset({"mount", "uts", "ipc", "pid", "user", "cgroup"})
_BY_UNSHARE = ("--mount", "--uts", "--ipc", "--pid", "--fork", "--user", "--map-root-user", "--cgroup", "--")

Action = Callable[[], object]


def spec(kind: str, words: list[str]) -> Spec:
    """Describe what Python and C launch: ``words`` into no namespace, or into six."""
    if kind == "none":
        return Spec(args=tuple(words))
    return Spec(
        args=tuple(words),
        namespaces=SIX,
        uid_mappings=(IDMapping(0, os.geteuid(), 1),),
        gid_mappings=(IDMapping(0, os.getegid(), 1),),
    )


def _by_engine(kind: str, words: list[str], _unshare: str) -> Action:
    wanted = spec(kind, words)

    def action() -> None:
        with launch(wanted) as child:
            ended = child.wait()
        _well(words, None if ended is None else ended.code)

    return action


def _by_popen(_kind: str, words: list[str], _unshare: str) -> Action:
    def action() -> None:
        with subprocess.Popen(words) as child:
            _well(words, child.wait())

    return action


def _by_posix_spawn(_kind: str, words: list[str], _unshare: str) -> Action:
    return lambda: _reap(words, os.posix_spawn(words[0], words, os.environ))


def _by_fork(_kind: str, words: list[str], _unshare: str) -> Action:
    def action() -> None:
        pid = os.fork()
        if pid == 0:
            try:
                os.execv(words[0], words)
            finally:
                os._exit(127)
        _reap(words, pid)

    return action


def _by_unshare(_kind: str, words: list[str], unshare: str) -> Action:
    return _by_posix_spawn("none", [unshare, *_BY_UNSHARE, *words], "")


def _reap(words: list[str], pid: int) -> None:
    _well(words, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _well(words: list[str], status: int | None) -> None:
    if status != 0:
        raise ChildProcessError(f"{os.path.basename(words[0])} ended with {status}")


MEANS: Mapping[str, Callable[[str, list[str], str], Action]] = {
    "engine": _by_engine,
    "popen": _by_popen,
    "posix_spawn": _by_posix_spawn,
    "fork": _by_fork,
    "unshare": _by_unshare,
}
"""How a program can be launched from Python: each makes an action of (KIND, words, path of unshare)."""


def grown(size: int) -> mmap.mmap | None:
    """Grow this process to ``size`` bytes, in small pages, all of them written to."""
    size -= int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE
    if size <= 0:
        return None
    ballast = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    ballast.madvise(mmap.MADV_NOHUGEPAGE)
    chunk = b"\1" * (1 << 20)
    while size - ballast.tell() >= len(chunk):
        ballast.write(chunk)
    return ballast


def main(size: str, program: str, unshare: str) -> None:
    """Answer until there is nothing more to read."""
    ballast = grown(int(size))
    for line in sys.stdin:
        means, kind, count = line.split()
        try:
            print(*_answer(MEANS[means], kind, int(count), program, unshare), flush=True)
        except OSError as error:  # LaunchError is one
            print(f"! {error}".replace("\n", " "), flush=True)
    del ballast


def _answer(
    means: Callable[[str, list[str], str], Action], kind: str, count: int, program: str, unshare: str
) -> list[object]:
    if count == 0:
        means(kind, [program, "namespaces"], unshare)()
        return ["."]
    action = means(kind, [program], unshare)
    clock = time.perf_counter_ns
    times: list[object] = []
    for _ in range(count):
        start = clock()
        action()
        times.append(clock() - start)
    return times


if __name__ == "__main__":
    main(*sys.argv[1:])
