"""The same launch many times over, for its medians: what is launched then, and why it may not be. Pure."""

from __future__ import annotations

from dataclasses import replace

from spawner import Spec

COUNT = 20
"""Launches of each Spec: one run is noise, and twenty are done before a person grows impatient."""

PROGRAM = "true"

WHAT = f"each with `{PROGRAM}` in the program's place, ended as soon as it began to run"


def probe_of(spec: Spec) -> Spec:
    """Return the same launch of a program that does nothing: the person's own would do its work twenty times."""
    return replace(spec, args=(PROGRAM,), argv0=None)


def obstacle(spec: Spec) -> str:
    """Say why a Spec is not for launching many times; empty where it is."""
    if spec.keep:
        return "it keeps its namespaces by bind mounts, which only one launch can make"
    if spec.cgroup is not None and spec.cgroup.name is not None:
        return f"it names its control group {spec.cgroup.name}, which only one launch at a time can have"
    if spec.veth is not None:
        return "it makes a network link with addresses, which only one launch at a time can have"
    return ""
