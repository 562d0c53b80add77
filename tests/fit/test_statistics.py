"""DPM-Solver-v3: its authors' numbers, its limit DPM-Solver++, its orders, and our estimate of l, s, b."""

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from solvergen.cli import main
from solvergen.emitted import imported
from solvergen.fit.problem import ProblemError
from solvergen.fit.problems.mixture import planar
from solvergen.fit.statistics.estimate import estimate
from solvergen.fit.statistics.sampler import sample

ROOT = Path(__file__).parents[2]
PEER = json.loads((ROOT / "tests/data/learned_statistics.json").read_text())
MIXTURE = planar()
PROBLEM = MIXTURE.problem(PEER["sigma_max"], PEER["sigma_min"])


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def denoiser(x, sigma):
    return MIXTURE.denoise(x, sigma[0])


LAM = torch.linspace(
    -math.log(PEER["sigma_max"]), -math.log(PEER["sigma_min"]), len(PEER["l"]), dtype=torch.float64
)
EXACT = {"lam": LAM, **{name: tensor(PEER[name]) for name in "lsb"}}
NONE = {"lam": LAM, "l": torch.ones_like(EXACT["l"]), "s": 0 * EXACT["s"], "b": 0 * EXACT["b"]}


def levels(points):
    return [math.exp(-float(LAM[i])) for i in points]


