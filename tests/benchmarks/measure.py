"""Time, kernels and memory traffic of one step, beside diffusers' and k-diffusion's own.

    python tests/benchmarks/measure.py [--device cuda] [--quick] [--dtypes …] [--plot FILE]

All ratios of a table come from one process. The floor is the bytes that must move (each operand
read once, the result written once) over the measured bandwidth of a copy into existing memory.
"""

import argparse
import importlib
import importlib.util
import sys
import time
import types
from functools import partial
from pathlib import Path

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

SHAPES = [(1, 4, 64, 64), (4, 4, 128, 128), (1, 16, 128, 128), (1, 16, 21, 224, 224)]
SOLVERS = {"dpmpp_2m": 4, "unipc_2_bh2": 5}  # states that must move in a step
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class Traffic(TorchDispatchMode):
    """Counts kernels that touch whole states, and the states that they read and write."""

    def __init__(self, size):
        super().__init__()
        self.size, self.kernels, self.moved, self.calls = size, 0, 0, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        count = [
            sum(isinstance(t, torch.Tensor) and t.numel() >= self.size for t in tree_leaves(values))
            for values in ((args, kwargs), out)
        ]
        self.calls += 1
        if count[1] and "view" not in str(function):
            self.kernels, self.moved = self.kernels + 1, self.moved + sum(count)
        return out


def seconds(function, device, budget=0.4):
    """Best time of one call: the least mean over several batches of calls."""
    wait = torch.cuda.synchronize if device == "cuda" else (lambda: None)
    function(), wait()
    begun = time.perf_counter()
    function(), wait()
    count = max(1, int(budget / 8 / max(time.perf_counter() - begun, 1e-6)))
    best = float("inf")
    for _ in range(8):
        begun = time.perf_counter()
        for _ in range(count):
            function()
        wait()
        best = min(best, (time.perf_counter() - begun) / count)
    return best


def levels(count=20):
    """A Karras grid."""
    ramp = torch.linspace(0, 1, count, dtype=torch.float64)
    return (14 ** (1 / 7) + ramp * (0.03 ** (1 / 7) - 14 ** (1 / 7))) ** 7


def ours(module, x, gauge="ve", compiled=False):
    """One step of an emitted file in the middle of a run, as a function."""
    sigma = levels()
    alpha = (1 + sigma**2).rsqrt() if gauge == "vp" else None
    plan, memory = module.coefficients(sigma if alpha is None else sigma * alpha, alpha), ()
    denoised = torch.randn_like(x)
    with torch.no_grad():
        for row in plan[:10]:
            _, memory = module.step(row, x, denoised, memory)
    memory = tuple(torch.randn_like(x) for _ in memory)
    step = torch.compile(module.step, fullgraph=True) if compiled else module.step
    return lambda: step(plan[10], x, denoised, memory)


def exported(name, x, cls=None):
    """One step of a scheduler, ours (exported) or diffusers' own, in the middle of a run."""
    if cls is None:
        from solvergen.hosts.diffusers_scheduler import GridScheduler

        module = importlib.import_module(f"solvergen.generated.{name}")
        members = {
            "coefficients": staticmethod(module.coefficients),
            "advance": staticmethod(module.step),
            "order": module.EVALUATIONS_PER_STEP,
        }
        made = type("Exported", (GridScheduler,), members)()
    else:
        made = cls(solver_order=2)
    made.set_timesteps(20)
    output = torch.randn_like(x)
    for t in made.timesteps[:10]:
        made.step(output, t, x)

    def step():
        made._step_index = 10
        return made.step(output, made.timesteps[10], x)

    return step


