"""While pids are used again and again, nothing is attributed to the wrong process, and no stranger is signalled.

NSVIEW_CHURN_SECONDS=60 runs the full size (docs/development.md).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = os.environ.get("NSVIEW_CHURN_SECONDS", "4")
PROGRAM = str(Path(__file__).with_name("churn.py"))


@pytest.mark.needs("root", "unshare", "pid_namespace")
def test_facts_differences_namespaces_events_and_signals_meet_the_process_they_were_meant_for(nothing_left):
    words = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, PROGRAM, SECONDS]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    told = json.loads(done.stdout)
    print(told)
    assert told["wrong"] == []
    looks = ("record", "name", "users", "umask", "score", "difference", "members", "events", "life", "signals")
    assert not [what for what in looks if not told["looks"].get(what)]
