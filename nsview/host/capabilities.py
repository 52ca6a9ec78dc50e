"""Capability sets by name (capabilities(7), linux/capability.h)."""

from __future__ import annotations

NAMES: tuple[str, ...] = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE",
)  # fmt: skip
"""Without CAP_, by bit number."""


def names_of(mask: int) -> tuple[str, ...]:
    """Name the capabilities in ``mask``, lowest bit first; one newer than NAMES is called by its number."""
    bits = (bit for bit in range(mask.bit_length()) if mask >> bit & 1)
    return tuple(NAMES[bit] if bit < len(NAMES) else f"CAP_{bit}" for bit in bits)


def change(before: int, after: int) -> str:
    """Word what ``after`` has more and less, as ``+NET_ADMIN −SYS_BOOT``; empty when equal."""
    gained, lost = after & ~before, before & ~after
    if lost == before and len(names_of(lost)) > 1 and not after:
        return "−all"
    return " ".join([f"+{name}" for name in names_of(gained)] + [f"−{name}" for name in names_of(lost)])


def words(mask: int | None, last: int) -> str | None:
    """Word a set: ``none``, ``all``, names, or ``all but`` names; ``last`` is the kernel's newest. Pure."""
    if mask is None:
        return None
    every = (1 << last + 1) - 1
    missing = every & ~mask
    if not mask:
        return "none"
    if missing:
        few = missing.bit_count() < mask.bit_count()
        return "all but " + " ".join(names_of(missing)) if few and mask <= every else " ".join(names_of(mask))
    return " ".join(["all", *names_of(mask & ~every)])
