"""Fixed pieces of an emitted file: the grid check, φ-functions, quadrature, the loop.

They are included only when the solver at hand needs them. Each is plain Python as a reader would
write it, so that an emitted file can be read, pasted and trusted on its own.
"""

GRID = '''
def grid(sigmas, alphas=None):
    """Check a grid; return alpha, sigma and lambda = log(alpha / sigma) as lists of float64."""

    def float64(values):
        values = values if torch.is_tensor(values) else torch.tensor(values, dtype=torch.float64)
        return values.detach().to("cpu", torch.float64)

    sigma = float64(sigmas)
    alpha = torch.ones_like(sigma) if alphas is None else float64(alphas)
    if sigma.ndim != 1 or len(sigma) < 2 or alpha.shape != sigma.shape:
        found = f"sigmas {tuple(sigma.shape)}, alphas {tuple(alpha.shape)}"
        raise ValueError(f"sigmas and alphas must be 1-d, equally long, 2 or more; got {found}")
    # cos(pi / 2) in floating point is not 0: an alpha of rounding size is no signal, so it is none.
    alpha = [0.0 if abs(a) < 2.0**-20 else a for a in alpha.tolist()]
    sigma, lam = sigma.tolist(), []
    for i, (a, s) in enumerate(zip(alpha, sigma)):
        if not (0 <= a < math.inf and 0 <= s < math.inf and a + s > 0):
            raise ValueError(f"alpha, sigma must be finite and >= 0; at {i} they are {a}, {s}")
        lam.append(math.log(a / s) if a and s else math.copysign(math.inf, a - s))
        if i and not lam[i - 1] < lam[i]:
            pair = f"sigmas[{i - 1}] = {sigma[i - 1]}, sigmas[{i}] = {s}"
            raise ValueError(f"sigma / alpha must decrease at every step; found {pair}")
    return alpha, sigma, lam
'''

LEVEL = '''
def level(lam, gauge):
    """alpha and sigma at lambda, on the schedule that the grid was recognised to follow."""
    if gauge == "alpha = 1":
        return 1.0, math.exp(-lam)
    if gauge == "alpha + sigma = 1":
        return 1 / (1 + math.exp(-lam)), 1 / (1 + math.exp(lam))
    return (1 + math.exp(-2 * lam)) ** -0.5, (1 + math.exp(2 * lam)) ** -0.5


def recognise(alpha, sigma):
    """Which schedule a grid follows: inner nodes need alpha and sigma between its points."""
    distance = {
        "alpha = 1": max(abs(a - 1) for a in alpha),
        "alpha^2 + sigma^2 = 1": max(abs(a * a + s * s - 1) for a, s in zip(alpha, sigma)),
        "alpha + sigma = 1": max(abs(a + s - 1) for a, s in zip(alpha, sigma)),
    }
    gauge = min(distance, key=distance.get)
    if distance[gauge] < 1e-4:
        return gauge
    raise ValueError(
        "alphas and sigmas follow none of alpha = 1, alpha^2 + sigma^2 = 1, alpha + sigma = 1, so "
        "the level of an inner node is unknown; rescale to alpha = 1 (x / alpha, sigma / alpha)"
    )
'''

PHI = '''
def phi(k, z):
    """phi_k(z) = (phi_{k-1}(z) - 1/(k-1)!) / z with phi_0 = exp; a series where that cancels."""
    if abs(z) < 2:
        term = total = 1 / math.factorial(k)
        for j in range(1, 30):
            term *= z / (k + j)
            total += term
        return total
    value = math.expm1(z) / z
    for j in range(1, k):
        value = (value - 1 / math.factorial(j)) / z
    return value
'''

MOMENT = '''
def moment(power, c, start, end):
    """Integral of coordinate^power d(clock) over the first part c of a step, in clock steps."""
    total = 0.0
    for j in range(-64, 65):  # tanh-sinh quadrature: exact to rounding for analytic integrands
        u = j / 16
        q = math.exp(-math.pi * math.sinh(u))
        place, weight = 1 / (1 + q), math.pi * math.cosh(u) * q / (16 * (1 + q) ** 2)
        lam = start + c * place * (end - start)
        density = {density}
        total += weight * density * coordinate(lam, start, end) ** power
    return c * total
'''

INTEGRAL = '''
def integral(f, low, high):
    """Integral of f from low to high by tanh-sinh quadrature: to rounding where f is smooth."""
    total = 0.0
    for j in range(-112, 113):
        u = j / 32
        q = math.exp(-math.pi * math.sinh(u))
        weight = math.pi * math.cosh(u) * q / (32 * (1 + q) ** 2)
        total += weight * f(low + (high - low) / (1 + q))
    return (high - low) * total
'''

RIEMANN = '''
def riemann(f, low, high, count):
    """Left Riemann sum of f over count equal parts from low to high."""
    part = (high - low) / count
    return part * sum(f(low + k * part) for k in range(count))
'''

COORDINATE = '''
def y(lam):
    """The further variable of this solver at lambda."""
{expression}


def coordinate(lam, start, end):
    """The further variable, from 0 at the start of the step to 1 at its end."""
    return (y(lam) - y(start)) / (y(end) - y(start))
'''

