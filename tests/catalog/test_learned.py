"""Learned solvers of the gallery against the numbers of their authors' own code, and their mutants."""

import json
import math
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from solvergen import gallery
from solvergen.cli import main
from solvergen.derive import derive
from solvergen.emitted import imported
from solvergen.errors import DeriveError
from solvergen.fit.problems.mixture import planar
from solvergen.order.sde.report import stochastic_report
from solvergen.order.verdict import Rate
from solvergen.spec.reader import parse_solver
from verify.judge import judge
from verify.targets import find

DATA = Path(__file__).parents[1] / "data" / "learned_endpoints.json"
PEERS = json.loads(DATA.read_text())
GENERATED = Path(__file__).parents[2] / "generated"
MIXTURE = planar()


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def denoiser(x, sigma):
    return MIXTURE.denoise(x, sigma[0])


def away(found, wanted):
    return float((found - tensor(wanted)).abs().max())


def start_of(grid):
    return tensor(PEERS["amed"]["x_init"]["sigma3" if grid[0] < 4 else "sigma80"])


@pytest.mark.parametrize("name", ["amed_solver", "amed_plugin_dpm2"])
def test_amed(name):
    sample = imported(GENERATED / f"{name}.py").sample
    wanted = {"amed_solver": "amed", "amed_plugin_dpm2": "dpm2_plugin"}[name]
    runs = [run for run in PEERS["amed"]["runs"] if run["sampler"] == wanted]
    assert len(runs) == 8
    for run in runs:
        grid, table = PEERS["amed"]["grids"][run["grid"]], PEERS["amed"]["tables"][run["table"]]
        keys = {"r": "r", "c": "scale_dir", "a": "scale_time"}
        numbers = {name: table[key][: len(grid) - 1] for name, key in keys.items()}
        assert away(sample(denoiser, start_of(grid), grid, **numbers), run["y"]) < 1e-12


def each(x, sigma):
    """The mixture at a level of its own for each sample."""
    return torch.cat([MIXTURE.denoise(a[None], level) for a, level in zip(x, sigma, strict=True)])


@pytest.mark.parametrize(
    "run", PEERS["amed_sample"]["runs"], ids=lambda run: f"{run['sampler']} {run['grid']}"
)
def test_amed_with_numbers_per_sample(run):
    """Numbers of each sample, as a tensor and from a callable that sees the step's first output."""
    name = {"amed": "amed_solver", "dpm2_plugin": "amed_plugin_dpm2"}[run["sampler"]]
    sample, grid = imported(GENERATED / f"{name}.py").sample, PEERS["amed"]["grids"][run["grid"]]
    keys = {"r": "r", "c": "scale_dir", "a": "scale_time"}
    table = PEERS["amed_sample"]["table"]
    numbers = {name: tensor(table[key])[: len(grid) - 1] for name, key in keys.items()}
    seen = []

    def late(i, x, denoised):
        seen.append((i, float((denoised - each(x, torch.full_like(x[:, 0], grid[i]))).abs().max())))
        return numbers["r"][i]

    assert away(sample(each, start_of(grid), grid, **numbers), run["y"]) < 2e-14
    assert away(sample(each, start_of(grid), grid, **{**numbers, "r": late}), run["y"]) < 2e-14
    assert [i for i, _ in seen] == list(range(len(grid) - 1))
    assert max(gap for _, gap in seen) < 1e-12


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (torch.tensor([0.5, 0.5, 0.5]), "one for each of 2 samples; found .3,"),
        (lambda *_: torch.tensor([0.5, math.nan]), "found NaN"),
        (lambda *_: "half", "found 'half'"),
        ([torch.tensor([0.5, 0.5])], "r holds 1 entries, one a step, and the grid has 5 steps"),
        (lambda *_: torch.tensor([0.5, 1.5]), "sample 1, step 0: r must satisfy 0 < r < 1"),
        (torch.tensor([0.5, 0.5j]), "found complex numbers"),
        (torch.empty(2, device="meta"), "found a meta tensor"),
        (torch.tensor([0.5, 0.5, 0.5]).numpy(), "one for each of 2 samples; found "),
    ],
)
def test_numbers_per_sample_that_cannot_be_used_are_named(value, said):
    sample, grid = imported(GENERATED / "amed_solver.py").sample, PEERS["amed"]["grids"]["karras5"]
    with pytest.raises(ValueError, match=said):
        sample(each, start_of(grid), grid, r=value)


