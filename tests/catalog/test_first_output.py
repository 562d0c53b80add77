"""First outputs without a call, and calls at other levels: their authors' numbers, orders, the judge."""

import json
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import mpmath
import pytest
import torch

from solvergen.derive import derive
from solvergen.emit.exports.diffusers_file import diffusers_file
from solvergen.emit.torch_file import torch_file
from solvergen.emitted import imported
from solvergen.errors import SolvergenError
from solvergen.fit.problems.mixture import planar
from solvergen.gallery import load
from solvergen.hosts.picard import sample_parallel
from solvergen.order import analyse
from solvergen.program.unroll import unroll
from solvergen.spec import parse_solver
from solvergen.spec.tables import End, Start
from verify.judge import judge
from verify.probe.trace import recorded
from verify.targets import find

ROOT = Path(__file__).parents[2]
PEERS = json.loads((ROOT / "tests/data/learned_endpoints.json").read_text())
MIXTURE = planar()
NAMES = {
    "euler": "ddim",
    "ipndm3": "ipndm3",
    "dpmpp2_data_lof": "dpmpp_2m",
    "amed": "amed_solver",
    "dpm2_plugin": "amed_plugin_dpm2",
    "epd": "epd",
}


def denoiser(x, sigma):
    return MIXTURE.denoise(x, sigma[0])


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def module_of(solver, folder):
    path = folder / f"{solver.name}.py"
    path.write_text(torch_file(solver, derive(solver)))
    return imported(path)


def analytic(name, first="direction", **more):
    solver = load(name)
    return replace(solver, name=f"{name}_first", start=Start(first=first), **more)


@pytest.mark.parametrize("sampler", NAMES)
def test_authors_numbers_with_an_analytic_first_step(sampler, tmp_path):
    end = {"end": End(ramp=True)} if sampler.endswith("lof") else {}
    module = module_of(analytic(NAMES[sampler], **end), tmp_path)
    epd = PEERS["epd"]
    runs = [run for run in PEERS["amed"]["first"] if run["sampler"] == sampler]
    runs += epd["first"] if sampler == "epd" else []
    assert len(runs) == 2
    for run in runs:
        grid, numbers = PEERS["amed"]["grids"][run["grid"]], {}
        keys = {"r": "r", "c": "scale_dir", "a": "scale_time"}
        if sampler in ("amed", "dpm2_plugin"):
            numbers = {n: PEERS["amed"]["tables"]["table"][k] for n, k in keys.items()}
        if sampler == "epd":
            both = {"r": "r", "o": "scale_dir", "l": "scale_time"}
            numbers = {
                f"{n}{'ab'[k]}": [row[k] for row in epd[key]]
                for n, key in both.items()
                for k in (0, 1)
            }
            numbers["share"] = [row[0] for row in epd["weights"]]
        numbers = {n: values[: len(grid) - 1] for n, values in numbers.items()}
        x = tensor(PEERS["amed"]["x_init"]["sigma3" if grid[0] < 4 else "sigma80"])
        found = module.sample(denoiser, x, grid, **numbers)
        assert float((found - tensor(run["y"])).abs().max()) < 1e-12


LEVELS = """
name = "levels"
integrand = "data"
[step]
rule = "interpolate"
nodes = ["n"]
deviations = { n-1 = "b1*h*phi1", n-2 = "b2*h*phi1", n-3 = "b3*h*phi1", n-4 = "b4*h*phi1" }
[call]
level = "a"
output = "OUTPUT"
"""


@pytest.mark.parametrize("output", ["data", "noise"])
def test_calls_at_other_levels(output, tmp_path):
    peer = PEERS["model_levels"]
    text = LEVELS.replace("OUTPUT", output)
    for name, default in {"a": 1, "b1": 0, "b2": 0, "b3": 0, "b4": 0}.items():
        text += f'[parameters.{name}]\nper = "step"\ndefault = {default}\n'
    module = module_of(parse_solver(text), tmp_path)
    shares = peer["shares"]
    numbers = {
        f"b{k}": [shares[n][n - k] if n >= k else 0.0 for n in range(5)] for k in range(1, 5)
    }
    sigmas = torch.exp(-tensor(peer["lambdas"]))
    found = module.sample(
        denoiser, tensor(peer["x_init"]), sigmas, a=peer["level_scale"], **numbers
    )
    assert float((found - tensor(peer["y"][output])).abs().max()) < 1e-11
    report = analyse(derive(parse_solver(text)))
    assert report.order.value == 0 and "other levels than those of the states" in report.divergence


@pytest.mark.parametrize("first", ["direction", "mean", "gaussian"])
@pytest.mark.parametrize("name", ["dpmpp_2m", "heun_edm", "flow_ab3"])
def test_emitted_runs_are_the_programs(name, first, tmp_path):
    solver = analytic(name, first)
    module, sigmas = module_of(solver, tmp_path), torch.tensor([9.0, 3.0, 1.1, 0.4, 0.1]).double()
    run = lambda model, x, s: module.sample(model, x, s)
    seen, lam = recorded(run, sigmas.numpy()), [-mpmath.log(s) for s in sigmas.tolist()]
    wanted = unroll(derive(solver), lam)
    assert seen.calls == len(wanted.calls) == len(module.coefficients(sigmas)) - 1
    for row, start, call in zip(seen.weights, seen.start, wanted.calls, strict=False):
        known = [float(v) for v in call.state]
        assert start == pytest.approx(known[0], abs=1e-12)
        assert row[: len(known) - 1].tolist() == pytest.approx(known[1:], abs=1e-12)


