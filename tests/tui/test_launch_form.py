"""From the launch panel's form to a Spec and a Plan: pure values, nothing launched."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from nsview.tui.launching.form import Form, FormError, Ids, Origin, filled, hold_before, outlook, spec_of, words
from nsview.tui.launching.presets import DAY, PRESETS
from spawner import IDMapping, Mechanism, Stdio, TimeOffset
from spawner.namespaces import KINDS

ROOT = Origin(env={"PATH": "/bin:/usr/bin", "LINES": "5", "NO_COLOR": "1"})
ME = os.geteuid()
USER = Origin(privileged=False, env={"PATH": "/bin"})


def test_command_line_is_split_as_a_shell_would() -> None:
    assert words("sh -c 'echo  two words' \"\"") == ("sh", "-c", "echo  two words", "")


@pytest.mark.parametrize(
    ("command", "remedy"),
    [("", "type a command"), ("   ", "type a command"), ("sh 'x", "end the quotation"), ("sh \\", "backslash")],
)
def test_unreadable_command_line_is_explained(command: str, remedy: str) -> None:
    with pytest.raises(FormError) as caught:
        words(command)
    assert remedy in caught.value.problems[0].remedy


def test_all_unreadable_fields_are_named_at_once() -> None:
    found = outlook(filled(Form(command="'"), {"--boottime": "soon", "--monotonic": "1.5"}), ROOT)
    assert len(found.problems) == 3
    assert found.plan is None
    assert set(found.wrong) == {"--boottime", "--monotonic"}
    assert found.wrong["--boottime"] == "'soon' is not a whole number of seconds"


def test_program_gets_a_terminal_of_its_own_and_dies_with_us() -> None:
    spec = spec_of(Form(), replace(ROOT, window=(30, 100)))
    assert spec.stdio is Stdio.PTY
    assert spec.window == (30, 100)
    assert spec.pdeathsig == 9
    assert dict(spec.env or ()) == {"PATH": "/bin:/usr/bin", "TERM": "xterm-256color", "COLORTERM": "truecolor"}


@pytest.mark.parametrize(
    ("ids", "maps"), [(Ids.ROOT, (IDMapping(0, ME),)), (Ids.SAME, (IDMapping(ME, ME),)), (Ids.NONE, ())]
)
def test_ids_are_mapped_into_a_user_namespace(ids: Ids, maps: tuple[IDMapping, ...]) -> None:
    assert spec_of(Form(namespaces=frozenset({"user"}), ids=ids), USER).uid_mappings == maps


def test_ids_are_not_mapped_without_a_user_namespace() -> None:
    assert spec_of(Form(ids=Ids.ROOT), ROOT).uid_mappings == ()


def test_offsets_may_go_back() -> None:
    spec = spec_of(Form(namespaces=frozenset({"time"})).put("--boottime", "-60"), ROOT)
    assert spec.time_offsets == (("boottime", TimeOffset(-60)),)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_every_preset_has_a_plan_for_root(preset: object) -> None:
    assert outlook(preset.form, ROOT).problems == ()  # type: ignore[attr-defined]


def test_presets_name_every_namespace_alone() -> None:
    alone = {preset.form.namespaces for preset in PRESETS if preset.name.startswith("only-")}
    assert alone == {frozenset({kind.name}) for kind in KINDS}


def test_a_day_ahead_is_a_day() -> None:
    (preset,) = (preset for preset in PRESETS if preset.name == "day-ahead")
    assert ("boottime", TimeOffset(DAY)) in spec_of(preset.form, ROOT).time_offsets


def test_without_privilege_the_user_namespace_is_suggested() -> None:
    found = outlook(Form(namespaces=frozenset({"uts"})), USER)
    assert found.plan is None
    assert any("pick user" in problem.remedy for problem in found.problems)
    assert outlook(Form(namespaces=frozenset({"uts", "user"})), USER).problems == ()


def test_hostname_without_a_uts_namespace_is_refused_with_the_remedy() -> None:
    (problem,) = outlook(Form().put("--hostname", "demo"), ROOT).problems
    assert "uts" in problem.message


def test_flags_the_kernel_refuses_are_explained() -> None:
    both = outlook(Form(namespaces=frozenset({"mount"}), clone_flags=0x200), ROOT)
    assert any("mount namespaces" in problem.message for problem in both.problems)


def test_hold_waits_before_the_first_exec_with_all_set_up() -> None:
    plan = outlook(Form(hold=True), ROOT).plan
    assert plan is not None
    assert plan.steps[hold_before(plan)].syscall == "execve"
    assert not any(step.syscall == "execve" for step in plan.steps[: hold_before(plan)])


def test_posix_spawn_gets_no_terminal() -> None:
    spec = spec_of(Form(via=Mechanism.POSIX_SPAWN), ROOT)
    assert spec.stdio is Stdio.NULL
    assert spec.pdeathsig is None
