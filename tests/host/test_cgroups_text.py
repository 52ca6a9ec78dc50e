"""What the files of groups say is read as it is meant: texts of machines with version 2 alone, version 1, and both."""

from __future__ import annotations

import pytest

from nsview.host.cgroups import MAX, Hierarchy, Pressure, Quota, Stall, values
from nsview.host.cgroups.columns import GROUP_COLUMNS, value_json, value_text
from nsview.host.cgroups.facts import BY_NAME, FACTS, SECTIONS
from nsview.host.cgroups.hierarchies import combine
from nsview.host.cgroups.namespace import cut_off
from nsview.host.cgroups.paths import below, groups_of, is_above, joined, outward
from nsview.host.content.mount_info import parse
from nsview.host.content.mount_table import table_of

ROOT = "27 1 254:0 / / rw - ext4 /dev/vda rw\n"
V2 = "30 27 0:27 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"
HYBRID = (
    "31 27 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n"
    "32 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
    "33 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "34 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
    "35 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset,noprefix\n"
)
OWN = {"": "/user.slice", "name=systemd": "/a", "cpu,cpuacct": "/b", "cpuset": "/", "memory": "/"}


def known(mountinfo: str, groups: dict[str, str] = OWN) -> dict[str, Hierarchy]:
    visible = table_of(parse((ROOT + mountinfo).encode()), 27).visible
    return {each.key: each for each in combine(visible, groups, lambda _: frozenset(("cpu", "memory")))}


def test_a_machine_with_version_2_alone():
    found = known(V2, {"": "/user.slice"})
    assert found == {"": Hierarchy("", frozenset(("cpu", "memory")), "/sys/fs/cgroup", "/", "/user.slice")}
    assert (found[""].version, found[""].label) == (2, "v2")
    assert found[""].directory("/user.slice/a") == "/sys/fs/cgroup/user.slice/a"
    assert found[""].path_of("/sys/fs/cgroup/x") == "/x"
    assert found[""].path_of("/sys/fs") is None


def test_a_hybrid_machine_has_each_hierarchy_by_its_controllers_or_name():
    found = known(HYBRID)
    assert {key: each.mount for key, each in found.items()} == {
        "": "/sys/fs/cgroup/unified",
        "cpu,cpuacct": "/sys/fs/cgroup/cpu,cpuacct",
        "cpuset": "/sys/fs/cgroup/cpuset",
        "memory": None,
        "name=systemd": "/sys/fs/cgroup/systemd",
    }
    assert found["cpu,cpuacct"].controllers == {"cpu", "cpuacct"}
    assert found["name=systemd"].controllers == frozenset()
    assert found["memory"].directory("/") is None


def test_a_mount_that_lies_under_another_counts_for_nothing():
    assert known(V2 + "40 27 0:50 / /sys rw - tmpfs t rw\n")[""].mount is None
    assert known(V2 + "40 30 0:50 / /sys/fs/cgroup rw - tmpfs t rw\n")[""].mount is None


def test_the_mount_counts_that_shows_most():
    part = "40 27 0:27 /user.slice /part rw - cgroup2 none rw\n"
    out = "41 27 0:27 /../.. /out rw - cgroup2 none rw\n"
    assert known(part)[""].mount == "/part"
    assert known(part)[""].directory("/user.slice/x") == "/part/x"
    assert known(part)[""].directory("/") is None
    assert known(part + V2)[""].mount == "/sys/fs/cgroup"
    assert known(V2 + part + out)[""].mount == "/out"


@pytest.mark.parametrize(
    ("path", "root", "rest"),
    [
        ("/a/b", "/", "a/b"),
        ("/a/b", "/a", "b"),
        ("/a", "/a", ""),
        ("/ab", "/a", None),
        ("/", "/a", None),
        ("/../x", "/..", "x"),
        ("/../..", "/..", None),
        ("/x", "/..", None),
        ("/..", "/", None),
    ],
)
def test_paths_of_groups_are_compared_by_whole_names_and_never_guess_what_is_behind_dots(path, root, rest):
    assert below(path, root) == rest
    if rest is not None:
        assert joined(root, rest) == path
        assert is_above(root, path) == bool(rest)


