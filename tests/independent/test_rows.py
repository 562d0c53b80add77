"""Every row of every solver in the gallery against a derivation by sympy alone."""

import mpmath
import pytest

from solvergen import gallery
from solvergen.expr.functions import moment, offset
from solvergen.loading import load

from .sympy_moments import DIGITS, Point, as_function

TENTH = gallery.names()[::10]
REST = [name for name in gallery.names() if name not in TENTH]
TOLERANCE = mpmath.mpf(10) ** -35


def rule_of(row, solver):
    """The rule that a row of the solver's own step comes from."""
    name = row.name
    if name in ("x", "predicted") and not (solver.corrector and solver.corrector.mode == "PECE"):
        return solver.step
    if name == "corrected" or (name == "x" and solver.corrector):
        return solver.corrector.rule
    if name.startswith("n+1"):
        return solver.step if name == "n+1" else solver.corrector.rule
    return next(stage.rule for stage in solver.stages if stage.name == name)


class Row:
    """A row with the numbers that its rule's functional has at a point."""

    def __init__(self, row, step, solver, point):
        self.row, self.step, self.solver, self.point = row, step, solver, point
        self.rule = rule_of(row, solver)
        self.kappa = point.kappa
        weights = [t.weight for t in row.terms]
        named = any(w.has(moment, offset) or "eta1" in map(str, w.free_symbols) for w in weights)
        self.further = bool(step.coordinates) and named
        self.weights = {t.source: point.of(t.weight) for t in row.terms}
        self.decay = point.of(row.decay)

    def in_lambda(self, place):
        """Where a place lies, as a fraction of the step in λ."""
        at = self.point.of(place.fraction)
        if place.coordinate in ("lambda", "grid") or at in (0, 1):
            return at
        if not self.kappa:
            return self.point.unclocked(at)
        z = self.kappa * self.point.values["h"]
        return mpmath.log1p(at * mpmath.expm1(z)) / z

    def coordinate(self, place):
        """Where a place lies in the variable of the row's polynomial."""
        if self.further:
            return self.point.offset(self.in_lambda(place))
        if self.row.gauge == "lambda":
            return self.in_lambda(place)
        if place.coordinate == "clock":
            return self.point.of(place.fraction)
        return self.point.clock(self.point.of(place.fraction))

    def node(self, source):
        """Offset of an evaluation."""
        if source == "n":
            return mpmath.mpf(0)
        if source.startswith("n+1"):
            return mpmath.mpf(1)
        if source.startswith("n-"):
            k = int(source[2:])
            prefix = "theta" if self.row.gauge == "lambda" else "Theta"
            prefix = "eta" if self.further else prefix
            return mpmath.mpf(-k) if self.rule.frozen else -self.point.values[f"{prefix}{k}"]
        return self.coordinate(next(r.place for r in self.step.rows if r.name == source))

    def exact(self, m, strength):
        """What the integral over the row's part of the step is of ξ^m, in the row's gauge."""
        if self.further:
            return self.point.moment(m, self.in_lambda(self.row.place))
        c = self.coordinate(self.row.place)
        if self.row.gauge == "clock":
            return c ** (m + 1) / (m + 1)
        h = self.point.values["h"]
        # the data form's SDE has A h in place of h; the noise form's has its weights times A
        rate = strength if self.kappa == 1 else 1
        return strength * h * as_function(m)(c, self.kappa * rate * h)

    def functional(self, m, strength):
        """What the rule does to ξ^m."""
        if self.rule.kind == "taylor":
            if m > (self.rule.degree or 0):
                return mpmath.mpf(0)
            factor = self.point.of(self.rule.factors[m]) if self.rule.factors else 1
            return factor * self.exact(m, strength)
        if self.rule.kind == "mean-value":
            theta = mpmath.mpf("0.5") if self.rule.theta is None else self.point.of(self.rule.theta)
            scale = 1 if self.rule.scale is None else self.point.of(self.rule.scale)
            at = theta * self.coordinate(self.row.place)
            return scale * self.exact(0, strength) * at**m
        return self.exact(m, strength)

    def check(self):
        if self.row.carry:
            return self.check_states()
        noise = self.solver.noise
        form = noise.form if noise else ""
        strength = mpmath.mpf(1)
        if form == "sde":
            strength += self.point.of(noise.strength) ** 2
        count = sum(1 for s in self.rule.nodes if depth(s) <= self.step.history)
        for m in range(count):
            found = mpmath.fsum(w * self.node(s) ** m for s, w in self.weights.items())
            wanted = self.functional(m, strength)
            assert abs(found - wanted) < TOLERANCE * (1 + abs(wanted)), (self.row.name, m)
        if form == "sde":
            self.check_noise(strength)

    def check_noise(self, strength):
        """The drift's strength and the noise belong to one reverse SDE: the marginals agree."""
        drawn = mpmath.fsum(self.point.of(d.weight) ** 2 for d in self.row.noise)
        if self.solver.noise.scale != 1:
            return
        c, h = self.in_lambda(self.row.place), self.point.values["h"]
        if self.kappa == 1:  # σ̃² at the end − what is left of that at the start, over σ̃² at the end
            wanted = 1 - mpmath.exp(-2 * (strength - 1) * c * h)
            assert abs(self.decay**2 - (1 - wanted)) < TOLERANCE
        else:
            wanted = (strength - 1) * mpmath.expm1(2 * c * h)
        if self.solver.noise.stages == "path" or self.row.place.is_end:
            assert abs(drawn - wanted) < TOLERANCE, (self.row.name, "noise")

    def check_states(self):
        """States and slopes: exact for polynomials of degree states + nodes − 1."""
        held = {"x": self.decay, **{t.source: self.point.of(t.weight) for t in self.row.carry}}
        at = {s: self.node(s.replace("x", "n", 1)) for s in held}
        c = self.coordinate(self.row.place)
        count = len(held) + sum(1 for n in self.rule.nodes if depth(n) <= self.step.history)
        for m in range(count):
            states = mpmath.fsum(w * at[s] ** m for s, w in held.items())
            slopes = (w * m * self.node(s) ** (m - 1) for s, w in self.weights.items() if m)
            assert abs(states + mpmath.fsum(slopes) - c**m) < TOLERANCE, (self.row.name, m)


