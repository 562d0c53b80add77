"""solvergen: diffusion solvers from a short spec, with exact coefficients and their true order."""

from pathlib import Path

__version__ = "0.1.0"

# In a checkout `generated` and `verify` lie beside this package; in a wheel they lie inside it.
__path__.append(str(Path(__file__).resolve().parent.parent))