def test_numbers_per_sample_from_numpy_and_lists():
    sample, grid = imported(GENERATED / "amed_solver.py").sample, PEERS["amed"]["grids"]["karras5"]
    own = torch.tensor([0.4, 0.6], dtype=torch.float64)
    end = sample(each, start_of(grid), grid, r=own)
    for value in (own.numpy(), [own.tolist()] * (len(grid) - 1)):
        assert torch.equal(sample(each, start_of(grid), grid, r=value), end)


def test_numbers_of_no_samples():
    sample, grid = imported(GENERATED / "amed_solver.py").sample, PEERS["amed"]["grids"]["karras5"]
    none = start_of(grid)[:0]
    assert sample(each, none, grid, r=torch.zeros(0)).shape == none.shape


def test_numbers_per_sample_are_known_too_late_for_some_keys():
    head = 'name = "x"\nintegrand = "noise"\n[step]\nrule = "interpolate"\nnodes = ["n"]\n'
    own = '[parameters.a]\ndefault = 1\nper = "sample"\n'
    for rest in ('[call]\nlevel = "a"\n', '[noise]\nform = "churn"\nstrength = "a"\n'):
        with pytest.raises(DeriveError, match='write per = "step"'):
            derive(parse_solver(head + rest + own))


def test_the_judge_holds_numbers_per_sample_fixed_and_says_so():
    (target,) = find(str(GENERATED / "amed_solver.py"))
    verdict = judge(target, conduct=False, rates=False)
    assert any("held fixed, the same for all samples: r, c, a" in f for f in verdict.findings)


PLUGINS = {
    "euler": "ddim",
    "dpmpp2_data_nolof": "dpmpp_2m",
    "dpmpp3_data_nolof": "dpmpp_3m",
    "dpmpp2_noise_nolof": "dpm_solver_2m",
    "dpmpp3_noise_nolof": "dpm_solver_3m",
}


@pytest.mark.parametrize(
    "run", PEERS["amed_plugins"], ids=lambda run: f"{run['sampler']} {run['grid']}"
)
def test_amed_plugins(run):
    """A point inside every step is a point of the grid, so that steps come in pairs."""
    base = run["sampler"].removesuffix("_plugin")
    sample = imported(GENERATED / f"amed_plugin_{PLUGINS.get(base, base)}.py").sample
    grid, table = PEERS["amed"]["grids"][run["grid"]], PEERS["amed"]["tables"]["table"]
    ends = list(zip(grid, grid[1:], table["r"], strict=False))
    fine = [level for high, low, r in ends for level in (high, low**r * high ** (1 - r))]
    numbers = {
        name: [v for own in table[key][: len(ends)] for v in (1.0, own)]
        for name, key in {"c": "scale_dir", "a": "scale_time"}.items()
    }
    found = sample(denoiser, start_of(grid), [*fine, grid[-1]], **numbers)
    assert away(found, run["y"]) < 2e-14


def test_epd():
    sample, peer = imported(GENERATED / "epd.py").sample, PEERS["epd"]
    keys = {"ra": ("r", 0), "rb": ("r", 1), "share": ("weights", 0)}
    keys |= {"oa": ("scale_dir", 0), "ob": ("scale_dir", 1)}
    keys |= {"la": ("scale_time", 0), "lb": ("scale_time", 1)}
    for run in peer["runs"]:
        grid = PEERS["amed"]["grids"][run["grid"]]
        numbers = {
            n: [row[k] for row in peer[key]][: len(grid) - 1] for n, (key, k) in keys.items()
        }
        assert away(sample(denoiser, start_of(grid), grid, **numbers), run["y"]) < 1e-12


@pytest.mark.parametrize("run", PEERS["adasde"]["runs"], ids=lambda run: run["grid"])
def test_adasde(run):
    """The authors' sampler with the same draws; their numbers as departures that vanish with h."""
    sample = imported(GENERATED / "adasde.py").sample
    grid, table = PEERS["amed"]["grids"][run["grid"]], PEERS["amed"]["tables"]["table"]
    pairs = list(zip(grid, grid[1:], run["gamma"], strict=False))
    h = [math.log((1 + gamma) * high / low) for high, low, gamma in pairs]
    numbers = {
        "gamma": [gamma / (1 - low / high) for high, low, gamma in pairs],
        "r": table["r"][: len(h)],
        "c": [(c - 1) / step for c, step in zip(table["scale_dir"], h, strict=False)],
        "a": [math.log(a) / step for a, step in zip(table["scale_time"], h, strict=False)],
    }
    draws = iter(run["draws"])  # none for the first step, whose share of noise is 0
    found = sample(
        denoiser, start_of(grid), grid, noise_sampler=lambda *_: tensor(next(draws)), **numbers
    )
    assert away(found, run["y"]) < 1e-12


