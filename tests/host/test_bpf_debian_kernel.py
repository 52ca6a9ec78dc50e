"""The task iterator under Debian 12's own kernel (6.1), which keeps memory counts otherwise, in an emulated machine."""

from __future__ import annotations

import faulthandler
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
TESTS = (
    "test_bpf_agreement.py::test_both_say_the_same_of_a_busy_machine",
    "test_bpf_fallback.py::test_without_capabilities_proc_is_read",
)


@pytest.mark.needs("vm", "libbpf")
def test_both_producers_say_the_same_there() -> None:
    faulthandler.cancel_dump_traceback_later()  # pytest's own, for a test that hangs: this one takes its time
    tests = [str((HERE / test).relative_to(CHECKOUT)) for test in TESTS]
    pytest_there = ["env", "NSVIEW_NO_SKIP=1", "NSVIEW_AGREEMENT_ROUNDS=5", sys.executable, "-m", "pytest"]
    options = ["-p", "no:cacheprovider", "-o", "faulthandler_timeout=0", "-q", "--tb=short"]
    command = [sys.executable, str(CHECKOUT / "tests/vm/run"), "--timeout", "600", "--exec"]
    command += [*pytest_there, *options, *tests]
    done = subprocess.run(command, capture_output=True, text=True, timeout=700, check=False)
    assert done.returncode == 0, done.stdout[-10000:] + done.stderr
    assert "2 passed" in done.stdout
