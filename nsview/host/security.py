"""What else bounds a process or tells of it: LSM label, tracer, login, personality, speculation."""

from __future__ import annotations

from dataclasses import dataclass

from nsview.host.attribute import Attribute
from nsview.host.process import PinnedProcess
from nsview.host.text import printable

_NO_LOGIN = 0xFFFFFFFF
"""(uid_t)-1: nobody logged in (credentials(7), /proc/PID/loginuid)."""
_PERSONALITIES = {
    0x0020000: "UNAME26",
    0x0040000: "ADDR_NO_RANDOMIZE",
    0x0080000: "FDPIC_FUNCPTRS",
    0x0100000: "MMAP_PAGE_ZERO",
    0x0200000: "ADDR_COMPAT_LAYOUT",
    0x0400000: "READ_IMPLIES_EXEC",
    0x0800000: "ADDR_LIMIT_32BIT",
    0x1000000: "SHORT_INODE",
    0x2000000: "WHOLE_SECONDS",
    0x4000000: "STICKY_TIMEOUTS",
    0x8000000: "ADDR_LIMIT_3GB",
}
"""personality(2)."""


@dataclass(frozen=True, slots=True)
class Security:
    """None is unknown; ``label`` is empty where no security module labels processes.

    ``tracer`` is 0 where nobody traces it. ``login_uid`` is -1 before a login, ``personality`` a bit mask.
    ``speculation`` holds the two lines of proc_pid_status(5), as the kernel words them.
    """

    label: str | None
    tracer: int | None
    login_uid: int | None
    audit_session: int | None
    personality: int | None
    speculation: tuple[str | None, str | None]
    core_filter: int | None


def security_of(process: PinnedProcess) -> Security | None:
    """Read it; None when the process is gone."""
    status = process.status()
    if status is None:
        return None
    label = process.read("attr/current")
    if label is None and process.names("attr") is not None:
        label = b""  # EINVAL: no module has a label (security/security.c: security_getprocattr())
    tracer, login, session = status.get("TracerPid"), process.read("loginuid"), process.read("sessionid")
    return Security(
        None if label is None else printable(label.rstrip(b"\0\n")),
        None if tracer is None else int(tracer),
        _signed(login),
        _signed(session),
        _hexadecimal(process.read("personality")),
        (status.get("Speculation_Store_Bypass"), status.get("SpeculationIndirectBranch")),
        _hexadecimal(process.read("coredump_filter")),
    )


def _signed(text: bytes | None) -> int | None:
    if not text:
        return None
    number = int(text)
    return -1 if number == _NO_LOGIN else number


def _hexadecimal(text: bytes | None) -> int | None:
    return int(text, 16) if text else None


def personality_words(personality: int | None) -> str | None:
    """Word a personality: ``linux``, ``linux ADDR_NO_RANDOMIZE``; another system's is a number."""
    if personality is None:
        return None
    base = personality & 0xFF
    flags = [name for bit, name in _PERSONALITIES.items() if personality & bit]
    return " ".join(["linux" if base == 0 else "linux32" if base == 8 else f"{base:#x}", *flags])


ATTRIBUTES: tuple[Attribute[Security], ...] = (
    Attribute(
        "label",
        lambda it: it.label if it.label is None else it.label or "none",
        "/proc/PID/attr/current",
        "the same security label (SELinux, AppArmor, Smack)",
        "the security module put them into different domains",
    ),
    Attribute(
        "traced by",
        lambda it: None if it.tracer is None else str(it.tracer) if it.tracer else "nobody",
        "/proc/PID/status TracerPid",
        "a debugger of both, or none",
        "a debugger has one of them",
    ),
    Attribute(
        "login uid",
        lambda it: None if it.login_uid is None else str(it.login_uid) if it.login_uid >= 0 else "none",
        "/proc/PID/loginuid",
        "the same login: it is inherited and outlives su and sudo",
        "different logins started them",
    ),
    Attribute(
        "audit session",
        lambda it: None if it.audit_session is None else str(it.audit_session) if it.audit_session >= 0 else "none",
        "/proc/PID/sessionid",
        "one login session for the audit log",
        "different login sessions for the audit log",
    ),
    Attribute(
        "personality",
        lambda it: personality_words(it.personality),
        "/proc/PID/personality",
        "inherited at birth, kept over execve",
        "personality(2) changed how the kernel lays out or answers it",
    ),
    Attribute(
        "speculation",
        lambda it: (
            None if None in it.speculation else f"store bypass {it.speculation[0]}, indirect branch {it.speculation[1]}"
        ),
        "/proc/PID/status Speculation*",
        "the same guard against side channels",
        "prctl(PR_SET_SPECULATION_CTRL) or seccomp(2) guards one more",
    ),
    Attribute(
        "core dump of",
        lambda it: None if it.core_filter is None else f"{it.core_filter:#x}",
        "/proc/PID/coredump_filter",
        "inherited at birth, kept over execve",
        "other kinds of memory go into a core dump (core(5))",
    ),
)
