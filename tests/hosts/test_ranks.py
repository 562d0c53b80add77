"""Two processes that share a batch draw what one process draws."""

import os

import pytest
import torch
import torch.distributed
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from solvergen.hosts.edm import karras
from solvergen.hosts.runs import Sampler, noise_of

SEEDS = [3, 1, 4, 1, 5, 9]
SIGMAS = torch.cat([karras(7, 0.03, 10.0, 7.0), torch.zeros(1, dtype=torch.float64)])


class Network(nn.Module):
    """A small denoiser with weights of its own, drawn from a seed."""

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.layers = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 4)).double()

    def forward(self, x, sigma):
        return self.layers(torch.cat([x, sigma.log()[:, None]], 1))


def sampler(name, seed):
    import importlib

    return Sampler(importlib.import_module(f"solvergen.generated.{name}"), Network(seed), SIGMAS)


def start(seeds):
    return 10 * noise_of(seeds, (4,), dtype=torch.float64)


def work(rank, names, folder):
    """One rank: its share of the seeds; its own weights are replaced by those of rank 0."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2
    )
    for name in names:
        spread = DistributedDataParallel(sampler(name, seed=rank))
        with torch.no_grad():
            mine = spread(start(SEEDS[rank::2]))
        shares = [torch.empty_like(mine) for _ in range(2)]
        torch.distributed.all_gather(shares, mine)
        if rank == 0:
            torch.save(torch.stack(shares, 1).flatten(0, 1), f"{folder}/{name}.pt")
    torch.distributed.barrier()
    # A thread of gloo that drops a tensor while the interpreter shuts down aborts the process, and
    # DDP keeps such threads alive: what was to be done is done, so nothing is shut down.
    os._exit(0)


@pytest.mark.skipif(
    not (torch.distributed.is_available() and torch.distributed.is_gloo_available()),
    reason="this torch was built without gloo",
)
def test_two_ranks_give_the_samples_of_one(tmp_path, monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    names = ("dpmpp_2m", "unipc_2_bh2")
    torch.multiprocessing.spawn(work, (names, str(tmp_path)), nprocs=2)
    for name in names:
        found = torch.load(tmp_path / f"{name}.pt", weights_only=True)
        with torch.no_grad():
            alone = sampler(name, seed=0)(start(SEEDS))
            other = sampler(name, seed=1)(start(SEEDS))
        assert torch.allclose(found, alone, rtol=1e-12, atol=1e-12)
        assert not torch.allclose(found, other)


def test_accelerate_prepares_a_sampler():
    accelerate = pytest.importorskip("accelerate")
    with torch.no_grad():
        prepared = accelerate.Accelerator(cpu=True).prepare(sampler("dpmpp_2m", seed=0))
        assert torch.equal(prepared(start(SEEDS)), sampler("dpmpp_2m", seed=0)(start(SEEDS)))
