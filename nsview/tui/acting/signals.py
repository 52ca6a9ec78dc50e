"""Signals a person may send, and sending one to a process that is certainly the one meant."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from nsview.host.model import Identity
from nsview.tui.acting.held import Held
from spawner.signals import signal_name

END_SHOWS_WITHIN = 200
"""Milliseconds we wait for a process to end of a signal before we say that it has not."""
_BETWEEN = 20


@dataclass(frozen=True, slots=True)
class Offer:
    """A signal: name and meaning. ``asks``: it cannot be refused, so it is asked about once more."""

    name: str
    means: str
    asks: bool = False

    @property
    def number(self) -> int:
        """Its number."""
        return number_of(self.name)


OFFERED: tuple[Offer, ...] = (
    Offer("SIGTERM", "asks it to end"),
    Offer("SIGKILL", "ends it at once; it cannot refuse", asks=True),
    Offer("SIGINT", "as ctrl+c does"),
    Offer("SIGHUP", "as when its terminal goes away"),
    Offer("SIGQUIT", "ends it, with a core dump"),
    Offer("SIGSTOP", "stops it; it cannot refuse", asks=True),
    Offer("SIGCONT", "lets it go on"),
    Offer("SIGTSTP", "asks it to stop, as ctrl+z does"),
    Offer("SIGUSR1", "whatever the program makes of it"),
    Offer("SIGUSR2", "whatever the program makes of it"),
    Offer("SIGALRM", "as when its alarm goes off"),
    Offer("SIGCHLD", "as when a child of it ends"),
    Offer("SIGWINCH", "as when its window changes size"),
)
"""In the order in which they are offered."""

_SELDOM: dict[str, str] = {
    "SIGILL": "as for an illegal instruction, with a core dump",
    "SIGTRAP": "as for a breakpoint, with a core dump",
    "SIGABRT": "as abort(3) does, with a core dump",
    "SIGBUS": "as for a bad access to memory, with a core dump",
    "SIGFPE": "as for a division by zero, with a core dump",
    "SIGSEGV": "as for a wrong address, with a core dump",
    "SIGPIPE": "as when nobody reads its pipe",
    "SIGSTKFLT": "unused",
    "SIGTTIN": "as when it reads in the background",
    "SIGTTOU": "as when it writes in the background",
    "SIGURG": "as for urgent data on a socket",
    "SIGXCPU": "as when its CPU limit is reached, with a core dump",
    "SIGXFSZ": "as when its file limit is reached, with a core dump",
    "SIGVTALRM": "as when its virtual timer goes off",
    "SIGPROF": "as when its profiling timer goes off",
    "SIGIO": "as when I/O is possible",
    "SIGPWR": "as when power fails",
    "SIGSYS": "as for a forbidden system call, with a core dump",
}
_REAL_TIME = "real-time: queued, whatever the program makes of it"


def all_offers() -> tuple[Offer, ...]:
    """Return every signal there is, those OFFERED first."""
    seldom = [Offer(name, means) for name, means in _SELDOM.items()]
    later = range(signal.SIGRTMIN, signal.SIGRTMAX + 1)
    return (*OFFERED, *seldom, *(Offer(signal_name(number), _REAL_TIME) for number in later))


def matching(text: str) -> tuple[Offer, ...]:
    """Return the offers that have every word of ``text`` in name, meaning or number; OFFERED for no text. Pure."""
    words = text.lower().split()
    if not words:
        return OFFERED
    return tuple(
        offer
        for offer in all_offers()
        if all(word in f"{offer.name} {offer.means}".lower() or word == str(offer.number) for word in words)
    )


def number_of(name: str) -> int:
    """Return the number of a signal by signal_name()'s name of it; KeyError when there is none such."""
    base, _, beyond = name.partition("+")
    return int(signal.Signals[base]) + int(beyond or 0)


def send_and_see(identity: Identity, signo: int) -> str:
    """Signal a process, and word what became of it as the kernel has it; OSError (ESRCH when it is gone)."""
    with Held(identity) as held:
        before = held.status()
        held.signal(signo)
        if signo in _HARMLESS:
            return seen(signo, before, held.status())
        for _look in range(END_SHOWS_WITHIN // _BETWEEN):
            if held.ends_within(_BETWEEN):
                return "it has ended"
            after = held.status()
            if signo in _STOPPING and after.get("State", "")[:1] == "T":
                break
        return seen(signo, before, after)


def seen(signo: int, before: dict[str, str], after: dict[str, str]) -> str:
    """Word what a process that has not ended makes of a signal, from its /proc/PID/status. Pure."""

    def has(mask: str) -> bool:
        return bool(int(before.get(mask, "0"), 16) >> (signo - 1) & 1)

    state = after.get("State", "?")
    if signo == signal.SIGKILL:
        return f"{NOT_YET} (state {state})"
    if has("SigIgn"):
        return "it ignores it" + ("" if signo == signal.SIGCONT else "; SIGKILL cannot be ignored")
    if has("SigBlk"):
        return f"it blocks it, so it waits (state {state})"
    if state[:1] == "T" and signo != signal.SIGCONT:
        return f"it is stopped (state {state}){_LATER if signo not in _STOPPING else ''}"
    if has("SigCgt"):
        return f"it has a handler for it (state {state})"
    return f"state {state}"


NOT_YET = "it will end as soon as it can"
_HARMLESS = (signal.SIGCONT, signal.SIGCHLD, signal.SIGWINCH, signal.SIGURG)
_STOPPING = (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
_LATER = ", and handles it after SIGCONT"


def start_time_of(pid: int) -> int:
    """Return a process's start time in clock ticks since boot (proc_pid_stat(5), field 22); raises OSError."""
    with open(f"/proc/{pid}/stat", errors="replace") as stat:
        return int(stat.read().rpartition(") ")[2].split()[19])
