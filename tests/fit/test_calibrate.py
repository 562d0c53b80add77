"""Calibration from the command line to a file that runs, and what it refuses."""

import json
import math
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from solvergen.cli import main
from solvergen.errors import SolvergenError
from solvergen.fit.calibrate import Calibration, Stage, calibrate
from solvergen.fit.differences import calls, differences
from solvergen.fit.directions import differentiable, turned
from solvergen.fit.last_rows import last_row_of, last_rows_of, numbers_of_rows, span_bound
from solvergen.fit.objective import Pairs
from solvergen.fit.problem import Problem, ProblemError, checked, moments
from solvergen.fit.problems.adopted import adopted
from solvergen.fit.problems.families import family
from solvergen.fit.problems.lookup import problem as looked_up
from solvergen.fit.published import Pair
from solvergen.fit.record import RecordError, load_state, load_tensors, save_state, save_tensors
from solvergen.fit.run import Scaled, end, jacobian
from solvergen.fit.search import compared, search
from solvergen.fit.shape import Numbers
from solvergen.fit.shipped import Shipped, names, shipped, write_shipped
from solvergen.fit.squares import State
from solvergen.fit.table import Table, adams, frozen, spread
from solvergen.fit.teacher import digest, taught
from solvergen.fit.tune import calibrate as tune
from solvergen.fit.tune import nearest, table_name
from solvergen.fit.whole import _parted, whole_of

LEVELS = (12.0, 4.0, 1.4, 0.4)


@pytest.fixture()
def start():
    return Shipped("gauss_4", "image", False, adams(LEVELS, 0.002, 2), {})


def test_families_are_what_they_say_and_apart():
    for name in ("generic", "image"):
        for part in ("train", "held-out", "kept-back"):
            made, again = (family(name, part, 1)[-1] for _ in range(2))
            assert torch.equal(made.means, again.means)
            power = made.weights @ (made.means**2 + made.variances)
            assert float(power.mean()) == pytest.approx(1)
            assert float((made.weights @ made.means).abs().max()) < 1e-12
        first, other = family(name, "train", 1)[0], family(name, "held-out", 1)[0]
        assert first.means.shape != other.means.shape or not torch.equal(first.means, other.means)
    with pytest.raises(ProblemError, match="families are generic, image and network"):
        family("images", "train")


def test_mixture_ends_are_exact(mixture):
    problem = mixture.problem()
    x = problem.noise(4, 0)
    scaled = Scaled(problem)
    fine = adams([float(v) for v in np.geomspace(80, 0.0021, 400)], 0.002, 2)
    ends = scaled.outward(end(scaled, fine, scaled.inward(x, scaled.start)), scaled.end)
    assert torch.allclose(problem.teacher(x), ends, atol=3e-3)


def test_calibration_gains_stage_by_stage(mixture, start):
    problem = mixture.problem()
    found = calibrate(start, taught(problem, 60, 0), 20, whole=True, iterations=8)
    shipped_, row, rows, whole = found.stages
    assert row.error < shipped_.error and rows.error < row.error and whole.error < 0.9 * row.error
    assert (
        row.span == pytest.approx(shipped_.span, rel=1e-6) and row.span < row.error
    )  # the states are the same
    assert found.published[0].error == min(pair.error for pair in found.published)
    assert found.best is whole
    text = "\n".join(found.lines())
    assert "best published pair" in text and "span bound" in text
    assert "written: whole, the least rms" in text and "worse than" not in text