def uniform(steps):
    return levels(range(0, 121, 120 // steps))


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_authors_numbers(order):
    """All predictors and correctors, full and pseudo, with statistics and without."""
    found = [run for run in PEER["runs"] if run["order"] == order]
    assert len(found) == {1: 9, 2: 9, 3: 15}[order]
    for run in found:
        end = sample(
            denoiser,
            tensor(PEER["x_init"]),
            levels(run["indexes"]),
            statistics=NONE if run["degenerated"] else EXACT,
            order=order,
            pseudo=run["predictor_pseudo"],
            corrector=run["corrector"],
            corrector_pseudo=run["corrector_pseudo"],
            lower_order_final=run["lower_order_final"],
            published=True,
        )
        assert float((end - tensor(run["y"])).abs().max()) < 1e-12, run


@pytest.mark.parametrize(("order", "name"), [(1, "ddim"), (2, "dpmpp_2m_exact"), (3, "dpmpp_3m")])
def test_without_statistics_it_is_dpm_solver_pp(order, name):
    x = tensor(PEER["x_init"])
    wanted = imported(ROOT / f"generated/{name}.py").sample(denoiser, x, uniform(10))
    found = sample(denoiser, x, uniform(10), statistics=NONE, order=order, lower_order_final=False)
    assert float((found - wanted).abs().max()) < 1e-12


@pytest.fixture(scope="module")
def exact_ends():
    x = PROBLEM.noise(16, 3)
    return x, PROBLEM.teacher(x)


@pytest.mark.parametrize(
    "order",
    [pytest.param(1, marks=pytest.mark.nightly), 2, pytest.param(3, marks=pytest.mark.nightly)],
)
def test_the_order_shows(order, exact_ends):
    x, ends = exact_ends
    errors = []
    for steps in (20, 40):
        found = sample(
            denoiser, x, uniform(steps), statistics=EXACT, order=order, lower_order_final=False
        )
        errors.append(float((found - ends).square().mean().sqrt()))
    assert abs(math.log2(errors[0] / errors[1]) - order) < 0.3


def estimated(samples):
    made = torch.Generator().manual_seed(5)
    which = torch.multinomial(MIXTURE.weights, samples, replacement=True, generator=made)
    noise = torch.randn(samples, 2, generator=made, dtype=torch.float64)
    data = MIXTURE.means[which] + MIXTURE.variances[which].sqrt() * noise
    problem = type(PROBLEM)(**{**vars(PROBLEM), "chunk": samples})
    return estimate(problem, data, levels=30)


@pytest.mark.parametrize(
    ("samples", "bounds"),
    [
        (256, {"l": 0.05, "s": 0.3, "b": 0.05}),
        pytest.param(2048, {"l": 0.015, "s": 0.08, "b": 0.01}, marks=pytest.mark.nightly),
    ],
)
def test_the_estimate_meets_the_exact_statistics(samples, bounds, exact_ends):
    found = estimated(samples)
    for name, bound in bounds.items():
        away = (getattr(found, name) - EXACT[name][::4])[1:-1].abs()  # one-sided differences end it
        assert float(away.max()) < bound, (name, float(away.max()))
    x, ends = exact_ends
    grid = [math.exp(-float(found.lam[i])) for i in range(0, 31, 3)]
    error = {
        key: float((sample(denoiser, x, grid, statistics=s, order=1) - ends).square().mean().sqrt())
        for key, s in {"with": found.tensors(), "without": NONE}.items()
    }
    assert error["with"] < 0.5 * error["without"]


def test_the_command_writes_a_file_that_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    out = tmp_path / "ems.safetensors"
    words = ["fit-statistics", "--on", "mixtures", "--levels", "12", "--points", "32"]
    assert main([*words, "--out", str(out)]) == 0
    module, statistics = imported(tmp_path / "ems.py"), load_file(out)
    grid = [math.exp(-float(statistics["lam"][i])) for i in (0, 4, 8, 12)]
    assert (
        module.sample(denoiser, tensor([[60.0, -40.0]]), grid, statistics=statistics)
        .isfinite()
        .all()
    )
    assert "remake   solvergen fit-statistics --on mixtures" in (tmp_path / "ems.py").read_text()
    capsys.readouterr()
    assert main([*words, "--out", str(tmp_path / "ems.npz")]) == 2
    assert "--out must be a safetensors file" in capsys.readouterr().err
    (tmp_path / "taken.py").mkdir()
    for others, said in (
        (["--out", str(tmp_path / "taken.safetensors")], "taken.py: is a folder"),
        (["--levels", "7", "--out", str(out)], "--levels must be at least 8; found 7"),
        (["--seed", "9" * 20, "--out", str(out)], "the seed must fit 64 bits"),
    ):
        assert main([*words, *others]) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "taken.safetensors").exists()


def test_what_cannot_be_used_is_named():
    x = tensor(PEER["x_init"])
    with pytest.raises(ValueError, match="one point of the table"):
        sample(denoiser, x, [3.0, 2.99, 0.1], statistics=EXACT)
    with pytest.raises(ValueError, match=r"reach from sigma = 3 to 0\.1; found 80 to 0\.1"):
        sample(denoiser, x, [80.0, 1.0, 0.1], statistics=EXACT)
    with pytest.raises(ValueError, match=r"of samples \(2,\), x has \(3,\)"):
        sample(denoiser, torch.zeros(1, 3), [3.0, 0.1], statistics=EXACT)
    with pytest.raises(ValueError, match="each above 0 and finite"):
        sample(denoiser, x, [3.0, 0.5, 0.0], statistics=EXACT)
    with pytest.raises(ValueError, match=r"statistics lack lam, l, s, b; give load_file"):
        sample(denoiser, x, [3.0, 0.1], statistics={})
    with pytest.raises(
        ValueError, match=r"NaN or infinity at call 0, sigma = 3, for a state that is f"
    ):
        sample(lambda x, sigma: x * math.nan, x, [3.0, 0.1], statistics=EXACT)
    with pytest.raises(ValueError, match="tensor of the shape of x; found tuple"):
        sample(lambda x, sigma: (x,), x, [3.0, 0.1], statistics=EXACT)
    with pytest.raises(ValueError, match="floating-point dtype"):
        sample(denoiser, x.long(), [3.0, 0.1], statistics=EXACT)
    with pytest.raises(ProblemError, match="8 samples"):
        estimate(PROBLEM, torch.zeros(4, 2))
    broken = type(PROBLEM)(**{**vars(PROBLEM), "denoiser": lambda x, s: x * math.nan})
    with pytest.raises(ProblemError, match="not finite at sigma = 3"):
        estimate(broken, torch.zeros(8, 2), levels=8)
