"""Time, kernels and memory of one step, beside diffusers' and k-diffusion's own.

    python tests/benchmarks/measure.py [--device cuda] [--quick] [--dtypes …] [--plot FILE.svg]

All ratios of a table come from one process. The floor is the bytes that must move (each operand
read once, the result written once) over the measured bandwidth of a copy into existing memory.
"""

import argparse
import ctypes
import importlib
import importlib.util
import itertools
import resource
import sys
import time
import types
from pathlib import Path

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from solvergen.hosts.memory import recycler

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

SHAPES = [
    (1, 4, 64, 64),
    (4, 4, 128, 128),
    (1, 16, 128, 128),
    (1, 16, 16, 128, 128),
    (1, 16, 21, 224, 224),
    (1, 16, 42, 224, 224),
]
LARGEST = 70 * 2**20  # the last shape is for halves
SOLVERS = {"dpmpp_2m": 4, "unipc_2_bh2": 5}  # states that must move in a step
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class Traffic(TorchDispatchMode):
    """Counts kernels that touch whole states, and the states that they read and write."""

    def __init__(self, size):
        super().__init__()
        self.size, self.kernels, self.moved, self.calls = size, 0, 0, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = function(*args, **kwargs)
        read = [value for key, value in kwargs.items() if key != "out"]
        count = [
            sum(isinstance(t, torch.Tensor) and t.numel() >= self.size for t in tree_leaves(values))
            for values in ((args, read), out)
        ]
        self.calls += 1
        if count[1] and "view" not in str(function):
            self.kernels, self.moved = self.kernels + 1, self.moved + sum(count)
        return out


BUDGET = {"seconds": 0.4}  # for one figure


def seconds(function, device, budget=None):
    """Best time of one call: the least mean over several batches of calls."""
    budget = min(budget or 1.0, BUDGET["seconds"])
    wait = torch.cuda.synchronize if device == "cuda" else (lambda: None)
    function(), wait()
    begun = time.perf_counter()
    function(), wait()
    once = max(time.perf_counter() - begun, 1e-6)
    count = max(1, int(budget / 8 / once))
    best = float("inf")
    for _ in range(8 if once < budget else 3):
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


def ours(module, x, gauge="ve"):
    """One step of an emitted file in the middle of a run, with the memory that runs give it."""
    sigma = levels()
    alpha = (1 + sigma**2).rsqrt() if gauge == "vp" else None
    plan, memory = module.coefficients(sigma if alpha is None else sigma * alpha, alpha), ()
    denoised = torch.randn_like(x)
    with torch.no_grad():
        for row in plan[:10]:
            _, memory = module.step(row, x, denoised, memory)
    memory = tuple(torch.randn_like(x) for _ in memory)
    empty = recycler() if x.is_cpu and x.numel() >= 2**20 else None
    return lambda: module.step(plan[10], x, denoised, memory, empty)


OUTPUTS = []  # what the free model returns in turn: memory that exists, so that a run is its steps
TURN = itertools.count()


def free(x, sigma=None):
    """A model that costs nothing."""
    return OUTPUTS[next(TURN) % len(OUTPUTS)]


torch.library.define("benchmark::free", "(Tensor x) -> Tensor")  # opaque to the compiler
torch.library.impl("benchmark::free", ("CPU", "CUDA"), free)
torch.library.impl("benchmark::free", "Meta", torch.empty_like)


def loop(module, x, compiled=False):
    """A run of an emitted file of 20 steps on a free model."""
    plan = module.coefficients(levels(21))

    if not compiled:
        empty = recycler() if x.is_cpu and x.numel() >= 2**20 else None
        return lambda: module.integrate(free, x, plan, empty=empty)

    @torch.compile(fullgraph=True)
    def run(x):
        return module.integrate(lambda y, s: torch.ops.benchmark.free(y), x, plan)

    return lambda: run(x)


def exported(name, x, cls=None):
    """One step of a scheduler, ours (exported) or diffusers' own, in the middle of a run."""
    if cls is None:
        from solvergen.emit.exports.diffusers_family import family_of
        from solvergen.hosts.diffusers.scheduler import GridScheduler

        module = importlib.import_module(f"solvergen.generated.{name}")
        members = {
            "coefficients": staticmethod(module.coefficients),
            "advance": staticmethod(module.step),
            "order": module.EVALUATIONS_PER_STEP,
            "calls": module.EVALUATIONS_PER_STEP,
            "history": module.HISTORY,
            "draws": hasattr(module, "NOISE"),
            "velocity": module.INTEGRAND == "velocity",
            "solver": module.NAME,
            "family": family_of(name)[0],
            "method": {},
        }
        made = type("Exported", (GridScheduler,), members)()
    else:
        made = cls(solver_order=2)
    made.set_timesteps(20)
    output = torch.randn_like(x)
    for t in made.timesteps[:10]:
        made.step(output, t, x)
    time_now = made.timesteps[10]

    def step():
        made._step_index = 10
        return made.step(output, time_now, x, return_dict=False)  # as pipelines call it

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
    sigmas = levels(21).to(x)
    return lambda: module.sample_dpmpp_2m(free, x, sigmas, disable=True)


