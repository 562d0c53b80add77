"""Solvers with what is proved of them, as plain data: `list`, `explain` and `gallery` read it.

Orders are derived when files are generated and stored beside them, in ``catalogue.json``. A stored
entry is used while its spec, and those of the solvers that it names, have not changed since; any other
is derived anew. `solvergen generate --check` derives all and compares.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import gallery

if TYPE_CHECKING:
    from .loading import Loaded
    from .program.model import Program
    from .proof import Proof

FILE = "catalogue.json"
FAMILIES = ("one evaluation", "runge-kutta", "multistep", "predictor-corrector", "hybrid")
LONGEST = 160  # of a leading error in symbols that a person still reads
REMEMBERED = "not given: it depends on all steps before, through what is remembered of them"
OFF_LEVEL = "not given: calls at other levels than those of the states add terms of order h^2"

Orders = Mapping[str, Mapping[str, tuple[int, bool]]]


@dataclass(frozen=True)
class Entry:
    """A solver with what is proved of it.

    Args:
        name, title, description, source: as in the spec.
        target: what to load it from: a gallery solver's name or a path.
        integrand: data, noise or velocity.
        family: one of `FAMILIES`.
        evaluations, history: of a step.
        parameters: name to default and explanation.
        claim: what is claimed, by quantity.
        records: the claim is the publication's, known to differ.
        digest: of the program.
        formula: the update, for a terminal.
        warnings: what cannot be right about its rows.
        clock: whether its grid is uniform in the clock rather than in λ.
        ahead: whether steps use points beyond the next.
        order: grid class → mode → (p, exactly).
        leading: the leading local error on a uniform grid, as words and exact coefficients.
        local_error: the same as a sum, and, where it is short, on any grid.
        stiff: strong and weak stiff order.
        bottlenecks: the first and last steps that hold the order back.
        weak: of a solver with noise, in place of orders: grid class → quantity → rate.
        reason: where orders with noise hold, or why there are none.
        quiet: the order without noise, where a parameter silences it.
        refused: why no order can be derived.
        fault: why the claim of a solver with noise does not hold.
        rounded: where its numbers are rounded, the order they were made for, and the residuals in words.
        varying: parameters with a number for each step, for all of which the orders hold.
        table: what its own numbers do at its own levels, in lines.
        ways: of a solver that switches along the run, the order of each of its kinds of steps.
        holds: for which values of its parameters the orders hold.
        divergence: that it does not converge, where, and why; empty where it does.
        approximated: what rules approximate where it is not the model output.
    """

    name: str
    title: str
    description: str
    source: str
    target: str
    integrand: str
    family: str
    evaluations: int
    history: int
    parameters: Mapping[str, tuple[str, str]]
    claim: Mapping[str, int]
    records: bool
    digest: str
    formula: str
    warnings: tuple[str, ...] = ()
    clock: bool = False
    ahead: bool = False
    order: Orders = field(default_factory=dict)
    leading: tuple[tuple[str, str], ...] = ()
    local_error: tuple[str, str] = ("", "")
    stiff: tuple[int, int] | None = None
    bottlenecks: tuple[str, ...] = ()
    weak: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    reason: str = ""
    quiet: str = ""
    refused: str = ""
    fault: str = ""
    rounded: tuple[int, str] | None = None
    varying: tuple[str, ...] = ()
    table: tuple[str, ...] = ()
    ways: tuple[str, ...] = ()
    holds: str = ""
    divergence: str = ""
    forgets: str = ""
    approximated: str = ""

    @cached_property
    def loaded(self) -> Loaded:
        """The solver itself, read and derived when it is asked for."""
        from .loading import load

        return load(self.target)

    @property
    def true_order(self) -> int:
        """What a user gets on any grid, with the solver's own start and end.

        Of a solver with noise: the order of its covariance.
        """
        if self.weak:
            rate = self.rate("covariance")
            return int(rate[0]) if isinstance(rate, list) else 0
        return self.order["arbitrary"]["own_end"][0] if self.order else 0

    def rate(self, quantity: str) -> Any:
        """A rate of a solver with noise on any grid: [p, exactly], "exact" or None."""
        row = self.weak["arbitrary"]
        return row.get(f"path_{quantity}") or row[quantity]

    @property
    def shown_order(self) -> str:
        """The order in a column: 2, =/2/1 for mean, covariance and strong order; none: no convergence."""
        if not self.weak:
            return (str(self.true_order) if self.true_order else "none") if self.order else "?"
        rates = (self.rate(name) for name in ("mean", "covariance", "strong"))
        return "/".join(
            "-" if r is None else "=" if r == "exact" else f"{r[0]:g}" if r[0] > 0 else "none"
            for r in rates
        )

    @property
    def falls_short(self) -> bool:
        """Whether a higher order was published than is reached."""
        if self.weak and self.rate("covariance") == "exact":
            return False
        claimed = self.claim.get("covariance" if self.weak else "order")
        return claimed is not None and claimed > self.true_order


def family(program: Program) -> str:
    """The family of a solver, read off its main step."""
    main = program.main
    names = {row.name for row in main.stages}
    if main.corrector is not None or any(name.startswith("n+1") for name in names):
        return "predictor-corrector"
    if main.stages:
        return "hybrid" if main.history else "runge-kutta"
    return "multistep" if main.history else "one evaluation"


def entry_of(proof: Proof) -> Entry:
    """The entry of a solver, from its proof."""
    from .emit.formulas import formula
    from .emit.formulas.legend import approximated
    from .expr.printing import rational
    from .program.consistency import inconsistent_rows
    from .program.digest import digest
    from .proof import CLAIMED

    loaded = proof.loaded
    solver, program = loaded.solver, loaded.program
    claims = {name: getattr(solver.claim, name) for name in CLAIMED}
    return Entry(
        name=solver.name,
        title=program.title,
        description=solver.description,
        source=solver.source.cite(),
        target=gallery_name(loaded.path) or str(loaded.path),
        integrand=program.integrand,
        family=family(program),
        evaluations=program.evaluations_per_step,
        history=program.history,
        parameters={p.name: (rational(p.default), p.doc) for p in program.parameters},
        claim={name: claimed for name, claimed in claims.items() if claimed is not None},
        records=bool(solver.claim.records),
        digest=digest(program),
        formula=formula.terminal(program),
        warnings=tuple(inconsistent_rows(program)),
        clock=program.kappa == 0,
        ahead=program.main.ahead > 1,
        refused=proof.refused,
        varying=program.varying,
        table=tuple(_table(loaded)),
        approximated=approximated(program),
        **_proved(proof),
    )


def _table(loaded: Loaded) -> Iterator[str]:
    """What numbers per step do at the levels that they were made for."""
    fitted, program = loaded.solver.fitted, loaded.program
    if fitted is not None:
        taught = f", {fitted.teacher}" if fitted.teacher else ""
        yield f"fitted on {fitted.problem} for {fitted.steps} steps{taught}"
        if fitted.before is not None and fitted.held_out is not None:
            yield (
                f"rms on held-out starts {float(fitted.held_out):.3g}, "
                f"before the fit {float(fitted.before):.3g}"
            )
    if not program.varying:
        return
    from .program.defects import defects

    if not (found := defects(program)):
        return
    yield "level at the start, moments of degree 0, 1, 2 against the exact ones, less 1, and gain:"
    for i, step in enumerate(found):
        level = f"{float(program.levels[i]):.4g}"
        cells = "".join(f"{0.0 if abs(m) < 1e-13 else m:>11.3g}" for m in step.moments)
        yield f"  step {i:<3}{level:>9}{cells}{step.gain:>9.2f}"


def _proved(proof: Proof) -> dict[str, Any]:
    """The part of an entry that the order report gives."""
    from .errors import OrderError

    if proof.noise is not None:
        try:
            silent = proof.noise.deterministic
        except OrderError:
            silent = None
        quiet = "" if silent is None else str(silent.order)
        return {
            "weak": proof.noise.json(),
            "reason": proof.noise.reason,
            "quiet": quiet,
            "fault": proof.claim_fault,
        }
    if proof.order is None:
        return {}
    report = proof.order
    orders = {
        kind: {mode: (found.value, found.exact) for mode, found in modes.items()}
        for kind, modes in report.orders.items()
    }
    unstated = OFF_LEVEL if report.off_level else REMEMBERED if report.remembers else ""
    leading = () if unstated else report.uniform.json()
    local = (unstated, "") if unstated else (str(report.uniform), _on_any_grid(proof))
    stiff, rounded = report.stiff, report.rounded
    return {
        "order": orders,
        "leading": tuple((term["word"], term["coef"]) for term in leading),
        "local_error": local,
        "stiff": None if stiff.strong is None else (stiff.strong, stiff.weak),
        "bottlenecks": tuple(str(bottleneck) for bottleneck in report.bottlenecks),
        "rounded": rounded and (rounded.order, str(rounded)),
        "divergence": report.divergence,
        "forgets": report.forgets,
        "holds": "" if proof.scope is None else str(proof.scope),
        "ways": tuple(f"where {', '.join(decided)}: {order}" for decided, order in report.ways),
    }


def _on_any_grid(proof: Proof) -> str:
    """The leading error in symbols where it is short and says more; or why it was not expanded."""
    from .order import Explosion

    assert proof.order is not None
    try:
        if proof.order.symbolic.brief(LONGEST) is None:
            return ""
        symbolic = str(proof.order.symbolic)
    except Explosion as error:
        return f"({error})"
    said = len(symbolic) <= LONGEST and symbolic != str(proof.order.uniform)
    return symbolic if said else ""


def entry(target: str) -> Entry:
    """A solver's entry: the stored one while it is current, else proved now.

    Raises:
        SpecError: the spec is wrong, or there is none.
    """
    return stored(target) or _derived(target)


def _derived(target: str) -> Entry:
    from .loading import load
    from .proof import proved

    return entry_of(proved(load(target)))


def entries(targets: Iterable[str]) -> Iterator[Entry]:
    """The entries of some targets, in order."""
    return map(entry, targets)


def stored(target: str) -> Entry | None:
    """The stored entry of a gallery solver whose specs have not changed since; else ``None``."""
    records = _records()
    if target not in records or not gallery.is_name(target) or not _current(target):
        return None
    return _entry(records[target]["entry"])


def _current(name: str) -> bool:
    """Whether a spec, and those of the solvers that it names, are those that were proved."""
    waiting, seen = [name], {name}
    while waiting:
        known = _records().get(spec := waiting.pop())
        if known is None or known["spec"] != gallery.fingerprint(spec):
            return False
        fresh = set(known["names"]) - seen
        waiting += fresh
        seen |= fresh
    return True


@cache
def _records() -> dict[str, Any]:
    """What is stored beside the generated files; empty where nothing is."""
    inside = Path(__file__).parent  # in a wheel; in a checkout they lie beside the package
    paths = (folder / "generated" / FILE for folder in (inside, inside.parent))
    return next((read(path) for path in paths if path.is_file()), {})


def read(path: Path) -> dict[str, Any]:
    """What a ``catalogue.json`` holds; nothing where it is missing or broken, so all is derived anew."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _entry(data: Mapping[str, Any]) -> Entry:
    """An entry from its JSON, whose lists were tuples."""
    pairs = {
        kind: {mode: (int(p), bool(exact)) for mode, (p, exact) in modes.items()}
        for kind, modes in data.get("order", {}).items()
    }
    frozen = {
        "order": pairs,
        "parameters": {name: tuple(known) for name, known in data["parameters"].items()},
        "leading": tuple(map(tuple, data.get("leading", ()))),
    }
    lists = (
        "warnings",
        "local_error",
        "stiff",
        "bottlenecks",
        "rounded",
        "varying",
        "table",
        "ways",
    )
    frozen |= {name: tuple(data[name]) for name in lists if data.get(name)}
    return Entry(**{**data, **frozen})


