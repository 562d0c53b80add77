"""The keys of [noise] and [langevin], which make a solver stochastic."""

from __future__ import annotations

from .rule_keys import Key, Table

NOISE_TABLES: dict[str, Table] = {
    "noise": Table(
        "[noise]",
        "Makes the solver stochastic; the kernel and the variances follow from the strength. The "
        "integrand is data or noise. In the form sde of data every h of the rules becomes (1 + tau^2)h, "
        "in explicit weights too. Each draw belongs to a part of the step (a Brownian path needs to "
        "know which): that of a path to its part between stages, any other to the step up to the first "
        "row that weighs it.",
        {
            "form": Key(
                "text",
                "sde: the reverse SDE of strength tau, integrated against its own exponential kernel. "
                "ancestral: a deterministic part to a lower level, then noise up to the level of the "
                "step (strength eta). churn: noise before the model call (strength S_churn). "
                "explicit: the rules carry decay and noise themselves.",
                '"sde"',
                True,
                ("sde", "ancestral", "churn", "explicit"),
            ),
            "strength": Key(
                "scalar",
                "tau, eta or S_churn, as the form says, at least 0; 1 unless given. 0 is the ODE.",
                '"tau"',
            ),
            "scale": Key(
                "scalar",
                "Factor on every draw, those of jumps too; 1 unless given. Explicit rules have theirs in "
                "their weights: there it is that of jumps.",
                '"s_noise"',
            ),
            "stages": Key(
                "text",
                "What the stages get: path, one Brownian path through them (SEEDS; the default of sde); "
                "own, a draw of their own each; inside, nothing, since they lie in the deterministic part of an "
                "ancestral step (its default).",
                '"path"',
                False,
                ("path", "own", "inside"),
            ),
            "window": Key(
                "scalars",
                "Least and greatest sigma/alpha, where a step begins, at which the strength holds; it is "
                "0 elsewhere. The forms sde and churn take one, ancestral and explicit take none.",
                '["s_tmin", "s_tmax"]',
            ),
            "window_at": Key(
                "text",
                "Which end of the step the window looks at (form sde); its start unless given.",
                '"end"',
                False,
                ("start", "end"),
            ),
            "down": Key(
                "scalar",
                "sigma/alpha where the deterministic part of an ancestral step ends, in place of a "
                "strength.",
                '"sigma_next*(1 - eta)"',
            ),
            "jumps": Key(
                "boolean",
                "The grid may rise: noise then brings the state up to the new level (restart). "
                "For solvers without history, corrector and special first steps.",
                "true",
            ),
        },
    ),
    "langevin": Table(
        "[langevin]",
        "Langevin steps at the level where a step begins, each with a model call of its own and from the "
        "one before: x + rate*(alpha*D - x) + sigma*sqrt(2*rate)*z. For solvers of data without history "
        "and corrector. [noise] stands beside it; its form explicit adds no noise of its own.",
        {
            "steps": Key("integer", "How many, from 1 to 1000.", "1", True),
            "rate": Key("scalar", "Their length, above 0 and below 2.", '"delta"'),
            "snr": Key(
                "scalar",
                "Or what their length follows from, 2*(snr*sigma*|z|/|alpha*D - x|)^2, with the means over "
                "the batch of the samples' norms (score-SDE). No order can be told then.",
                '"snr"',
            ),
        },
    ),
}
