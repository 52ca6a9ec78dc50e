"""What `import spawner` gives, and what it does not make anybody wait for."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import spawner


def test_every_name_is_there_and_is_what_its_module_has() -> None:
    for name in spawner.__all__:
        assert getattr(spawner, name) is getattr(import_module(f"spawner.{spawner._WHERE[name]}"), name)
    assert set(spawner.__all__) == set(spawner._WHERE)
    assert not hasattr(spawner, "launches")


def test_no_module_has_the_name_of_something_else_that_is_exported() -> None:
    """Importing it would put the module where the name was."""
    assert not set(spawner._WHERE) & set(spawner._WHERE.values())


def test_the_table_of_namespaces_comes_without_the_engine() -> None:
    program = "import sys, spawner.namespaces; print(*(name for name in sys.modules if name.startswith('spawner')))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {"spawner", "spawner.namespaces"}
