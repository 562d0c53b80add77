"""One step: its weighted sum, and the checks of what goes into it."""

import math

import torch

from .choices import INTEGRAND


def corrected(weights, gap):
    """Weights that also correct the start of the step; gap is what its corrector changes."""
    if INTEGRAND == "data":
        a, *rest = weights
    else:
        cx, cd, a, *rest = weights
    shift = [a * g for g in gap] + [0] * (len(rest) - len(gap))
    if INTEGRAND == "data":
        return a, *(w + g for w, g in zip(rest, shift))
    else:
        return cx, cd, a, *(w + g for w, g in zip(rest, shift))


def combine(weights, values, empty=None):
    """Sum of weight * value: one kernel when compiled, as few passes as torch has when not."""
    fused = torch.compiler.is_compiling() or not weights[0].is_cpu or weights[0].ndim
    if fused or any(w.requires_grad for w in weights):
        return sum([w * value for w, value in zip(weights[1:], values[1:])], weights[0] * values[0])
    terms = [(w.item(), value) for w, value in zip(weights, values)]
    terms = [(w, value) for w, value in terms[::-1] if w]  # the oldest value first, x last
    (w, first), shares = terms[0], [terms[0][0]]
    out = None if empty is None else empty(first)
    if len(terms) == 1:
        return torch.mul(first, w, out=out)
    for w, _ in terms[1:]:
        shares.append(shares[-1] + w)
    safe = all(abs(share) > abs(w) / 16 for share, (w, _) in zip(shares, terms))
    if safe and abs(shares[-1] - 1) < 1e-14:  # a weighted mean, taken one value after the other
        out = torch.lerp(first, terms[1][1], terms[1][0] / shares[1], out=out)
        for share, (w, value) in zip(shares[2:], terms[2:]):
            out.lerp_(value, w / share)
        return out
    w, x = terms.pop()
    large = x.numel() >= 2**16 and x.element_size() > 2
    if w == 1:
        out = torch.add(x, first, alpha=shares[0], out=out)
    elif large and first.is_contiguous() and x.is_contiguous():
        out = None if out is None else out.view(-1, 1)  # addr weighs both of its operands
        pair = x.view(-1, 1), first.view(-1), x.new_ones(1)
        out = torch.addr(*pair, beta=w, alpha=shares[0], out=out).view_as(x)
    else:  # small states: two passes take less than the views for one
        out = torch.mul(x, w, out=out).add_(first, alpha=shares[0])
    for w, value in terms[1:]:
        out.add_(value, alpha=w)
    return out


def check_state(x):
    """Refuse a state that no step can be made from."""
    found = type(x).__name__
    if torch.is_tensor(x):
        found = f"a nested tensor of {x.dtype}" if x.is_nested else f"layout {x.layout}"
        if not x.is_nested and x.layout == torch.strided:
            if x.ndim and x.dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
                return
            found = f"{x.dtype} of shape {tuple(x.shape)}"
    raise ValueError(
        "x must be a dense tensor of float16, bfloat16, float32 or float64 with a batch dimension; "
        f"found {found}"
    )


def check(x, denoised, call=0):
    """Refuse a wrong model output; values are looked at in inference only.

    On a CPU they are at every call, on other devices at the first, since to look is to wait.
    """
    if not torch.is_tensor(denoised):
        found = type(denoised).__name__
        raise ValueError(
            f"the model must return a tensor; call {call} returned {found}: wrap it, as in "
            "lambda x, sigma, **extra: network(x, sigma, **extra).sample, or ...[0] for a tuple"
        )
    for name in ("shape", "device"):
        wanted, found = getattr(x, name), getattr(denoised, name)
        if found != wanted:
            raise ValueError(
                f"the model must return a tensor of the {name} of x, {wanted}; "
                f"call {call} returned {found}"
            )
    if not denoised.is_floating_point():
        raise ValueError(f"the model must return real numbers; call {call} gave {denoised.dtype}")
    captured = x.is_cuda and torch.cuda.is_current_stream_capturing()
    if torch.compiler.is_compiling() or torch.is_grad_enabled() or captured or x.is_meta:
        return
    if call and not x.is_cpu or math.isfinite(denoised.sum()):  # one read, where all is well
        return
    if not denoised.isfinite().all():
        found = "NaN" if denoised.isnan().any() else "infinity"
        source = "x, which it was given, is free of it"
        if not x.isfinite().all():
            source = "x, which it was given, is not finite either"
        half = "; float16 overflows easily: try bfloat16" if denoised.dtype == torch.float16 else ""
        raise ValueError(f"the model returned {found} at call {call} ({source}){half}")


def check_noise(x, noise, dtype, first):
    """Refuse a draw unlike x; values are looked at in the first step, in inference only."""
    if getattr(noise, "shape", None) != x.shape:
        found = tuple(noise.shape) if torch.is_tensor(noise) else type(noise).__name__
        raise ValueError(f"noise_sampler must return shape {tuple(x.shape)}; found {found}")
    if noise.dtype not in (dtype, x.dtype) or noise.device != x.device:
        wanted, found = f"{dtype} on {x.device}", f"{noise.dtype} on {noise.device}"
        raise ValueError(f"noise_sampler must return {wanted}; found {found}")
    captured = x.is_cuda and torch.cuda.is_current_stream_capturing()
    if not first or torch.compiler.is_compiling() or torch.is_grad_enabled() or captured:
        return
    if not noise.isfinite().all():
        raise ValueError("noise_sampler returned NaN or infinity in the first step")


def same_path(noise_sampler, strength):
    """Refuse a Brownian path whose clock is known to be that of another equation."""
    integrand, known = getattr(noise_sampler, "equation", None) or (INTEGRAND, strength)
    apart = known is not None and abs(known - strength) > 1e-6 * strength > 0
    if apart or integrand != INTEGRAND:
        path = f"{integrand} prediction" + ("" if known is None else f", strength {known}")
        found = f"the noise is a Brownian path for {path}; this run is for {INTEGRAND} prediction"
        raise ValueError(f"{found}, strength {strength}: give the path that clock")
