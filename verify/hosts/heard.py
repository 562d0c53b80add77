"""What a host warns of while it runs: Python's warnings and diffusers' log, kept for the report."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def heard() -> Iterator[list[str]]:
    """Warnings of Python and of diffusers' logger inside the block, as sentences."""
    told: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.WARNING:
                told.append(record.getMessage())

    ear = Ear()
    logger = logging.getLogger("diffusers")
    before = logger.propagate
    logger.addHandler(ear)
    logger.propagate = False
    others = [h for h in logger.handlers if h is not ear]
    for handler in others:
        logger.removeHandler(handler)
    try:
        with (
            warnings.catch_warnings(record=True) as seen,
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("always")
            yield told
            told.extend(
                str(w.message).split("\n")[0]
                for w in seen
                if not issubclass(w.category, (DeprecationWarning, PendingDeprecationWarning))
            )
    finally:
        logger.removeHandler(ear)
        for handler in others:
            logger.addHandler(handler)
        logger.propagate = before
