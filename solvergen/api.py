"""A solver in Python: read, found in the gallery, or built; and everything that follows from it.

>>> import solvergen as sg
>>> mine = sg.Solver("mine", "data", step={"rule": "adams-bashforth", "steps": 2})
>>> print(mine.order().order)
exactly 2
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from numbers import Rational
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

from .errors import DeriveError, SolvergenError, SpecError
from .installing import install

if TYPE_CHECKING:
    import torch

    from .catalogue import Entry
    from .loading import Loaded
    from .order import OrderReport
    from .order.sde.report import StochasticReport
    from .program.model import Program
    from .proof import Proof
    from .spec.model import Solver as Spec


class Solver:
    """A diffusion solver.

    It is built from the keys and tables of a spec file, with the same names, the same checks and the
    same messages; floats are refused, since they are not exact.

    Args:
        name: identifier, also the name of the emitted file.
        integrand: ``data``, ``noise`` or ``velocity``.
        tables: the other keys and tables of a spec: ``step``, ``stage`` (a list), ``corrector``,
            ``parameters``, ``let``, ``start``, ``end``, ``noise``, ``claim``, ``title`` …; a step of
            ``start`` or ``end`` may be another `Solver`.

    Raises:
        SpecError: naming the key, what is wrong, and what to do.

    Attributes:
        spec: the frozen value that a spec file reads to.

    >>> Solver("mine", "data", step={"rule": "interpolat", "nodes": ["n"]})
    Traceback (most recent call last):
    solvergen.errors.SpecError: Solver('mine'): step.rule: `interpolat` is not one of interpolate, taylor, mean-value, weights, adams-bashforth, adams-moulton; did you mean `interpolate`?
    """

    def __init__(self, name: str, integrand: str, **tables: Any) -> None:
        from .spec.reader import solver_of

        source = f"Solver({name!r})"
        named: dict[str, Spec] = {}
        data = _as_toml({"name": name, "integrand": integrand, **tables}, named)
        try:
            self.spec = solver_of(data, source)
        except SolvergenError as error:
            raise error.with_traceback(None) from None
        self._path = Path(source)
        self._named = named

    @classmethod
    def _of(cls, spec: Spec, path: Path) -> Solver:
        """A solver that was read from a file."""
        made = cls.__new__(cls)
        made.spec, made._path, made._named = spec, path, {}
        return made

    @property
    def name(self) -> str:
        """The solver's name."""
        return self.spec.name

    @property
    def title(self) -> str:
        """Its full name, or its name where it has none."""
        return self.spec.title or self.spec.name

    @functools.cached_property
    def program(self) -> Program:
        """Its exact rows: every model call and every state as a linear combination.

        Raises:
            SpecError: its weights cannot exist; with the place in the spec.
        """
        from .derive import derive
        from .loading import located, sibling

        if self._path.is_file():
            beside = sibling(self._path)
            try:
                return derive(self.spec, beside)
            except (DeriveError, RecursionError) as error:
                raise located(error, self._path) from None
        try:
            return derive(self.spec, self._sibling)
        except DeriveError as error:
            from .spec.text.document import dotted

            where = f"{dotted(error.where)}: " if error.where else ""
            raise SpecError(where + error.message, str(self._path)) from None

    @property
    def _sibling(self) -> Callable[[str], Spec]:
        """How a solver built in Python finds those that it names."""
        from . import gallery

        return lambda name: self._named[name] if name in self._named else gallery.load(name)

    @property
    def _loaded(self) -> Loaded:
        from .loading import Loaded

        return Loaded(self.spec, self.program, self._path)

    @functools.cached_property
    def _proof(self) -> Proof:
        from .proof import proved

        return proved(self._loaded)

    @functools.cached_property
    def _entry(self) -> Entry:
        from .catalogue import entry_of, gallery_name, stored

        known = gallery_name(self._path)
        return (known and stored(known)) or entry_of(self._proof)

    def order(self) -> OrderReport | StochasticReport:
        """What is proved of its order.

        Raises:
            OrderError: no order can be derived.
        """
        from .proof import noise_report, order_report

        if self._proof.refused:  # raise it where it was found
            return (noise_report if self.program.stochastic else order_report)(self.program)
        report = self._proof.order or self._proof.noise
        assert report is not None
        return report

    def explain(self) -> Explanation:
        """The update, the orders and the claim; what `solvergen explain` prints."""
        from .explanation import explanation

        return Explanation(self, explanation(self._entry))

    def generate(self, out: str | Path | None = None) -> str:
        """The solver's torch file.

        Args:
            out: a folder to write it to, as NAME.py.

        Returns:
            The text of the file.
        """
        if out is not None:
            from .writing import write

            write(Path(out) / f"{self.name}.py", self._proof.text)
        return self._proof.text

    @functools.cached_property
    def module(self) -> ModuleType:
        """The emitted file as a module: ``sample``, ``coefficients``, ``step``, ``integrate``.

        Raises:
            SolvergenError: torch is not installed.
        """
        from .emitted import imported

        with tempfile.TemporaryDirectory() as folder:
            self.generate(folder)
            return imported(Path(folder) / f"{self.name}.py")

    def sample(
        self,
        model: Callable[..., torch.Tensor],
        x: torch.Tensor,
        sigmas: torch.Tensor,
        **options: Any,
    ) -> torch.Tensor:
        """Run the solver.

        Args:
            model: ``model(x, sigma) -> denoised``.
            x: start at ``sigmas[0]``, of any shape.
            sigmas: (n + 1,), falling; the last may be 0.
            options: of the emitted ``sample``: ``alphas``, ``callback``, ``extra_args``, the solver's
                own parameters …

        Returns:
            The end state, of the shape and dtype of `x`.
        """
        end: torch.Tensor = self.module.sample(model, x, sigmas, **options)
        return end

    def audit(self, **options: Any) -> Any:
        """The judge's verdict on the emitted code, from one-hot runs alone.

        Args:
            options: of `verify.judge.judge`, such as ``claim``.

        Returns:
            A `verify.verdict.Verdict`.

        Raises:
            SolvergenError: torch, numpy or scipy is not installed.
        """
        return self.verify(rates=False, constants=False, **options)

    def verify(self, **options: Any) -> Any:
        """The judge's verdict on the emitted code: audited and measured.

        Args:
            options: of `verify.judge.judge`, such as ``claim`` and ``grids``.

        Raises:
            SolvergenError: torch, numpy or scipy is not installed.
        """
        from .verdicts import judge_at_hand

        with judge_at_hand():
            from solvergen.verify.judge import judge
            from solvergen.verify.targets import find
        with tempfile.TemporaryDirectory() as folder:
            self.generate(folder)
            (target,) = find(str(Path(folder) / f"{self.name}.py"))
            return judge(replace(target, name=self.name), **options)

    def fit(self, on: Any, steps: int, out: str | Path, **options: Any) -> Solver:
        """Fit its numbers per step, and its levels, to a model; what `solvergen fit` does.

        Args:
            on: a model: ``mixtures``, ``digits``, ``module:name`` …, or a `fit.problem.Problem`.
            steps: of the run.
            out: the fitted spec to write, FILE.toml; its torch file and a record go beside it.
            options: of `fit.specs.outcome.fit_spec`: ``free``, ``starts``, ``held``, ``seed`` …

        Returns:
            The fitted solver.

        Raises:
            SolvergenError: there is nothing to fit, the model cannot be used, the solver was built
                in Python and has no file, or a package is missing.
        """
        if not self._path.is_file():
            raise SolvergenError(
                f"{self.name} was built in Python; a fit keeps the text of a spec: write it to a "
                "file and take sg.read(FILE).fit(...)"
            )
        try:
            from .fit.problems.lookup import problem
            from .fit.specs.outcome import fit_spec

            model = problem(on) if isinstance(on, str) else on
            fitted = fit_spec(self._loaded, model, steps, Path(out), **options)
            fitted.write(Path(out))
        except ModuleNotFoundError as error:
            raise SolvergenError(f"a fit needs {error.name}; {install('fit')}") from None
        return read(out)

    def plot_error(self, *beside: Solver | str, axes: Any = None) -> Any:
        """Error against model evaluations on a mixture in the plane, over σ from 10 to 0.05.

        Args:
            beside: other solvers, or names of the gallery, drawn with it.
            axes: matplotlib axes to draw on; new ones unless given.

        Returns:
            The axes.

        Raises:
            SolvergenError: torch, scipy or matplotlib is not installed.
        """
        from . import plots
        from .verdicts import judge_at_hand

        others = [solver(one) if isinstance(one, str) else one for one in beside]
        modules = {one.name: one.module for one in (self, *others)}
        with judge_at_hand("plots need"):
            return plots.errors(plots.new_axes() if axes is None else axes, modules)

    def plot_stability(self, axes: Any = None, reach: float = 6.0) -> Any:
        """The stability region in the solver's clock: where y′ = z y does not grow in a step.

        Args:
            axes: matplotlib axes to draw on; new ones unless given.
            reach: width and height of what is shown.

        Returns:
            The axes.

        Raises:
            OrderError: the weights have no limit for small steps.
            SolvergenError: matplotlib is not installed.
        """
        from . import plots
        from .order.ode.stability import stability

        found = stability(self.program)
        return plots.stability(plots.new_axes() if axes is None else axes, found, self.title, reach)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Solver) and self.spec == other.spec

    def __hash__(self) -> int:
        return hash(self.spec)

    def __repr__(self) -> str:
        return f"<Solver {self.name}: {self.title}, {self.spec.integrand}>"

    def _repr_latex_(self) -> str:
        from .emit.formulas.formula import latex

        return f"$\\displaystyle {latex(self.program)}$"

    def _repr_html_(self) -> str:
        return self.explain()._repr_html_()


