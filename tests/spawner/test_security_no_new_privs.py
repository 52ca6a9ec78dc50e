"""no_new_privs: set, read back, and what it is for."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from apart import NOBODY, apart, become_nobody
from running import output, shell

from spawner import LaunchError, Spec, Stdio, compile_spec, launch

FLAG = "grep NoNewPrivs /proc/self/status"


@pytest.mark.parametrize("wanted", [True, False])
def test_the_program_has_it_if_asked_for(wanted: bool) -> None:
    # runc tests/integration/capabilities.bats "runc run with new privileges", no_new_privs.bats
    ours = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())["NoNewPrivs"]
    assert output(shell(FLAG, no_new_privs=wanted)).split() == ["NoNewPrivs:", "1" if wanted else ours.strip()]


def test_it_goes_down_to_the_programs_own_children() -> None:
    assert output(shell(f"(:; {FLAG}); true", no_new_privs=True)).split()[1] == "1"


@pytest.mark.needs("root")
def test_a_set_user_id_program_gains_nothing(tmp_path: Path) -> None:
    program = tmp_path / "whoami"
    shutil.copy("/usr/bin/id", program)
    program.chmod(0o4755)
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_uid == 0 and path != Path("/") and not path.stat().st_mode & 1:
            path.chmod(path.stat().st_mode | 0o011)

    def as_nobody() -> list[str]:
        become_nobody()
        spec = Spec(args=(str(program), "-u"), stdio=Stdio.PIPE)
        return [output(replace(spec, no_new_privs=wanted)).strip() for wanted in (False, True)]

    assert apart(as_nobody) == ["0", str(NOBODY)]


@pytest.mark.usefixtures("nothing_left")
def test_a_kernel_that_says_otherwise_ends_the_launch() -> None:
    plan = compile_spec(shell(FLAG, no_new_privs=True))
    steps = tuple(
        replace(step, syscall="getpid", args=()) if step.label == "no_new_privs" else step for step in plan.steps
    )
    with pytest.raises(LaunchError) as error:
        launch(replace(plan, steps=steps))
    assert error.value.step == "read back no_new_privs"
    assert error.value.cause == "1 was asked for, the kernel says 0"


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("label", ["no_new_privs", "read no_new_privs"])
def test_a_refused_step_leaves_nothing(label: str) -> None:
    with pytest.raises(LaunchError) as error:
        launch(shell("true", no_new_privs=True), inject=(label, 22))
    assert error.value.step == label
    assert error.value.cause == "this kernel has no no_new_privs"


def test_a_launch_without_it_has_no_step_for_it() -> None:
    assert not [step for step in compile_spec(shell("true")).steps if step.syscall == "prctl"]
