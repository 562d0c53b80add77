"""`python -m verify.certificate FILE...`."""

import sys

from .checker import main

sys.exit(main(sys.argv[1:]))
