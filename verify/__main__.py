"""`python -m verify`: the judge's commands without the generator."""

import os
import sys

# Small matrices: threads of the linear algebra only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from .command import main

sys.exit(main())
