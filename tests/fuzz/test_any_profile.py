"""Whatever a profile holds, the launch panel shows or keeps: it launches what `nsview run --profile` would."""

from __future__ import annotations

import tempfile
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from hypothesis import assume, given, settings
from spec_strategy import specs

from nsview import options
from nsview.options.profile import text_of
from nsview.tui.launching import profiles, sections
from nsview.tui.launching.form import plain_spec
from spawner import Spec, SpecError
from spawner.saved.file import read_fields

GIVEN_HERE = ("args", "stdio", "window")
"""What the panel has in its own way: a program there always is, and a terminal of its own."""


def _value(spec: Spec, name: str) -> Any:
    value = getattr(spec, name)
    if name in ("time_offsets", "env") and value is not None:
        return dict(value)
    return value or None if name == "pdeathsig" else value


@settings(deadline=None, max_examples=300)
@given(specs)
def test_any_profile_means_the_same_on_the_panel(spec: Spec) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "any.json")
        path.write_text(text_of(spec, str(path)))
        form = profiles.form_of(read_fields(str(path)))
        try:
            wanted = options.spec_of(sections.parsed(("--profile", str(path))))
        except SpecError:
            assume(False)
    made = plain_spec(replace(form, command="sh"))
    # Rows of files, maps and the like imply their namespace, where a file has to name it.
    assert wanted.namespaces <= made.namespaces
    for name in (field.name for field in fields(Spec) if field.name not in (*GIVEN_HERE, "namespaces")):
        assert _value(made, name) == _value(wanted, name), name
