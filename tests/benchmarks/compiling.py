"""Compile times of a run beside those of one step, for several lengths and batches, in one process.

    python tests/benchmarks/compiling.py [SOLVER ...]

Seconds are CPU seconds of this process and its children; caches of the compiler are off.
"""

import argparse
import importlib
import resource

import torch
from measure import levels

from solvergen.hosts.compiled import Compiled
from solvergen.hosts.runs import Sampler

RUNS = [
    (20, 3),
    (5, 3),
    (100, 3),
    (20, 1),
    (20, 8),
    (50, 8),
]  # steps and batch, one after the other


class Network(torch.nn.Module):
    """A small denoiser of a convolution."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x, sigma):
        return torch.tanh(self.layer(x)) / (1 + sigma[:, None, None, None])


def spent(function, *args):
    """CPU seconds of a call."""

    def now():
        each = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(used.ru_utime + used.ru_stime for used in each)

    begun = now()
    function(*args)
    return now() - begun


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("solvers", nargs="*", default=["dpmpp_2m", "unipc_3_bh2"])
    args = parser.parse_args()
    torch.set_num_threads(1)
    print("| solver | run | CPU s | over one step, any shape |\n|---|---|---:|---:|")
    for name in args.solvers:
        module, network = importlib.import_module(f"solvergen.generated.{name}"), Network()

        def one_step(row, x, memory, module=module, network=network):
            return module.step(row, x, network(x, row[2] * x.new_ones([x.shape[0]])), memory)

        with torch.no_grad(), torch._inductor.config.patch(force_disable_caches=True):
            torch._dynamo.reset()
            x, plan, memory = torch.randn(3, 4, 32, 32), module.coefficients(levels(21)), ()
            for row in plan[:10]:
                x, memory = one_step(row, x, memory)
            torch.compile(torch.nn.Tanh())(x)  # what the compiler loads once
            for kind, given in (("this shape", None), ("any shape", [0, 2, 3])):
                torch._dynamo.reset()
                step = torch.compile(one_step, fullgraph=True)
                states = [part.clone() for part in (x, *memory)]
                for part in states:
                    torch._dynamo.maybe_mark_dynamic(part, given or [])
                single = spent(step, plan[10], states[0], tuple(states[1:]))
                print(f"| {name} | one step with its model, {kind} | {single:.1f} | |", flush=True)
            torch._dynamo.reset()
            whole = torch.compile(module.integrate, fullgraph=True)
            taken = spent(whole, network, x, plan)
            print(f"| {name} | 20 steps, this shape | {taken:.1f} | |", flush=True)
            torch._dynamo.reset()
            for steps, batch in RUNS:
                sampler = Compiled(Sampler(module, network, levels(steps + 1)))
                x = torch.randn(batch, 4, 32, 32)
                plain = spent(sampler.sampler, x)
                taken = spent(sampler, x) - plain
                shown = f"{steps} steps, batch {batch}"
                print(f"| {name} | {shown} | {taken:.1f} | {taken / single:.2f} |", flush=True)


if __name__ == "__main__":
    main()
