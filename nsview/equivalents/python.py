"""A Python program that launches a Spec by spawner: the Spec as a literal, exact."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from typing import Any

from nsview.equivalents import shell
from nsview.equivalents.account import Account, default_of, items
from nsview.equivalents.equivalent import Caller, Equivalent, equivalent
from spawner import Spec, Stdio

_IN_SPAWNER = ("IDMapping", "Mechanism", "Spec", "Stdio", "TimeOffset")
_WIDTH = 96

_PLAIN = """\
with launch(spec{network}) as child:
    ended = child.wait()
sys.exit(ended.status)
"""

_PTY = """\
with launch(spec{network}) as child:
    ended = relay(child, None)
sys.exit(ended.status)
"""

_PIPES = """\
with launch(spec{network}) as child:
    child.close_stream("stdin")
    with open(child.stdout, "rb", closefd=False) as output:
        sys.stdout.buffer.write(output.read())
    ended = child.wait()
sys.exit(ended.status)
"""

_ENDS = {Stdio.PTY: _PTY, Stdio.PIPE: _PIPES}


def write(spec: Spec, caller: Caller) -> Equivalent:
    """Put a Spec into Python."""
    account = Account(spec, "Python")
    account.said(*(item.path for item in items(spec)))
    used: set[str] = {"Spec"}
    literal = _spec(spec, caller, used)
    modules = {"sys"}
    if "signal." in literal:
        modules.add("signal")
    if "os.environ" in literal:
        modules.add("os")
    lines = [f"import {name}" for name in sorted(modules)]
    lines.append("")
    if spec.stdio is Stdio.PTY:
        lines.append("from nsview.commands.pty_relay import relay")
    if spec.veth is not None:
        lines.append("from nsview.network import Connector")
    lines.append(f"from spawner import {', '.join(sorted(used & {*_IN_SPAWNER}))}, launch")
    if inside := sorted(used - {*_IN_SPAWNER}):
        lines.append(f"from spawner.oci import {', '.join(inside)}")
    end = _ENDS.get(spec.stdio, _PLAIN).format(network=", network=Connector()" if spec.veth else "")
    return equivalent("\n".join([*lines, "", f"spec = {literal}", "", end]), account)


def _spec(spec: Spec, caller: Caller, used: set[str]) -> str:
    parts = []
    for each in fields(Spec):
        value = getattr(spec, each.name)
        if default_of(each) is not MISSING and value == default_of(each):
            continue
        if each.name == "env":
            shown = _environment(value, caller)
        elif each.name in ("pdeathsig", "exit_signal") and value in set(signal.Signals):
            shown = f"signal.{signal.Signals(value).name}"
        elif each.name == "clone_flags":
            shown = hex(value)
        else:
            shown = literal_of(value, used, 4)
        parts.append(f"    {each.name}={shown},\n")
    return f"Spec(\n{''.join(parts)})"


def _environment(env: tuple[tuple[str, str], ...], caller: Caller) -> str:
    """The caller's with what differs, where that says it in fewer words."""
    gone, changed, empty = shell.environment_changes(env, caller.environment)
    if empty or len(dict(env)) != len(env):
        return literal_of(env, set(), 4)
    kept = "os.environ"
    if gone:
        kept = f"{{name: os.environ[name] for name in os.environ if name not in {tuple(sorted(gone))!r}}}"
    return f"tuple(({kept} | {dict(changed)!r}).items())" if changed else f"tuple({kept}.items())"


def literal_of(value: Any, used: set[str], indent: int) -> str:
    """Python that makes this value again; ``used`` collects the classes it names."""
    if isinstance(value, Enum):
        used.add(type(value).__name__)
        return f"{type(value).__name__}.{value.name}"
    if is_dataclass(value) and not isinstance(value, type):
        used.add(type(value).__name__)
        parts = [
            f"{each.name}={literal_of(getattr(value, each.name), used, indent + 4)}"
            for each in fields(value)
            if default_of(each) is MISSING or getattr(value, each.name) != default_of(each)
        ]
        return _enclosed(f"{type(value).__name__}(", parts, ")", indent)
    if isinstance(value, frozenset):
        parts = [literal_of(one, used, indent + 4) for one in sorted(value)]
        return _enclosed("frozenset({", parts, "})", indent) if parts else "frozenset()"
    if isinstance(value, tuple):
        parts = [literal_of(one, used, indent + 4) for one in value]
        return f"({parts[0]},)" if len(parts) == 1 else _enclosed("(", parts, ")", indent)
    shown = repr(value)
    return f'"{shown[1:-1]}"' if isinstance(value, str) and not set(value) & set("\"'") else shown


def _enclosed(begin: str, parts: Iterable[str], end: str, indent: int) -> str:
    found = [*parts]
    one = f"{begin}{', '.join(found)}{end}"
    if len(one) + indent <= _WIDTH and "\n" not in one:
        return one
    inner = "".join(f"{' ' * (indent + 4)}{part},\n" for part in found)
    return f"{begin}\n{inner}{' ' * indent}{end}"
