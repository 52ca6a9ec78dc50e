"""The probes of ``nsview doctor``: one table; each looks at one thing and says what this machine allows.

Features are tried, never deduced from the kernel's version: kernels are patched, and containers filter calls.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from nsview.commands import doctor_calls as calls
from nsview.commands import doctor_causes as causes
from nsview.commands import doctor_launching as launching
from nsview.commands import doctor_watching as watching
from nsview.commands.doctor_finding import Finding, State
from spawner.namespaces import KINDS


@dataclass(frozen=True, slots=True)
class Probe:
    """One thing looked at."""

    name: str
    look: Callable[[], Finding]


PROBES: tuple[Probe, ...] = (
    Probe("kernel", launching.kernel),
    Probe("architecture", launching.architecture),
    Probe("privileges", launching.privileges),
    Probe("clone3", launching.clone3),
    Probe("pidfd", launching.pidfd),
    Probe("system calls", calls.system_calls),
    *(Probe(f"{kind.name} namespace", partial(launching.namespace, kind)) for kind in KINDS),
    Probe("namespace limits", causes.namespace_limits),
    Probe("unprivileged user namespaces", launching.unprivileged_user_namespaces),
    Probe("subordinate ids", causes.subordinate_ids),
    Probe("setgroups", causes.setgroups),
    Probe("root directory", causes.root_directory),
    Probe("mount limit", causes.mount_limit),
    Probe("fresh /proc", launching.fresh_proc),
    Probe("overlayfs", causes.overlayfs),
    Probe("/proc", watching.proc),
    Probe("kcmp", watching.kcmp),
    Probe("cgroups", watching.cgroups),
    Probe("own control groups", causes.own_control_groups),
    Probe("security modules", watching.security_modules),
    Probe("landlock", watching.landlock),
    Probe("seccomp", watching.seccomp),
    Probe("libseccomp", causes.libseccomp),
    Probe("veth", causes.veth),
    Probe("masquerade", causes.masquerade),
    Probe("BPF iterator", watching.bpf_iterator),
    Probe("process events", watching.process_events),
    Probe("taskstats", watching.taskstats),
    Probe("pseudo-terminals", launching.pseudo_terminals),
    Probe("open files", watching.open_files),
    Probe("hard limits", causes.hard_limits),
)


def look(probe: Probe) -> Finding:
    """Run one probe; what it could not find out for a reason it does not know of is ``unknown``."""
    try:
        return probe.look()
    except OSError as error:
        return Finding(State.UNKNOWN, str(error))
