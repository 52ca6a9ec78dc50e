"""The engine under Debian 12's own kernel, with cgroup v2 alone: its tests are run there, in an emulated machine.

What they skip there for want of a feature is told in the output; a failure there is a failure here.
"""

from __future__ import annotations

import faulthandler
import os
import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("run")
CHECKOUT = RUN.parents[2]
ENGINE = CHECKOUT / "tests/spawner"

ON_THE_HOSTS_FILES = (
    "test_namespaces.py",
    "test_time_at_execve.py",
    "test_flag_rules.py",
    "test_hold.py",
    "test_init_reaper.py",
    "test_traps_time.py",
    "test_traps_mounts.py",
    "test_traps_proc_and_pid1.py",
    "test_cgroup_*.py",
    "test_limits_*.py",
    "test_files_[dopt]*.py",
    "test_root_*.py",
    "test_security_*.py",
    "test_seccomp_filters.py",
    "test_landlock.py",
    "test_join.py",
    "test_keep.py",
    "test_network.py",
)
"""What depends on the kernel; the rest of the engine's tests takes longer there than it tells."""

ON_AN_INITRAMFS = ("test_root_*.py", "test_files_tree.py", "test_traps_mounts.py")
"""What depends on the root being attached to something, or not."""


def run(*arguments: str, timeout: float = 2500) -> subprocess.CompletedProcess[str]:
    """Run tests/vm/run, but let what is skipped there be skipped: an older kernel lacks what it lacks."""
    env = {name: value for name, value in os.environ.items() if name != "NSVIEW_NO_SKIP"}
    command = [str(CHECKOUT / ".venv/bin/python"), str(RUN), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, env=env)


LABS = CHECKOUT / "tests/labs"


def chosen(patterns: tuple[str, ...]) -> list[str]:
    found = [str(path.relative_to(CHECKOUT)) for pattern in patterns for path in sorted(ENGINE.glob(pattern))]
    assert found
    return found


@pytest.mark.needs("vm")
def test_the_labs_are_answered_as_expected_there(capsys: pytest.CaptureFixture[str]) -> None:
    faulthandler.cancel_dump_traceback_later()
    files = [str(path.relative_to(CHECKOUT)) for path in sorted(LABS.glob("test_lab_*.py"))]
    assert files
    done = run("--timeout", "2400", "-m", "answers", "-q", "--tb=short", "--durations=8", *files)
    with capsys.disabled():
        print(f"\n{done.stdout[done.stdout.rfind('short test summary') :]}")
    assert done.returncode == 0, done.stdout[-20000:] + done.stderr


@pytest.mark.needs("vm")
@pytest.mark.parametrize(("root", "patterns"), [("host", ON_THE_HOSTS_FILES), ("initramfs", ON_AN_INITRAMFS)])
def test_the_engines_tests_pass_there(root: str, patterns: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    faulthandler.cancel_dump_traceback_later()  # pytest's own, for a test that hangs: this one takes its time
    done = run("--root", root, "--timeout", "2400", "-q", "--tb=short", "--durations=10", *chosen(patterns))
    with capsys.disabled():
        print(f"\n{done.stdout[done.stdout.rfind('short test summary') :]}")
    assert done.returncode == 0, done.stdout[-20000:] + done.stderr


@pytest.mark.needs("vm")
def test_it_is_another_kernel_with_cgroup_v2_alone() -> None:
    script = "uname -r; cat /proc/self/cgroup; cat /sys/fs/cgroup/cgroup.controllers; exit 7"
    done = run("--timeout", "120", "--exec", "sh", "-c", script, timeout=180)
    release, group, controllers = done.stdout.splitlines()
    assert release.endswith("-amd64")
    assert release != os.uname().release
    assert group == "0::/session"
    assert {"memory", "pids", "cpu", "io"} <= set(controllers.split())
    assert (done.returncode, done.stderr) == (7, "")


@pytest.mark.needs("vm")
def test_nothing_is_written_to_the_host(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("as it was")
    script = f"echo changed >{tmp_path}/kept; echo new >{tmp_path}/new; rm -r {tmp_path}; cat /root-is 2>&1"
    done = run("--timeout", "120", "--root", "initramfs", "--exec", "sh", "-c", script, timeout=180)
    assert (done.returncode, done.stdout) == (0, "initramfs\n")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept").read_text() == "as it was"


@pytest.mark.needs("vm")
def test_a_command_that_takes_too_long_is_ended_with_its_machine() -> None:
    done = run("--timeout", "20", "--exec", "sleep", "1000", timeout=60)
    assert done.returncode == 124
    assert "no end within 20 s" in done.stderr
