"""A seccomp profile made into a BPF program by libseccomp, which is loaded when first needed."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from spawner.seccomp.profile import ACT_ERRNO, PERMISSIVE, Comparison, Profile, ProfileError, Rule, read

_LIBRARY = "libseccomp.so.2"
_UNKNOWN = -1  # __NR_SCMP_ERROR, seccomp_syscall_resolve_name(3)
_X86_64, _X32 = 0xC000003E, 0x4000003E
_X32_BIT = 0x40000000
_LOAD_WORD, _EQUAL, _GREATER, _GREATER_OR_EQUAL, _RETURN = 0x20, 0x15, 0x25, 0x35, 0x06
_NUMBER_AT, _ARCHITECTURE_AT = 0, 4  # in struct seccomp_data


class _Comparison(ctypes.Structure):
    """struct scmp_arg_cmp of seccomp.h."""

    _fields_ = (
        ("index", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("value", ctypes.c_uint64),
        ("value_two", ctypes.c_uint64),
    )


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL:
    """The library itself. Raises OSError where it is not installed."""
    loaded = ctypes.CDLL(_LIBRARY)
    loaded.seccomp_init.restype = ctypes.c_void_p
    loaded.seccomp_init.argtypes = (ctypes.c_uint32,)
    loaded.seccomp_release.argtypes = (ctypes.c_void_p,)
    loaded.seccomp_arch_add.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
    loaded.seccomp_arch_native.restype = ctypes.c_uint32
    loaded.seccomp_arch_resolve_name.restype = ctypes.c_uint32
    loaded.seccomp_arch_resolve_name.argtypes = (ctypes.c_char_p,)
    loaded.seccomp_syscall_resolve_name.argtypes = (ctypes.c_char_p,)
    loaded.seccomp_syscall_resolve_name_arch.argtypes = (ctypes.c_uint32, ctypes.c_char_p)
    loaded.seccomp_rule_add_array.argtypes = (
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.c_void_p,
    )
    loaded.seccomp_export_bpf.argtypes = (ctypes.c_void_p, ctypes.c_int)
    return loaded


@lru_cache(maxsize=32)
def compile_profile(text: str, bounding: frozenset[str]) -> tuple[bytes, int, tuple[str, ...]]:
    """(program, flags of seccomp(2), notes) of a profile in JSON; ``bounding`` decides Docker's conditions.

    Names that libseccomp does not know are left out, as runc does, and noted. Raises ProfileError.
    """
    profile = read(text, bounding=bounding)
    try:
        seccomp = library()
    except OSError as error:
        raise ProfileError(
            "$", f"{_LIBRARY} is needed to compile a profile: {error}", "apt install libseccomp2"
        ) from None
    tokens = _tokens(seccomp, profile)
    with _context(seccomp, profile) as context:
        for token in tokens:
            _checked("$.architectures", seccomp.seccomp_arch_add(context, token), errno.EEXIST)
        unknown = [name for rule in profile.rules for name in _add(seccomp, context, profile, rule)]
        program = _export(seccomp, context)
    missing = _missing_calls(seccomp, profile, {seccomp.seccomp_arch_native(), *tokens})
    notes = profile.notes
    if unknown:
        names = ", ".join(sorted(set(unknown)))
        notes += (f"seccomp: left out, for libseccomp does not know them: {names}",)
    return missing + program, profile.flags, notes


@contextmanager
def _context(seccomp: ctypes.CDLL, profile: Profile) -> Iterator[int]:
    context = seccomp.seccomp_init(profile.default)
    if not context:
        raise ProfileError("$.defaultAction", "libseccomp does not take this action", "see seccomp_init(3)")
    try:
        yield context
    finally:
        seccomp.seccomp_release(context)


def _tokens(seccomp: ctypes.CDLL, profile: Profile) -> list[int]:
    found = []
    for number, name in enumerate(profile.architectures):
        token = seccomp.seccomp_arch_resolve_name(name.removeprefix("SCMP_ARCH_").lower().encode())
        if not token or not name.startswith("SCMP_ARCH_"):
            raise ProfileError(
                f"$.architectures[{number}]", f"unknown architecture {name!r}", "write it as SCMP_ARCH_X86_64"
            )
        found.append(token)
    return found


def _add(seccomp: ctypes.CDLL, context: int, profile: Profile, rule: Rule) -> list[str]:
    """Add a rule, and answer the names that are unknown."""
    if rule.action == profile.default:  # which is what happens anyway; libseccomp answers EACCES
        return []
    unknown = []
    array = (_Comparison * len(rule.comparisons))(*map(_lowered, rule.comparisons))
    for place, name in enumerate(rule.names):
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number == _UNKNOWN:
            unknown.append(name)
            continue
        answer = seccomp.seccomp_rule_add_array(context, rule.action, number, len(array), array)
        _checked(f"{rule.place}.names[{place}]", answer, errno.EEXIST)
    return unknown


def _lowered(comparison: Comparison) -> _Comparison:
    return _Comparison(comparison.index, comparison.op, comparison.value, comparison.value_two)


def _checked(place: str, answer: int, *fine: int) -> None:
    if answer < 0 and -answer not in fine:
        raise ProfileError(place, f"libseccomp refuses it: {os.strerror(-answer)}", "see seccomp_rule_add(3)")


def _export(seccomp: ctypes.CDLL, context: int) -> bytes:
    fd = os.memfd_create("seccomp", os.MFD_CLOEXEC)
    with open(fd, "rb", buffering=0) as file:
        _checked("$", seccomp.seccomp_export_bpf(context, fd))
        file.seek(0)
        return file.read() or b""


def _missing_calls(seccomp: ctypes.CDLL, profile: Profile, tokens: set[int]) -> bytes:
    """Answer ENOSYS to what is newer than the newest call that the profile names, as runc does.

    Where the default is a refusal: a libc that finds EPERM does not fall back to the older call.
    """
    if profile.default in PERMISSIVE or profile.default == ACT_ERRNO | errno.ENOSYS:
        return b""
    program: list[tuple[int, int, int, int]] = []
    names = {name.encode() for rule in profile.rules for name in rule.names}
    for token in sorted(tokens - {_X32}):  # x32 is told by a bit of the number, and left to the filter
        newest = max((seccomp.seccomp_syscall_resolve_name_arch(token, name) for name in names), default=-1)
        if newest < 0:
            continue
        check = [(_GREATER, 0, 1, newest), (_RETURN, 0, 0, ACT_ERRNO | errno.ENOSYS)]
        if token == _X86_64:
            check.insert(0, (_GREATER_OR_EQUAL, 2, 0, _X32_BIT))
        program += [(_LOAD_WORD, 0, 0, _ARCHITECTURE_AT), (_EQUAL, 0, len(check) + 1, token)]
        program += [(_LOAD_WORD, 0, 0, _NUMBER_AT), *check]
    return b"".join(struct.pack("=HBBI", *line) for line in program)