def test_scales_have_last_rows_of_their_own_where_those_win(mixture, tmp_path, capsys):
    """Rows of two scales in turn: each own row is the least-squares one at its scale, as run."""
    plain = mixture.problem()

    def denoiser(x, sigma):
        weight = torch.tensor([1.0, 1.2], dtype=x.dtype)[torch.arange(len(x)) % 2][:, None]
        return plain.mean + weight * (plain.denoiser(x, sigma) - plain.mean)

    problem = replace(
        plain, denoiser=denoiser, derivative=None, teacher=None, chunk=16, period=2,
        scales=("guidance 1", "guidance 2.5"),
    )  # fmt: skip
    given = {"starts": 24, "unused": 16, "teacher_steps": 30, "compare": False}
    tuned = tune("gauss", problem, 5, out=tmp_path / "mine.py", **given)
    found = tuned.found
    held = taught(problem, 40, 0, steps=30)
    scaled = Scaled(found.problem)
    x = scaled.inward(held.starts[:16], scaled.start)
    for number, scale in enumerate(found.scales):
        for table, error in (
            (found.best.table, scale.together),
            (scale.alone.table, scale.alone.error),
        ):
            ends = scaled.outward(end(scaled, table, x), scaled.end)
            missing = (ends - held.ends[:16])[number::2]
            assert float((missing**2).mean().sqrt()) == pytest.approx(error, rel=1e-4)
    assert found.apart
    names_ = [path.name for path in tuned.write(tmp_path / "mine.py")]
    assert names_[2::2] == ["mine_guidance_1.py", "mine_guidance_2_5.py"]
    assert "guidance 2.5" in (tmp_path / "mine_guidance_2_5.py").read_text()
    assert main(["generate", "--check", str(tmp_path / "mine_guidance_1.py")]) == 0
    assert any("last row for each scale does better" in line for line in found.lines())


def test_a_calibration_that_loses_says_so(mixture, start):
    pair = Pair("ddim", "karras", 0.1)
    stage = Stage("last row", start.table, 0.103, 0.1, 0.1, 1.0, 1)
    lost = Calibration(mixture.problem(), 5, (stage,), (pair,), None, None)
    said = [*lost.lines()][-1]
    assert said == (
        "it is 3.0% worse than ddim on karras: try --whole or more --starts, or use that"
    )


def test_differences_are_the_derivatives(mixture, start):
    problem = mixture.problem()
    scaled = Scaled(problem)
    x = problem.noise(6, 1)
    pairs = Pairs.of("small", scaled, x, problem.teacher(x))
    for sums in (False, True):
        numbers = Numbers(4, sums)
        values = numbers.of(start.table)
        exact = jacobian(scaled, numbers, values, pairs.starts, pairs.ends)
        found = differences(scaled, numbers, values, pairs.starts, pairs.ends)
        for a, b in zip(exact, found, strict=True):
            assert np.abs(np.asarray(a) - b).max() < 1e-5 * np.abs(a).max()
    assert calls(Numbers(4)) == 4 + (4 + 3 + 2 + 1) + (1 * 3 + 2 * 2 + 3 * 1)


def test_whole_fit_stops_by_starts_kept_out_and_resumes(mixture, start, tmp_path):
    problem = mixture.problem()
    x = problem.noise(8, 1)
    pairs = Pairs.of("small", Scaled(problem), x, problem.teacher(x))
    numbers, lines = Numbers(4), []
    first, _ = whole_of(numbers, start.table, pairs, iterations=3, tell=lines.append)
    _, kept_out = _parted(pairs)
    assert kept_out.error(first) < 0.9 * kept_out.error(start.table) and len(lines) == 3
    whole_of(numbers, start.table, pairs, iterations=1, state=tmp_path / "s")
    second, _ = whole_of(numbers, start.table, pairs, iterations=3, state=tmp_path / "s")
    assert second == first
    # what the fitted starts teach is wrong, and the starts kept out say so at once
    fitted = torch.arange(8) % 4 < 3
    mirrored = 2 * end(pairs.scaled, first, pairs.starts) - pairs.ends
    wrong = torch.where(fitted[:, None], mirrored, pairs.ends)
    lines.clear()
    kept, _ = whole_of(numbers, first, replace(pairs, ends=wrong), iterations=9, tell=lines.append)
    assert kept == first and len(lines) == 1


def test_a_rule_takes_the_place_of_a_table_that_does_not_suit(mixture, start):
    wild = Table(start.table.levels, tuple(tuple(9.0 * v for v in r) for r in start.table.shares))
    bad = replace(start, table=wild)
    taken = taught(mixture.problem(), 40, 0)
    alone = calibrate(bad, taken, 20, pairs=False).stages[-1]
    helped = calibrate(bad, taken, 20, others=[frozen(LEVELS, 0.002, 2)], pairs=False).stages[-1]
    assert helped.error < 0.5 * alone.error
    assert spread(start.table, 6)[0] > LEVELS[0] and len(spread(start.table, 6)) == 6


