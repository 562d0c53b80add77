"""The judge from Python: verdicts on emitted code, and on anybody's sampler."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .errors import SolvergenError
from .installing import install

if TYPE_CHECKING:
    from solvergen.verify.verdict import Verdict


def audit(
    sampler: Any,
    claim: int | None = None,
    *,
    convention: str | None = None,
    rates: bool = False,
    **options: Any,
) -> Verdict:
    """The judge's verdict on any sampler, from one-hot runs alone; what `solvergen audit` prints.

    Args:
        sampler: a function ``sample(model, x, sigmas)``, an emitted module, a scheduler class of
            diffusers or an instance, or a target as the command line takes it.
        claim: the order that it is held to; its own claim unless given.
        convention: how it is called, where its signature does not tell: ``vp``, ``flow`` …
        rates: measure convergence on mixtures too, as `solvergen verify` does.
        options: keyword arguments for the sampler.

    Returns:
        The verdict: ``status``, ``audited``, ``findings``.

    Raises:
        SolvergenError: a target that cannot be found or called, or a package that is missing.
    """
    with judge_at_hand():
        from solvergen.verify.errors import VerifyError
        from solvergen.verify.judge import judge
        from solvergen.verify.targets import callable_target, find

    try:
        if isinstance(sampler, str):
            (target, *others) = find(sampler, options, convention)
            if others:
                raise SolvergenError(f"{sampler}: {1 + len(others)} samplers; name one of them")
        else:
            target = callable_target(sampler, options=options, convention=convention)
        return judge(target, claim=claim, rates=rates, constants=rates)
    except VerifyError as error:
        raise SolvergenError(str(error)) from None


@contextlib.contextmanager
def judge_at_hand(what: str = "the judge needs") -> Iterator[None]:
    """Say which package is missing; verdicts made within show themselves in notebooks.

    Raises:
        SolvergenError: one that the judge or a plot needs is not installed.
    """
    try:
        import solvergen.verify.report.page  # noqa: F401

        yield
    except ModuleNotFoundError as error:
        raise SolvergenError(f"{what} {error.name}; {install('verify')}") from None