def test_the_outermost_path_comes_first():
    assert sorted(["/a/b", "/", "/..", "/a", "/../..", "/../x"], key=outward) == [
        "/../..", "/..", "/../x", "/", "/a", "/a/b",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("outer", "inner", "root"),
    [("/a/b", "/b", "/a"), ("/a", "/", "/a"), ("/a", "/a", "/"), ("/", "/", "/"), ("/a", "/..", None),
     ("/x", "/../x", None), ("/a/a", "/a", "/a"), ("/..", "/../../..", None), ("/a", "/b", None)],
)  # fmt: skip
def test_what_a_reader_inside_does_not_see_is_the_root(outer, inner, root):
    assert cut_off(outer, inner) == root


def test_the_groups_of_a_process_are_read_whatever_their_names():
    text = b"12:cpu,cpuacct:/a:b\r\x0b\n1:name=systemd:/x (deleted)\n0::/\xff\n"
    assert groups_of(text) == {"cpu,cpuacct": "/a:b\r\x0b", "name=systemd": "/x (deleted)", "": "/\udcff"}


CPU_STAT_V2 = "usage_usec 12000\nuser_usec 7000\nsystem_usec 5000\nnr_periods 9\nnr_throttled 2\nthrottled_usec 800\n"
IO_STAT = "254:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n7:0 \n8:0 rbytes=1 wbytes=2 rios=3 wios=4\n"
IO_BYTES = "254:0 Read 4096\n254:0 Write 8192\n254:0 Sync 1\n254:0 Total 12288\n7:1 Read 0\nTotal 12288\n"
MEMORY_EVENTS = "low 1\nhigh 2\nmax 3\noom 4\noom_kill 5\noom_group_kill 6\n"
FULL = "some avg10=1.50 avg60=0.75 avg300=0.10 total=1234\nfull avg10=0.00 avg60=0.25 avg300=0.00 total=99\n"

SAID = [
    # (fact, source, texts, value): sources of version 2, then of version 1
    ("cpu_max", 0, ["max 100000\n"], Quota(MAX, 100_000)),
    ("cpu_max", 0, ["50000 100000\n"], Quota(50_000, 100_000)),
    ("cpu_max", 1, ["-1\n", "100000\n"], Quota(MAX, 100_000)),
    ("cpu_max", 1, ["25000\n", "50000\n"], Quota(25_000, 50_000)),
    ("cpu_weight", 0, ["100\n"], 100),
    ("cpu_shares", 0, ["1024\n"], 1024),
    ("memory_max", 0, ["max\n"], MAX),
    ("memory_max", 0, ["67108864\n"], 67108864),
    ("memory_max", 1, ["9223372036854771712\n"], MAX),
    ("memory_max", 1, ["9223372036854710272\n"], MAX),
    ("memory_max", 1, ["67108864\n"], 67108864),
    ("memory_min", 0, ["0\n"], 0),
    ("pids_max", 0, ["max\n"], MAX),
    ("pids_max", 1, ["20\n"], 20),
    ("io_max", 0, ["8:0 rbps=1048576 wbps=max riops=120 wiops=max\n"],
     {"8:0": {"rbps": 1048576, "wbps": MAX, "riops": 120, "wiops": MAX}}),
    ("io_max", 0, [""], {}),
    ("io_max", 1, ["8:0 1048576\n", "", "", "8:16 10\n"],
     {"8:0": {"rbps": 1048576, "wbps": MAX, "riops": MAX, "wiops": MAX},
      "8:16": {"rbps": MAX, "wbps": MAX, "riops": MAX, "wiops": 10}}),
    ("io_weight", 0, ["default 100\n8:0 200\n"], 100),
    ("io_weight", 2, ["500\n"], 500),
    ("cpuset_cpus", 0, ["\n"], ""),
    ("cpuset_effective_cpus", 0, ["0-3,8\n"], "0-3,8"),
    ("cpu_usage", 0, [CPU_STAT_V2], 12_000_000),
    ("cpu_usage", 1, ["12345\n"], 12345),
    ("cpu_user", 1, ["user 250\nsystem 50\n"], 2_500_000_000),
    ("cpu_throttled", 0, [CPU_STAT_V2], 800_000),
    ("cpu_throttled", 1, ["nr_periods 3\nnr_throttled 2\nthrottled_time 77\n"], 77),
    ("cpu_throttled", 0, ["usage_usec 1\n"], None),
    ("memory_anon", 0, ["anon 4096\nfile 8192\n"], 4096),
    ("memory_anon", 1, ["rss 1\ntotal_rss 4096\n"], 4096),
    ("io_read", 0, [IO_STAT], 4097),
    ("io_writes", 0, [IO_STAT], 6),
    ("io_read", 1, [IO_BYTES, "254:0 Read 1\nTotal 1\n"], 4096),
    ("io_devices", 0, [IO_STAT],
     {"254:0": {"rbytes": 4096, "wbytes": 8192, "rios": 1, "wios": 2, "dbytes": 0, "dios": 0},
      "8:0": {"rbytes": 1, "wbytes": 2, "rios": 3, "wios": 4}}),
    ("io_devices", 1, [IO_BYTES, "254:0 Write 2\n"], {"254:0": {"rbytes": 4096, "wbytes": 8192, "wios": 2}}),
    ("cpu_pressure", 0, [FULL], Pressure(Stall(1.5, 0.75, 0.1, 1234), Stall(0.0, 0.25, 0.0, 99))),
    ("cpu_pressure", 0, [FULL.partition("\n")[0]], Pressure(Stall(1.5, 0.75, 0.1, 1234), None)),
    ("irq_pressure", 0, [FULL.partition("\n")[2]], Pressure(None, Stall(0.0, 0.25, 0.0, 99))),
    ("oom_kills", 0, [MEMORY_EVENTS], 5),
    ("oom_kills", 1, ["oom_kill_disable 0\nunder_oom 1\noom_kill 3\n"], 3),
    ("oom_kills", 1, ["oom_kill_disable 0\nunder_oom 0\n"], None),
    ("under_oom", 0, ["oom_kill_disable 0\nunder_oom 1\n"], True),
    ("memory_max_hits", 0, [MEMORY_EVENTS], 3),
    ("pids_max_hits", 1, ["max 7\n"], 7),
    ("freezer", 0, ["0\n", "populated 1\nfrozen 0\n"], "THAWED"),
    ("freezer", 0, ["1\n", "populated 1\nfrozen 0\n"], "FREEZING"),
    ("freezer", 0, ["0\n", "populated 1\nfrozen 1\n"], "FROZEN"),
    ("freezer", 1, ["FREEZING\n"], "FREEZING"),
    ("freezer_self", 1, ["1\n"], True),
    ("freezer_parent", 0, ["0\n"], False),
    ("type", 0, ["domain threaded\n"], "domain threaded"),
    ("controllers", 0, ["\n"], ""),
]  # fmt: skip