def test_last_rows_leave_the_states_before_them_and_gain(mixture, start):
    problem = replace(mixture.problem(), derivative=None)
    scaled = Scaled(problem)
    x = problem.noise(40, 3)
    pairs = Pairs.of("small", scaled, x, problem.teacher(x))
    row, _, error = last_row_of(start.table, pairs)
    assert error == pytest.approx(pairs.error(row), rel=1e-6)
    numbers = Numbers(4)
    for rows in (2, 3):
        found, spent = last_rows_of(row, pairs, rows)
        kept = 4 - rows
        assert found.levels[: kept + 1] == pytest.approx(row.levels[: kept + 1], rel=1e-11)
        assert np.allclose(np.concatenate(found.shares[:kept]), np.concatenate(row.shares[:kept]))
        assert found.levels[kept + 1] != row.levels[kept + 1]
        assert pairs.error(found) < 0.9 * pairs.error(row)
        assert spent >= 40 * (4 + calls(numbers, numbers_of_rows(numbers, rows)))
    # one period of conditioned rows cannot be judged on itself
    alone = Pairs("small", Scaled(replace(problem, period=40, chunk=40)), pairs.starts, pairs.ends)
    assert last_rows_of(row, alone, 3)[0] == row


def test_sums_stay_one_in_every_stage(mixture, start):
    kept = replace(start, name="gauss_sum_4", sums=True)
    found = calibrate(
        kept, taught(mixture.problem(), 48, 0), 8, whole=True, iterations=2, pairs=False
    )
    free = calibrate(start, taught(mixture.problem(), 48, 0), 8, rows=1, pairs=False)
    assert [stage.name for stage in found.stages] == [
        "as shipped",
        "last row",
        "last 3 rows",
        "whole",
    ]
    for stage in found.stages:
        assert stage.table.defects() == pytest.approx([0] * 4, abs=1e-10)
    shipped_, row, rows, _ = (stage.fitted for stage in found.stages)
    assert free.stages[1].fitted < row < shipped_ and rows < row
    assert max(map(abs, free.stages[1].table.defects())) > 1e-3


def test_some_derivatives_are_those_of_all(mixture):
    problem = mixture.problem()
    scaled = Scaled(problem)
    state = scaled.inward(problem.noise(3, 1), scaled.start)
    numbers = Numbers(4)
    values = numbers.of(adams(LEVELS, 0.002, 2))
    target = torch.zeros_like(state)
    squares, gradient, normal = differences(scaled, numbers, values, state, target)
    free = numbers_of_rows(numbers, 2)
    some = differences(scaled, numbers, values, state, target, free)
    assert some[0] == squares
    assert np.array_equal(some[1], gradient[free])
    assert np.allclose(some[2], normal[np.ix_(free, free)], rtol=1e-12)
    assert calls(numbers, free) == 4 + 1 + 3


def test_calibration_begins_with_the_nearest_table(mixture, start):
    teach = taught(mixture.problem(), 24, 0)
    scaled = Scaled(teach.problem)
    pairs = Pairs.of("small", scaled, teach.starts, teach.ends)
    near = replace(start, name="near", table=last_row_of(start.table, pairs)[0])
    far = replace(start, name="far", table=replace(start.table, levels=(200000.0, *LEVELS[1:])))
    chosen, others, notes = nearest([start, far, near], teach, 8)
    assert chosen == near and others[0] == start.table and "begun with near" in notes[0]
    assert nearest([start], teach, 8) == (start, [], [])


def test_last_row_is_the_least_squares_solution(mixture, start):
    problem = mixture.problem()
    scaled = Scaled(problem)
    x = problem.noise(64, 1)
    pairs = Pairs.of("small", scaled, x, problem.teacher(x))
    table, ridge, _ = last_row_of(start.table, pairs)
    assert ridge <= 1e-2
    least = pairs.error(table)
    for k in range(4):
        for shift in (-0.1, 0.1):
            row = list(table.shares[-1])
            row[k] += shift
            assert pairs.error(Table(table.levels, (*table.shares[:-1], tuple(row)))) > least
    assert span_bound(table, pairs) < least


def test_estimated_moments_shrink_a_noisy_mean():
    made = torch.Generator().manual_seed(0)
    true = torch.linspace(-1, 1, 50)
    few = true + 2 * torch.randn(8, 50, generator=made)
    mean, std = moments(few)
    assert float((mean - true).norm()) < 0.9 * float((few.mean(0) - true).norm())
    assert std == pytest.approx(2, rel=0.15)


