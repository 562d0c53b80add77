"""Fixtures that several rooms share: emitted samplers as modules, and an exact denoiser."""

import contextlib
import functools
import gc
import importlib
import importlib.util
import itertools
import os
import types

import pytest
import torch
from filelock import FileLock
from hypothesis import settings
from hypothesis.internal.conjecture import providers

from solvergen import gallery
from solvergen.derive import derive
from solvergen.emit.torch_file import torch_file

# setuptools brings its own distutils, and refuses to once Python's own has been imported: the compiler
# behind torch.compile would then fail in whichever test comes later.
with contextlib.suppress(ImportError, AssertionError):
    importlib.import_module("setuptools")

# The same examples on every machine, and no verdict that depends on its speed.
settings.register_profile("deterministic", derandomize=True, deadline=None)
settings.load_profile("deterministic")
# Hypothesis reads the constants of every module of ours that is loaded, so that examples would depend on
# the tests that ran before, and the first of them would wait a minute for sixty thousand lines.
if hasattr(providers, "is_local_module_file"):
    providers.is_local_module_file = lambda path: False


def pytest_collection_finish():
    """What was imported and collected stays to the end; the collector need not walk through it again."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(scope="session")
def sampler(tmp_path_factory):
    """A function from a solver (or a gallery name) to its emitted file, imported."""
    folder, serial, made = tmp_path_factory.mktemp("emitted"), itertools.count(), {}

    def build(solver, lookup=None):
        solver = gallery.load(solver) if isinstance(solver, str) else solver
        if solver not in made:
            path = folder / f"{solver.name}_{next(serial)}.py"
            path.write_text(torch_file(solver, derive(solver, lookup)), encoding="utf-8")
            found = importlib.util.spec_from_file_location(path.stem, path)
            made[solver] = importlib.util.module_from_spec(found)
            found.loader.exec_module(made[solver])
        return made[solver]

    return build


def steady(module):
    """An emitted file whose runs all meet the same draws, unless they are given others."""
    found = types.ModuleType(module.__name__, module.__doc__)
    found.__dict__.update(vars(module))

    def drawing(run):
        @functools.wraps(run)
        def wrapped(model, x, *args, **options):
            options.setdefault("noise_sampler", draws_of(x))
            return run(model, x, *args, **options)

        return wrapped

    found.sample, found.integrate = drawing(module.sample), drawing(module.integrate)
    found.module = module
    return found


def draws_of(x):
    """A noise sampler for one run: the k-th draw is the same whatever the levels and the dtype."""
    serial = itertools.count()

    def draw(sigma, sigma_next):
        generator = torch.Generator().manual_seed(next(serial))
        return torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x)

    return draw


@pytest.fixture(scope="session")
def draws():
    """A function from a state to the draws that every run of `committed` meets."""
    return draws_of


@pytest.fixture(scope="session")
def committed():
    """A function from a name to the committed file of generated/, imported; no run is random."""

    @functools.cache
    def found(name):
        module = importlib.import_module(f"solvergen.generated.{name}")
        return steady(module) if hasattr(module, "NOISE") else module

    return found


@pytest.fixture(scope="session")
def denoiser():
    """A function from an isotropic Gaussian mixture to its exact denoiser under x = x0 + σ ε."""

    def build(weights, means, stds):
        w, s = (torch.tensor(value, dtype=torch.float64) for value in (weights, stds))
        m = torch.tensor(means, dtype=torch.float64).reshape(len(weights), -1)

        def denoise(x, sigma):
            wide, noise = x.to(torch.float64), sigma.to(torch.float64)
            v = s**2 + noise[:, None] ** 2
            gap = wide[:, None, :] - m
            size = m.shape[1]
            log = torch.log(w) - gap.square().sum(-1) / (2 * v) - size / 2 * torch.log(v)
            share = torch.softmax(log, 1)[..., None]
            return (share * (m + (s**2 / v)[..., None] * gap)).sum(1).to(x.dtype)

        return denoise

    return build


@pytest.fixture(scope="session")
def mixture(denoiser):
    """One denoiser for tests that need just any: three components in two dimensions."""
    return denoiser([0.3, 0.5, 0.2], [[-1.0, 0.4], [0.8, 0.1], [0.1, -0.9]], [0.5, 0.3, 0.4])


@pytest.fixture(scope="session")
def explorer(tmp_path_factory):
    """The explorer's page with four solvers, made once."""
    pytest.importorskip("bokeh", reason="bokeh draws the charts")
    from solvergen.explore.page import page

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # the workers of a run share it
        folder = folder.parent
    path = folder / "explorer.html"
    solvers = ("ddim", "dpmpp_2m", "heun_edm", "ddim_eta")
    with FileLock(folder / "explorer.lock"):
        if not path.is_file():
            made = page(solvers, "solvergen explore", lambda names, _: names)
            path.write_text(made, encoding="utf-8")
    return path