@pytest.mark.parametrize(("name", "source", "texts", "value"), SAID)
def test_what_the_files_say(name, source, texts, value):
    fact = BY_NAME[name]
    assert len(texts) == len(fact.sources[source].files)
    assert fact.sources[source].parse(*texts) == value
    if value is not None:
        assert isinstance(value_text(fact, value), str)
        value_json(value)


@pytest.mark.parametrize(
    ("name", "value", "text", "document"),
    [
        ("cpu_max", Quota(50_000, 100_000), "0.5 (50000 of each 100000 µs)",
         {"quota_us": 50_000, "period_us": 100_000}),
        ("cpu_max", Quota(MAX, 100_000), "max", {"quota_us": "max", "period_us": 100_000}),
        ("memory_max", MAX, "max", "max"),
        ("memory_max", 1536 << 20, "1.5G", 1536 << 20),
        ("io_max", {"8:0": {"rbps": 1 << 20, "wiops": MAX}}, "8:0 rbps=1.0M wiops=max",
         {"8:0": {"rbps": 1 << 20, "wiops": "max"}}),
        ("under_oom", False, "no", False),
        ("cpu_pressure", Pressure(Stall(1.5, 0.0, 0.0, 9), None), "some 1.5% 0% 0% (9 µs)",
         {"some": {"avg10": 1.5, "avg60": 0.0, "avg300": 0.0, "total_us": 9}, "full": None}),
        ("controllers", "a\x1b", "a\\x1b", "a\\x1b"),
    ],
)  # fmt: skip
def test_a_value_in_words_and_in_json(name, value, text, document):
    assert value_text(BY_NAME[name], value) == text
    assert value_json(value) == document


def test_the_table_of_facts_is_in_order():
    assert len(BY_NAME) == len(FACTS)
    assert {fact.section for fact in FACTS} == set(SECTIONS)
    names = [name for column in GROUP_COLUMNS for name in {column.name, *column.aliases}]
    assert len(names) == len(set(names))
    for fact in FACTS:
        versions = [source.version for source in fact.sources]
        assert versions == sorted(versions, reverse=True)  # version 2 tells first


@pytest.mark.parametrize("text", ["nonsense", "", "max"])
def test_a_number_that_is_none_is_unknown(text):
    assert values.number(text) is None
