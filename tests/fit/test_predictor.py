"""Numbers per sample: differentiable steps equal emitted files, a trained network carries over, refusals."""

import math
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from solvergen.cli import main
from solvergen.derive import derive
from solvergen.emitted import imported
from solvergen.errors import SolvergenError
from solvergen.fit.predictor import Hook, Predictor, seen, train
from solvergen.fit.predictor.steps import FUNCTIONS, Sampled
from solvergen.fit.problems.mixture import planar
from solvergen.fit.record import RecordError
from solvergen.fit.specs.numbers import free_numbers
from solvergen.fit.teacher import Taught
from solvergen.loading import load
from solvergen.spec import parse_solver
from solvergen.spec.model import Parameter

GENERATED = Path(__file__).parents[2] / "generated"
LEVELS = [80.0, 4.0, 0.3, 0.002]
MIXTURE = planar()


def each(x, sigma):
    return torch.cat([MIXTURE.denoise(a[None], level) for a, level in zip(x, sigma, strict=True)])


@pytest.fixture(scope="module")
def known():
    problem = MIXTURE.problem()
    starts = problem.noise(64, 3)
    return Taught(problem, starts, problem.teacher(starts), 0.0, 0, 0.0)


@pytest.mark.parametrize("name", ["amed_solver", "amed_plugin_dpm2"])
def test_differentiable_steps_are_those_of_the_file(name):
    drawn = torch.Generator().manual_seed(2)
    numbers = {
        key: low + width * torch.rand(3, 4, generator=drawn, dtype=torch.float64)
        for key, low, width in (("r", 0.3, 0.4), ("c", 0.95, 0.1), ("a", 0.9, 0.2))
    }
    x = 80 * torch.randn(4, 2, generator=drawn, dtype=torch.float64)
    own = Sampled(load(name).program).run(
        each, x, LEVELS, lambda i, *_: {k: v[i] for k, v in numbers.items()}
    )
    file = imported(GENERATED / f"{name}.py").sample(each, x, LEVELS, **numbers)
    assert (own - file).abs().max() < 1e-12


HISTORY = """
name      = "remembers"
integrand = "{integrand}"
coordinate = "{coordinate}"
{stage}
[step]
rule       = "interpolate"
nodes      = ["n", "n-1"]
deviations = {{ {far} = "b*h" }}

[parameters.b]
default = 0
minimum = -1
maximum = 1
per     = "sample"
"""
INSIDE = '[[stage]]\nname = "mid"\nat = "1/2"\nrule = "interpolate"\nnodes = ["n", "n-1"]\n'


@pytest.mark.parametrize(
    ("integrand", "coordinate", "stage", "far"),
    [
        ("data", "lambda", "", "n-2"),
        ("noise", "clock", "", "n-3"),
        ("velocity", "clock", "", "n-2"),
        ("data", "lambda", INSIDE, "mid-1"),
    ],
)
def test_differentiable_steps_with_history_are_those_of_the_file(
    integrand, coordinate, stage, far, sampler
):
    text = HISTORY.format(integrand=integrand, coordinate=coordinate, stage=stage, far=far)
    solver = parse_solver(text)
    drawn = torch.Generator().manual_seed(2)
    b = 0.4 * torch.rand(5, 4, generator=drawn, dtype=torch.float64) - 0.2
    x = 8 * torch.randn(4, 2, generator=drawn, dtype=torch.float64)
    levels = [8.0, 3.0, 1.5, 0.4, 0.3, 0.1]
    own = Sampled(derive(solver)).run(each, x, levels, lambda i, *_: {"b": b[i]})
    file = sampler(solver).sample(each, x, levels, b=b)
    assert (own - file).abs().max() < 1e-12
    assert (file - sampler(solver).sample(each, x, levels)).abs().max() > 1e-4


@pytest.mark.parametrize("z", [-30.0, -2.0, -1.999, -0.3, 0.0, 1.0, 2.0, 9.0])
def test_phi_and_its_derivative_are_finite_and_right(z):
    at = torch.tensor(z, dtype=torch.float64, requires_grad=True)
    value = FUNCTIONS["phi"](2, at)
    (slope,) = torch.autograd.grad(value, at)
    exact = 0.5 if z == 0 else (math.expm1(z) - z) / z**2
    third = 1 / 6 if z == 0 else (math.expm1(z) - z - z**2 / 2) / z**3
    assert abs(value.item() - exact) < 1e-12 * max(1, abs(exact))
    assert abs(slope.item() - (exact - 2 * third)) < 1e-9 * max(1, abs(exact))  # φ₂' = φ₂ − 2 φ₃


@pytest.fixture(scope="module")
def trained(known):
    return train(load("amed_solver").program, known, 32, LEVELS, iterations=60, batch=24)


def test_a_trained_network_helps_and_the_file_runs_with_it(trained, known, tmp_path):
    assert trained.held_out < trained.before / 2
    program, path = load("amed_solver").program, tmp_path / "amed.safetensors"
    trained.predictor.save(path, program)
    found = Predictor.load(path, program)
    sample = imported(GENERATED / "amed_solver.py").sample
    ends = sample(each, known.starts[-32:].double(), LEVELS, **found.numbers())
    error = (ends - known.ends[-32:].double()).square().mean().sqrt()
    assert abs(error - trained.held_out) < 1e-9


