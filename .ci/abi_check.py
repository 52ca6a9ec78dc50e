"""Run by newer CPythons on the one wheel: the native modules load and do their work there."""

import os
import sys

from nsview.host.kcmp import compare
from nsview.host.snapshot import take
from spawner import Spec, Stdio, launch

with launch(Spec(args=("true",), stdio=Stdio.NULL)) as child:
    exit_ = child.wait()
assert exit_.code == 0, exit_
assert take().records
assert compare(os.getpid(), os.getpid())["VM"] is True
print(f"CPython {sys.version.split()[0]}: launched a program and took a snapshot")