FRACTION = '''
def fraction(c, start, end):
    """Where in the step, as a fraction of it in lambda, the coordinate is c (by bisection)."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        before = coordinate(start + middle * (end - start), start, end) < c
        low, high = (middle, high) if before else (low, middle)
    return (low + high) / 2
'''

SLOPE = '''
def slope(c, start, end):
    """d(clock)/d(coordinate) at the fraction c of the step in lambda, in clock steps."""
    lam = start + c * (end - start)
    density = {density}
{rate}
    return density * (y(end) - y(start)) / (rate * (end - start))
'''

DENSITY = {
    1: "math.exp(lam - start) * (end - start) / math.expm1(end - start)",
    -1: "math.exp(start - lam) * (start - end) / math.expm1(start - end)",
    0: """(
            (end - start)
            / (2 * math.cosh(lam / 2) ** 2)
            / (math.tanh(end / 2) - math.tanh(start / 2))
        )""",
}

CORRECTED = {
    True: '''
def corrected(weights, gap):
    """Weights that also correct the start of the step; gap is what its corrector changes."""
    a, *rest = weights
    shift = [a * g for g in gap] + [0] * (len(rest) - len(gap))
    return a, *(w + g for w, g in zip(rest, shift))
''',
    False: '''
def corrected(weights, gap):
    """Weights that also correct the start of the step; gap is what its corrector changes."""
    cx, cd, a, *rest = weights
    shift = [a * g for g in gap] + [0] * (len(rest) - len(gap))
    return cx, cd, a, *(w + g for w, g in zip(rest, shift))
''',
}

COMBINE = '''
def combine(weights, values, empty=None):
    """Sum of weight * value: one kernel when compiled, as few passes as torch has when not."""
    fused = torch.compiler.is_compiling() or not weights[0].is_cpu
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
    if w == 1:
        out = torch.add(x, first, alpha=shares[0], out=out)
    elif first.is_contiguous() and x.is_contiguous() and x.element_size() > 2:
        out = None if out is None else out.view(-1, 1)  # addr weighs both of its operands
        pair = x.view(-1, 1), first.view(-1), x.new_ones(1)
        out = torch.addr(*pair, beta=w, alpha=shares[0], out=out).view_as(x)
    else:
        out = torch.mul(x, w, out=out).add_(first, alpha=shares[0])
    for w, value in terms[1:]:
        out.add_(value, alpha=w)
    return out
'''

CHECK = '''
def check(x, denoised):
    """Refuse a wrong model output at the first call; values are looked at in inference only."""
    for name in ("shape", "dtype", "device"):
        wanted, found = getattr(x, name), getattr(denoised, name, type(denoised).__name__)
        if found != wanted:
            raise ValueError(
                f"the model must return a tensor of the {name} of x, {wanted}; it returned {found}"
            )
    captured = x.is_cuda and torch.cuda.is_current_stream_capturing()
    if torch.compiler.is_compiling() or torch.is_grad_enabled() or captured:
        return
    if denoised.isnan().any():
        source = "x, which it was given, holds NaN" if x.isnan().any() else "x is free of it"
        raise ValueError(f"the model returned NaN at its first call ({source}); float16 overflows")
'''

# The first lines of a loop; a state of halves steps in float32.
BEGIN = """\
    extra_args = {} if extra_args is None else extra_args
    ones = x.new_ones([x.shape[0]])
    dtype, x = x.dtype, x.to(torch.promote_types(x.dtype, torch.float32))  # halves step in float32
    memory, previous = (), None
"""

# What every loop does with a model output first, and what every `sample` says of its arguments.
WATCH = """\
        if callback is not None and i != previous:
            level = {"sigma": sigma, "sigma_hat": sigma}
            callback({"x": seen, "i": i, **level, "denoised": denoised})
        if previous is None:
            check(seen, denoised)
"""
SAMPLE = '''\
    """Sample from x at sigmas[0] down to sigmas[-1].

    model: (x, sigma, **extra_args) -> denoised prediction of x0; sigma has one entry per sample.
    x: the state alpha x0 + sigma eps at the first grid point.
'''
CALLBACK = """\
    callback: called once a step with x, i, sigma, sigma_hat, denoised. disable: accepted, unused.
"""
PARTS = {"begin": BEGIN, "watch": WATCH, "sample": SAMPLE, "callback": CALLBACK}

LOOP = '''
def integrate(model, x, plan, extra_args=None, callback=None, empty=None):
    """Run the sampler along a plan; differentiable; no step waits for the device.

    empty: gives memory for new states, as torch.empty_like; torch does unless given.
    """
{begin}    for row in plan:
        i, sigma, seen = row[0], row[2], x.to(dtype)
        denoised = model(seen, sigma * ones, **extra_args)
{watch}        x, memory = step(row, x, denoised.to(x.dtype), memory, empty)
        previous = i
    return x.to(dtype)


@torch.no_grad()
{signature}
{sample}    sigmas: n + 1 decreasing values, the last may be 0; alphas: the same number, ones unless given.
{callback}    """
    plan = coefficients(sigmas, alphas{passed})
    return integrate(model, x, plan, extra_args, callback)
'''
