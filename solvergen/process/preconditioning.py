"""The preconditioning of EDM, derived: a network that sees and predicts unit variance.

The denoiser is D(x) = c_skip x + c_out F(c_in x) and its loss is w |D − x0|². With data of variance
σ_d² and x = α x0 + σ ε,

    unit input      Var(c_in x) = 1
    unit target     Var((x0 − c_skip x)/c_out) = 1
    least error     c_skip makes c_out, which multiplies the network's error, as small as it can be
    equal weight    w c_out² = 1, so that the loss of F has weight 1 at every level

Source: Karras et al. 2022, Appendix B.6, there for α = 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

ALPHA, SIGMA, SIGMA_D = sp.symbols("alpha sigma sigma_d", positive=True)


@dataclass(frozen=True)
class Preconditioning:
    """c_skip, c_out, c_in and the loss weight, in α, σ and the data's deviation σ_d."""

    skip: sp.Expr
    out: sp.Expr
    into: sp.Expr
    weight: sp.Expr


def derive(alpha: sp.Expr = ALPHA, sigma: sp.Expr = SIGMA) -> Preconditioning:
    """Solve the four conditions.

    >>> edm = derive(sp.Integer(1))
    >>> edm.skip, edm.weight
    (sigma_d**2/(sigma**2 + sigma_d**2), (sigma**2 + sigma_d**2)/(sigma**2*sigma_d**2))
    """
    skip = sp.Symbol("c_skip", real=True)
    # x0 − c_skip x = (1 − c_skip α) x0 − c_skip σ ε, of independent x0 and ε
    target = (1 - skip * ALPHA) ** 2 * SIGMA_D**2 + skip**2 * SIGMA**2
    (best,) = sp.solve(sp.diff(target, skip), skip)
    out2 = sp.factor(target.subs(skip, best))
    total = ALPHA**2 * SIGMA_D**2 + SIGMA**2
    found = (best, sp.sqrt(out2), 1 / sp.sqrt(total), 1 / out2)
    return Preconditioning(
        *(e.subs({ALPHA: alpha, SIGMA: sigma}, simultaneous=True) for e in found)
    )
