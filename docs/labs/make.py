"""Make the pages of the labs: run each lab, keep its document, and write its page and pictures from that.

    python docs/labs/make.py [--kept] [NAME…]

Writes NAME.json, NAME.md and NAME-*.svg beside this file, README.md, and the numbers that docs/fork-and-clone*.md quote
from them. --kept: runs nothing, and makes the pages anew from the documents there are. Running them needs root, for a
page on which everything has been asked. A lab that fails is not written: what the page said stays.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from nsview.invoker import write
from nsview.labs.pages.contents import contents
from nsview.labs.pages.page import page, pictures
from nsview.labs.pages.quoting import QuoteError, quoted
from nsview.labs.table import LABS, UnknownLab, find

HERE = Path(__file__).parent
BEFORE_OTHERS = ("nice", "-n", "-10")
"""How the labs are run: what else goes on shall count as little as possible."""
TELLS = ("fork-and-clone.md", "fork-and-clone.zh.md")
"""The texts, in the folder above, that quote the labs."""


def kept() -> dict[str, Any]:
    """Return the documents there are, by the names of their labs and in the order of the table."""
    found = {lab.name: HERE / f"{lab.name}.json" for lab in LABS}
    return {name: json.loads(path.read_text()) for name, path in found.items() if path.exists()}


def pages() -> dict[Path, str]:
    """Return what is made of the documents there are: each file and what is in it."""
    documents = kept()
    made = {HERE / "README.md": contents(list(documents.values()))}
    for name, document in documents.items():
        made[HERE / f"{name}.md"] = page(document)
        made |= {HERE / picture: svg for picture, svg in pictures(document).items()}
    return made


def texts() -> dict[Path, str]:
    """Return the texts with what they quote as the documents have it now. Raises QuoteError."""
    documents = kept()
    return {HERE.parent / name: quoted((HERE.parent / name).read_text(), documents) for name in TELLS}


def run(name: str) -> None:
    """Run one lab as for a page and keep its document; raises CalledProcessError where it fails."""
    told = subprocess.run(
        [*BEFORE_OTHERS, sys.executable, "-m", "nsview", "lab", name, "--thorough", "--json"],
        check=True,
        stdout=subprocess.PIPE,
    )
    _write(HERE / f"{name}.json", told.stdout)


def _write(path: Path, content: bytes) -> None:
    write(path, content)
    path.chmod(0o644)


def main(words: list[str]) -> int:
    """Make what the words of the command line say."""
    parser = argparse.ArgumentParser(description="Make the pages of the labs.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="the labs to run; without any, all")
    parser.add_argument("--kept", action="store_true", help="run nothing: from the documents there are")
    args = parser.parse_args(words)
    try:
        wanted = [find(name) for name in args.names] or LABS
    except UnknownLab as error:
        parser.error(str(error))
    if not args.kept and os.geteuid() != 0:
        parser.error("running the labs for their pages needs root; --kept makes them from the documents there are")
    failed = []
    for lab in () if args.kept else wanted:
        print(lab.name, flush=True)
        try:
            run(lab.name)
        except subprocess.CalledProcessError:
            failed.append(lab.name)
    made = pages()
    for path in HERE.glob("*.svg"):
        if path not in made:
            path.unlink()
    _write_all(made)
    if failed:
        print(f"{', '.join(failed)}: failed, and what its page says is what it said before", file=sys.stderr)
    try:
        _write_all(texts())
    except QuoteError as error:
        print(f"a text quotes what is not there any more: {error}", file=sys.stderr)
        return 1
    return 1 if failed else 0


def _write_all(made: dict[Path, str]) -> None:
    for path, content in made.items():
        _write(path, content.encode())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