def depth(source):
    """How many steps back a source lies."""
    return int(source[2:]) if source.startswith("n-") else 0


def follows(row, step, solver):
    """Whether a row follows from a rule: explicit weights are given, and an ancestral step's are
    those of a shorter step."""
    rule = rule_of(row, solver)
    return not (rule.kind == "weights" or rule.deviations or step.down is not None or step.lets)


def own_steps(program, solver):
    """The main step, and the first steps that are the same rule with fewer nodes."""
    return (program.main, *program.start[len(solver.start.using) :])


def rows_checked(name, seeds=(1, 2)):
    loaded = load(name)
    solver, program = loaded.solver, loaded.program
    checked = 0
    with mpmath.workdps(DIGITS):
        for seed in seeds:
            point = Point(solver, seed)
            for step in own_steps(program, solver):
                for row in step.rows:
                    if follows(row, step, solver):
                        Row(row, step, solver, point).check()
                        checked += 1
    return checked


@pytest.mark.parametrize("name", TENTH)
def test_a_tenth_of_the_gallery(name):
    rows_checked(name)


@pytest.mark.nightly
@pytest.mark.parametrize("name", REST)
def test_the_rest_of_the_gallery(name):
    rows_checked(name, (1, 2, 3))


def test_most_rows_follow_from_rules():
    """The check is about something: in the tenth alone there are dozens of derived rows."""
    assert sum(rows_checked(name, (1,)) for name in TENTH) >= 40
