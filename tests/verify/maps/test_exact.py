"""What is exact is never refuted, and the figures of the examiner are those of theory."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from verify.errors import ProblemError, TargetError
from verify.maps import closed, law
from verify.maps.command import claims_of
from verify.maps.examine import Settings, examine
from verify.maps.flow import exact_map, sobol_starts, trajectories
from verify.maps.mutants import exact_generator, posterior_draw
from verify.maps.problem import covariance, mean, problem
from verify.maps.report import machine, terminal
from verify.maps.target import find, wrapped


@pytest.fixture(autouse=True)
def own_shelf(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "shelf"))


def few(name, count=128):
    return replace(problem(name), count=count)


@pytest.mark.parametrize("name", ["gaussian", pytest.param("ring", marks=pytest.mark.nightly)])
def test_an_exact_map_is_not_refuted(name):
    on = few(name)
    made = examine(wrapped(exact_map(on), "endpoint"), on, settings=Settings(samples=0))
    assert made.status == "not refuted" and not made.error
    assert made.tables["levels"][0]["rms"] < 1e-7
    assert made.tables["levels"][0]["flips"] == 0
    assert made.facts["truth_bound"] < 1e-10


@pytest.mark.parametrize("name", ["coupled", "oracle"])
def test_the_law_of_exact_samples_is_not_refuted(name):
    on = problem(name)
    generator = wrapped(exact_generator(on.mixture), "generator")
    made = examine(generator, replace(on, sigma_min=1e-9), settings=Settings())
    assert made.status == "not refuted", made.refuted
    # far from the band, whichever seed: an exact sample is typically at half of it
    assert made.named("law").figure < 0.8 * made.named("law").bound
    assert abs(made.named("energy distance").figure) < 1e-4


def test_the_flow_on_the_line_is_the_transport_of_quantiles():
    on = few("oracle", 64)
    truth = trajectories(on, [2.0])
    weights, means = on.mixture.weights.numpy(), on.mixture.means[:, 0].numpy()
    std = on.mixture.variances[:, 0].sqrt().numpy()

    def cdf(x, sigma):
        spread = np.hypot(std, sigma)
        return torch.special.ndtr((x - torch.tensor(means)) / torch.tensor(spread)) @ torch.tensor(
            weights
        )

    for level in truth.levels:
        there, end = cdf(truth.at(level), level), cdf(truth.ends, on.sigma_min)
        assert float((there - end).abs().max()) < 1e-11


def test_sobol_starts_have_the_moments_of_the_marginal():
    on = problem("coupled")
    x = sobol_starts(on, 4096, 1.0)
    total = covariance(on.mixture) + torch.eye(2, dtype=torch.float64)
    assert torch.allclose(x.mean(0), mean(on.mixture), atol=5e-3)
    assert torch.allclose(torch.cov(x.T), total, atol=2e-2)


def test_energy_distance_of_one_point_is_closed():
    """All mass at the origin against N(0, s^2 I): 2 E|Y| - E|Y - Y'|."""
    on = problem("gaussian")
    unit = replace(
        on,
        mixture=type(on.mixture)([1.0], [[0.0, 0.0]], std=[1.0]),
    )
    sample = torch.zeros(2048, 2, dtype=torch.float64)
    expected = math.sqrt(math.pi / 2) * (2 - math.sqrt(2))
    assert law.energy_distance(sample, unit.mixture, 0.0) == pytest.approx(expected, rel=1e-9)


def test_an_affine_map_of_a_gaussian_is_judged_in_closed_form():
    on = problem("gaussian")
    exact = exact_map(on, 1e-11)
    top = torch.full((1,), on.sigma_max, dtype=torch.float64)

    def jump(x):
        return exact(x, top.expand(len(x)))

    assert closed.gaussian_law(jump, on)[0].figure < 1e-12
    shifted = closed.gaussian_law(lambda x: jump(x) + 0.1, on)[0].figure
    assert shifted == pytest.approx(2 * 0.1**2, rel=1e-6)


def test_the_line_is_judged_without_a_sample():
    on = problem("oracle")
    exact = exact_map(on, 1e-10)

    def jump(x):
        return exact(x, torch.full((len(x),), on.sigma_max, dtype=torch.float64))

    assert closed.line_law(jump, on)[0].figure < 1e-8
    moved = closed.line_law(lambda x: jump(x) + 0.1, on)[0].figure
    assert moved == pytest.approx(0.1 / on.sd, rel=1e-6)


def test_posterior_draws_have_the_posterior_mean():
    on = problem("coupled")
    x = sobol_starts(on, 8, 1.0)
    generator = torch.Generator().manual_seed(3)
    total, count = torch.zeros_like(x), 4000
    for place in torch.rand(count, generator=generator).tolist():
        normal = torch.randn(2, generator=generator, dtype=torch.float64)
        total += posterior_draw(on.mixture, x, 1.0, place, normal)
    assert torch.allclose(total / count, on.mixture.denoise(x, 1.0, 1.0), atol=0.06)


