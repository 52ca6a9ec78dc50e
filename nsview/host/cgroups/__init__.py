"""Control groups as they are: hierarchies of version 1 and 2, the tree of groups, limits, usage, pressure, freezer."""

from nsview.host.cgroups.facts import FACTS, Fact
from nsview.host.cgroups.hierarchies import Hierarchy, hierarchies
from nsview.host.cgroups.tree import Group, read_tree
from nsview.host.cgroups.values import MAX, Pressure, Quota, Stall

__all__ = ["FACTS", "MAX", "Fact", "Group", "Hierarchy", "Pressure", "Quota", "Stall", "hierarchies", "read_tree"]
