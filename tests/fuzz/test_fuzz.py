"""A few thousand inputs of each kind; `tests/fuzz/run` tries a million."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from spec_strategy import specs
from targets import TARGETS

from spawner import Spec
from spawner.saved import file as spec_file

COUNT = 1500


@pytest.mark.parametrize("name", TARGETS)
def test_nonsense_is_refused_in_the_promised_way(name: str) -> None:
    found = Counter(TARGETS[name](Random(f"{name} {number}")) for number in range(COUNT))
    assert len(found) > 1  # neither all nonsense nor all sense, or nothing was tried


@settings(deadline=None)
@given(specs)
def test_any_spec_is_saved_and_read_exactly(spec: Spec) -> None:
    for form in spec_file.FORMATS:
        assert spec_file.load(spec_file.dump(spec, form), form) == spec
