"""Hosts: how strangers' samplers are called, each turned into run(denoiser, x, sigmas).

Every adapter speaks to the judge in one scaling, x = x0 + sigma eps, with a denoiser that answers
E[x0 | x]; what the host wants instead (eps, v, flow velocity, a scaled input) is made here.
"""

CONVENTIONS = (
    "k-diffusion",
    "k-diffusion-ends",
    "k-diffusion-adaptive",
    "edm",
    "diff-sampler",
    "comfyui",
    "dpm-solver",
    "vp",
    "flow",
)
