"""Children in control groups, on whatever hierarchies this machine has: all of them, or version 1's alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from running import shell

from spawner import Child, Plan, Spec, compile_spec, launch
from spawner.cgroups.hierarchies import Hierarchy, hierarchies, parse_groups
from spawner.kernel import facts
from spawner.oci import Cgroup, Resources
from spawner.parts.limits_facts import with_limits

HERE = hierarchies()
_VERSION_1 = tuple(each for each in HERE if not each.unified)

LAYOUTS: dict[str, tuple[Hierarchy, ...]] = {"as it is": HERE}
"""The hierarchies that a launch is told of. A hybrid machine can be taken for one of version 1."""

if any("freezer" in each.controllers for each in _VERSION_1) and len(_VERSION_1) < len(HERE):
    LAYOUTS["version 1 alone"] = _VERSION_1


def planned(spec: Spec, layout: str = "as it is", *, hold: bool = False) -> Plan:
    """The plan for a Spec on a machine that has only these hierarchies."""
    given = with_limits(spec, facts())
    return compile_spec(spec, hold=hold, given=replace(given, cgroups=LAYOUTS[layout]))


def grouped(script: str, name: str | None = None, /, **fields: object) -> Spec:
    """A Spec of a shell script in a group of its own; what is no field of a Spec is a limit."""
    limits = {key: fields.pop(key) for key in ("memory", "pids", "cpus", "io_max") if key in fields}
    return shell(script, cgroup=Cgroup(name=name, resources=Resources(**limits)), **fields)  # type: ignore[arg-type]


def waiting(layout: str = "as it is", **fields: object) -> Child:
    """A child in a group that does nothing until its standard input ends."""
    return launch(planned(grouped("read line", **fields), layout))


def groups_of(pid: int) -> dict[str, str]:
    """The groups of a process by hierarchy."""
    with open(f"/proc/{pid}/cgroup") as file:
        return parse_groups(file.read())


def content(child: Child, file: str) -> str:
    """A file of the child's group, in whichever hierarchy has it."""
    assert child.cgroup is not None
    for directory in child.cgroup.paths.values():
        if os.path.exists(path := os.path.join(directory, file)):
            with open(path) as opened:
                return opened.read().strip()
    raise AssertionError(f"no hierarchy has {file}")


def either(child: Child, unified: str, version_1: str) -> str:
    """A file by its name in version 2, or in version 1 where that has the controller."""
    assert child.cgroup is not None
    exists: Callable[[str], bool] = lambda name: any(  # noqa: E731
        os.path.exists(os.path.join(directory, name)) for directory in child.cgroup.paths.values()
    )
    return content(child, unified if exists(unified) else version_1)
