"""The parts of a derivation, written from the expansions of the recursion."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from ...algebra.scalar import Scalar
from ...program.model import Program
from ..expansion.words import Word, reading_order, spell_latex
from ..ode.analyse import analyse
from ..ode.report import OrderReport
from .derivation_terms import Terms, by_power, number, power_of_h
from .derivation_text import Derivation, Paragraph, Part

CLOCKS = {
    1: r"\alpha/\sigma",
    -1: r"\sigma/\alpha",
    0: r"\sigma/(\alpha + \sigma)",
}


@dataclass(frozen=True)
class Notation:
    """Names of things in one of the two forms of the equation."""

    kappa: int
    plain: bool

    def word(self, word: Word) -> str:
        """A word in LaTeX: derivatives of f (plain) or N along the solution, J the Jacobian."""
        return spell_latex(word, "f" if self.plain else "N", "J")

    @property
    def state(self) -> str:
        """The unknown."""
        return "y" if self.plain else "u"


class Writer:
    """Writes the parts of a derivation.

    Args:
        program: the solver.
        studied: the same solver as it is derived: in its clock, or itself.
        report: the analysis of `studied`.
        names: how things are called.
    """

    def __init__(
        self, program: Program, studied: Program, report: OrderReport, names: Notation
    ) -> None:
        self.program, self.studied, self.report, self.names = program, studied, report, names
        self.order = report.orders["uniform"]["exact_start"].value
        self.limit = self.order + 1
        self.terms = Terms(studied, self.limit)

    def write(self) -> Derivation:
        parts = [self.problem(), self.exact(), *self.stages(), self.comparison()]
        parts += [self.local(), self.shortcut(), self.total()]
        return Derivation(self.program.title or self.program.name, tuple(parts))

    # -- parts ---------------------------------------------------------------------------------

    def problem(self) -> Part:
        if self.names.plain:
            equation = rf"y' = f(t, y), \qquad t = {CLOCKS[self.names.kappa]}, \quad h = \Delta t"
            meaning = (
                "$f^{(k)}$ is the $k$-th *total* derivative of $f$ along the exact solution: "
                r"$f' = f_t + f_y f$ and $f'' = f_{tt} + 2 f_{ty} f + f_{yy} f^2 + f_y f'$; and "
                r"$J = f_y$, $J_2 = f_{yy}$."
            )
        else:
            sign = "-" if self.names.kappa == 1 else ""
            equation = (
                rf"u' = {sign}u + N(\lambda, u), \qquad ' = d/d\lambda, \quad h = \Delta\lambda"
            )
            meaning = (
                r"$N^{(k)}$ is the $k$-th *total* $\lambda$-derivative of $N$ along the exact "
                r"solution, and $J = \partial N/\partial u$, $J_2 = \partial^2 N/\partial u^2$."
            )
        text = f"One step is taken from an exact value{self._past()}. {meaning}"
        if "sigma" in self.studied.free_symbols():
            text += r" The weights hold $\mathrm{sigma} = \sigma/\alpha$ where the step begins."
        known = Paragraph("text", self._unknown())
        return Part(
            "The equation", (known, Paragraph("formula", equation), Paragraph("text", text))
        )

    def _past(self) -> str:
        """What is known from the steps before, all of it exact."""
        main = self.studied.main
        known = ["past values"] * bool(main.past_evaluations) + ["past states"] * bool(
            main.past_states
        )
        said = f", with exact {' and '.join(known)} on a uniform grid" if known else ""
        if main.recalls:
            names = ", ".join(f"`{name}`" for name in main.recalls)
            said += (
                f", after a step that began exactly too: its stages {names} are expanded about their own "
                "places, one step length earlier"
            )
        return said

    def _unknown(self) -> str:
        """How the unknown relates to the state x and its right-hand side to the model output."""
        kappa = self.program.kappa
        scale = {1: r"\alpha", -1: r"\sigma", 0: r"(\alpha + \sigma)"}
        if self.names.plain:
            scale = {1: r"\sigma", -1: r"\alpha", 0: r"(\alpha + \sigma)"}
        output = {
            1: "the denoised prediction $D$",
            -1: "the noise prediction" if self.names.plain else r"minus the noise prediction",
            0: "the velocity prediction",
        }[kappa]
        right = "f" if self.names.plain else "N"
        return f"The unknown is ${self.names.state} = x/{scale[kappa]}$, and ${right}$ is {output}."

    def exact(self) -> Part:
        terms = self._expansion(self.terms.exact())
        y = self.names.state
        if self.names.plain:
            lead = "Taylor's formula along the exact solution, with $y' = f$, $y'' = f'$, …:"
            formula = rf"y(t+h) = y + {terms} + O(h^{{{self.limit + 1}}})"
        else:
            kappa = "-h" if self.names.kappa == 1 else "h"
            lead = (
                "Variation of constants, with $N$ replaced by its Taylor polynomial; the integrals "
                r"are φ-functions, expanded in $h$:"
            )
            formula = rf"{y}(\lambda+h) = e^{{{kappa}}} {y} + {terms} + O(h^{{{self.limit + 1}}})"
        return Part("The exact solution", (Paragraph("text", lead), Paragraph("formula", formula)))

    def stages(self) -> list[Part]:
        """Expansion of every evaluation that is not at an exact value."""
        parts = []
        for name, errors, evaluation in self.terms.stages():
            y, f = self.names.state, "f" if self.names.plain else "N"
            wrong = self._expansion(by_power(errors, self.limit - 1))
            expanded = self._expansion(by_power(evaluation, self.limit, 1))
            text = (
                f"The state of stage `{name}` deviates from the exact solution at its place by the "
                f"first line; inserted into ${f}$, with a Taylor expansion in both arguments, this "
                "gives the evaluation in the second line."
            )
            tail = rf"+ O(h^{{{self.limit}}})"
            parts.append(
                Part(
                    f"Stage {name}",
                    (
                        Paragraph("text", text),
                        Paragraph("formula", rf"{y}_{{\text{{{name}}}}} - {y} = {wrong} {tail}"),
                        Paragraph("formula", rf"{f}_{{\text{{{name}}}}} = {expanded} {tail}"),
                    ),
                )
            )
        return parts

    def comparison(self) -> Part:
        """All coefficients of the step beside those of the exact solution."""
        exact, error = self.terms.exact(), by_power(self.terms.error(), self.limit)
        keys = sorted({*exact, *error}, key=lambda k: (k[0], reading_order(k[1])))
        rows: list[tuple[str, ...]] = [("term", "numerical", "exact", "difference")]
        for power, word in keys:
            difference = error.get((power, word), Fraction(0))
            theirs = exact.get((power, word), Fraction(0))
            rows.append(
                (
                    f"{power_of_h(power)} {self.names.word(word)}",
                    number(difference + theirs),
                    number(theirs),
                    number(difference) if difference else r"0\ \text{(cancels)}",
                )
            )
        text = "Collecting the numerical step term by term and comparing with the exact solution:"
        return Part(
            "Which terms cancel", (Paragraph("text", text), Paragraph("table", tuple(rows)))
        )

    def local(self) -> Part:
        lead = self._expansion(self.terms.leading())
        text = (
            f"Everything up to $h^{{{self.order}}}$ cancels and $h^{{{self.limit}}}$ does not: the "
            f"order is exactly {self.order}. Numerical minus exact after one step:"
        )
        formula = rf"\mathrm{{LTE}} = {lead} + O(h^{{{self.limit + 1}}})"
        return Part(
            "The local truncation error", (Paragraph("text", text), Paragraph("formula", formula))
        )

    def shortcut(self) -> Part:
        """What the expansion gives when f is taken as a function of time alone."""
        leading, f = self.terms.leading(), "f" if self.names.plain else "N"
        heading = f"With {f} as a function of time alone"
        alone = {key: value for key, value in leading.items() if not key[1][1]}
        missing = {key: value for key, value in leading.items() if key[1][1]}
        short = self._expansion(alone)
        if not missing:
            text = (
                f"The shortcut that takes ${f}$ as a function of time alone drops all terms with $J$. "
                "Here there are none at this order, so it gives the same constant."
            )
            return Part(heading, (Paragraph("text", text),))
        text = (
            f"The shortcut that takes ${f}$ as a function of time alone sets $J = 0$. It gives a "
            "different constant:"
        )
        formula = rf"\mathrm{{LTE}}_{{J=0}} = {short} + O(h^{{{self.limit + 1}}})"
        more = rf"\text{{missing: }}\quad {self._expansion(missing)}"
        rest = (
            "The missing terms are of the same power of $h$: they come from evaluating at states that "
            "are themselves in error. The full expansion above is the one that counts."
        )
        return Part(
            heading,
            (
                Paragraph("text", text),
                Paragraph("formula", formula),
                Paragraph("formula", more),
                Paragraph("text", rest),
            ),
        )

    def total(self) -> Part:
        """From the local to the global error, with start and end."""
        p, y = self.order, self.names.state
        time = "t" if self.names.plain else r"\lambda"
        lead = self._expansion({(0, word): v for (_, word), v in self.terms.leading().items()})
        jacobian = "J" if self.names.plain else f"(J {'-' if self.names.kappa == 1 else '+'} 1)"
        text = (
            f"An error $E_n$ in ${y}_n$ is carried on by the linearised step, and each step adds its "
            "local error:"
        )
        carried = rf"E_{{n+1}} = \left(1 + h\,{jacobian} + O(h^2)\right) E_n + \mathrm{{LTE}}_n"
        factor: Scalar = Fraction(1)
        if self.studied.main.past_states:
            if not self.report.zero_stability.stable:
                return Part("The global truncation error", (Paragraph("text", self._unstable()),))
            text, carried = self._carried()
            factor = self.terms.accumulation()
        summed = (
            r"$T/h$ steps add local errors of $h^{" + str(p + 1) + r"}$ each, amplified by at most "
            r"$e^{LT}$ (discrete Gronwall). One power of $h$ is lost, and the sum becomes an integral "
            r"with the propagator $\Phi$ of the linearised equation:"
        )
        integral = (
            rf"\mathrm{{GTE}} = {'' if factor == 1 else number(factor) + ' '}{power_of_h(p)} \int_{{{time}_0}}^{{{time}_1}} \Phi({time}_1, {time}) "
            rf"\left[{lead}\right] d{time} + O(h^{{{p + 1}}})"
        )
        paragraphs = [
            Paragraph("text", text),
            Paragraph("formula", carried),
            Paragraph("text", summed),
            Paragraph("formula", integral),
        ]
        paragraphs += [Paragraph("text", text) for text in (*self._ends(), *self._other_grids())]
        return Part("The global truncation error", tuple(paragraphs))

    def _carried(self) -> tuple[str, str]:
        """How errors of several past states are carried on, and the recursion."""
        shares = self.terms.shares()
        right = " + ".join(
            rf"{number(share)} E_{{n{f'-{k}' if k else ''}}}"
            for k, share in enumerate(shares)
            if share
        ).replace("+ -", "- ")
        text = (
            f"A step starts from several states, so their errors $E$ obey a recursion, as $h$ tends to 0 "
            r"the one below. Its characteristic polynomial $\rho$ has the root 1, by which the local errors "
            r"are passed on divided by $\rho'(1)$; no other root grows: "
            f"{self.report.zero_stability.reason}."
        )
        return text, rf"E_{{n+1}} = {right} + O(h)\,E + \mathrm{{LTE}}_n"

    def _unstable(self) -> str:
        return (
            "The errors of past states grow from step to step, whatever the local error is: the solver is "
            f"not zero-stable ({self.report.zero_stability.reason}), and nothing converges."
        )

    def _ends(self) -> list[str]:
        own = self.report.orders["uniform"]["own_end"]
        if own.value == self.order:
            return [f"The solver's own first and last steps keep the order: globally {own}."]
        causes = "; ".join(str(b) for b in self.report.bottlenecks)
        text = (
            f"The solver's own first and last steps lower it: globally {own}. A single step is not "
            f"summed, so its local error counts as it is: {causes}."
        )
        return [text]

    def _other_grids(self) -> list[str]:
        """What becomes of a method in its clock on grids that are not uniform there."""
        if not self.studied.main.history or self.studied is self.program:
            return []
        orders = analyse(self.program).orders
        found = ", ".join(
            f"{orders[kind]['exact_start']} {where}"
            for kind, where in (
                ("uniform", "on grids uniform in $\\lambda$"),
                ("smooth", "on smooth grids"),
                ("arbitrary", "on arbitrary grids"),
            )
        )
        return [
            f"All this is on a grid uniform in the clock. With exact start the order is {found}."
        ]

    def _expansion(self, terms: dict[tuple[int, Word], Scalar]) -> str:
        """Terms as LaTeX, lower powers of h first, each with its sign."""
        shown = ""
        for power, word in sorted(terms, key=lambda k: (k[0], reading_order(k[1]))):
            value = terms[power, word]
            if not value:
                continue
            negative = isinstance(value, Fraction | int) and value < 0
            size = number(-value if negative else value)
            body = f"{'' if size == '1' else size} {power_of_h(power)} {self.names.word(word)}"
            shown += f" {'-' if negative else '+'} " + " ".join(body.split())
        return shown.strip().removeprefix("+ ").replace("- ", "-", shown.startswith(" -")) or "0"
