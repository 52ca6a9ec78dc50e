"""What a launch with limits must know of this process: the control group hierarchies, and how far limits may go."""

from __future__ import annotations

import resource
from dataclasses import replace

from spawner.cgroups.hierarchies import hierarchies
from spawner.kernel import Facts, into_cgroup
from spawner.parts.limits import RLIMITS
from spawner.spec import Spec


def with_limits(spec: Spec, facts: Facts) -> Facts:
    """The facts, with those that the limits of ``spec`` make matter."""
    if spec.cgroup is not None:
        facts = replace(facts, cgroups=hierarchies(), into_cgroup=facts.clone3_errno == 0 and into_cgroup())
    if spec.rlimits:
        names = sorted({limit.type for limit in spec.rlimits} & RLIMITS.keys())
        hard = ((name, resource.getrlimit(RLIMITS[name])[1]) for name in names)
        facts = replace(facts, hard_limits=tuple((name, most) for name, most in hard if most != resource.RLIM_INFINITY))
    return facts
