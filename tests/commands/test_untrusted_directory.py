"""nsview is started, as root often, in any directory: nothing that lies there is run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nsview.labs.table import LABS

NSVIEW = Path(sys.executable).with_name("nsview")
PROGRAMS = {f"lab {lab.name}": ("lab", lab.name) for lab in LABS}
PROGRAMS["ns"] = ("ns", str(os.stat("/proc/self/ns/uts").st_ino))
"""Those that start a Python of their own."""


@pytest.mark.needs("root")
@pytest.mark.parametrize("words", PROGRAMS.values(), ids=PROGRAMS)
def test_modules_in_the_directory_one_stands_in_are_not_imported(words: tuple[str, ...], tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    here = tmp_path / "here"
    for module in ("nsview/__init__.py", "spawner/__init__.py", "json.py", "signal.py"):
        (here / module).parent.mkdir(parents=True, exist_ok=True)
        (here / module).write_text(f"open({str(marks)!r}, 'a').write({module!r})\nraise SystemExit(3)\n")
    done = subprocess.run([NSVIEW, *words], cwd=here, capture_output=True, text=True, check=False)
    assert not marks.exists(), marks.read_text()
    assert done.returncode == 0, done.stdout + done.stderr
