"""``nsview ns`` lists what lsns lists, and one namespace with its members."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from listed import json_of, nsview, text_of

from spawner.namespaces import KINDS


@pytest.mark.needs("lsns")
@pytest.mark.needs("root")
def test_list_has_the_namespaces_of_lsns():
    before = listed_by_lsns()
    mine = {(int(words[0]), words[1]) for words in map(str.split, text_of("ns", "--no-header"))}
    after = listed_by_lsns()
    assert before & after <= mine <= before | after


def listed_by_lsns() -> set[tuple[int, str]]:
    text = subprocess.check_output(["lsns", "--json", "--output", "NS,TYPE"], text=True)
    return {(row["ns"], row["type"]) for row in json.loads(text)["namespaces"]}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_list_of_one_type_takes_each_of_its_names(kind):
    listings = [text_of("ns", word, "--no-header") for word in (kind.name, kind.proc, kind.letter)]
    for lines in listings:
        assert lines
        assert {line.split()[1] for line in lines} == {kind.proc}


def test_one_namespace_is_shown_with_its_members():
    inode = os.stat("/proc/self/ns/net").st_ino
    lines = text_of("ns", str(inode))
    assert ["inode", str(inode)] in [line.split() for line in lines]
    assert str(os.getpid()) in [words[0] for words in map(str.split, lines) if words]


def test_json_names_the_owner_and_the_members():
    inode = os.stat("/proc/self/ns/net").st_ino
    (namespace,) = json_of("ns", str(inode))["namespaces"]
    assert namespace["owner"] == os.stat("/proc/self/ns/user").st_ino
    assert namespace["type"] == "network"
    assert os.getpid() in namespace["members"]
    assert namespace["processes"] == len(namespace["members"])


@pytest.mark.parametrize(("word", "says"), [("12", "no process is in a namespace 12"), ("net2", "neither an inode")])
def test_bad_input_is_one_clear_line_and_status_2(word, says):
    done = nsview("ns", word)
    assert done.returncode == 2
    assert says in done.stderr.splitlines()[0]
    assert done.stdout == ""
