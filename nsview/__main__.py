"""``python -m nsview``: the same as the ``nsview`` command."""

import sys

from nsview.cli import main

if __name__ == "__main__":
    sys.exit(main())