def k_diffusion(x):
    """A run of k-diffusion's sample_dpmpp_2m of 20 steps on a free model.

    Its sampling.py is loaded alone; what else it imports is not needed by this sampler.
    """
    found = importlib.util.find_spec("k_diffusion")
    if found is None:
        return None
    folder = found.submodule_search_locations[0]
    package = types.ModuleType("k_diffusion_alone")
    package.__path__ = [folder]
    package.utils = types.ModuleType("k_diffusion_alone.utils")
    sys.modules |= {package.__name__: package, package.utils.__name__: package.utils}
    for name in ("torchdiffeq", "torchsde"):
        sys.modules.setdefault(name, types.ModuleType(name)).odeint = None
    spec = importlib.util.spec_from_file_location(
        "k_diffusion_alone.sampling", Path(folder) / "sampling.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    output, sigmas = torch.randn_like(x), levels(21).to(x)
    return lambda: module.sample_dpmpp_2m(lambda x, s: output, x, sigmas, disable=True)


def rows(shape, dtype, device, quick):
    """Table rows of one state: (solver, who, microseconds, kernels, states moved)."""
    x = torch.randn(shape, device=device, dtype=dtype)
    spare = torch.randn_like(x)
    copy = seconds(lambda: spare.copy_(x), device)
    found = []

    def note(solver, who, function, per=1, count=True):
        with torch.no_grad():
            took = seconds(function, device) / per
            shown = ("-", "-")
            if count:
                with Traffic(x.numel()) as seen:
                    function()
                shown = (f"{seen.kernels / per:.0f}", f"{seen.moved / per:.0f}")
        found.append((solver, who, took * 1e6, *shown))

    for name, operands in SOLVERS.items():
        module = importlib.import_module(f"solvergen.generated.{name}")
        found.append((name, "floor", copy / 2 * operands * 1e6, "1", str(operands)))
        note(name, "emitted", ours(module, x))
        note(name, "emitted, alpha and sigma", ours(module, x, "vp"))
        if not quick:
            note(name, "emitted, compiled", ours(module, x, compiled=True), count=False)
        note(name, "exported scheduler", exported(name, x))
        import diffusers

        peer = {"dpmpp_2m": "DPMSolverMultistep", "unipc_2_bh2": "UniPCMultistep"}[name]
        note(name, "diffusers", exported(name, x, getattr(diffusers, f"{peer}Scheduler")))
        if name == "dpmpp_2m" and (run := k_diffusion(x)) is not None:
            note(name, "k-diffusion", run, per=20)
            plan = module.coefficients(levels(21))
            loop = partial(module.integrate, lambda y, s: spare, x, plan)
            note(name, "emitted, whole loop", loop, per=20)
    return found


def plot(table, path):
    """Microseconds a step against the size of the state, one panel a solver."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(SOLVERS), figsize=(11, 4.5), squeeze=False)
    for axis, solver in zip(axes[0], SOLVERS, strict=True):
        for who in dict.fromkeys(row[3] for row in table if row[2] == solver):
            at = [
                (r[0], r[4]) for r in table if r[2] == solver and r[3] == who and r[1] == "float32"
            ]
            axis.loglog(*zip(*sorted(at), strict=True), "o-", label=who)
        axis.set(title=solver, xlabel="bytes of a state", ylabel="microseconds a step")
        axis.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main():
    """Print the table; draw it where a file is named."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--quick", action="store_true", help="smallest state, float32, eager only")
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=list(DTYPES))
    parser.add_argument("--plot", metavar="FILE")
    args = parser.parse_args()
    torch.set_num_threads(1)
    shapes, dtypes = (SHAPES[:1], ["float32"]) if args.quick else (SHAPES, args.dtypes)
    table = []
    for shape in shapes:
        for kind in dtypes:
            torch._dynamo.reset()
            size = torch.Size(shape).numel() * DTYPES[kind].itemsize
            print(f"\n{'x'.join(map(str, shape))} {kind}, {size / 2**20:.2f} MB\n")
            print("| solver | step of | µs | kernels | states moved |\n|---|---|---:|---:|---:|")
            for row in rows(shape, DTYPES[kind], args.device, args.quick):
                table.append((size, kind, *row))
                print(f"| {row[0]} | {row[1]} | {row[2]:.1f} | {row[3]} | {row[4]} |", flush=True)
    if args.plot:
        plot(table, args.plot)


if __name__ == "__main__":
    main()