def fresh(function, size):
    """Memory that the system had to map during a call, in states."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    function()
    pages = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    return pages * resource.getpagesize() / size


class Malloc(ctypes.Structure):
    """What glibc's mallinfo2 tells."""

    NAMES = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks")
    _fields_ = [(name, ctypes.c_size_t) for name in (*NAMES, "fordblks", "keepcost")]


class Held(TorchDispatchMode):
    """Watches how much memory the process has allocated after each operator (with glibc)."""

    def __init__(self):
        super().__init__()
        self.ask = ctypes.CDLL(None).mallinfo2
        self.ask.restype = Malloc
        self.before = self.most = self.now()

    def now(self):
        found = self.ask()
        return found.uordblks + found.hblkhd

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        self.most = max(self.most, self.now())
        return out


def peak(function, device, size):
    """The most memory that a call holds beyond what was held before, in states."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        function(), torch.cuda.synchronize()
        return (torch.cuda.max_memory_allocated() - before) / size
    with Held() as seen:
        function()
    return (seen.most - seen.before) / size


def rows(shape, dtype, device, quick):
    """Table rows of one state, one by one: solver, who, then figures."""
    x = torch.randn(shape, device=device, dtype=dtype)
    spare, size = torch.randn_like(x), x.numel() * x.element_size()
    OUTPUTS[:] = [torch.randn_like(x) for _ in range(4)]

    def floor(solver):
        """Least time of a step, as measured now: on a shared machine the bandwidth changes."""
        return seconds(lambda: spare.copy_(x), device, 0.1) / 2 * SOLVERS[solver]

    def note(solver, who, function, per=1, count=True):
        with torch.no_grad():
            took, shown, most = seconds(function, device) / per, ("-", "-"), "-"
            least = floor(solver)
            if count:
                with Traffic(x.numel()) as seen:
                    function()
                shown = (f"{seen.kernels / per:.0f}", f"{seen.moved / per:.0f}")
                most = f"{peak(function, device, size):.1f}"
            pages = "-" if device == "cuda" else f"{fresh(function, size) / per:.1f}"
        return solver, who, took * 1e6, f"{took / least:.1f}", *shown, pages, most

    for name, operands in SOLVERS.items():
        module = importlib.import_module(f"solvergen.generated.{name}")
        yield name, "floor", floor(name) * 1e6, "1.0", "1", str(operands), "0", "-"
        if dtype == torch.float32:  # runs in halves step in float32
            yield note(name, "emitted step", ours(module, x))
            yield note(name, "emitted step, alpha and sigma", ours(module, x, "vp"))
        yield note(name, "emitted loop", loop(module, x), per=20)
        if not quick:
            yield note(name, "emitted loop, compiled", loop(module, x, True), per=20, count=False)
        yield note(name, "exported scheduler", exported(name, x))
        import diffusers

        peer = {"dpmpp_2m": "DPMSolverMultistep", "unipc_2_bh2": "UniPCMultistep"}[name]
        yield note(
            name, "diffusers scheduler", exported(name, x, getattr(diffusers, f"{peer}Scheduler"))
        )
        if name == "dpmpp_2m" and (run := k_diffusion(x)) is not None:
            yield note(name, "k-diffusion loop", run, per=20)


def main():
    """Print the table; draw it where a file is named."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--quick", action="store_true", help="smallest state, float32, eager only")
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=list(DTYPES))
    parser.add_argument("--plot", metavar="FILE")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.quick:
        BUDGET["seconds"] = 0.05
    shapes, dtypes = (SHAPES[:1], ["float32"]) if args.quick else (SHAPES, args.dtypes)
    table = []
    for shape in shapes:
        for kind in dtypes:
            torch._dynamo.reset()
            size = torch.Size(shape).numel() * DTYPES[kind].itemsize
            if size > LARGEST:
                continue
            print(f"\n{'x'.join(map(str, shape))} {kind}, {size / 2**20:.2f} MB\n")
            print("| solver | one step of | µs | / floor | kernels | moved | fresh | peak |")
            print("|---|---|---:|---:|---:|---:|---:|---:|")
            for row in rows(shape, DTYPES[kind], args.device, args.quick):
                table.append((size, kind, *row))
                print(f"| {row[0]} | {row[1]} | {row[2]:.1f} | {' | '.join(row[3:])} |", flush=True)
    if args.plot:
        single = [row for row in table if row[1] == "float32"]
        from chart import chart  # beside this script

        Path(args.plot).write_text(chart(single), encoding="utf-8")


if __name__ == "__main__":
    main()