def test_teacher_is_checked_cached_and_resumed(mixture, tmp_path):
    exact = mixture.problem()
    problem = Problem(**{**exact.__dict__, "teacher": None, "std": 0.0, "chunk": 5})
    first = taught(problem, 12, 0, steps=60, cache=tmp_path)
    truth = float((first.ends - exact.teacher(first.starts)).norm() / math.sqrt(first.ends.numel()))
    assert first.calls == 60 * 12 + 30 * 8 and 0.3 < first.error / truth < 3
    assert first.problem.std == pytest.approx(1, rel=0.3)
    key = digest(problem, problem.probe(), first.starts[5:10], 60)
    (tmp_path / f"{key}.safetensors").unlink()
    second = taught(problem, 12, 0, steps=60, cache=tmp_path)
    assert second.calls == 60 * 5 and torch.equal(first.ends, second.ends)


class Shifted:
    """A user's problem: a Gaussian that knows nothing of its moments."""

    shape = (2, 3)
    sigma_max, sigma_min = 40.0, 0.01
    dtype = torch.float64

    def denoiser(self, x, sigma):
        pull = 0.25 / (0.25 + sigma**2)
        return 1 + pull * (x - 1) + 0.1 * torch.tanh(x - 1) * pull


def test_command_makes_a_file_that_runs(tmp_path, monkeypatch, capsys):
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "class Shifted:\n"
        "    shape = (2, 3)\n"
        "    sigma_max, sigma_min = 40.0, 0.01\n"
        "    dtype = torch.float64\n"
        "    def denoiser(self, x, sigma):\n"
        "        pull = 0.25 / (0.25 + sigma**2)\n"
        "        return 1 + pull * (x - 1) + 0.1 * torch.tanh(x - 1) * pull\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    words = "calibrate gauss --on mine:Shifted --calls 5 --starts 16 --unused 8 --out tuned.py"
    assert main([*words.split(), "--no-compare", "--teacher-steps", "80"]) == 0
    sys.modules.pop("mine")
    assert "last row" in capsys.readouterr().out
    record = json.loads((tmp_path / "tuned.json").read_text())
    assert (
        record["kept"] in ("as shipped", "last row", "last 3 rows") and record["from"] == "gauss_5"
    )
    space: dict = {}
    source = (tmp_path / "tuned.py").read_text()
    assert "remake   solvergen calibrate gauss --on mine:Shifted --calls 5 --starts 16" in source
    import importlib.util

    spec = importlib.util.spec_from_file_location("tuned", tmp_path / "tuned.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    space["model"] = Shifted().denoiser
    x = 40 * torch.randn(3, 2, 3, dtype=torch.float64)
    assert module.sample(lambda x, s: space["model"](x, s[0]), x).shape == x.shape


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("calibrate gaus --on digits --calls 5 --out a.py", "no family `gaus`"),
        ("calibrate gauss_5 --on digits --calls 6 --out a.py", "gauss_5 makes 5 calls"),
        ("calibrate gauss --on digits --calls 40 --out a.py", "make it with solvergen search"),
        ("calibrate gauss --on fashon --calls 5 --out a.py", "did you mean"),
        ("calibrate gauss --on digits --calls 5 --out a.txt", "must be a Python file"),
        ("calibrate gauss --on nowhere:thing --calls 5 --out a.py", "no module nowhere"),
        ("calibrate gauss --on math:pi --calls 5 --out a.py", "lacks denoiser, shape"),
        ("calibrate gauss --on fashion:label=12 --calls 5 --out a.py", "labels are 0 to 9"),
        ("calibrate gauss --on digits --calls 5 --out class.py", "cannot name a solver"),
        ("calibrate gauss --on digits --calls 5 --out /dev/null/a.py", "is a file, not a folder"),
        ("calibrate gauss --on mixtures --calls 5 --rows 6 --out a.py", "from 1 to the 5 calls"),
        ("search --family network --sums", "leave --family network out"),
        ("calibrate gauss --on mixtures --calls 5 --whole --iterations 0 --out a.py", "at least 1"),
        ("search --steps x", "--steps must be a number or a range"),
        ("search --steps 5 --iterations 0", "--iterations and --problems must be at least 1"),
        ("fit-grid gits --steps 5 --on mixtures --starts 0", "--starts must be at least 2"),
        ("fit-grid gits --steps 5 --on mixtures --gamma nan", "--gamma above 0"),
        ("fit-grid gits --steps 5 --on mixtures --points 99999", "at most 1001"),
        ("fit-statistics --on mixtures --points 999999999 --out a.safetensors", "give --points"),
        ("fit-statistics --on mixtures --out class.safetensors", "class.py cannot be a sampler"),
        ("fit-grid gitz --steps 5 --on generic", "did you mean"),
        ("fit-grid own --steps 5 --on generic --for heun_edm", "one call a step"),
    ],
)
def test_bad_usage_is_named(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words.split()) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_bad_problems_are_named(mixture, start):
    good = mixture.problem()

    def changed(**parts):
        return Problem(**{**good.__dict__, **parts})

    with pytest.raises(ProblemError, match="must return the shape of x"):
        checked(changed(denoiser=lambda x, sigma: x[:1]))
    with pytest.raises(ProblemError, match="NaN or infinity at sigma = 80"):
        checked(changed(denoiser=lambda x, sigma: x / 0))
    with pytest.raises(ProblemError, match="0 < sigma_min < sigma_max"):
        checked(changed(sigma_min=90.0))
    with pytest.raises(ProblemError, match="run in half"):
        checked(changed(dtype=torch.float16))
    with pytest.raises(ProblemError, match="fewer than"):
        calibrate(start, taught(good, 7, 0), 4, pairs=False)
    with pytest.raises(ProblemError, match="outside 5 … 0.002"):
        calibrate(start, taught(mixture.problem(sigma_max=5.0), 30, 0), 4, pairs=False)
    with pytest.raises(
        SolvergenError, match="no table gauss_41.*search --family image --steps 41$"
    ):
        table_name("gauss", 41)
    with pytest.raises(SolvergenError, match="--family image --sums --steps 8$"):
        table_name("gauss_sum", 8)
    with pytest.raises(SolvergenError, match="no table gauss_0; gauss has calls [^;]*$"):
        table_name("gauss", 0)
    with pytest.raises(ProblemError, match="known here: digits, fashion, .* or give module:name"):
        looked_up("nothing")
    with pytest.raises(SolvergenError, match="are free; give --starts"):
        tune("gauss", replace(good, shape=(10**6,), starts=None), 5, starts=10**6)
    with pytest.raises(SolvergenError, match="at least 2"):
        tune("gauss", good, 5, starts=1)
    with pytest.raises(SolvergenError, match="--teacher-steps must be at least 8; found 4"):
        tune("gauss", good, 5, teacher_steps=4)
    with pytest.raises(ProblemError, match="outside 80 … 0.002; take another table"):
        tune("gauss", good.with_moments(good.mean, 1e-9), 5, starts=8, unused=4, compare=False)