class Explanation(str):
    """What is known of a solver: a string for terminals, a page for notebooks."""

    solver: Solver

    def __new__(cls, solver: Solver, text: str) -> Self:
        made = super().__new__(cls, text)
        made.solver = solver
        return made

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        from .notebook import explanation_html

        return explanation_html(self.solver._entry, self.solver._repr_latex_())


def solver(name: str) -> Solver:
    """A solver of the gallery.

    Args:
        name: as `solvergen list` shows it.

    Raises:
        SpecError: there is none of that name; the message suggests the nearest.

    >>> solver("dpmpp_2m").title
    'DPM-Solver++(2M)'
    """
    from . import gallery

    if name.endswith(".toml"):
        raise SpecError(
            f'no solver of that name in the gallery; a file is read by sg.read("{name}")', name
        )
    if not gallery.is_name(name):
        raise SpecError(gallery.unknown(name), name)
    return read(gallery.CATALOG / f"{name}.toml")


def read(path: str | Path) -> Solver:
    """A solver from a spec file; solvers that it names are looked for beside it, then in the gallery.

    Args:
        path: a TOML file.

    Raises:
        SpecError: with file, line, column and what to do.
    """
    from .spec.reader import read_solver

    try:
        spec = read_solver(path)
    except SolvergenError as error:
        raise error.with_traceback(None) from None  # the message, without the reader's frames
    return Solver._of(spec, Path(path))


def _as_toml(value: Any, named: dict[str, Spec]) -> Any:
    """A Python value as TOML would give it; floats stay, and are refused by the reader."""
    if isinstance(value, Solver):
        named[value.name] = value.spec
        named |= value._named
        return value.name
    if isinstance(value, Mapping):
        return {str(key): _as_toml(item, named) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_toml(item, named) for item in value]
    if isinstance(value, Rational) and not isinstance(value, int):
        return f"{value.numerator}/{value.denominator}"
    return value
