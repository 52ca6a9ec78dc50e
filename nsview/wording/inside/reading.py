"""What is inside a namespace, read and worded: a table of readers, one per kind.

JSON: an object under the key "inside"; docs/json.md describes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from nsview.host.content import network as network_content
from nsview.host.content.entered import NotEnteredError, dwelling
from nsview.host.content.opened import Opener
from nsview.host.content.pid import read_pid
from nsview.host.content.socket_owners import find_owners
from nsview.host.content.time import TimeOffsets, read_offsets
from nsview.host.content.user import Extent, UserContent, outside, read_user
from nsview.host.content.visitor import READINGS, read_by_owner
from nsview.host.namespaces.namespace import Namespace
from nsview.host.process import PinnedProcess, ProcessGoneError
from nsview.host.snapshot import Snapshot
from nsview.host.text import printable
from nsview.wording.inside import ipc as ipc_words
from nsview.wording.inside import network as network_words
from nsview.wording.inside.cgroups import cgroup_inside
from nsview.wording.inside.mounts import mounts_inside
from nsview.wording.inside.section import NOT_OPENED, Inside, Lead, Section, because, facts
from nsview.wording.table import Column, show

T = TypeVar("T")
Reader = Callable[["Asked"], Inside]


def inside(
    namespace: Namespace,
    snapshot: Snapshot,
    found: Mapping[int, Namespace],
    readers: Mapping[str, Reader] | None = None,
) -> Inside | None:
    """Read what is inside a namespace of those ``found`` from a snapshot; None for a kind that has nothing to show.

    Needs no privilege: what cannot be read is unknown, and the result says why. ``readers`` in place of READERS.
    """
    reader = (READERS if readers is None else readers).get(namespace.kind.name)
    return None if reader is None else reader(Asked(namespace, snapshot, found, Opener(snapshot, found)))


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for, and how to open it."""

    namespace: Namespace
    snapshot: Snapshot
    found: Mapping[int, Namespace]
    opener: Opener

    def entered(self, action: Callable[[int], T]) -> tuple[T | None, str | None]:
        """Do something with a descriptor of it that enters it; None and why when that is not to be."""
        with self.opener.opened(self.namespace) as fd:
            if fd is None:
                return None, NOT_OPENED
            try:
                return action(fd), None
            except NotEnteredError as error:
                return None, error.reason
            except ChildProcessError as error:  # a visitor that could not even begin, as where Python is closed to us
                return None, printable(str(error))

    def read(self, *known: Iterable[int]) -> tuple[Any, str | None]:
        """Read its content as READINGS has it; where we may not enter, by way of the user namespace that owns it."""

        def act(fd: int) -> Any:
            try:
                return READINGS[self.namespace.kind.name](fd, *known)
            except NotEnteredError as refusal:
                try:
                    return read_by_owner(fd)
                except NotEnteredError:
                    raise refusal from None

        return self.entered(act)

    def dwelt(self, action: Callable[[PinnedProcess], T]) -> tuple[T | None, str | None]:
        """The same with a process that dwells there, for want of one whose files could be read."""

        def act(fd: int) -> T:
            with dwelling((fd,)) as process:
                return action(process)

        return self.entered(act)


def _user(asked: Asked) -> Inside:
    content, why = None, None
    with asked.opener.member(asked.namespace) as process:
        if process is not None:
            content = read_user(process)
    if content is None:
        content, why = asked.dwelt(read_user)
    content = content or UserContent(None, None, None)
    maps = (("uid", content.uid_map), ("gid", content.gid_map))
    rows = [
        (name, str(one.inside), "-" if one.outside is None else str(one.outside), str(one.count))
        for name, extents in maps
        for one in extents or ()
    ]
    notes = [f"{name} map: {'?' if extents is None else 'none yet'}" for name, extents in maps if not extents]
    allowed = {True: "allow", False: "deny", None: None}[content.setgroups]
    columns = (Column("MAP"), Column("INSIDE", right=True), Column("OUTSIDE", right=True), Column("COUNT", right=True))
    section = Section("id maps", columns, rows, (*notes, f"setgroups: {show(allowed)}", *because(why)))
    roots = [(f"{name} 0 inside is", _root_outside(extents)) for name, extents in maps if extents]
    return Inside((section, facts("root", roots)) if roots else (section,), {**asdict(content), "unknown_because": why})


