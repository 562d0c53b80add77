"""The mathematics: specs become exact weights. Imports neither torch nor files."""

from .program import derive as derive
