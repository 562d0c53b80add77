"""Exceptions of the judge. Messages say where, what is wrong, what was found and what to do."""

from __future__ import annotations


class VerifyError(Exception):
    """Root of everything that this package raises on purpose."""


class ProblemError(VerifyError):
    """A mixture, a path or a grid that does not describe a diffusion problem."""


class ExactnessError(VerifyError):
    """The reference solution could not be made as exact as was asked."""


class TargetError(VerifyError):
    """A target that cannot be found, loaded or called; the message names it."""


class ConductError(VerifyError):
    """A sampler that ran, but not as a sampler must: shape, dtype, NaN, grid, state, calls.

    `kind` is one of the short words listed in `judge.Verdict.status`.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class ClaimError(VerifyError):
    """A claim in an emitted file that cannot be read (an unknown symbol in a coefficient, ...)."""


class PageError(VerifyError):
    """A page that cannot be made; the message names the package that it needs."""


class MutantError(VerifyError):
    """A mutation that could not be applied to the given program or source."""


# What a stranger's code may raise: sys.exit() in it must not end the judge; Ctrl-C still does.
ANYTHING = (Exception, SystemExit)
