"""Advice is made of the tables that a launch is checked by, and of nothing else."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import replace
from itertools import combinations

import pytest

from nsview import options
from nsview.advice import advice as module
from nsview.advice.advice import Advice, advise
from nsview.advice.wants import WANTS, Asker, UnknownWant, find
from nsview.advice.words import command_of
from nsview.cli import Parser
from nsview.commands import run as run_command
from spawner import IDMapping, Mechanism, Spec
from spawner.flags import bits
from spawner.mechanism import OWN, WAYS
from spawner.rules import RULES

ASKER = Asker(uid_lines=(IDMapping(0, 100000, 65536),), gid_lines=(IDMapping(0, 100000, 65536),))


def on(*names: str, asker: Asker = ASKER) -> Advice:
    return advise([find(name) for name in names], asker)


def parsed(command: str) -> tuple[Spec, bool]:
    """What `nsview run` makes of the line, and whether it is to be stepped through."""
    words = shlex.split(command.replace("\\\n", ""))
    assert words[:2] == ["nsview", "run"]
    subparsers = Parser(prog="nsview").add_subparsers(parser_class=Parser)
    run_command.add_parser(subparsers)
    asked: argparse.Namespace = subparsers.choices["run"].parse_args(run_command.prepare(words[2:]))
    return options.spec_of(asked), asked.step


@pytest.mark.parametrize("want", WANTS, ids=lambda want: want.name)
def test_every_want_alone_can_be_had_and_every_way_is_judged(want) -> None:
    advice = on(want.name)
    assert advice.plan is not None, advice.problems
    ways = [advice.plan.mechanism, *(each.way for each in advice.turned)]
    assert sorted(ways) == sorted(way for way in Mechanism if way is not Mechanism.AUTO)
    assert all(problem.rule for each in advice.rejected for problem in each.problems)


@pytest.mark.parametrize("pair", list(combinations([want.name for want in WANTS], 2)), ids="+".join)
def test_two_wants_are_served_or_it_is_said_why_not(pair) -> None:
    advice = on(*pair)
    assert (advice.plan is None) == bool(advice.problems)
    if advice.plan is None:
        assert all(problem.message and problem.remedy for problem in advice.problems)
        return
    told = sum(reason.flag.bit for reason in advice.flags)
    wanted = find(pair[0]).flags | find(pair[1]).flags
    assert told & wanted == wanted
    assert told & advice.plan.clone_flags == advice.plan.clone_flags
    for reason in advice.flags:
        assert reason.why
        assert reason.wanted_by or reason.flag.bit in OWN
    command = command_of(advice, ASKER)
    if command is not None:
        assert parsed(command) == (advice.spec, advice.hold)


def test_what_the_kernel_refuses_together_is_told_by_its_rule() -> None:
    advice = on("share-directory", "own-mounts")
    (problem,) = advice.problems
    rule = next(rule for rule in RULES if rule.name == "fs-across-mounts")
    assert (problem.rule, problem.errno, problem.remedy) == (rule.name, rule.errno, rule.remedy)
    assert rule.why in problem.message


def test_a_table_that_says_otherwise_changes_the_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    assert on("fast").possible
    table = {way: replace(row, shares=False, flags=0) for way, row in WAYS.items()}
    monkeypatch.setattr(module, "WAYS", table)
    assert any("fast cannot be had" in warning for warning in on("fast").warnings)


def test_sharing_that_execve_ends_goes_with_no_program_and_no_set_up() -> None:
    for names in (("share-files", "program"), ("share-memory", "root-inside"), ("thread-like", "limits")):
        assert {problem.rule for problem in on(*names).problems} == {"execve-ends-sharing"}
    assert on("share-files", "own-hostname").plan is not None


def test_ways_are_rejected_by_the_limits_of_the_table() -> None:
    rejected = {each.way: {problem.rule for problem in each.problems} for each in on("own-hostname", "hold").rejected}
    assert rejected[Mechanism.FORK] == {"way-makes-no-namespaces"}
    assert rejected[Mechanism.VFORK] == {"way-makes-no-namespaces", "way-cannot-hold"}
    assert Mechanism.FORK_UNSHARE not in rejected
    assert Mechanism.FORK_UNSHARE in {each.way for each in on("own-hostname", "fast").rejected}


def test_without_privilege_a_user_namespace_comes_with_any_other() -> None:
    asker = replace(ASKER, privileged=False, uid=1000, gid=1000)
    advice = on("own-network", asker=asker)
    assert [(each.want.name, each.rule.name) for each in advice.added] == [("root-inside", "privilege")]
    assert advice.plan is not None
    assert advice.plan.clone_flags & bits("NEWUSER", "NEWNET") == bits("NEWUSER", "NEWNET")
    assert on("own-network").added == ()
    assert on("limits", asker=asker).added == ()


def test_without_control_groups_limits_are_each_process_and_that_is_said() -> None:
    advice = on("limits", asker=replace(ASKER, cgroups=False))
    assert advice.spec.cgroup is None
    assert advice.spec.rlimits
    assert any("no control group" in warning for warning in advice.warnings)


def test_id_maps_of_every_id_are_warned_of() -> None:
    assert not on("id-maps").warnings
    every = replace(ASKER, uid_lines=(IDMapping(0, 0, 4294967295),), gid_lines=(IDMapping(0, 0, 4294967295),))
    assert any("root inside is root outside" in warning for warning in on("id-maps", asker=every).warnings)


def test_order_and_repetition_of_wants_do_not_matter_to_the_launch() -> None:
    one, two = on("root-inside", "id-maps", "own-pids"), on("own-pids", "id-maps", "root-inside", "own-pids")
    assert (one.spec, one.plan) == (two.spec, two.plan)
    assert len(two.wants) == 3


@pytest.mark.parametrize(
    ("name", "match"), [("own-host", "own-hostname"), ("trhead-like", "thread-like"), ("hostname", "own-hostname")]
)
def test_an_unknown_want_is_told_with_what_it_may_have_been_meant_to_be(name: str, match: str) -> None:
    with pytest.raises(UnknownWant) as caught:
        find(name)
    assert match in caught.value.matches
    assert f"did you mean {caught.value.matches[0]}" in str(caught.value)
    with pytest.raises(UnknownWant):
        find("")
