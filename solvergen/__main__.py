"""`python -m solvergen`."""

import sys

from .cli import main

sys.exit(main())