def test_a_predictor_of_another_rule_or_a_damaged_one_is_refused(trained, tmp_path):
    path = tmp_path / "amed.safetensors"
    trained.predictor.save(path, load("amed_solver").program)
    with pytest.raises(RecordError, match="trained for the rule"):
        Predictor.load(path, load("amed_plugin_dpm2").program)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(RecordError, match="not a readable safetensors file"):
        Predictor.load(path, load("amed_solver").program)


def test_another_output_at_the_same_step_gets_numbers_of_its_own(monkeypatch):
    made = Predictor([load("amed_solver").program.parameters[0]], LEVELS, 4)
    torch.nn.init.ones_(made.heads.weight)
    gone = (
        "solvergen.fit.predictor.network.id"  # an output that is gone leaves its number to the next
    )
    monkeypatch.setattr(gone, lambda value: 0, raising=False)
    ((_, asked),) = made.numbers().items()
    x = torch.ones(3, 2, dtype=torch.float64)
    assert not torch.equal(asked(0, x, x), asked(0, x, 5 * x))


def test_what_is_seen_of_images_and_inside_a_network():
    x = torch.randn(2, 3, 16, 16)
    assert seen(x, x).shape == (2, 128)
    part = torch.nn.Conv2d(3, 5, 1)
    hook = Hook(part)
    with pytest.raises(RecordError, match="was not called"):
        hook(x, x)
    part(torch.cat([x, x + 1]))  # guidance: the conditional half counts
    found = hook(x, x)
    assert found.shape == (2, 64)
    hook.remove()
    assert torch.equal(found, hook(x, x))


MODELS = """
import torch
from solvergen.fit.predictor import Hook
from solvergen.fit.problems.mixture import planar

plane = planar().problem()
inside = torch.nn.Identity().double()
hook = Hook(inside)

class Mine:
    shape, sigma_max, sigma_min, dtype = (2,), 80.0, 0.002, torch.float64
    mean, std = plane.mean, plane.std
    teacher = staticmethod(plane.teacher)

    def denoiser(self, x, sigma):
        return inside(plane.denoiser(x, sigma))

def flat(x, denoised):
    return denoised.sum()

number = 3
"""
PREDICT = "fit rule.toml --steps 3 --iterations 1 --starts 16 --held-out 8 --no-cache --out p.toml"


def test_features_of_a_hook_from_the_command_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "own_models_q.py").write_text(MODELS)
    (tmp_path / "rule.toml").write_text(
        HISTORY.format(integrand="data", coordinate="lambda", stage="", far="n-2")
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("solvergen.fit.predictor.training.ITERATIONS", 3)
    line = [*PREDICT.split(), "--on", "own_models_q:Mine", "--features"]
    for name, said in (
        ("flat", r"features must be a tensor (batch, features) for (x, denoised); found ()"),
        ("number", "must be called with (x, denoised); found int"),
        ("hok", "module own_models_q has no `hok`; did you mean `hook`"),
    ):
        assert main([*line, f"own_models_q:{name}", "--predictor"]) == 2
        assert said in capsys.readouterr().err
    few = PREDICT.replace("--steps 3", "--steps 2").split()
    assert main([*few, "--on", "own_models_q:Mine", "--predictor"]) == 2
    assert "no row has b in it in a run of 2 steps" in capsys.readouterr().err
    assert main([*line, "own_models_q:hook"]) == 2
    assert "give --predictor too" in capsys.readouterr().err and not Path("p.toml").exists()
    assert main([*line, "own_models_q:hook", "--predictor"]) == 0
    found = Predictor.load("p.safetensors", load("p.toml").program)
    assert found.look[0].in_features == 2  # the hook's, where the state and the output make four


@pytest.mark.parametrize(
    ("solver", "said"),
    [
        ("learned_ab1", 'no parameter has per = "sample"'),
        ("epd", 'no parameter has per = "sample"'),
    ],
)
def test_rules_without_numbers_per_sample_are_refused_at_once(solver, said, tmp_path, capsys):
    out = str(tmp_path / "x.toml")
    line = ["fit", solver, "--on", "mixtures", "--steps", "3", "--predictor", "--out", out]
    assert main(line) == 2
    assert said in capsys.readouterr().err


def test_a_rule_with_past_states_and_a_number_without_bounds_are_refused():
    with pytest.raises(SolvergenError, match="steps without past states"):
        Sampled(load("bdf_2").program)
    with pytest.raises(RecordError, match="needs a least and a greatest value"):
        Predictor([Parameter("b", 0)], LEVELS, 4)


def test_levels_of_calls_are_numbers_to_fit():
    """They stand in no row: LD3, TimeTuner, GS and the plug-ins of AMED have them at every step."""
    levels = tuple(Fraction(v) for v in (80, 4, 1, 0.25))
    assert free_numbers(load("timetuner").program, levels, ["a"]).count == 3
    assert (
        free_numbers(load("amed_plugin_ipndm3").program, levels, None).told() == "c 3, a 3, grid 2"
    )
