"""`python -m verify`: the judge's commands without the generator."""

import sys

from .command import main

sys.exit(main())
