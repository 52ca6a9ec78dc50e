"""The lab of the eight namespaces: what each hides and leaks, by the kernel's word, and both ways into them."""

from __future__ import annotations

import errno
import json
import os
import signal
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest
from leftovers import Census
from nobody import Runner

from nsview.cli import main
from nsview.labs.isolation import asking, costs, experiment, looks, room, ways
from nsview.labs.lab import Finding, Report, Scene, Setting, Verdict
from nsview.labs.running import begin, perform
from nsview.labs.table import find
from spawner import LaunchError, Mechanism
from spawner.flags import BY_NAME as FLAG
from spawner.namespaces import BY_NAME, KINDS

LAB = find("isolation")

pytestmark = pytest.mark.needs("userns")

SEEN = {
    f"{kind.name}.{part}"
    for kind in KINDS
    for part in (
        *("namespace", "namespace.control"),
        *(f"{key}{end}" for key in looks.LOOKS[kind.name].hides for end in ("", ".control")),
        *looks.LOOKS[kind.name].leaks,
    )
}
STEPS = {
    *(f"{way}.{what}" for way in ("fork", "clone3", "fork-unshare") for what in ("first", "calls", "last")),
    *("unshare.itself", "unshare.children", "unshare.second-fork"),
    *("user.unmapped", "time.frozen", "time.frozen.control"),
}


@pytest.fixture(scope="module")
def report() -> Report:
    census = Census()
    patch = pytest.MonkeyPatch()
    patch.setattr(costs, "ROUNDS", 2)
    try:
        found = perform(LAB, Setting())
    finally:
        patch.undo()
    assert census.difference() == []
    return found


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "measured", lambda _stand_in, _rounds: iter(()))


@pytest.fixture
def kinds_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "compared", lambda _stand_in, _setting: iter(()))


def answers(report: Report) -> dict[str, str]:
    return {each.key: each.answered for each in report.findings}


def verdicts(report: Report) -> dict[str, Verdict]:
    return {each.key: each.verdict for each in report.judged}


@pytest.mark.needs("root", "time_namespace")
def test_every_question_on_namespaces_is_answered_as_the_tables_say(report):
    assert report.error is None
    assert len(verdicts(report)) == len(report.judged)
    assert {each.key for each in report.findings} == SEEN | STEPS
    assert {key for key, verdict in verdicts(report).items() if verdict is not Verdict.AS_EXPECTED} == set()


@pytest.mark.parametrize("kind", ["mount", "network", "pid", "user", "uts", "ipc"])
def test_what_a_namespace_hides_is_seen_without_its_flag_and_something_leaks(kind: str, report: Report):
    said = answers(report)
    for key, look in looks.LOOKS[kind].hides.items():
        assert (said[f"{kind}.{key}"], said[f"{kind}.{key}.control"]) == (look.apart, look.one)
        assert look.apart != look.one
    for key, leak in looks.LOOKS[kind].leaks.items():
        assert said[f"{kind}.{key}"] == leak.one


def test_the_words_of_each_look_are_in_the_table_of_kinds():
    assert looks.LOOKS.keys() == BY_NAME.keys()
    for kind in KINDS:
        assert all(look.of in kind.isolates for look in looks.LOOKS[kind.name].hides.values())
        assert all(look.of in kind.still_shared for look in looks.LOOKS[kind.name].leaks.values())
        assert FLAG[kind.flag_name].still_shared == kind.still_shared


