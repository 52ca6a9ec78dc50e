"""A person is told why a test is skipped; where skipping is forbidden, every skip is a failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SKIPPING = {
    "a lacking program": "@pytest.mark.needs('tmux')\ndef test(): pass",
    "a skip inside": "def test(): pytest.skip('not today')",
    "a skipif": "@pytest.mark.skipif(True, reason='not today')\ndef test(): pass",
    "a module that lacks a module": "pytest.importorskip('no_such_module')\ndef test(): pass",
    "a fixture that skips": "@pytest.fixture\ndef it(): pytest.skip('not today')\ndef test(it): pass",
}


def outcome(directory: Path, source: str, *, no_skip: bool) -> tuple[int, str]:
    """Run pytest with our conftest on one test file, where no program is to be found."""
    (directory / "test_it.py").write_text(f"import pytest\n{source}\n")
    command = [sys.executable, "-m", "pytest", "-ra", "-p", "conftest", "--rootdir", str(directory), str(directory)]
    environment = {
        **os.environ,
        "PYTHONPATH": str(HERE),
        "PATH": "/nonexistent",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "NSVIEW_NO_SKIP": "1" if no_skip else "",
    }
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("source", SKIPPING.values(), ids=SKIPPING.keys())
def test_a_skip_is_a_failure_only_where_skipping_is_forbidden(tmp_path: Path, source: str) -> None:
    code, said = outcome(tmp_path, source, no_skip=False)
    assert code in (0, 5), said  # 5: the only module of the run was skipped as a whole
    assert " skipped" in said
    code, said = outcome(tmp_path, source, no_skip=True)
    assert code in (1, 2), said
    assert "which NSVIEW_NO_SKIP=1 forbids" in said


def test_the_reason_says_what_to_do(tmp_path: Path) -> None:
    _, said = outcome(tmp_path, SKIPPING["a lacking program"], no_skip=False)
    assert "needs tmux: apt install tmux" in said


def test_a_feature_that_is_not_in_the_table_is_refused(tmp_path: Path) -> None:
    code, said = outcome(tmp_path, "@pytest.mark.needs('teapot')\ndef test(): pass", no_skip=False)
    assert code == 4
    assert "needs 'teapot'" in said


def test_what_a_test_leaves_is_named(tmp_path: Path) -> None:
    source = "import os, sys\ndef test(nothing_left): sys.left = os.open('/dev/null', os.O_RDONLY)"
    code, said = outcome(tmp_path, source, no_skip=False)
    assert code == 1
    assert "left behind: fd " in said
    assert "-> /dev/null" in said
