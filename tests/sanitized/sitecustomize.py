"""Every Python of a sanitized run imports this first: it keeps the runtime it has loaded out of what it will launch."""

import os
import sys

os.environ.pop("LD_PRELOAD", None)
os.environ.pop("PYTHONMALLOC", None)
sys.executable = os.environ["SANITIZED_PYTHON"]
