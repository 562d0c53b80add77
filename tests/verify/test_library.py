"""Whole libraries, bad targets in processes of their own, strangers' conventions, the memory."""

import itertools
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from verify import baseline
from verify.command import main
from verify.errors import TargetError
from verify.hosts.functions import adapted
from verify.hosts.scheduler_options import swept
from verify.library import expanded
from verify.order.audit import audit
from verify.processes.isolated import THREADS
from verify.processes.settle import settle
from verify.processes.supervised import Limits
from verify.processes.sweep import sweep
from verify.report import sarif, summary
from verify.request import Request
from verify.verdict import Verdict
from verify.versions_apart import packages_of

from .conftest import needs_diffusers

BAD = """
import os
import time
import torch

def sample_good(model, x, sigmas):
    for a, b in zip(sigmas[:-1], sigmas[1:]):
        x = b / a * x + (1 - b / a) * model(x, a * x.new_ones(len(x)))
    return x

def sample_busy(model, x, sigmas):
    while True:
        pass

def sample_exits(model, x, sigmas):
    os._exit(7)

def sample_leaves(model, x, sigmas):
    os._exit(0)

def sample_forks(model, x, sigmas):
    if not os.path.exists(__file__ + ".pid") and os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            with open(__file__ + ".pid", "w") as file:
                file.write(str(os.getpid()))
            time.sleep(60)
        os._exit(0)
    while not os.path.exists(__file__ + ".pid"):
        time.sleep(0.01)
    return sample_good(model, x, sigmas)

def sample_multiplies(model, x, sigmas):
    while True:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)

def sample_prints(model, x, sigmas):
    os.write(1, b"noise" * 1_000_000)
    return sample_good(model, x, sigmas)

def sample_grows(model, x, sigmas):
    held = []
    while True:
        held.append(torch.empty(200_000_000))

def sample_patches(model, x, sigmas):
    torch.exp = torch.Tensor.exp = torch.linspace = None
    return sample_good(model, x, sigmas)

def sample_lacks(model, x, sigmas):
    import a_package_that_is_absent

def sample_threads(model, x, sigmas):
    named = [os.environ.get(n) for n in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")]
    raise RuntimeError(f"threads: {torch.get_num_threads()}, {named}")
"""


def test_bad_targets_get_verdicts_of_their_own_and_the_others_go_on(tmp_path, capfd):
    path = tmp_path / "bad.py"
    path.write_text(BAD)
    before = {name: os.environ.get(name) for name in THREADS}
    made = sweep(
        [Request(str(path), claim=1, settings={"rates": False, "conduct": False})],
        jobs=2,
        limits=Limits(seconds=3.0, memory=2**30),
    )
    found = {v.target.partition(":")[2]: v for v in made}
    assert found["sample_busy"].reason == "hang"
    assert (found["sample_exits"].reason, "code 7" in found["sample_exits"].findings[0]) == (
        "exit",
        True,
    )
    assert found["sample_grows"].status == "error"
    assert "pip install a_package_that_is_absent" in found["sample_lacks"].findings[0]
    assert found["sample_multiplies"].reason == "forks"
    # threads of small tables wait for each other; the caller's own setting stays
    assert "threads: 1, ['1', '1']" in found["sample_threads"].findings[0]
    assert {name: os.environ.get(name) for name in THREADS} == before
    left = found["sample_leaves"]
    assert left.reason == "exit" and "code 0" in left.findings[0] and "os._exit" in left.findings[0]
    patched = found["sample_patches"]
    assert (patched.status, patched.reason) == ("fail", "conduct")
    assert "changes torch: torch.exp, torch.linspace are other objects" in patched.findings[0]
    for name in ("good", "forks", "prints"):
        assert found[f"sample_{name}"].status == "pass", name
    # it has left its session and outlived its parent
    escaped = int((tmp_path / "bad.py.pid").read_text())
    assert not Path(f"/proc/{escaped}").exists()
    assert "noise" not in capfd.readouterr().out


