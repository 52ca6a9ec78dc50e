"""Running nsview's command line as a user does."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any


def nsview(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run([sys.executable, "-m", "nsview", *words], capture_output=True, text=True)


def text_of(*words: str) -> list[str]:
    """The lines of a command that succeeds and says nothing on standard error."""
    done = nsview(*words)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def json_of(*words: str) -> Any:
    """The document of a command."""
    document = json.loads("\n".join(text_of(*words, "--json")))
    assert document["version"] == 1
    return document
