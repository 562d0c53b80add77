"""Tables exact on a Gaussian: what holds for all shares, derivatives, the emitted file."""

import importlib.util
import math

import numpy as np
import pytest
import torch

from solvergen.fit.file import file_text
from solvergen.fit.objective import MeanLog, Pairs
from solvergen.fit.problem import Problem
from solvergen.fit.run import Scaled, end, jacobian, outputs
from solvergen.fit.shape import Numbers
from solvergen.fit.squares import State, levenberg_marquardt
from solvergen.fit.table import Table, adams, coefficients, grown

LEVELS = (9.0, 3.0, 1.1, 0.3)


def random_table(seed, sums=False):
    rng = np.random.default_rng(seed)
    numbers = Numbers(4, sums)
    values = numbers.of(adams(LEVELS, 0.002, 2)) + 0.2 * rng.standard_normal(numbers.count)
    return numbers, values


def gaussian(mean, std):
    def denoiser(x, sigma):
        return mean + std**2 / (std**2 + sigma**2) * (x - mean)

    return Problem("gaussian", denoiser, (3,), 80.0, 0.002, mean, std, dtype=torch.float64)


def imported(text, path):
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("seed", range(3))
def test_every_table_is_exact_on_its_gaussian(seed):
    numbers, values = random_table(seed)
    mean = torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64)
    problem = gaussian(mean, 0.6)
    scaled = Scaled(problem)
    x = problem.noise(5, seed)
    found = scaled.outward(
        end(scaled, numbers.table(values), scaled.inward(x, scaled.start)), scaled.end
    )
    exact = mean + (x - mean) * math.hypot(0.6, 0.002) / math.hypot(0.6, 80)
    assert torch.allclose(found, exact, rtol=0, atol=1e-12)