@needs_diffusers
def test_a_library_is_expanded_to_its_samplers_and_options():
    every = expanded(Request("diffusers:*"), False)
    names = [r.target.partition(":")[2] for r in every]
    assert len(names) > 20 and "DDIMScheduler" in names
    assert next(r.claim for r in every if r.target.endswith(":PNDMScheduler")) == 4
    options = [r.options for r in expanded(Request("diffusers:UniPCMultistepScheduler"), True)]
    assert {} in options and {"lower_order_final": False} in options
    assert {"solver_type": "bh1"} in options and {"solver_type": "heun"} not in options
    (grid,) = [
        r
        for r in expanded(Request("diffusers:DDIMScheduler"), True)
        if r.options == {"timestep_spacing": "trailing"}
    ]
    assert grid.settings == {"rule": False}
    assert all(list(swept(name)) for name in names)


class Solver:
    """DPM-Solver++(2M), written out, in LuCheng's interface."""

    def __init__(self, model_fn, noise_schedule):
        self.model, self.plan = model_fn, noise_schedule

    def sample(self, x, steps, t_start, t_end, order=2, skip_type="time_uniform"):
        plan, old = self.plan, None
        times = torch.linspace(t_start, t_end, steps + 1, dtype=torch.float64)
        for s, t in itertools.pairwise(times):
            alpha, sigma = plan.marginal_alpha(s), plan.marginal_std(s)
            data = (x - sigma * self.model(x, s.expand(len(x)))) / alpha
            h = plan.marginal_lambda(t) - plan.marginal_lambda(s)
            mixed = data if old is None or order < 2 else data + (data - old[0]) * h / old[1] / 2
            x = plan.marginal_std(t) / sigma * x - plan.marginal_alpha(t) * torch.expm1(-h) * mixed
            old = data, h
        return x


@pytest.mark.parametrize("order", [1, 2])
def test_a_class_of_dpm_solver_is_judged_as_it_is(order):
    run = adapted(Solver, "dpm-solver", {"order": order})
    assert set(audit(run).orders().values()) == {order}


def euler_cfg_pp(model, x, sigmas, extra_args=None, callback=None, disable=None):
    """As ComfyUI writes it: the unconditional output through a hook of the model's options."""
    extra_args = {} if extra_args is None else extra_args
    kept = [torch.zeros_like(x)]

    def keep(args):
        kept[0] = args["uncond_denoised"]
        return args["denoised"]

    options = dict(extra_args.get("model_options", {}))
    options["sampler_post_cfg_function"] = [keep]
    limit = model.inner_model.model_sampling.sigma_max
    for s, t in itertools.pairwise(sigmas):
        denoised = model(x, s * x.new_ones(len(x)), **{**extra_args, "model_options": options})
        x = denoised + (x - kept[0]) / torch.minimum(s, limit) * t
    return x


def test_a_sampler_of_comfyui_is_judged_as_it_is():
    assert set(audit(adapted(euler_cfg_pp, "comfyui", {})).orders().values()) == {1}


def verdict(**named):
    given = {"target": "mine.py", "title": "mine", "status": "pass", "claim": 2}
    return Verdict(**{**given, "audited": {"uniform": 2, "smooth": 2, "arbitrary": 2}, **named})


def test_a_baseline_tells_change_in_either_direction(tmp_path):
    path = tmp_path / "solvergen.lock.toml"
    breach = {"check": "zero", "text": "t", "example": "e", "gravity": "breach", "order": None}
    old = verdict(target='odd "name".py', status="fail", conduct={"findings": [breach]})
    baseline.write(path, baseline.rows([verdict(), old]))
    known = baseline.read(path)
    assert known == baseline.rows([verdict(), old])
    assert baseline.changes(known, baseline.rows([verdict(), old])) == []
    better = verdict(target='odd "name".py')
    said = [c.sentence() for c in baseline.changes(known, baseline.rows([verdict(), better]))]
    assert said == [
        'odd "name".py: status was fail, is pass',
        'odd "name".py: checks was zero, is none',
    ]
    path.write_text("verdict = 3")
    with pytest.raises(TargetError, match="not a baseline"):
        baseline.read(path)


