"""docs/labs is in step with the labs: every lab has its page, made from the document kept beside it; and what the
texts on fork and clone quote, in both languages, is what the labs have told.

`python docs/labs/make.py NAME` runs a lab for its page; with --kept, pages are made anew from the documents there are.
"""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nsview.labs.pages.markdown import slug
from nsview.labs.pages.quoting import HOLDS, LINK
from nsview.labs.table import LABS

DOCS = Path(__file__).parents[2] / "docs"
PAGES = DOCS / "labs"
TEXTS = sorted(DOCS.glob("fork-and-clone*.md"))
NAMES = [lab.name for lab in LABS]


@pytest.fixture(scope="module")
def make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("labs_make", PAGES / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _kept(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((PAGES / f"{name}.json").read_text())
    return document


def _anchors(path: Path) -> set[str]:
    text = path.read_text()
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    return {*re.findall(r'<a id="([^"]+)"', text), *(slug(re.sub(r"\\(.)", r"\1", heading)) for heading in headings)}


@pytest.mark.parametrize("name", NAMES)
def test_every_lab_has_its_page_with_every_conclusion(name: str) -> None:
    anchors = _anchors(PAGES / f"{name}.md")
    document = _kept(name)
    assert document["lab"] == name
    assert document["conclusions"]
    assert [each["key"] for each in document["conclusions"] if each["key"] not in anchors] == []
    assert [each["key"] for each in document["findings"] if f"asked-{each['key']}" not in anchors] == []


@pytest.mark.parametrize("name", NAMES)
def test_what_is_published_was_run_thoroughly_as_root_and_did_not_fail(name: str) -> None:
    document = _kept(name)
    assert (document["thorough"], document["machine"]["euid"]) == (True, 0)
    assert (document["failed"], document["error"]) == (False, None)


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.name)
def test_a_page_asks_what_the_table_says(lab: Any) -> None:
    assert {key: _kept(lab.name)[key] for key in ("title", "question")} == {
        "title": lab.title,
        "question": lab.question,
    }


def test_every_file_is_as_it_is_made_from_the_documents_kept(make: ModuleType) -> None:
    made = make.pages() | make.texts()
    assert [str(path.relative_to(DOCS)) for path, text in made.items() if path.read_text() != text] == []


def test_nothing_is_there_that_is_not_made(make: ModuleType) -> None:
    wanted = {path.name for path in make.pages()} | {f"{name}.json" for name in NAMES}
    assert {path.name for path in PAGES.iterdir() if path.is_file()} == wanted | {"make.py"}


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda path: path.name)
def test_every_file_that_a_page_shows_or_links_is_there(page: Path) -> None:
    targets = re.findall(r"\]\(([\w./-]+)[)#]", page.read_text())
    assert targets
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("text", [PAGES / "README.md", *TEXTS], ids=lambda path: path.name)
def test_every_link_to_a_place_leads_to_an_anchor(text: Path) -> None:
    links = re.findall(r'\]\(([\w./-]*)#([^\s")]+)(?: "[^"]*")?\)', text.read_text())
    assert links
    anchors: dict[Path, set[str]] = {}
    for path, anchor in links:
        target = text.parent / path if path else text
        assert anchor in anchors.setdefault(target, _anchors(target)), f"{path}#{anchor}"


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.name)
def test_every_word_on_what_holds_is_understood(text: Path) -> None:
    assert text.read_text().count("<!-- holds:") == len(HOLDS.findall(text.read_text())) > 5


def _prose(text: Path) -> str:
    """Return the text without code and without what is quoted."""
    return HOLDS.sub("", LINK.sub("", re.sub(r"```.*?```|`[^`]*`", "", text.read_text(), flags=re.S)))


def test_what_is_cited_is_not_what_was_left_out() -> None:
    kept = {name: _kept(name) for name in NAMES}
    for text in TEXTS:
        for path, anchor in re.findall(r'\(labs/([\w-]+)\.md#([^\s")]+)', text.read_text()):
            told = [
                each
                for each in (*kept[path]["conclusions"], *kept[path]["findings"])
                if anchor in (each["key"], f"asked-{each['key']}")
            ]
            assert [each["key"] for each in told if each["verdict"] != "as expected"] == []


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.name)
def test_no_number_is_written_by_hand(text: Path) -> None:
    """But for numbers of sections and of man pages, and what is counted in the text itself: they have one digit."""
    units = r"\d[\d.,]* ?(?:ns|µs|ms|s|[KMG]i?B|bytes|%|times|倍|次|字节|毫秒|微秒)(?![A-Za-z])"
    assert re.findall(rf"{units}|(?<![\d.])\d{{2,}}", _prose(text)) == []


def test_both_languages_cite_and_quote_the_same() -> None:
    places = [re.findall(r"\((labs/[^)]*)\)", text.read_text()) for text in TEXTS]
    assert len(places) == 2
    assert sorted(places[0]) == sorted(places[1])
    assert set(NAMES) == set(re.findall(r"labs/([a-z0-9-]+)\.md", " ".join(places[0])))
