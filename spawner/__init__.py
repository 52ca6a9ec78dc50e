"""Launch a program in any namespaces, by any call that makes a process, whole or not at all.

from spawner import Spec, launch
with launch(Spec(args=("hostname",), namespaces=frozenset({"uts"}), hostname="demo")) as child:
    child.wait()

A name is imported when it is first asked for: who wants the table of namespaces need not wait for the engine.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spawner.child import Child
    from spawner.compile import compile_spec
    from spawner.errors import LaunchError, Problem, SpecError
    from spawner.exit import Exit
    from spawner.kernel import Facts
    from spawner.launching import launch
    from spawner.oci import IDMapping, TimeOffset
    from spawner.plan import Plan, Step
    from spawner.spec import Mechanism, Spec, Stdio
    from spawner.timeline import Event

__all__ = [
    "Child",
    "Event",
    "Exit",
    "Facts",
    "IDMapping",
    "LaunchError",
    "Mechanism",
    "Plan",
    "Problem",
    "Spec",
    "SpecError",
    "Stdio",
    "Step",
    "TimeOffset",
    "compile_spec",
    "launch",
]

_WHERE = {
    "Child": "child",
    "Exit": "exit",
    "compile_spec": "compile",
    "LaunchError": "errors",
    "Problem": "errors",
    "SpecError": "errors",
    "Facts": "kernel",
    "launch": "launching",
    "IDMapping": "oci",
    "TimeOffset": "oci",
    "Plan": "plan",
    "Step": "plan",
    "Mechanism": "spec",
    "Spec": "spec",
    "Stdio": "spec",
    "Event": "timeline",
}


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    return found