def test_two_reports_are_compared(tmp_path, capsys):
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(json.dumps([verdict().as_dict()], default=str))
    worse = verdict(status="fail", audited={"uniform": 1, "smooth": 1, "arbitrary": 1})
    new.write_text(json.dumps([worse.as_dict(), verdict(target="b.py").as_dict()], default=str))
    assert main(["diff", str(old), str(old)]) == 0
    assert main(["diff", str(old), str(new)]) == 1
    out = capsys.readouterr().out
    assert "mine.py: orders was 2/2/2, is 1/1/1" in out and "b.py: added" in out


def test_claims_of_a_project_are_whole_numbers(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.solvergen.claims]\n"a.py" = 3\n')
    assert baseline.claims_of_project(tmp_path) == {"a.py": 3}
    (tmp_path / "pyproject.toml").write_text('[tool.solvergen.claims]\n"a.py" = "3"\n')
    with pytest.raises(TargetError, match="whole number"):
        baseline.claims_of_project(tmp_path)


def test_sarif_and_badge_say_what_failed():
    breach = {"check": "zero", "text": "t", "example": "e", "gravity": "breach", "order": None}
    broken = verdict(
        status="fail",
        findings=("real run, zero: t (e)", "claims order 2; it is 1"),
        conduct={"findings": [breach]},
        path=str(Path.cwd() / "src" / "mine.py"),
        line=7,
    )
    data = json.loads(sarif.as_sarif([broken, verdict()]))
    one, two = data["runs"][0]["results"]
    assert (one["ruleId"], two["ruleId"]) == ("conduct/zero", "order")
    place = one["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "src/mine.py" and place["region"] == {"startLine": 7}
    assert "1 hold, 1 refuted" in summary.as_badge([broken, verdict()])
    assert "1 pass" in summary.as_markdown([verdict()])


def test_a_key_changes_with_code_and_options(tmp_path):
    path = tmp_path / "a.py"
    path.write_text("x = 1\n")
    first = Request(str(path)).key()
    assert first == Request(str(path)).key() != Request(str(path), {"eta": 0.0}).key()
    path.write_text("x = 2\n")
    assert Request(str(path)).key() != first


@needs_diffusers
def test_options_that_a_class_refuses_in_words_are_no_errors_of_a_sweep():
    request = Request("diffusers:EDMEulerScheduler", {"prediction_type": "sample"}, swept=True)
    (verdict,) = settle(request)
    assert (verdict.status, verdict.reason) == ("none", "refused")
    assert "not supported" in verdict.findings[0]
    (asked,) = settle(replace(request, swept=False))
    assert asked.status == "error"


@pytest.mark.nightly
def test_two_installed_versions_are_compared(tmp_path, capsys):
    step = "b / a * x + (1 - b / a) * {} * model(x, a * x.new_ones(len(x)))"
    for name, weight in (("old", "1.0"), ("new", "0.99")):
        package = tmp_path / name / "madesamplers"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(
            "def sample_one(model, x, sigmas):\n"
            "    for a, b in zip(sigmas[:-1], sigmas[1:]):\n"
            f"        x = {step.format(weight)}\n"
            "    return x\n"
        )
    sides = [str(tmp_path / name) for name in ("old", "new")]
    assert main(["diff", *sides, "--target", "madesamplers:sample_one"]) == 1
    assert "madesamplers:sample_one: orders was 1/1/1, is 0/0/0" in capsys.readouterr().out


def test_a_side_of_a_comparison_may_be_a_folder_or_a_virtual_environment(tmp_path, capsys):
    assert main(["diff", str(tmp_path), str(tmp_path)]) == 2
    assert "--target" in capsys.readouterr().err
    assert packages_of(tmp_path) == tmp_path
    (tmp_path / "pyvenv.cfg").touch()
    with pytest.raises(TargetError, match="site-packages"):
        packages_of(tmp_path)
    folder = tmp_path / "lib" / "python3.11" / "site-packages"
    folder.mkdir(parents=True)
    assert packages_of(tmp_path) == folder
