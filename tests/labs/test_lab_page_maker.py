"""docs/labs/make.py, on a copy of docs: what is kept makes the same pages again; a lab that fails is not written."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from leftovers import Census

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    copy = tmp_path / "docs"
    copy.mkdir()
    for text in DOCS.glob("fork-and-clone*.md"):
        shutil.copy(text, copy)
    shutil.copytree(DOCS / "labs", copy / "labs")
    return copy


@pytest.fixture
def make(docs: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("labs_make_copy", docs / "labs/make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _files(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_what_was_made_is_made_again_from_the_documents_kept(make: ModuleType, docs: Path) -> None:
    before = _files(docs)
    (docs / "labs/pid1.md").write_text("gone")
    (docs / "labs/README.md").unlink()
    (docs / "labs/pid1-of-old.svg").write_text("nobody shows it any more")
    text = docs / "fork-and-clone.md"
    text.write_text(text.read_text().replace("[0](labs/mechanisms.md#writes", "[7](labs/mechanisms.md#writes"))
    assert make.main(["--kept"]) == 0
    assert {name: now for name, now in _files(docs).items() if "__pycache__" not in name} == before


@pytest.mark.needs("root")
def test_a_lab_that_fails_leaves_its_page_as_it_was(
    make: ModuleType, docs: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    before = _files(docs)
    fails = [sys.executable, "-c", "print('{}'); raise SystemExit(1)"]
    run = subprocess.run
    monkeypatch.setattr(make.subprocess, "run", lambda _words, **rest: run(fails, **rest))
    assert make.main(["pid1", "stack"]) == 1
    assert "pid1, stack: failed" in capfd.readouterr().err
    assert {name: now for name, now in _files(docs).items() if "__pycache__" not in name} == before


@pytest.mark.needs("root", "pid_namespace")
def test_a_run_becomes_its_page(make: ModuleType, docs: Path, nothing_left: Census) -> None:
    for path in docs.glob("labs/pid1*"):
        path.unlink()
    assert make.main(["pid1"]) == 0
    document = json.loads((docs / "labs/pid1.json").read_text())
    assert (document["lab"], document["thorough"], document["failed"]) == ("pid1", True, False)
    assert document["machine"]["when"][:10] in (docs / "labs/pid1.md").read_text()


def test_a_text_that_quotes_what_is_there_no_more_is_told_with_the_quotation(
    make: ModuleType, docs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = docs / "fork-and-clone.zh.md"
    text.write_text(text.read_text().replace("#writes-after-fork-cost-faults", "#writes-cost-nothing"))
    before = text.read_text()
    assert make.main(["--kept"]) == 1
    assert 'labs/mechanisms.md#writes-cost-nothing "' in capsys.readouterr().err
    assert text.read_text() == before


@pytest.mark.parametrize("words", [["no-such-lab"], ["--kept", "no-such-lab"]])
def test_an_unknown_lab_is_refused(make: ModuleType, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        make.main(words)
    assert ended.value.code == 2
    assert "no lab is called 'no-such-lab'" in capsys.readouterr().err


def test_without_root_the_labs_are_not_run_for_their_pages(
    make: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(make.os, "geteuid", lambda: 1000)
    with pytest.raises(SystemExit) as ended:
        make.main(["pid1"])
    assert ended.value.code == 2
    assert "needs root" in capsys.readouterr().err
