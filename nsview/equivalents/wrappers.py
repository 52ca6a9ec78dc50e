"""Programs of util-linux and coreutils that change one thing and execute the next: nice, taskset, prlimit, setpriv…

Outer ones go before the program that makes the namespaces, whose child inherits what they set. Inner ones run inside,
right before the program: what they need or take away is a matter of the new namespaces.
"""

from __future__ import annotations

from collections.abc import Callable

from nsview.equivalents import shell
from nsview.equivalents.account import Account, limit, ranges, signal_name
from nsview.equivalents.equivalent import Caller
from nsview.equivalents.nsview_run import kept_capabilities
from spawner import Stdio

Groups = list[list[str]]

_POLICIES = {
    "SCHED_OTHER": "--other",
    "SCHED_BATCH": "--batch",
    "SCHED_IDLE": "--idle",
    "SCHED_FIFO": "--fifo",
    "SCHED_RR": "--rr",
    "SCHED_DEADLINE": "--deadline",
}
_IO_CLASSES = {"IOPRIO_CLASS_RT": "1", "IOPRIO_CLASS_BE": "2", "IOPRIO_CLASS_IDLE": "3"}

_PERSONALITY = {
    0x0040000: "--addr-no-randomize",
    0x0080000: "--fdpic-funcptrs",
    0x0100000: "--mmap-page-zero",
    0x0200000: "--addr-compat-layout",
    0x0400000: "--read-implies-exec",
    0x0800000: "--32bit",
    0x1000000: "--short-inode",
    0x2000000: "--whole-seconds",
    0x4000000: "--sticky-timeouts",
    0x8000000: "--3gb",
}
"""setarch(8)'s name of each bit of personality(2) above the execution domain."""

_PER_LINUX32 = 8


def nice(account: Account) -> Groups:
    """nice(1), which adds to what the shell has."""
    value = account.spec.nice
    if value is None or not account.asks("nice"):
        return []
    account.said("nice")
    account.note("nice(1) adds to the nice value of the shell it is run from, which is mostly 0.")
    return [["nice", "-n", str(value)]]


def processors(account: Account) -> Groups:
    """taskset(1)."""
    if not account.asks("cpu_affinity"):
        return []
    account.said("cpu_affinity")
    return [["taskset", "-c", ranges(account.spec.cpu_affinity)]]


def scheduler(account: Account) -> Groups:
    """chrt(1)."""
    wanted = account.spec.scheduler
    if wanted is None or not account.asks("scheduler"):
        return []
    option = _POLICIES.get(wanted.policy)
    if option is None or (wanted.nice and account.spec.nice != wanted.nice):
        account.cannot("scheduler", "chrt(1) sets a policy and a priority alone")
        return []
    account.said("scheduler")
    times = [("runtime", wanted.runtime), ("deadline", wanted.deadline), ("period", wanted.period)]
    words = [word for name, value in times if value for word in (f"--sched-{name}", str(value))]
    return [["chrt", *words, option, str(wanted.priority)]]


def io_priority(account: Account) -> Groups:
    """ionice(1)."""
    wanted = account.spec.io_priority
    if wanted is None or not account.asks("io_priority") or wanted.type not in _IO_CLASSES:
        return []
    account.said("io_priority")
    level = [] if wanted.type == "IOPRIO_CLASS_IDLE" else ["-n", str(wanted.priority)]
    return [["ionice", "-c", _IO_CLASSES[wanted.type], *level]]


def oom_score(account: Account) -> Groups:
    """choom(1)."""
    if not account.asks("oom_score_adj"):
        return []
    account.said("oom_score_adj")
    return [["choom", "-n", str(account.spec.oom_score_adj), "--"]]


def personality(account: Account) -> Groups:
    """setarch(8)."""
    value = account.spec.personality
    if value is None or not account.asks("personality"):
        return []
    domain = value & 0xFF
    known = domain | sum(_PERSONALITY)
    if value & ~known or domain not in (0, _PER_LINUX32) or not value:
        account.cannot("personality", "setarch(8) has no option for it")
        return []
    account.said("personality")
    options = [name for bit, name in _PERSONALITY.items() if value & bit]
    return [["setarch", *(["linux32"] if domain else []), *options]]


def limits(account: Account) -> Groups:
    """prlimit(1)."""
    if not account.asks("rlimits[0]"):
        return []
    account.said("rlimits")
    return [
        [
            "prlimit",
            *(
                f"--{each.type.removeprefix('RLIMIT_').lower()}={limit(each.soft)}:{limit(each.hard)}"
                for each in account.spec.rlimits
            ),
            "--",
        ]
    ]


def privileges(account: Account, caller: Caller) -> Groups:
    """setpriv(1): ids, groups, capabilities, no_new_privs, the signal at the parent's death."""
    spec, user, words = account.spec, account.spec.user, []
    if user.uid is not None and account.asks("user.uid"):
        words += ["--reuid", str(user.uid)]
    if user.gid is not None and account.asks("user.gid"):
        words += ["--regid", str(user.gid)]
    if account.asks("user.additional_gids"):
        gids = ",".join(map(str, user.additional_gids or ()))
        words += ["--groups", gids] if gids else ["--clear-groups"]
    elif user.gid is not None and account.asks("user.gid"):
        words.append("--keep-groups")
    account.said("user.uid", "user.gid", "user.additional_gids")
    words += _capabilities(account, caller)
    if account.asks("no_new_privs"):
        account.said("no_new_privs")
        words.append("--no-new-privs")
    if spec.pdeathsig and account.asks("pdeathsig"):
        account.said("pdeathsig")
        words += ["--pdeathsig", signal_name(spec.pdeathsig).removeprefix("SIG")]
    return [["setpriv", *words, "--"]] if words else []


def _capabilities(account: Account, caller: Caller) -> list[str]:
    spec = account.spec
    if not account.asks("capabilities"):
        return []
    names = kept_capabilities(spec, caller)
    if names is None:
        account.cannot(
            "capabilities", "setpriv(1) sets the bounding, inheritable and ambient sets, and execve the rest"
        )
        return []
    account.said("capabilities")
    kept = ",".join(["-all", *(f"+{name.removeprefix('CAP_').lower()}" for name in sorted(names))])
    assert spec.capabilities is not None
    if spec.capabilities.ambient is None:
        return [f"--bounding-set={kept}", "--inh-caps=-all"]
    return [f"--bounding-set={kept}", f"--inh-caps={kept}", f"--ambient-caps={kept}"]


def session(account: Account) -> Groups:
    """setsid(1)."""
    if not account.asks("new_session"):
        return []
    account.said("new_session")
    return [["setsid", "--wait"]]


OUTER: tuple[Callable[[Account], Groups], ...] = (nice, processors, scheduler, io_priority, oom_score, personality)
"""What a process passes on to its children, whoever executes in between."""


def outer(account: Account, line: shell.Line) -> None:
    """Add the outer wrappers."""
    for wrap in OUTER:
        for group in wrap(account):
            line.add(*group)


def streams(account: Account, line: shell.Line) -> None:
    """What is done with the standard streams, as redirections after the command."""
    spec = account.spec
    if spec.stdio is Stdio.NULL:
        account.said("stdio")
        line.raw("</dev/null >/dev/null 2>&1")
    elif spec.stdio is Stdio.PTY:
        account.cannot("stdio", "the program has the terminal of whoever runs this; script(1) gives another")
        account.said("window")
    elif spec.stdio is Stdio.PIPE:
        account.cannot("stdio", "the shell's | and > make pipes")