def _root_outside(extents: tuple[Extent, ...]) -> str:
    """Word who root of a user namespace is for us."""
    number = outside(extents, 0)
    return "nobody we have an id for" if number is None else f"{number} outside"


def _uts(asked: Asked) -> Inside:
    names, why = asked.read()
    known = {"hostname": None, "domainname": None} if names is None else names._asdict()
    rows = [("host name", known["hostname"]), ("domain name", known["domainname"])]
    return Inside((facts("names", rows, why),), {**known, "unknown_because": why})


def _time(asked: Asked) -> Inside:
    offsets, why = _offsets_of_a_process(asked), None
    if offsets is None:
        offsets, why = asked.dwelt(lambda process: read_offsets(process, asked.namespace.inode))
    known = {"monotonic_ns": None, "boottime_ns": None} if offsets is None else asdict(offsets)
    rows = [(name.removesuffix("_ns"), None if value is None else seconds(value)) for name, value in known.items()]
    return Inside((facts("offsets of the clocks", rows, why),), {**known, "unknown_because": why})


def _offsets_of_a_process(asked: Asked) -> TimeOffsets | None:
    inode = asked.namespace.inode
    for record in asked.snapshot.records.values():
        if record.time_for_children == inode:
            try:
                with PinnedProcess(record.pid, record.start_time) as process:
                    offsets = read_offsets(process, inode)
            except ProcessGoneError:
                continue
            if offsets is not None:
                return offsets
    return None


def seconds(nanoseconds: int) -> str:
    """Return an offset as signed seconds: ``+86400 s``, ``-1.5 s``."""
    whole, rest = divmod(abs(nanoseconds), 1_000_000_000)
    sign = "-" if nanoseconds < 0 else "+"
    return f"{sign}{whole}{f'.{rest:09}'.rstrip('0') if rest else ''} s"


def _pid(asked: Asked) -> Inside:
    content, records = read_pid(asked.namespace.inode, asked.namespace.members, asked.snapshot), asked.snapshot.records
    init = None if content.init is None else f"{content.init} {records[content.init].comm}"
    first = None if content.init is None else Lead("process", content.init)
    sections = [replace(facts("first process", [("init", init)]), leads=(first,))]
    if any(numbers is None or len(numbers) > 1 for numbers in content.numbers.values()):
        rows = [
            (str(pid), "?" if numbers is None else "/".join(map(str, numbers)), records[pid].comm)
            for pid, numbers in content.numbers.items()
        ]
        columns = (Column("PID", right=True), Column("NUMBERS"), Column("COMMAND", gives=True))
        title = "pids in every pid namespace, from ours down to this one"
        sections.append(Section(title, columns, rows, leads=[Lead("process", pid) for pid in content.numbers]))
    members = [{"pid": pid, "pids": numbers} for pid, numbers in content.numbers.items()]
    return Inside(sections, {"init": content.init, "members": members})


def _ipc(asked: Asked) -> Inside:
    return ipc_words.shown(*asked.read())


def _network(asked: Asked) -> Inside:
    content, why = asked.read(asked.opener.each("network"))
    if content is None:
        with asked.opener.member(asked.namespace) as process:
            content = network_content.read_through(process, why)
    owners = find_owners({one.inode for one in content.sockets or ()}, asked.snapshot.records.values())
    names = network_content.names_in_run().get(asked.namespace.inode, ())
    called = {one.inode: one.name for one in asked.found.values() if one.kind is asked.namespace.kind}
    nsid, _ = asked.entered(network_content.number_here)
    return network_words.shown(content, asked.namespace.inode, network_words.Names(names, nsid), owners, called)


def _mount(asked: Asked) -> Inside:
    with asked.opener.opened(asked.namespace) as fd, asked.opener.member(asked.namespace) as process:
        return mounts_inside(fd, process, asked.snapshot)


def _cgroup(asked: Asked) -> Inside:
    with asked.opener.opened(asked.namespace) as fd:
        return cgroup_inside(fd, asked.namespace.members, asked.snapshot.records)


READERS: Mapping[str, Reader] = {
    "cgroup": _cgroup,
    "ipc": _ipc,
    "mount": _mount,
    "network": _network,
    "pid": _pid,
    "time": _time,
    "user": _user,
    "uts": _uts,
}
"""By the OCI name of the kind."""
