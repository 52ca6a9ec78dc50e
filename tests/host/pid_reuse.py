"""Run as the first process of a pid namespace: one thread scans a pid that the other gives to process after
process.

Half of the processes are in a uts namespace of their own and are named so, after they moved. A record with
the name of one kind and the namespace of the other would be of two processes. Prints: looks, and how many
of each kind.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading

from nsview.host.snapshot import take

LOOKS = 3000
PID = 300
CLONE_NEWUTS = 0x04000000
SIGCHLD = 17
libc = ctypes.CDLL(None)


def give_pid_to(name: bytes, unshare: bool) -> None:
    with open("/proc/sys/kernel/ns_last_pid", "w") as file:
        file.write(str(PID - 1))
    pid = os.fork()
    if pid == 0:
        if unshare:
            libc.unshare(CLONE_NEWUTS)
        libc.prctl(15, name, 0, 0, 0)
        os.sched_yield()
        os._exit(0)
    os.waitpid(pid, 0)


def main() -> int:
    own = take((1,)).records[1].namespace("uts")
    done = threading.Event()

    def churn() -> None:
        while not done.is_set():
            give_pid_to(b"outsider", True)
            give_pid_to(b"insider", False)

    worker = threading.Thread(target=churn)
    worker.start()
    seen = {"outsider": 0, "insider": 0}
    try:
        for _ in range(LOOKS):
            record = take((PID,)).records.get(PID)
            if record is None or record.comm not in seen or record.namespace("uts") is None:
                continue
            seen[record.comm] += 1
            if (record.namespace("uts") == own) != (record.comm == "insider"):
                print(f"mixed: {record}", file=sys.stderr)
                return 1
    finally:
        done.set()
        worker.join()
    print(LOOKS, seen["outsider"], seen["insider"])
    return 0


sys.exit(main())
