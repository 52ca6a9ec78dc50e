"""Options for ids: the maps of a new user namespace, and whose credentials the program gets inside."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from nsview.options import words
from nsview.options.option import ON, Option
from spawner import IDMapping, Spec, subids
from spawner.oci import User

TITLE = "ids (each of the --map options implies a user namespace)"

_RANGES = {"type": words.id_map, "action": "append", "default": [], "metavar": "INNER,OUTER,COUNT"}

OPTIONS: tuple[Option, ...] = (
    Option(("-r", "--map-root-user"), "be root inside: map 0 to your own id", ON),
    Option(("-c", "--map-current-user"), "keep your own ids inside", ON),
    Option(("--map-user",), "be this user inside", {"metavar": "UID", "type": words.user}),
    Option(("--map-group",), "be this group inside", {"metavar": "GID", "type": words.group}),
    Option(
        ("--map-users",),
        "map COUNT users from INNER inside to OUTER outside; or auto: your first block of /etc/subuid from 0, "
        "subids: that block as it is, all: every id of ours as it is; repeatable",
        _RANGES,
    ),
    Option(("--map-groups",), "the same for groups, and /etc/subgid", _RANGES),
    Option(("--map-auto",), "--map-users=auto --map-groups=auto", ON),
    Option(
        ("--setgroups",),
        "whether setgroups(2) may be called inside",
        {"type": words.one_of(("allow", "deny"), "answer"), "metavar": "allow|deny"},
    ),
    Option(("-S", "--setuid"), "be this user of the namespace", {"metavar": "UID", "type": words.user}),
    Option(
        ("-G", "--setgid"),
        "be this group of the namespace, without supplementary groups",
        {"metavar": "GID", "type": words.group},
    ),
    Option(("--groups",), "have these supplementary groups", {"metavar": "GID[,GID…]", "type": words.groups}),
    Option(("--keep-caps",), "keep the user namespace's capabilities in the program", ON),
    Option(("--umask",), "file mode creation mask", {"metavar": "OCTAL", "type": words.octal}),
)


def fields(asked: argparse.Namespace, base: Spec) -> dict[str, Any]:
    """What these options make of a Spec."""
    uid, gid = _single(asked)
    auto = ["auto"] if asked.map_auto else []
    users = _maps("user", None if uid is None else IDMapping(uid, os.geteuid()), [*auto, *asked.map_users])
    groups = _maps("group", None if gid is None else IDMapping(gid, os.getegid()), [*auto, *asked.map_groups])
    implied = {"user"} if users or groups or asked.setgroups else set()
    return {
        "namespaces": base.namespaces | implied,
        "uid_mappings": users or base.uid_mappings,
        "gid_mappings": groups or base.gid_mappings,
        "setgroups": asked.setgroups or base.setgroups,
        "user": _user(asked, base.user),
        "keep_caps": base.keep_caps or asked.keep_caps,
    }


def _maps(kind: str, single: IDMapping | None, asked: Sequence[IDMapping | str]) -> tuple[IDMapping, ...]:
    lines: list[IDMapping] = []
    for what in asked:
        lines += (what,) if isinstance(what, IDMapping) else subids.WORDS[what](kind)
    return subids.around(single, tuple(lines))


def _single(asked: argparse.Namespace) -> tuple[int | None, int | None]:
    """The user and the group to be inside, None for no map; later words win over -r and -c."""
    uid: int | None = None
    gid: int | None = None
    if asked.map_current_user:
        uid, gid = os.geteuid(), os.getegid()
    if asked.map_root_user:
        uid, gid = 0, 0
    return (
        uid if asked.map_user is None else asked.map_user,
        gid if asked.map_group is None else asked.map_group,
    )


def _user(asked: argparse.Namespace, base: User) -> User:
    changes: dict[str, Any] = {}
    if asked.setuid is not None:
        changes["uid"] = asked.setuid
    if asked.setgid is not None:
        changes |= {"gid": asked.setgid, "additional_gids": ()}
    if asked.groups is not None:
        changes["additional_gids"] = asked.groups
    if asked.umask is not None:
        changes["umask"] = asked.umask
    return replace(base, **changes)
