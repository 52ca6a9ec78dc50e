"""Launch a program in any namespaces, by any call that makes a process, whole or not at all.

from spawner import Spec, launch
with launch(Spec(args=("hostname",), namespaces=frozenset({"uts"}), hostname="demo")) as child:
    child.wait()
"""

from spawner.child import Child, Exit
from spawner.compile import compile_spec
from spawner.errors import LaunchError, Problem, SpecError
from spawner.kernel import Facts
from spawner.launch import launch
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
