"""DPM-Solver-v3 about a model's own statistics; x = x0 + sigma noise, states and levels in float64.

Zheng et al. 2023, arXiv:2310.13268. With l, s, b functions of lambda = -log sigma, one for every element
of a sample, the remainder f = (1 - l) x - D obeys

    x(t) = e^(-L) [x(s) - int e^(L + S) (g + beta) dlambda],    L = int l, S = int s, from s on,
    g = e^(-S) f - beta,    beta = int e^(-S) b,

and g is taken for a polynomial. l = 1, s = b = 0 is DPM-Solver++.
"""

import math

import torch

NODES = (0.0694318442029737, 0.3300094782075719, 0.6699905217924281, 0.9305681557970263)
SHARES = (0.1739274225687269, 0.3260725774312731, 0.3260725774312731, 0.1739274225687269)


class Integrals:
    """Integrals of the statistics from one point of their table.

    statistics: lam (n + 1), rising by equal steps; l, s, b (n + 1, ...). first, last: points of the
    table. The statistics are linear between the points; published: trapezoids, as the authors take.
    """

    def __init__(self, statistics, first, last, published):
        lam = statistics["lam"].double()
        low, high = min(first, last), max(first, last)
        l, s, b = (statistics[name][low : high + 1].double() for name in "lsb")
        grid = lam[low : high + 1]
        at = first - low
        wide = (-1,) + (1,) * (l.dim() - 1)
        step = (grid[1:] - grid[:-1]).reshape(wide)
        self.first, self.low = first, low
        self.L, self.S = (self._summed(step * (v[1:] + v[:-1]) / 2, at) for v in (l, s))
        if published:
            damped = torch.exp(-self.S) * b
            self.beta = self._summed(step * (damped[1:] + damped[:-1]) / 2, at)
            weight = torch.exp(self.L + self.S)
            place = (grid - grid[at]).reshape(wide)

            def whole(value):
                terms = weight * value
                return (step * (terms[1:] + terms[:-1]) / 2).sum(0)

            self.moments = [whole(place**k / math.factorial(k)) for k in range(4)]
            self.bias = whole(self.beta)
            return
        inner = [self._inside(b, s, step, node) for node in NODES]
        cells = self._cells(b, s, step, 1.0)
        self.beta = self._summed(cells, at)
        self.moments, self.bias = [0.0] * 4, 0.0
        for node, share, part in zip(NODES, SHARES, inner, strict=True):
            weight = torch.exp(
                self._inside(None, l, step, node, self.L)
                + self._inside(None, s, step, node, self.S)
            )
            weight = weight * step * share
            place = (grid[:-1] - grid[at]).reshape(wide) + node * step
            for k in range(4):
                self.moments[k] = self.moments[k] + (weight * place**k / math.factorial(k)).sum(0)
            self.bias = self.bias + (weight * (self.beta[:-1] + part)).sum(0)

    def _summed(self, cells, at):
        """Sums of the cells from point `at`, at every point."""
        sums = torch.cat([torch.zeros_like(cells[:1]), cells.cumsum(0)])
        return sums - sums[at]

    def _inside(self, b, values, step, node, before=None):
        """The integral over the first part of every cell: of linear values, or of e^(-S) b."""
        if b is None:
            slope = values[1:] - values[:-1]
            return before[:-1] + step * node * (values[:-1] + slope * node / 2)
        return self._cells(b, values, step, node)

    def _cells(self, b, s, step, part):
        """The integral of e^(-S) b over the first part of every cell."""
        total = 0.0
        for node, share in zip(NODES, SHARES, strict=True):
            where = part * node
            exponent = self._inside(None, s, step, where, self.S)
            value = b[:-1] + (b[1:] - b[:-1]) * where
            total = total + share * part * step * torch.exp(-exponent) * value
        return total

    def at(self, point):
        """L, S and beta at a point of the table."""
        return tuple(values[point - self.low] for values in (self.L, self.S, self.beta))


def derivatives(places, count, pseudo):
    """Rows of weights for the derivatives 1 ... count at places[0] of values at the places.

    pseudo: derivative k from the newest k + 1 values alone, a divided difference times k!.
    """
    rows = []
    for k in range(1, count + 1):
        used = places[: k + 1] if pseudo else places[: count + 1]
        offsets = [place - used[0] for place in used]
        matrix = torch.tensor(
            [[o**m for o in offsets] for m in range(len(used))], dtype=torch.float64
        )
        wanted = torch.zeros(len(used), dtype=torch.float64)
        wanted[k] = math.factorial(k)
        row = torch.linalg.solve(matrix, wanted).tolist()
        rows.append(row + [0.0] * (count + 1 - len(row)))
    return rows


