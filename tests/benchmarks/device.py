"""What a run costs on a device: launches, bandwidth, compile time, memory, beside other libraries.

    python tests/benchmarks/device.py [--device cuda|cpu] [--quick] [--budget SECONDS] [--out TABLE.md]

One table with the name of the device; `make bench-gpu` runs it after the tests that need a GPU. What
the budget leaves no time for is named below the table: compiled runs first, then larger states.
"""

import argparse
import importlib
import itertools
import platform
import sys
import time
from pathlib import Path

import torch
from measure import DTYPES, OUTPUTS, Traffic, exported, free, k_diffusion, levels, peak, seconds

from solvergen.hosts.captured import Captured
from solvergen.hosts.compiled import Compiled
from solvergen.hosts.memory import recycler
from solvergen.hosts.runs import Sampler

SHAPES = [(1, 4, 64, 64), (1, 16, 128, 128), (1, 16, 16, 128, 128), (1, 16, 21, 224, 224)]
SOLVERS = {"dpmpp_2m": 4, "unipc_3_bh2": 6}  # states that must move in a step
PEERS = {"dpmpp_2m": "DPMSolverMultistepScheduler", "unipc_3_bh2": "UniPCMultistepScheduler"}
STEPS = 20
HEAD = "| state | solver | run | µs a step | launches | of copy speed | compile s | peak |"


def launches(function, x):
    """Kernels that one call starts: counted by the profiler on a GPU, by dispatch on a CPU."""
    if not x.is_cuda:
        with Traffic(x.numel()) as seen:
            function()
        return seen.kernels
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        function()
        torch.cuda.synchronize()
    return sum(event.device_type == torch.autograd.DeviceType.CUDA for event in seen.events())


def model(x, sigma):
    """A model that costs nothing and that the compiler cannot look into."""
    return torch.ops.benchmark.free(x)


def runs(name, module, x, compiles):
    """(who, function of one whole run or step, calls in it, seconds to compile or None)."""
    sampler = Sampler(module, free, levels(STEPS + 1))
    empty = recycler() if x.is_cpu and x.numel() >= 2**20 else None
    yield "eager loop", lambda: module.integrate(free, x, sampler.plan, empty=empty), STEPS, None
    ways = (("compiled, loop in the graph", False), ("compiled, unrolled", True))
    for who, unrolled in ways if compiles else ():
        torch._dynamo.reset()
        compiled = Compiled(Sampler(module, model, levels(STEPS + 1)), unrolled=unrolled)
        begun = time.perf_counter()
        compiled(x)
        took = time.perf_counter() - begun
        if not compiled.failed:
            yield who, lambda run=compiled: run(x), STEPS, took
    if x.is_cuda:
        captured = Captured(sampler, x)
        yield "CUDA graph, replayed", captured.graph.replay, STEPS, None
    yield "exported scheduler", exported(name, x), 1, None
    import diffusers

    yield "diffusers", exported(name, x, getattr(diffusers, PEERS[name])), 1, None
    if name == "dpmpp_2m" and (run := k_diffusion(x)) is not None:
        yield "k-diffusion", run, STEPS, None


def rows(shape, dtype, device, solvers, compiles):
    """Rows of the table for one state."""
    x = torch.randn(shape, device=device).to(dtype)
    spare, size = torch.randn_like(x), x.numel() * x.element_size()
    OUTPUTS[:] = [torch.randn_like(x) for _ in range(4)]
    shown = f"{size / 2**20:.2f} MB {str(dtype).removeprefix('torch.')}"
    for name in solvers:
        module = importlib.import_module(f"solvergen.generated.{name}")
        for who, function, calls, took in runs(name, module, x, compiles):
            copy = seconds(lambda: spare.copy_(x), device, 0.05) / 2  # a state read or written
            each = seconds(function, device, 0.2) / calls
            share = f"{copy * SOLVERS[name] / each:.0%}"
            count = held = "-"
            if x.is_cuda or took is None:  # dispatch modes see nothing of compiled code
                count = f"{launches(function, x) / calls:.1f}"
                held = f"{peak(function, device, size):.1f}"
            compiled = "-" if took is None else f"{took:.1f}"
            cells = (shown, name, who, f"{each * 1e6:.1f}", count, share, compiled, held)
            yield f"| {' | '.join(cells)} |"


def main():
    """Print the table, and write it where a file is named."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument(
        "--quick", action="store_true", help="the smallest state, float32, one solver"
    )
    parser.add_argument("--budget", type=float, default=240.0, metavar="SECONDS")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        print("this machine has no GPU that torch can use; --device cpu runs the same on the CPU")
        return 1
    torch.set_num_threads(1)
    on_gpu = args.device == "cuda"
    device = torch.cuda.get_device_name() if on_gpu else f"{platform.machine()} CPU, one core"
    shapes, dtypes = (SHAPES[:1], ["float32"]) if args.quick else (SHAPES, list(DTYPES))
    solvers = list(SOLVERS)[:1] if args.quick else list(SOLVERS)
    lines = [f"# {device}, torch {torch.__version__}", "", HEAD, "|---|---|---|" + "---:|" * 5]
    print("\n".join(lines), flush=True)
    begun, left_out = time.monotonic(), []
    with torch.no_grad():
        for number, (shape, kind) in enumerate(itertools.product(shapes, dtypes)):
            spent = (time.monotonic() - begun) / args.budget if args.budget else 1.0
            shown = f"{'x'.join(map(str, shape))} {kind}"
            if spent >= 1 and number:
                left_out.append(shown)
                continue
            if spent >= 0.7:
                left_out.append(f"{shown} compiled")
            for line in rows(shape, DTYPES[kind], args.device, solvers, spent < 0.7):
                lines.append(line)
                print(line, flush=True)
    if left_out:
        why = f"left out, since the budget of {args.budget:.0f} s was spent"
        lines += ["", f"{why}: {', '.join(left_out)}"]
        print("\n".join(lines[-2:]))
    if args.out:
        args.out.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