def test_adasde_keeps_its_order_in_law():
    """Generic numbers, levels of calls included: a factor that does not tend to 1 loses it."""
    text = (gallery.CATALOG / "adasde.toml").read_text()
    assert weakest(text) == Rate(Fraction(1), exact=False)
    assert weakest(text.replace('"1 + c*h"', '"1 + c"')).value == 0
    assert weakest(text.replace('"exp(a*h)"', '"exp(a)"')).value == 0


def weakest(text):
    rows = stochastic_report(derive(parse_solver(text, "adasde.toml"))).orders
    return min((r for m in rows.values() for r in m["own_end"].values()), key=lambda r: r.value)


@pytest.mark.parametrize(
    "run", PEERS["dc_solver"]["runs"], ids=lambda r: f"{r['code']} {len(r['ratios'])}"
)
def test_dc_solver(run):
    """Both of the authors' codes, from t = 1 on the linear VP schedule, with ratios on both sides of 1."""
    name = {"ldm": "dc_solver_3", "diffusers": "dc_solver_2"}[run["code"]]
    sample, alphas = imported(GENERATED / f"{name}.py").sample, iter(run["alphas"])

    def model(x, sigma):
        alpha = next(alphas)
        return MIXTURE.denoise(x / alpha, sigma[0] / alpha)

    start = tensor(PEERS["dc_solver"]["x_init"])
    found = sample(model, start, run["sigmas"], alphas=run["alphas"], rho=run["ratios"])
    assert away(found, run["y"]) < 1e-13


@pytest.mark.parametrize("steps", ["5", "7", "9", "10"])
def test_neuralsolver(steps):
    """Its published tables whose steps do not add up to more than 1."""
    sample, peer = imported(GENERATED / "neuralsolver.py").sample, PEERS["neuralsolver_flow"]
    table, n = peer["tables"][steps], int(steps)
    times = [sum(table["steps"][:i]) for i in range(n + 1)]
    times[-1] = min(1.0, times[-1]) if abs(times[-1] - 1) < 1e-9 else times[-1]

    def model(x, sigma):
        alpha = 1 - sigma[0]
        return MIXTURE.denoise(x / alpha, sigma[0] / alpha) if alpha > 1e-12 else mean + 0 * x

    mean = MIXTURE.weights @ MIXTURE.means
    numbers = {
        f"b{k}": [table["coeffs"][i][i - k] if i >= k else 0.0 for i in range(n)]
        for k in range(1, 10)
    }
    sigmas = [1 - t for t in times]
    found = sample(model, tensor(peer["x_init"]), sigmas, alphas=times, **numbers)
    assert away(found, peer["runs"][steps]) < 1e-12


@pytest.mark.parametrize("steps", ["5", "10"])
def test_neuralsolver_vp_with_one_update(steps):
    """Its published tables on the linear VP schedule, the state updated once a step."""
    sample, peer = imported(GENERATED / "neuralsolver_vp.py").sample, PEERS["neuralsolver_vp"]
    table, n = peer["tables"][steps], int(steps)
    times = [peer["t_first"] - sum(table["steps"][:i]) for i in range(n)] + [peer["t_last"]]
    alphas = [math.exp(-(t * 0.1 + t * t * 19.9 / 2) / 2) for t in times]
    told = iter(alphas)

    def model(x, sigma):
        alpha = next(told)
        return MIXTURE.denoise(x / alpha, sigma[0] / alpha)

    numbers = {
        f"b{k}": [table["coeffs"][i][i - k] if i >= k else 0.0 for i in range(n)]
        for k in range(1, 10)
    }
    sigmas = [math.sqrt(1 - a * a) for a in alphas]
    found = sample(model, tensor(peer["x_init"]), sigmas, alphas=alphas, **numbers)
    assert away(found, peer["runs"][steps]) < 1e-12