def update(statistics, points, end, pseudo, published):
    """A step to `end` as (factor on x, weights of the remainders f at the points, constant).

    points: of the table; the step starts at the first. statistics, published: as Integrals takes them.
    """
    lam = statistics["lam"].double()
    start, count = points[0], len(points) - 1
    forward = Integrals(statistics, start, end, published)
    L = forward.at(end)[0]
    keep = torch.exp(-L)
    moments = forward.moments
    shares = [moments[0]] + [0.0] * count
    places = [float(lam[p]) for p in points]
    for k, row in enumerate(derivatives(places, count, pseudo), 1):
        for j, weight in enumerate(row):
            shares[j] = shares[j] + moments[k] * weight
    weights, constant = [], forward.bias
    for point, share in zip(points, shares, strict=True):
        to = forward if start <= point <= end else Integrals(statistics, start, point, published)
        _, S, beta = to.at(point)
        weights.append(-keep * share * torch.exp(-S))
        constant = constant - share * beta
    return keep, weights, -keep * constant


def nearest(statistics, sigmas):
    """The points of the table next to the levels, rising."""
    lam = statistics["lam"].double()
    wanted = -torch.log(torch.as_tensor(sigmas, dtype=torch.float64))
    if wanted.dim() != 1 or len(wanted) < 2 or not wanted.isfinite().all():
        raise ValueError(
            f"sigmas must be two levels or more, each above 0 and finite; found {sigmas}"
        )
    step = float(lam[-1] - lam[0]) / (len(lam) - 1)
    places = ((wanted - lam[0].cpu()) / step).tolist()
    points = [round(place) for place in places]
    if points[0] < 0 or points[-1] >= len(lam):
        raise ValueError(
            f"the statistics reach from sigma = {math.exp(-float(lam[0])):.4g} to "
            f"{math.exp(-float(lam[-1])):.4g}; found {float(sigmas[0]):.4g} to {float(sigmas[-1]):.4g}"
        )
    if points != sorted(set(points)):
        raise ValueError(
            f"two levels lie at one point of the table of {len(lam) - 1} steps, or rise; take fewer "
            "steps or estimate the statistics at more levels"
        )
    return points


def sample(
    model,
    x,
    sigmas,
    extra_args=None,
    callback=None,
    disable=None,
    *,
    statistics,
    order=2,
    pseudo=False,
    corrector=False,
    corrector_pseudo=False,
    lower_order_final=True,
    published=False,
):
    """Run from the first to the last level, one model call a step.

    model: (x, sigma) -> denoised, sigma of shape (batch,). sigmas: falling levels above 0; each is moved
    to the nearest point of the statistics. extra_args: further arguments of the model. callback: takes a
    dict after every call. statistics: tensors lam, l, s, b, as Integrals takes them. order: 1 to 3.
    pseudo, corrector_pseudo: derivatives of order k from k + 1 values alone. corrector: correct every
    state but the last with the output made there, at no further call. lower_order_final: no more order
    than steps remain. published: integrals by the trapezoids of the authors' code.
    """
    if order not in (1, 2, 3):
        raise ValueError(f"order must be 1, 2 or 3; found {order!r}")
    if not torch.is_floating_point(x):
        raise ValueError(f"x must be of a floating-point dtype; found {x.dtype}")
    if lost := [name for name in ("lam", "l", "s", "b") if name not in (statistics or ())]:
        raise ValueError(
            f"statistics lack {', '.join(lost)}; give load_file(...) of the file beside this one"
        )
    statistics = {name: statistics[name].to(x.device) for name in ("lam", "l", "s", "b")}
    if any(statistics[name].shape[1:] != x.shape[1:] for name in "lsb"):
        raise ValueError(
            f"the statistics are of samples {tuple(statistics['l'].shape[1:])}, x has {tuple(x.shape[1:])}"
        )
    points = nearest(statistics, sigmas)
    ones = x.new_ones(x.shape[0])
    steps, last, kept, before = len(points) - 1, 0, [], x
    for i in range(steps):
        point = points[i]
        sigma = math.exp(-float(statistics["lam"][point]))
        denoised = model(x, sigma * ones, **(extra_args or {}))
        if not torch.is_tensor(denoised) or denoised.shape != x.shape:
            found = getattr(denoised, "shape", type(denoised).__name__)
            raise ValueError(f"the model must return a tensor of the shape of x; found {found}")
        if not denoised.isfinite().all():
            raise ValueError(
                f"the model returned NaN or infinity at call {i}, sigma = {sigma:.4g}, for a state that "
                f"is {'' if x.isfinite().all() else 'not '}finite"
            )
        if callback is not None:
            told = {"x": x, "i": i, "sigma": sigma, "sigma_hat": sigma, "denoised": denoised}
            callback(told)
        kept = [(point, (1 - statistics["l"][point].to(x.dtype)) * x - denoised), *kept[:3]]
        count = last + bool(corrector_pseudo)
        if corrector and i and count > 1:
            used = [kept[1], kept[0], *kept[2:count]]
            x = _moved(before, used, point, statistics, corrector_pseudo, published)
        last = min(order, i + 1, steps - i if lower_order_final else order)
        before, x = x, _moved(x, kept[:last], points[i + 1], statistics, pseudo, published)
    return x


def _moved(x, used, end, statistics, pseudo, published):
    keep, weights, constant = update(statistics, [p for p, _ in used], end, pseudo, published)
    moved = keep.to(x.dtype) * x + constant.to(x.dtype)
    for (_, value), weight in zip(used, weights, strict=True):
        moved = moved + weight.to(x.dtype) * value
    return moved