class Sound:
    shape, sigma_max, sigma_min, mean, std = (3,), 20.0, 0.01, 0.0, 1.0
    dtype, chunk = torch.float64, 8

    def denoiser(self, x, sigma):
        return torch.tanh(x / (0.3 + sigma**2)) / (1 + 0.2 * sigma)


def _fails(x, sigma):
    raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


D = Sound().denoiser
UNSOUND = [
    ({"shape": 3}, "shape must be that of one sample, as .*; found 3"),
    ({"shape": "abc"}, "shape must be that of one sample"),
    ({"shape": (-3,)}, "shape must be that of one sample"),
    ({"shape": (0,)}, "shape must be that of one sample"),
    ({"dtype": "float32"}, "dtype must be torch.float32 or torch.float64; found 'float32'"),
    ({"std": math.nan}, "std must be a finite number; found nan"),
    ({"sigma_max": "high"}, "sigma_max must be a finite number; found 'high'"),
    ({"mean": "x"}, "mean must be a finite number or a tensor"),
    ({"mean": torch.zeros(5)}, "does not broadcast"),
    ({"mean": torch.zeros(4, 3)}, "does not broadcast"),
    ({"period": 0}, "period must be a whole number above 0; found 0"),
    ({"chunk": "many"}, "chunk must be a whole number above 0; found 'many'"),
    ({"starts": lambda n, seed: None}, "must return a tensor; found NoneType"),
    ({"starts": lambda n, seed: torch.full((n, 3), math.nan)}, "holds NaN or infinity"),
    ({"starts": lambda n, seed: torch.ones(min(n, 5), 3)}, r"starts\(24, 0\) must have shape"),
    ({"teacher": lambda x: None}, r"teacher\(starts\) must return a tensor; found NoneType"),
    ({"teacher": lambda x: x[:1]}, "teacher.* must return the shape of starts, .*; found .1, 3"),
    ({"teacher": lambda x: x / 0}, "teacher.* holds NaN"),
    ({"teacher": lambda x: 1 // 0}, "teacher.* fails, ZeroDivisionError"),
    ({"denoiser": _fails}, "fails for x of shape .2, 3. at sigma = 20, .*: RuntimeError: mat1"),
    ({"denoiser": lambda x, s: D(x, s)[:2]}, r"the shape of x, \(8, 3\); found \(2, 3\)"),
    ({"denoiser": lambda x, s: D(x, s).float()}, "set dtype = torch.float32"),
    ({"denoiser": lambda x, s: D(x, s).half()}, "load it in float32"),
    ({"denoiser": lambda x, s: D(x, s).to("meta")}, "must answer on cpu, where x is; found meta"),
    (
        {"denoiser": lambda x, s: D(x, s) + torch.randn(3) / 9},
        "answers differently when it is asked",
    ),
    ({"denoiser": lambda x, s: x.tanh_()}, "changes its x in place"),
]


@pytest.mark.parametrize(("parts", "message"), UNSOUND)
def test_an_unsound_object_is_named(parts, message):
    made = Sound()
    for key, value in parts.items():
        setattr(made, key, value)
    with pytest.raises(ProblemError, match=f"problem mine:Model: .*{message}"):
        taught(checked(adopted(made, "mine:Model")), 24, 0, steps=16)


def test_a_class_or_module_that_fails_is_named(tmp_path, monkeypatch):
    class Needs(Sound):
        def __init__(self, path):
            self.path = path

    with pytest.raises(ProblemError, match=r"Needs\(\) fails, TypeError.*give an object"):
        adopted(Needs, "mine:Needs")
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "broken_models.py").write_text("def (:\n")
    with pytest.raises(ProblemError, match="broken_models cannot be imported, SyntaxError"):
        looked_up("broken_models:Mine")
    for name in (":x", "math:", "a/b:c"):
        with pytest.raises(ProblemError, match="write module:name"):
            looked_up(name)
    with pytest.raises(ProblemError, match="digits has no options"):
        looked_up("digits:label=3")
    with pytest.raises(ProblemError, match="write generic/held-out/3"):
        looked_up("generic/held-out/1/2")
    with pytest.raises(ProblemError, match="--std must be a number above 0; found nan"):
        looked_up("mixtures", std=math.nan)


@pytest.mark.parametrize("kind", ["number", "kernel"])
def test_a_model_without_forward_mode_has_differences(kind):
    """A level read as a Python number gives a derivative of 0 without a word; a kernel raises."""

    class Kernel(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, sigma):
            return D(x, sigma)

    made = Sound()
    made.denoiser = (lambda x, s: D(x, float(s))) if kind == "number" else Kernel.apply
    problem, reason = differentiable(adopted(made, "mine:Model"))
    assert ("Python number" if kind == "number" else "no forward derivative") in reason
    right, none = differentiable(adopted(Sound(), "mine:Model"))
    assert none == "" and right.forward and not problem.forward
    x, sigma = problem.noise(4, 2), torch.tensor(0.7, dtype=torch.float64)
    moves = problem.noise(4, 3) / 20, torch.tensor(1.0, dtype=torch.float64)
    for a, b in zip(
        turned(problem, x, sigma, *moves), turned(right, x, sigma, *moves), strict=True
    ):
        assert torch.allclose(a, b, rtol=1e-6, atol=1e-8)


def test_a_teacher_that_is_not_converged_is_named(mixture, start):
    coarse = replace(mixture.problem(), teacher=None)
    found = calibrate(start, taught(coarse, 16, 0, steps=8), 8, pairs=False)
    assert any("give more --teacher-steps" in note for note in found.notes)
    fine = calibrate(start, taught(mixture.problem(), 16, 0), 8, pairs=False)
    assert not any("teacher" in note for note in fine.notes)


def test_states_come_back_with_their_bits_and_foreign_ones_are_refused(tmp_path):
    state = State(np.asarray([0.1, 1 / 3]), 0.7, 1e-3, 4, 1, (0.9, 0.7))
    path = tmp_path / "fit.state"
    save_state(path, state, {"problem": "a", "starts": 40})
    back = load_state(path, {"problem": "a", "starts": 40})
    assert back.values.tobytes() == state.values.tobytes() and back.curve == state.curve
    with pytest.raises(RecordError, match="starts was 40, is 41"):
        load_state(path, {"problem": "a", "starts": 41})
    path.write_text("{}")
    with pytest.raises(RecordError, match="delete it to start anew"):
        load_state(path, {})
    save_tensors(tmp_path / "a.safetensors", {"x": torch.ones(2)})
    assert load_tensors(tmp_path / "a.safetensors")["x"].tolist() == [1, 1]
    (tmp_path / "a.safetensors").write_bytes(b"\x80\x04pickle")
    with pytest.raises(RecordError, match="not a readable safetensors"):
        load_tensors(tmp_path / "a.safetensors")


def test_tables_are_written_and_read(tmp_path, start):
    write_shipped(start, tmp_path)
    assert shipped("gauss_4", tmp_path).table == start.table.rounded()
    with pytest.raises(RecordError, match="no fitted table `gauss_5`"):
        shipped("gauss_5", tmp_path)
    (tmp_path / "gauss_4.json").write_text("[]")
    with pytest.raises(RecordError, match="not a fitted table"):
        shipped("gauss_4", tmp_path)


def test_search_gains_and_resumes(tmp_path):
    lines = []
    table, figures = search(
        "gauss_mix", 3, count=3, iterations=3, state=tmp_path / "s", tell=lines.append
    )
    assert figures["train"] < 0.5 and table.calls == 3
    again, _ = search("gauss_mix", 3, count=3, iterations=3, state=tmp_path / "s")
    assert again == table


def test_shipped_tables_are_sound():
    for name in names():
        kept = shipped(name)
        assert kept.table.calls == int(name.rsplit("_", 1)[1]) and kept.table.gain() < 6
        if kept.sums:
            assert kept.table.defects() == pytest.approx([0] * kept.table.calls, abs=1e-10)


@pytest.mark.nightly
@pytest.mark.parametrize("name", names())
def test_shipped_tables_beat_the_published_pairs_on_held_out_mixtures(name):
    kept = shipped(name)
    found = compared(kept.table, kept.family)
    key = f"{kept.family}/held-out over the best published pair"
    assert found["mean"] == pytest.approx(kept.figures[key]["mean"], rel=0.02)
    assert found["mean"] < 0.8


def test_a_ratio_has_both_errors_in_one_unit(mixture, monkeypatch):
    problem = replace(mixture.problem(), std=0.5)
    x, ends = problem.noise(4, 2), problem.noise(4, 3) / problem.sigma_max
    pairs, best = Pairs.of("half", Scaled(problem), x, ends), Pair("some", "grid", 0.25)
    monkeypatch.setattr("solvergen.fit.search.pairs_of", lambda *_: [pairs])
    monkeypatch.setattr("solvergen.fit.search.best_published", lambda *_: [best])
    table = shipped("gauss_4").table
    found = pairs.scaled.outward(end(pairs.scaled, table, pairs.starts), pairs.scaled.end)
    rms = float(((found - ends) ** 2).mean().sqrt())
    assert compared(table, "generic")["mean"] == pytest.approx(rms / best.error, rel=1e-5)


@pytest.mark.nightly
@pytest.mark.parametrize(("calls", "most"), [(5, (0.85, 0.66, 0.57)), (8, (0.75, 0.64, 0.54))])
def test_fashion_is_calibrated_as_well_as_the_page_says(calls, most, tmp_path):
    tuned = tune("gauss", "fashion", calls, cache=tmp_path)
    unit = tuned.found.published[0].error
    for stage, bound in zip(tuned.found.stages, most, strict=True):
        assert stage.error < bound * unit, stage.name


@pytest.mark.parametrize(
    "arguments, said",
    [
        (
            "calibrate gauss --on digits --calls 5 --last-row --rows 3 --out {}/a.py",
            "--last-row fits one row and --rows 3 says otherwise",
        ),
        ("search --measure --steps 5 --out {}/nothing", "has no gauss of 5 calls"),
    ],
)
def test_options_that_contradict_or_find_nothing_are_refused(arguments, said, tmp_path, capsys):
    assert main(arguments.format(tmp_path).split()) == 2
    assert said in capsys.readouterr().err