def test_bespoke():
    """Both rules by hand: steps of d(s x)/dr in a scale s(r) and a time t(r) with slopes of their own."""
    drawn = torch.Generator().manual_seed(4)
    n, h = 4, 0.25
    s = (1 + 0.2 * torch.rand(2 * n + 1, generator=drawn, dtype=torch.float64)).tolist()
    ds = (0.4 * torch.rand(2 * n, generator=drawn, dtype=torch.float64) - 0.2).tolist()
    dt = (0.8 + 0.4 * torch.rand(2 * n, generator=drawn, dtype=torch.float64)).tolist()
    t = [0.05 + 0.9 * (k / (2 * n)) ** 1.3 for k in range(2 * n + 1)]  # 0 is noise, 1 is data
    x = torch.randn(3, 2, generator=drawn, dtype=torch.float64)

    def denoised(x, time):
        return MIXTURE.denoise(x / time, torch.tensor((1 - time) / time, dtype=torch.float64))

    def velocity(x, time):
        return (denoised(x, time) - x) / (1 - time)

    def model(x, sigma):
        return denoised(x, 1 - float(sigma[0]))

    one, two = x, x
    rows = {name: [] for name in ("a", "b", "r", "ai", "bi", "a2", "d", "b2")}
    for k in range(0, 2 * n, 2):
        width, end = t[k + 2] - t[k], s[k + 2]
        one = ((s[k] + h * ds[k]) * one + h * dt[k] * s[k] * velocity(one, t[k])) / end
        rows["a"].append((s[k] + h * ds[k]) / end)
        rows["b"].append(h * dt[k] * s[k] / end / width)
        inside = (s[k] + h / 2 * ds[k]) * two + h / 2 * dt[k] * s[k] * velocity(two, t[k])
        inside = inside / s[k + 1]
        slope = ds[k + 1] * inside + dt[k + 1] * s[k + 1] * velocity(inside, t[k + 1])
        two = (s[k] * two + h * slope) / end
        rows["r"].append((t[k + 1] - t[k]) / width)
        rows["ai"].append((s[k] + h / 2 * ds[k]) / s[k + 1])
        rows["bi"].append(h / 2 * dt[k] * s[k] / s[k + 1] / width)
        rows["a2"].append(s[k] / end)
        rows["d"].append(h * ds[k + 1] / end)
        rows["b2"].append(h * dt[k + 1] * s[k + 1] / end / width)
    sigmas, alphas = [1 - v for v in t[::2]], t[::2]
    first = imported(GENERATED / "bespoke_rk1.py").sample
    assert (
        away(first(model, x, sigmas, alphas=alphas, a=rows["a"], b=rows["b"]), one.tolist()) < 1e-12
    )
    second = imported(GENERATED / "bespoke_rk2.py").sample
    numbers = {k: rows[k] for k in ("r", "ai", "bi", "d")} | {"a": rows["a2"], "b": rows["b2"]}
    assert away(second(model, x, sigmas, alphas=alphas, **numbers), two.tolist()) < 1e-12


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """AMED-Solver with the numbers and levels of a run as those of the file."""
    folder = tmp_path_factory.mktemp("amed")
    text = (
        (gallery.CATALOG / "amed_solver.toml").read_text().replace('"amed_solver"', '"amed_5"', 1)
    )
    for name, key in {"r": "r", "c": "scale_dir", "a": "scale_time"}.items():
        values = [str(v) for v in PEERS["amed"]["tables"]["table"][key]]
        head = f"[parameters.{name}]\n"
        text = text.replace(head, f"{head}values = {json.dumps(values)}\n")
    levels = [repr(v) for v in PEERS["amed"]["grids"]["karras5"]]
    (folder / "amed_5.toml").write_text(f"{text}\n[grid]\nlevels = {json.dumps(levels)}\n")
    assert main(["generate", str(folder / "amed_5.toml"), "--out", str(folder)]) == 0
    return folder / "amed_5.py"


CALL = "weights = 1 / s_k1, -a_k1 / s_k1,"
MUTANTS = {
    "honest": lambda text: text,
    "a level 1 % off": lambda text: text.replace("(i, 2, s_c, weights", "(i, 2, 1.01 * s_c, weights"),
    "no level": lambda text: text.replace("(i, 2, s_c, weights", "(i, 2, s_k1, weights"),
    "noise taken as it comes": lambda text: text.replace(
        CALL, "weights = 1 / (a[i] * s_k1), -a_k1 / (a[i] * s_k1),"
    ),
    "a place 1 % off": lambda text: text.replace("0.42, 0.55", "0.4242, 0.55"),
    "two factors swapped": lambda text: text.replace("1.003, 0.994", "0.994, 1.003"),
    "factors rounded": lambda text: text.replace("1.003, 0.994", "1.0, 0.99"),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_the_judge_reads_the_table(name, table, tmp_path):
    text = MUTANTS[name](table.read_text())
    assert (text == table.read_text()) == (name == "honest")
    path = tmp_path / "amed_5.py"
    path.write_text(text)
    found = judge(find(str(path))[0], conduct=False)
    assert (found.status == "pass") == (name == "honest"), found.findings
