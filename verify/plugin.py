"""pytest plugin: one test for each emitted sampler, and assert_order for one's own callables.

pytest --solvergen generated/           one test a sampler found there
def test_mine(assert_order):            fixture
    assert_order(sample_mine, 3)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .errors import VerifyError


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --solvergen FOLDER_OR_TARGET."""
    group = parser.getgroup("solvergen", "judge diffusion samplers")
    group.addoption(
        "--solvergen",
        action="append",
        default=[],
        metavar="TARGET",
        help="folder, .py file or module:function to judge, one test each; may be repeated",
    )
    group.addoption(
        "--solvergen-full",
        action="store_true",
        help="measure rates and constants too, not the audit alone",
    )


def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Append one item for each target named on the command line."""
    targets = config.getoption("--solvergen")
    if not targets or getattr(config, "workerinput", None) is None and _distributed(config):
        return
    collector = Samplers.from_parent(session, name="solvergen", targets=targets)
    items.extend(collector.collect())


def _distributed(config: pytest.Config) -> bool:
    """Whether this is the controller of a pytest-xdist run, whose workers collect."""
    return bool(getattr(config.option, "numprocesses", None))


class Samplers(pytest.Collector):
    """All samplers that --solvergen names."""

    def __init__(self, *, targets: list[str], **named: Any) -> None:
        super().__init__(**named)
        self.targets = targets

    def collect(self) -> Iterator[SamplerItem]:
        """One item a file or target."""
        from .processes.sweep import Request, split

        for text in self.targets:
            for request in split(Request(text)):
                yield SamplerItem.from_parent(self, name=request.target, request=request)


class SamplerItem(pytest.Item):
    """The verdict on one target as a test."""

    def __init__(self, *, request: Any, **named: Any) -> None:
        super().__init__(**named)
        self.target = request

    def runtest(self) -> None:
        """Judge the target; a refuted claim or misbehaviour fails."""
        from dataclasses import replace

        from .processes.sweep import settle

        full = self.config.getoption("--solvergen-full")
        settings = {} if full else {"rates": False, "constants": False}
        for verdict in settle(replace(self.target, settings=settings)):
            if verdict.status in ("fail", "error", "disagree"):
                raise Refuted(explanation(verdict))

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        """The judge's words in place of a traceback."""
        if isinstance(excinfo.value, Refuted):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the item comes from."""
        return Path(self.target.target.partition(":")[0]), 0, f"sampler {self.name}"


class Refuted(AssertionError):
    """A sampler is not what it claims to be."""


def explanation(verdict: Any) -> str:
    """Why a verdict is what it is, in lines; its status too where a claim was weighed."""
    from .report.terminal import noise_lines, orders

    lines = [
        verdict.target if verdict.status == "none" else f"{verdict.target}: {verdict.status}",
        f"  audited order on uniform/smooth/arbitrary grids: {orders(verdict)}",
        *[f"  {line}" for line in noise_lines(verdict)],
        *[f"  {finding}" for finding in verdict.findings],
    ]
    known = " ".join(verdict.findings)
    seen = {c["text"]: c["grid"] for c in reversed(verdict.causes) if c["text"] not in known}
    lines += [f"  cause ({grid} grids): {text}" for text, grid in seen.items()]
    return "\n".join(lines)


def assert_order(
    sampler: Any,
    order: int,
    *,
    grid: str | None = None,
    convention: str | None = None,
    **options: Any,
) -> None:
    """Assert that a sampler is of exactly the given order, as it runs, start and end included.

    Args:
        sampler: a function with a known signature, an emitted module, a diffusers scheduler class
            or instance, or a target in text.
        order: what is expected.
        grid: "uniform", "smooth" or "arbitrary"; every class when None.
        convention: see hosts.functions, for a signature that does not tell.
        options: keyword arguments for the sampler.

    Raises:
        Refuted: with the audited orders and what is to blame.
    """
    from .judge import judge
    from .order.audit import CLASSES
    from .targets import callable_target, find

    if grid is not None and grid not in CLASSES:
        raise VerifyError(f"grid {grid!r} is not known; choose one of {', '.join(CLASSES)}")
    if isinstance(sampler, str):
        (target,) = find(sampler, options, convention)
    else:
        target = callable_target(sampler, options=options, convention=convention)
    verdict = judge(target, claim=None, rates=False, constants=False)
    if verdict.reason == "conduct":
        raise Refuted(f"real runs fail: {explanation(verdict)}")
    kinds = CLASSES if grid is None else (grid,)
    if verdict.status in ("error", "disagree") or any(verdict.audited[k] != order for k in kinds):
        where = "every class of grids" if grid is None else f"{grid} grids"
        raise Refuted(f"not of the expected order {order} on {where}: {explanation(verdict)}")


@pytest.fixture(name="assert_order")
def assert_order_fixture() -> Callable[..., None]:
    """The function assert_order(sampler, order, **options)."""
    return assert_order