def test_a_kept_flow_that_is_damaged_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    on = few("gaussian", 16)
    first = trajectories(on, [])
    (kept,) = tmp_path.rglob("*.npz")
    kept.write_bytes(kept.read_bytes()[:100])
    assert torch.equal(trajectories(on, []).states, first.states)


def test_a_claim_replaces_exactness():
    on = few("gaussian")
    exact = exact_map(on)

    def off(x, sigma):
        return exact(x, sigma) + 0.02 * on.sd * (sigma - on.sigma_min)[:, None] / on.sigma_max

    def verdict(claims):
        return examine(wrapped(off, "endpoint"), on, claims, Settings(samples=0)).status

    assert verdict({"endpoint_error": 0.021}) == "not refuted"
    assert verdict({"endpoint_error": 0.019}) == "refuted"
    with pytest.raises(ProblemError, match="claim `endpoint` is not known"):
        verdict({"endpoint": 1.0})


@pytest.mark.parametrize(
    "wrong, told",
    [
        (lambda x, s: x[:, :1], "returned shape"),
        (lambda x, s: "text", "returned str"),
        (lambda x, s: 1 / 0, "ZeroDivisionError at level 80"),
    ],
)
def test_a_map_that_cannot_be_called_is_an_error(wrong, told):
    made = examine(wrapped(wrong, "endpoint"), few("gaussian"), settings=Settings(samples=0))
    assert made.status == "error" and told in made.error
    assert machine.exit_code([made]) == 2


def test_nan_is_refuted():
    made = examine(
        wrapped(lambda x, s: x / 0, "endpoint"), few("gaussian"), settings=Settings(samples=0)
    )
    assert [one.name for one in made.refuted] == ["finite"]


def test_reports_hold_what_was_found():
    on = few("gaussian")
    shrunk = wrapped(lambda x, s: x * on.sigma_min / s[:, None], "endpoint")
    made = examine(shrunk, on, settings=Settings(samples=0))
    said = terminal.text(made)
    assert "refuted by" in said.splitlines()[0] and "level" in said
    assert '<failure message="' in machine.as_junit([made])
    assert '"status": "refuted"' in machine.as_json([made])


def test_bad_names_are_told():
    with pytest.raises(ProblemError, match="no such problem"):
        problem("copled")
    with pytest.raises(TargetError, match="not a target"):
        find("nothing")
    with pytest.raises(TargetError, match="--form"):
        find("math:sqrt")
    with pytest.raises(ProblemError, match="not KEY=NUMBER"):
        claims_of(["law"])


def test_limits_are_refuted_in_the_order_of_their_teachers():
    """The map to which distillation from a solver tends is the solver's own run of 18 steps."""
    from solvergen.generated import ddim, dpmpp_2s, heun_edm

    on, count = problem("coupled"), 16384
    top, low = on.sigma_max ** (1 / 7), on.sigma_min ** (1 / 7)
    grid = torch.tensor([(top + i / 18 * (low - top)) ** 7 for i in range(19)]).double()
    start = sobol_starts(on, count, on.sigma_max)
    found = []
    for module in (ddim, heun_edm, dpmpp_2s):
        ends = module.sample(on.mixture.model(), start, grid)
        found.append(law.projected_ks(ends, on.mixture, on.sigma_min)[0])
    assert found[0] > 1.3 * found[1] > 1.3 * found[2]
    # Euler's limit is refuted at this size; a map's own law is what is judged, not its noise
    assert found[0] > law.ks_band(count, 16)


def jump_of(on):
    """The exact flow of one Gaussian between any two levels."""
    values, axes = torch.linalg.eigh(covariance(on.mixture))

    def jump(x, sigma, sigma_next):
        away = (x - mean(on.mixture)) @ axes
        ratio = (values + sigma_next[:, None] ** 2) / (values + sigma[:, None] ** 2)
        made = (ratio.sqrt() * away) @ axes.T + mean(on.mixture)
        return torch.where((sigma == sigma_next)[:, None], x, made)

    return jump


def test_an_exact_flow_map_is_not_refuted():
    on = few("gaussian")
    made = examine(wrapped(jump_of(on), "flow-map"), on, settings=Settings(samples=4096))
    assert made.status == "not refuted", made.refuted
    assert max(row["rms"] for row in made.tables["pairs"]) < 1e-9
    assert made.named("semigroup").figure < 1e-9
    assert made.named("derivative law").figure < 1e-9


def test_an_exact_average_velocity_is_not_refuted():
    on = few("gaussian")
    jump = jump_of(on)

    def velocity(x, t, r):
        end = jump(x / (1 - t)[:, None], t / (1 - t), r / (1 - r)) * (1 - r)[:, None]
        return (x - end) / (t - r).clamp_min(1e-12)[:, None]

    made = examine(wrapped(velocity, "velocity"), on, settings=Settings(samples=0))
    assert made.status == "not refuted", made.refuted
    assert max(row["rms"] for row in made.tables["average velocity"]) < 1e-9
    shifted = wrapped(lambda x, t, r: velocity(x, t, r) + 0.1, "velocity")
    off = examine(shifted, on, {"endpoint_error": 0.01}, Settings(samples=0))
    assert off.named("endpoint error").status == "refuted"