def test_sums_are_one_for_all_numbers_and_give_order_one(mixture):
    for seed in range(20):
        numbers, values = random_table(seed, sums=True)
        assert numbers.table(values).defects() == pytest.approx([0] * 4, abs=1e-14)
    # A family: each step of a table, cut into more; the shares of the newest two outputs are random
    # numbers whose sum is one. The error must fall as the first power at least.
    scaled = Scaled(mixture.problem(sigma_min=0.3))
    state = torch.randn(8, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    exact = end(scaled, adams([float(v) for v in np.geomspace(9, 0.305, 300)], 0.3, 2), state)
    errors = []
    for n in (30, 60, 120):
        levels = [float(v) for v in np.geomspace(9, 0.3, n + 1)]
        angles = np.arctan(levels)
        total, rows = np.zeros(n), []
        for i in range(n):
            width = angles[i] - angles[i + 1]
            total[i] += width * (1.7 if i else 1.0)
            if i:
                total[i - 1] -= 0.7 * width
            rows.append(tuple(total[: i + 1] / (angles[0] - angles[i + 1])))
        table = Table(tuple(levels[:-1]), tuple(rows))
        found = end(scaled, table, state)
        errors.append(float((found - exact).norm()))
    assert errors[0] / errors[1] > 1.7 and errors[1] / errors[2] > 1.8


@pytest.mark.parametrize("chunk", [2, 64])
@pytest.mark.parametrize("sums", [True, False])
def test_derivatives_are_those_of_the_run(mixture, chunk, sums):
    problem = Problem(**{**mixture.problem().__dict__, "chunk": chunk})
    scaled = Scaled(problem)
    x = problem.noise(3, 1)
    state, target = scaled.inward(x, scaled.start), torch.zeros_like(x)
    numbers, values = random_table(0, sums)
    squares, gradient, normal = jacobian(scaled, numbers, values, state, target)

    def loss(at):
        return float((end(scaled, numbers.table(at), state) ** 2).sum())

    assert squares == pytest.approx(loss(values), rel=1e-12)
    for k, axis in enumerate(np.eye(numbers.count)):
        slope = (loss(values + 1e-5 * axis) - loss(values - 1e-5 * axis)) / 4e-5
        assert gradient[k] == pytest.approx(slope, abs=1e-6 * np.abs(gradient).max())
    assert np.linalg.eigvalsh(normal).min() > -1e-9 * np.trace(normal)


def test_a_fit_gains_and_a_resumed_one_has_the_same_bits(mixture):
    problem = mixture.problem()
    scaled = Scaled(problem)
    x = problem.noise(12, 0)
    pairs = Pairs.of("small", scaled, x, problem.teacher(x))
    numbers = Numbers(4)
    begin = numbers.of(adams(LEVELS, scaled.end, 2))
    objective = MeanLog([pairs], numbers, 1e-3, begin)

    def fitted(state, iterations):
        steps = levenberg_marquardt(objective.model, objective.loss, state, iterations=iterations)
        return [*steps][-1]

    start = State(begin, objective.loss(begin))
    whole, half = fitted(start, 6), fitted(start, 3)
    again = fitted(half, 6)
    assert whole.loss < start.loss - 1.0
    assert again.values.tobytes() == whole.values.tobytes() and again.curve == whole.curve


def test_a_step_that_is_not_finite_is_taken_back():
    def loss(values):
        return math.inf if values[0] > 0.2 else float((values[0] - 1) ** 2)

    def model(values):
        return loss(values), values - 1, np.eye(1)

    found = [*levenberg_marquardt(model, loss, State(np.zeros(1), 1.0), iterations=30)][-1]
    assert 0.15 < found.values[0] <= 0.2 and found.loss == loss(found.values)


@pytest.mark.parametrize("seed", range(3))
def test_the_file_is_the_table(mixture, seed, tmp_path):
    numbers, values = random_table(seed)
    table = numbers.table(values).rounded()
    problem = mixture.problem().with_moments(torch.linspace(-0.5, 0.5, 6, dtype=torch.float64), 0.8)
    text = file_text(
        "tuned", "A tuned table.", table, problem.mean, 0.8, (80.0, 0.002), remake="-", fitted="-"
    )
    module = imported(text, tmp_path / "tuned.py")
    x = problem.noise(3, 5)
    scaled = Scaled(problem)
    seen = []

    def model(x, sigma):
        seen.append(float(sigma[0]))
        return problem.denoiser(x, sigma[0])

    found = module.sample(model, x)
    exact = scaled.outward(end(scaled, table, scaled.inward(x, scaled.start)), scaled.end)
    assert torch.allclose(found, exact, rtol=0, atol=1e-9)
    assert seen == pytest.approx([0.8 * v for v in table.levels])
    a, c = coefficients(table, 100.0, 0.0025)
    mine = module.coefficients(100.0, 0.0025)
    assert a == pytest.approx(mine[0]) and c[2, :2] == pytest.approx(mine[1][2])
    assert module.GAIN == pytest.approx(table.gain(), rel=1e-5) and module.EVALUATIONS == 4
    assert {line.split()[1] for line in text.splitlines() if line.startswith("import ")} == {
        "math",
        "torch",
    }
    changed = module.sample(model, x, mean=0.0, std=1.0)
    assert not torch.allclose(found, changed, atol=1e-3)
    with pytest.raises(ValueError, match="two ends"):
        module.sample(model, x, [80.0, 1.0, 0.1])
    with pytest.raises(ValueError, match="fitted for calls from"):
        module.sample(model, x, (1.0, 0.002))
    with pytest.raises(ValueError, match="shape of x"):
        module.sample(lambda x, sigma: x[:1], x)


def test_the_file_is_differentiable_and_keeps_half_precision(tmp_path):
    text = file_text(
        "tuned",
        "T.",
        adams(LEVELS, 0.01, 2),
        0.1,
        0.5,
        (80.0, 0.01),
        remake="-",
        fitted="-",
        sums=True,
    )
    module = imported(text, tmp_path / "tuned.py")
    assert module.KEPT_ORDER == 1
    x = torch.randn(2, 3, generator=torch.Generator().manual_seed(0)).bfloat16() * 80
    assert module.sample(lambda x, sigma: 0.5 * x / sigma[0] ** 2, x).dtype == torch.bfloat16
    start = x.float().requires_grad_(True)
    module.sample(lambda x, sigma: torch.tanh(x), start).sum().backward()
    assert start.grad.abs().sum() > 0


def test_outputs_and_states_agree_with_the_coefficients(mixture):
    scaled = Scaled(mixture.problem())
    numbers, values = random_table(1)
    table = numbers.table(values)
    state = scaled.inward(scaled.problem.noise(2, 3), scaled.start)
    final, found = outputs(scaled, table, state)
    width = math.atan(table.levels[0]) - math.atan(scaled.end)
    weights = torch.tensor(table.shares[-1], dtype=torch.float64) * width
    assert torch.allclose(final, state + torch.einsum("j,j...->...", weights, found), atol=1e-13)


def test_a_call_put_in_changes_no_end(mixture):
    scaled = Scaled(mixture.problem())
    state = scaled.inward(scaled.problem.noise(3, 2), scaled.start)
    numbers, values = random_table(4)
    table = numbers.table(values)
    for _ in range(4):
        more = grown(table)
        assert more.calls == table.calls + 1
        assert torch.allclose(end(scaled, more, state), end(scaled, table, state), atol=1e-13)
        table = more


def test_levels_that_rise_and_rows_of_the_wrong_length_are_refused():
    with pytest.raises(ValueError, match="must fall"):
        Table((1.0, 2.0), ((1.0,), (0.5, 0.5)))
    with pytest.raises(ValueError, match="row i"):
        Table((2.0, 1.0), ((1.0,), (1.0,)))