def record(one: Entry, loaded: Loaded | None = None) -> dict[str, Any]:
    """What is stored of a gallery solver: its entry without empty fields, and the specs it rests on.

    loaded: the solver of the entry, where it is at hand; it is read and derived anew unless given.
    """
    plain = dataclasses.asdict(one)
    defaults = {f.name for f in dataclasses.fields(one) if f.default is not dataclasses.MISSING}
    defaults |= {
        f.name for f in dataclasses.fields(one) if f.default_factory is not dataclasses.MISSING
    }
    kept = {name: value for name, value in plain.items() if value or name not in defaults}
    kept.pop("local_error", None) if not any(one.local_error) else None
    solver = (one.loaded if loaded is None else loaded).solver
    edges = (
        *solver.start.using,
        *solver.end.using,
        *(n for row in solver.end.remainder for n in row),
    )
    named = sorted({step for step in edges if isinstance(step, str)})
    return {"spec": gallery.fingerprint(one.name), "names": named, "entry": kept}


def file_text(records: Mapping[str, Mapping[str, Any]]) -> str:
    """The text of ``catalogue.json``: a line a solver, sorted by name."""
    lines = (
        f" {json.dumps(name)}: {json.dumps(records[name], ensure_ascii=False)}"
        for name in sorted(records)
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


def gallery_name(path: Path) -> str:
    """The name of a gallery solver, from its spec file; empty for any other file."""
    return path.stem if path.parent == gallery.CATALOG else ""