@pytest.mark.parametrize(
    ("field", "key"), [("isolates", "uts.hides"), ("still_shared", "uts.leaks")], ids=["isolates", "still shared"]
)
def test_a_table_of_kinds_that_says_otherwise_is_told(field: str, key: str, monkeypatch, kinds_alone, capsys):
    wrong = replace(BY_NAME["uts"], **{field: "Nothing."})
    monkeypatch.setattr(experiment, "KINDS", (wrong,))
    assert main(["lab", "isolation", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["failed"]
    assert told["error"] is None
    assert {each["key"] for each in told["findings"] + told["conclusions"] if each["verdict"] == "otherwise"} == {
        key,
        "each-namespace-hides-one-kind-of-thing" if field == "isolates" else "no-namespace-isolates-everything",
    }


def test_a_child_is_born_in_its_namespaces_by_clone3_and_moves_there_by_unshare(report):
    said = answers(report)
    assert said["fork.first"] == said["fork-unshare.first"] == said["fork.last"] == "new: none"
    assert said["clone3.first"] == said["clone3.last"] == said["fork-unshare.last"] == "new: mount, pid, uts"
    assert said["unshare.itself"] == "new: mount, uts"
    assert said["unshare.children"] == "new: pid"
    assert said["clone3.calls"] == "1 call: clone3; 1 process"
    assert said["fork-unshare.calls"] == "3 calls: fork, unshare, clone; 2 processes"


def test_a_table_of_ways_that_says_otherwise_is_told(monkeypatch, unmeasured):
    table = dict(ways.WAYS)
    table[Mechanism.CLONE3] = replace(table[Mechanism.CLONE3], namespaces="unshare")
    monkeypatch.setattr(ways, "WAYS", table)
    monkeypatch.setattr(experiment, "KINDS", ())
    monkeypatch.setattr(ways, "_unshared", lambda *_arguments: iter(()))
    found = verdicts(perform(LAB, Setting()))
    assert found["clone3.first"] is found["clone3.calls"] is Verdict.OTHERWISE
    assert found["fork-unshare.first"] is Verdict.AS_EXPECTED


def test_a_pid_namespace_entered_by_unshare_itself_would_be_told(monkeypatch, unmeasured):
    monkeypatch.setattr(ways, "LINKS", ())
    monkeypatch.setattr(experiment, "KINDS", ())
    assert verdicts(perform(LAB, Setting()))["unshare.itself"] is Verdict.OTHERWISE


def test_both_ways_are_measured_into_each_namespace(report):
    launches, steps, calls = report.measurements
    assert [each.key for each in report.measurements] == ["launches", "steps", "calls"]
    assert [*steps.labels.values()] == ["clone3", "fork", "unshare", "second fork"]
    assert {line.name for line in launches.series} == {"clone3", "fork+unshare"}
    assert {line.name for line in calls.series} == {"clone3 with the flags", "clone3, then unshare"}
    for each in report.measurements:
        for line in each.series:
            assert each is steps or [each.labels[x] for x, _ in line.points] == [*each.labels.values()]
            assert all(point.count == 2 and 0 < point.lower <= point.median <= point.upper for _, point in line.points)


def test_conclusions_follow_from_the_answers(report):
    found = {each.key: each for each in report.conclusions}
    first = found["fork-needs-unshare-clone-does-not"].numbers
    assert (first["fork"], first["fork_unshare"], first["clone3"], first["asked"]) == (0, 0, 3, 3)
    assert found["each-namespace-hides-one-kind-of-thing"].numbers["hidden"] == sum(
        ".hides" in each.key and not each.key.endswith(".control") and each.verdict is Verdict.AS_EXPECTED
        for each in report.findings
    )
    times = found["one-clone-against-two-steps"].numbers
    medians = {(line.name, x): point.median for line in report.measurements[0].series for x, point in line.points}
    assert medians["clone3", 0] == times["clone3_none_ns"]


def test_a_kind_that_the_kernel_has_not_is_left_out(monkeypatch, unmeasured):
    real = room.there_is
    monkeypatch.setattr(experiment, "KINDS", (BY_NAME["uts"],))
    for module in (experiment, ways):
        monkeypatch.setattr(module, "there_is", lambda link: link != "uts" and real(link))
    found = perform(LAB, Setting())
    assert not found.failed
    left_out = {key for key, verdict in verdicts(found).items() if verdict is Verdict.LEFT_OUT}
    assert left_out >= {"uts.hides", "uts.leaks"}
    assert answers(found)["clone3.first"] == "new: mount, pid"


def test_a_child_that_is_refused_is_left_out_and_no_failure(monkeypatch, unmeasured):
    real = room.Host.made

    def made(self: room.Host, act: str, *arguments: object) -> dict[str, object]:
        if act in ("launch", "hold", "bare"):
            raise room.Refused("no privilege")
        return real(self, act, *arguments)

    monkeypatch.setattr(room.Host, "made", made)
    found = perform(LAB, Setting())
    assert not found.failed
    assert {each.verdict for each in found.findings} == {Verdict.LEFT_OUT}
    assert all("no privilege" in each.why for each in found.findings)


@pytest.mark.parametrize(
    ("number", "verdict"), [(errno.EPERM, Verdict.LEFT_OUT), (errno.EFAULT, None)], ids=["EPERM", "EFAULT"]
)
def test_a_call_refused_for_want_of_rights_is_left_out_and_any_other_failure_ends_the_lab(
    number: int, verdict: Verdict | None, monkeypatch, kinds_alone
):
    def ask(_room: asking.Room) -> bool:
        raise OSError(number, "it answered so", "sethostname")

    broken = replace(looks.LOOKS["uts"], hides={"hides": replace(looks.LOOKS["uts"].hides["hides"], ask=ask)})
    monkeypatch.setitem(looks.LOOKS, "uts", broken)
    monkeypatch.setattr(experiment, "KINDS", (BY_NAME["uts"],))
    found = perform(LAB, Setting())
    assert verdicts(found).get("uts.hides") is verdict
    assert found.failed is (verdict is None)


def test_without_a_stand_in_the_lab_says_what_it_lacks(monkeypatch):
    @contextmanager
    def refused():
        raise LaunchError("clone3", errno=1, cause="no user namespaces here")
        yield

    monkeypatch.setattr(experiment, "host", refused)
    (only,) = begin(LAB, Setting())
    assert isinstance(only, Finding)
    assert only.verdict is Verdict.LEFT_OUT
    assert "no user namespaces here" in only.why


def test_an_isolation_lab_that_is_closed_early_leaves_nothing(monkeypatch, nothing_left: Census):
    monkeypatch.setattr(costs, "ROUNDS", 1)
    monkeypatch.setattr(experiment, "KINDS", tuple(BY_NAME[name] for name in ("uts", "cgroup")))
    count = sum(1 for _ in begin(LAB, Setting()))
    scenes = 0
    for last in range(0, count, 7):
        with closing(begin(LAB, Setting())) as told:
            for at, event in enumerate(told):
                scenes += isinstance(event, Scene)
                if at == last:
                    break
    assert scenes
    assert nothing_left.difference() == []


def test_a_child_that_is_ended_by_others_is_named_and_nothing_hangs(nothing_left: Census, monkeypatch, kinds_alone):
    monkeypatch.setattr(experiment, "KINDS", (BY_NAME["uts"],))

    def end(room: asking.Room) -> bool:
        os.kill(room.child, signal.SIGKILL)
        return bool(room.inside("kernel"))

    broken = replace(looks.LOOKS["uts"], hides={"hides": replace(looks.LOOKS["uts"].hides["hides"], ask=end)})
    monkeypatch.setitem(looks.LOOKS, "uts", broken)
    assert perform(LAB, Setting()).error == "the process looked at has ended"


def test_both_of_a_scene_are_there(monkeypatch, unmeasured):
    monkeypatch.setattr(experiment, "KINDS", tuple(BY_NAME[name] for name in ("mount", "pid")))
    seen = 0
    for event in begin(LAB, Setting()):
        if isinstance(event, Scene):
            seen += 1
            with open(f"/proc/{event.child}/status") as status:
                lines = dict(line.split(":\t", 1) for line in status.read().splitlines() if ":\t" in line)
            assert int(lines["PPid"]) == event.parent
            assert lines["State"][0] not in "ZX"
    assert seen == 5 + 5


@pytest.mark.needs("root")
def test_nobody_may_run_it_and_is_told_what_is_left_out(nobody: Runner):
    once = "import sys; from nsview.cli import main; from nsview.labs.isolation import costs; costs.ROUNDS = 1; "
    done = nobody("python", "-c", f"{once}sys.exit(main(['lab', 'isolation', '--json']))", timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {each["key"]: each for each in json.loads(done.stdout)["findings"]}
    for kind in ("mount", "network", "pid", "user", "uts", "ipc"):
        assert {found[f"{kind}.{key}"]["verdict"] for key in ("hides", "hides.control", "leaks")} == {"as expected"}
    for key in ("cgroup.hides", "cgroup.leaks"):
        assert found[key]["verdict"] == "as expected" or found[key]["why"]
