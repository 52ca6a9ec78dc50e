"""The parts of a plan, in the order in which the child goes through them: each adds its steps to a draft.

What the order rests on: a cgroup is entered before a cgroup namespace is made; id maps before anything that needs the
ids; /proc/self/ns opened before mounts can hide it and read after the last change; what needs privilege before
credentials and capabilities go; limits late, for they would hold for the set-up too; descriptors 0 to 2 late, so that
nothing opened on the way lands there; PR_SET_PDEATHSIG after the last change of credentials, which clears it; the
reaper before the filters and capabilities that are for the program; the signal mask when no handler of ours is left to
run; seccomp last, for it would filter the set-up too.
"""

from __future__ import annotations

from collections.abc import Callable

from spawner.draft import Draft
from spawner.parts import (
    cgroup,
    credentials,
    descriptors,
    files,
    ids,
    joining,
    keeping,
    landlock,
    life,
    limits,
    namespaces,
    network,
    seccomp,
    security,
    system,
)

SECTIONS: tuple[Callable[[Draft], None], ...] = (
    descriptors.own_descriptors,
    limits.oom_score,
    cgroup.enter,
    joining.join,
    namespaces.namespaces_by_unshare,
    cgroup.namespace,
    namespaces.open_namespace_links,
    ids.ids,
    system.names,
    network.loopback,
    network.veth,
    system.time,
    files.mounts,
    keeping.keep,
    files.directory,
    life.session,
    limits.scheduling,
    security.bounding_set,
    credentials.credentials,
    limits.rlimits,
    security.no_new_privs,
    landlock.restrict,
    namespaces.read_back,
    descriptors.stdio,
    life.parent,
    life.init,
    life.reaper,
    seccomp.privileged_filters,
    security.capabilities,
    life.signals,
    seccomp.filters,
    life.exec,
)
