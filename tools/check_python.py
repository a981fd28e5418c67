"""Says what is wrong with the Python at hand before anything is installed."""

import sys

if sys.version_info < (3, 11):
    sys.exit(
        f"leukopenia needs Python 3.11 or newer; this is {sys.version.split()[0]}. Try: make PYTHON=python3.12 ..."
    )
