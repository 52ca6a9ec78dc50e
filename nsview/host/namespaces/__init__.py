"""Namespaces: finding them all, how they relate, and what keeps each alive."""

from nsview.host.namespaces.discovery import STEPS, Discovery, StepReport, discover, search
from nsview.host.namespaces.membership import namespaces_of
from nsview.host.namespaces.namespace import WAYS, BindMount, Descriptor, Keepers, Namespace, Task

__all__ = [
    "STEPS",
    "WAYS",
    "BindMount",
    "Descriptor",
    "Discovery",
    "Keepers",
    "Namespace",
    "StepReport",
    "Task",
    "discover",
    "namespaces_of",
    "search",
]
