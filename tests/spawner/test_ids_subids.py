"""Subordinate ids: which lines of /etc/subuid are a user's, and the maps unshare(1) makes of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from apart import NOBODY, apart, become_nobody
from mapped import numbers, with_subids
from running import output, shell

from spawner import IDMapping, SpecError
from spawner.subids import FILES, WORDS, Range, around, every_id, mapped_as_they_are, mapped_from_zero, parse, ranges

TEXT = """root:1:2
# comment
alice:100000:65536
1000:300000:10
alice:abc:5
alice:5
alice:-1:5
bob:200000:65536
alice:400000:1
"""


# subuid(5): by login name or by number, as many lines as there are
def test_lines_by_name_and_by_number_are_the_users_own() -> None:
    assert parse(TEXT, {"alice", "1000"}) == (Range(100000, 65536), Range(300000, 10), Range(400000, 1))
    assert parse(TEXT, {"carol"}) == ()
    assert parse("", {"alice"}) == ()


# unshare(1) --map-users, what util-linux 2.38 wrote for the same options
@pytest.mark.parametrize(
    ("single", "line", "map"),
    [
        (None, (0, 100000, 65536), [(0, 100000, 65536)]),
        ((0, 1000), (0, 100000, 65536), [(0, 1000, 1), (1, 100000, 65535)]),
        ((5, 0), (0, 100000, 65536), [(5, 0, 1), (0, 100000, 5), (6, 100005, 65530)]),
        ((70000, 0), (0, 100000, 65536), [(70000, 0, 1), (0, 100000, 65536)]),
        ((1000, 1000), (0, 0, 65536), [(1000, 1000, 1), (0, 0, 1000), (1001, 1001, 64535)]),
        ((3, 0), (0, 0, 10), [(3, 0, 1), (0, 1, 3), (4, 4, 6)]),
        ((0, 3), (0, 0, 10), [(0, 3, 1), (1, 0, 3), (4, 4, 6)]),
        ((0, 7), (0, 7, 1), [(0, 7, 1)]),
    ],
)
def test_a_range_gives_way_to_the_single_id(
    single: tuple[int, int] | None, line: tuple[int, int, int], map: list[tuple[int, int, int]]
) -> None:
    made = around(None if single is None else IDMapping(*single), (IDMapping(*line),))
    assert [(each.container_id, each.host_id, each.size) for each in made] == map


@pytest.mark.parametrize("inside", range(8))
@pytest.mark.parametrize("outside", range(8))
def test_whatever_the_single_id_the_map_around_it_maps_nothing_twice(inside: int, outside: int) -> None:
    made = around(IDMapping(inside, outside), (IDMapping(2, 3, 4),))
    pairs = [(each.container_id + i, each.host_id + i) for each in made for i in range(each.size)]
    assert len({a for a, _ in pairs}) == len({b for _, b in pairs}) == len(pairs) >= 4
    assert pairs[0] == (inside, outside)
    assert sorted(pairs[1:]) == sorted(pairs[1:], key=lambda pair: pair[1])
    assert all(2 <= a < 6 and 3 <= b < 7 for a, b in pairs[1:])


def test_our_own_namespaces_ids_are_every_id() -> None:
    inside, _, count = numbers(Path("/proc/self/uid_map").read_text())[0]
    assert every_id("user")[0] == IDMapping(inside, inside, count)
    assert set(WORDS) == {"auto", "subids", "all"}


@pytest.mark.needs_root
def test_every_id_can_be_mapped_by_root(nothing_left: object) -> None:
    lines = every_id("user"), every_id("group")
    spec = shell("id -u; cat /proc/self/uid_map", namespaces=frozenset({"user"}), uid_mappings=lines[0])
    found = numbers(output(spec))
    assert found[0] == [0]
    assert found[1:] == [[line.container_id, line.host_id, line.size] for line in lines[0]]


# unshare -r --map-auto, beside ours
@pytest.mark.needs("root", "unshare", "newuidmap")
def test_an_automatic_map_is_the_one_unshare_makes(tmp_path: Path) -> None:
    def run() -> tuple[str, str]:
        with_subids(tmp_path, "nobody:100000:65536\nnobody:300000:5\n")
        become_nobody()
        # 2.38 has one id less of an automatic range than later ones, a given range is treated the same by all.
        words = ["unshare", "-r", "--map-users=100000,0,65536", "cat", "/proc/self/uid_map"]
        if subprocess.run([*words[:3], "true"], capture_output=True).returncode:
            words[2] = "--map-users=0:100000:65536"
        theirs = subprocess.run(words, capture_output=True, text=True)
        maps = {
            f"{field}_mappings": around(IDMapping(0, NOBODY), mapped_from_zero(kind))
            for kind, field in (("user", "uid"), ("group", "gid"))
        }
        spec = shell("cat /proc/self/uid_map", namespaces=frozenset({"user"}), **maps)
        return theirs.stdout, output(spec)

    theirs, ours = apart(run)
    assert numbers(ours) == [[0, NOBODY, 1], [1, 100000, 65535]]
    assert sorted(numbers(theirs)) == sorted(numbers(ours))


@pytest.mark.needs("root", "newuidmap")
def test_the_first_range_as_it_is(tmp_path: Path) -> None:
    def run() -> object:
        with_subids(tmp_path, "65534:100000:65536\nnobody:300000:5\n")
        become_nobody()
        return ranges("user"), mapped_as_they_are("group")

    assert apart(run) == ((Range(100000, 65536), Range(300000, 5)), (IDMapping(100000, 100000, 65536),))


@pytest.mark.parametrize("kind", FILES)
def test_who_has_no_subordinate_ids_is_told_how_to_get_some(kind: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(FILES, kind, str(tmp_path / "none"))
    for word in ("auto", "subids"):
        with pytest.raises(SpecError) as caught:
            WORDS[word](kind)
        (problem,) = caught.value.problems
        assert "usermod --add-sub" in problem.remedy