@pytest.mark.parametrize(
    "name, order", [("ddim", 1), ("dpmpp_2m", 2), ("ipndm3", 1), ("dpmpp_3m", 3)]
)
def test_a_first_output_counts_once(name, order):
    orders = analyse(derive(analytic(name))).orders["arbitrary"]
    assert orders["exact_start"].value == order and orders["own_end"].value == 1


def test_gaussian_data_are_exact_in_the_first_step():
    module = imported(ROOT / "generated/dpmpp_2m_afs.py")
    mean, std, sigmas = tensor([0.4, -2.0]), tensor([0.3, 1.5]), tensor([20.0, 5.0, 0.5])
    x, asked = tensor([[3.0, -9.0], [1.0, 30.0]]), []

    def model(x, sigma):
        asked.append(float(sigma[0]))
        return mean + std**2 * (x - mean) / (std**2 + sigma[0] ** 2)

    module.sample(model, x, sigmas, mean=mean, std=std)
    plain = imported(ROOT / "generated/dpmpp_2m.py").sample(model, x, sigmas)
    found = module.sample(model, x.float(), sigmas, mean=mean, std=std)
    assert asked[0] == 5.0 and found.dtype == torch.float32
    assert torch.allclose(found.double(), plain, rtol=1e-5)
    scaled = module.sample(
        lambda x, s: model(x / 0.5, s / 0.5),
        0.5 * x,
        0.5 * sigmas,
        alphas=[0.5] * 3,
        mean=mean,
        std=std,
    )
    assert torch.allclose(scaled, 0.5 * plain, atol=1e-12)


@pytest.mark.parametrize(
    "given, told",
    [
        ({"std": 0}, "std must be above 0"),
        ({"mean": float("nan")}, "mean must be a finite number"),
        ({"mean": torch.zeros(5, 3)}, "together with x they give"),
    ],
)
def test_wrong_statistics_are_named(given, told):
    module = imported(ROOT / "generated/dpmpp_2m_afs.py")
    with pytest.raises(ValueError, match=told):
        module.sample(lambda x, s: x, torch.ones(1, 3), [3.0, 1.0, 0.1], **given)


def test_hosts_that_call_by_themselves_refuse():
    module = imported(ROOT / "generated/ddim_afs.py")
    with pytest.raises(ValueError, match="ddim_afs takes its first output without a model call"):
        sample_parallel(module, lambda x, s: x, torch.ones(1, 3), [3.0, 1.0, 0.1])
    with pytest.raises(ValueError, match="pass what `coefficients` returned"):
        module.integrate(lambda x, s: x, torch.ones(1, 3), list(module.coefficients([3.0, 1.0])))
    with pytest.raises(SolvergenError, match="calls the model at every step"):
        diffusers_file(load("ddim_afs"), derive(load("ddim_afs")))


@pytest.mark.parametrize(
    "change, told",
    [
        ("[noise]\nform = \"sde\"\nstrength = 1", "and [noise] cannot be combined"),
        ('[call]\noutput = "noise"', "`output` makes no difference"),
        ('[parameters.std]\ndefault = 1', "rename the parameter"),
    ],
)  # fmt: skip
def test_what_cannot_be_combined_is_said(change, told):
    text = 'name = "a"\nintegrand = "data"\n[step]\nrule = "interpolate"\nnodes = ["n"]\n'
    first = "" if "call" in change else '[start]\nfirst = "mean"\n'
    with pytest.raises(SolvergenError) as caught:
        derive(parse_solver(text + first + change))
    assert told in str(caught.value)


WRONG = {
    "another direction": lambda text: text.replace("math.hypot(a, s)", "math.hypot(2 * a, s)"),
    "another kind": lambda text: text.replace('FIRST = "direction"', 'FIRST = "gaussian"'),
    "a call": lambda text: text.replace(" if calls else begun(x, plan.first)", ""),
}


@pytest.mark.parametrize("name", ["honest", *WRONG])
def test_the_judge_reads_the_first_output(name, tmp_path):
    honest = (ROOT / "generated/ddim_afs.py").read_text()
    text = WRONG.get(name, lambda text: text)(honest)
    assert (text == honest) == (name == "honest")
    path = tmp_path / "ddim_afs.py"
    path.write_text(text)
    found = judge(find(str(path))[0], conduct=False, rates=False)
    assert (found.status == "pass") == (name == "honest"), found.findings


def test_it_compiles_as_one_graph(monkeypatch):
    module = imported(ROOT / "generated/ddim_afs.py")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    x, sigmas = torch.ones(2, 3), [9.0, 3.0, 1.0, 0.1]
    model = lambda x, s: x / (1 + s[:, None] ** 2)
    plan = module.coefficients(sigmas)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = torch.compile(lambda x: module.integrate(model, x, plan), backend="eager")
        assert torch.allclose(run(x), module.sample(model, x, sigmas), atol=1e-6)
