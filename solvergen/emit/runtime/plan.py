"""The plan of a run: its rows, the same as matrices, and the parameters of the solver."""

import math

import torch

from .choices import LANGEVIN, LIFTED, LINEAR, NOISY, OPENING, step


class Plan:
    """The rows of a run, one for each model call; `tensors` is the same for a loop in one graph."""

    def __init__(self, rows):
        self.rows = tensors(rows)
        if LINEAR:
            whole = hasattr(torch._higher_order_ops, "scan")
            self.tensors = stacked(rows) if whole else None

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.rows[index]

    def __iter__(self):
        return iter(self.rows)


def tensors(rows):
    """Rows with 0-d float64 tensors for their numbers: they keep the state's dtype."""

    def numbers_of(part):
        many = isinstance(part, (list, tuple))
        return [n for p in part for n in numbers_of(p)] if many else [part]

    def filled(part):
        return tuple(map(filled, part)) if isinstance(part, (list, tuple)) else next(cells)

    found = torch.tensor(numbers_of([row[2:] for row in rows]), dtype=torch.float64)
    cells = iter(found.unbind())
    return [(row[0], row[1], *filled(row[2:])) for row in rows]


def stacked(rows):
    """Levels and matrices of the rows: weights as inputs of one graph for any number of steps.

    A step is linear in x, the model output, what is remembered and its draws. Entry r of what it
    returns, x first, is row r of its matrix times these: unit vectors in their place show it.
    """

    def flat(memory):
        return [v for part in memory for v in (part if isinstance(part, tuple) else (part,))]

    def shape(memory):
        return tuple(len(part) if isinstance(part, tuple) else -1 for part in memory)

    def stepped(kind, weights, x, denoised, memory, noise):
        if NOISY:
            return step((0, kind, 0, weights), x, denoised, memory, noise)
        return step((0, kind, 0, weights), x, denoised, memory)

    empty, memory, after, alike = torch.zeros(0), (), {}, {}
    for place, row in enumerate(rows):
        if NOISY:
            key = row[1], len(row[3]), len(row[4]), shape(memory)
        else:
            key = row[1], len(row[3]), 0, shape(memory)
        if key not in after:
            ones = torch.ones(key[1], 1).unbind()
            after[key] = stepped(row[1], ones, empty, empty, memory, (empty,) * key[2])[1]
        alike.setdefault(key, []).append(place)
        memory = after[key]
    held = max(len(flat(memory)) for memory in after.values())
    most = max(key[2] for key in alike)
    unit = torch.eye(2 + held + most, dtype=torch.float64).unbind()
    moves = torch.zeros(len(rows), 1 + held, 2 + held + most, dtype=torch.float64)
    for (kind, _, drawn, sizes), places in alike.items():
        weights = torch.tensor([rows[p][3] for p in places], dtype=torch.float64)
        known, noise = iter(unit[2:]), unit[2 + held : 2 + held + drawn]
        memory = [next(known) if n < 0 else tuple(next(known) for _ in range(n)) for n in sizes]
        x, memory = stepped(kind, weights.T[..., None].unbind(), unit[0], unit[1], memory, noise)
        for r, entry in enumerate([x, *flat(memory)]):
            moves[places, r] = entry
    found = [torch.tensor([row[2] for row in rows], dtype=torch.float64), moves]
    if LIFTED:
        lifts = torch.zeros(len(rows), max(len(row[5]) for row in rows), 2, dtype=torch.float64)
        lifts[:, :, 0] = 1
        for place, row in enumerate(rows):
            for k, lift in enumerate(row[5]):
                lifts[place, k] = torch.tensor(lift[:2], dtype=torch.float64)
        found.append(lifts)
    for tensor in found:  # what torch._dynamo.maybe_mark_dynamic does: any number of rows
        tensor._dynamo_weak_dynamic_indices, tensor._has_dynamo_dim_marking = {0}, True
    return tuple(found)


def listed(plan):
    """The plan with the weights of draws; the first row of a step that lists a draw asks for it."""
    if LANGEVIN:
        places, p = [], 0
        for row in plan:  # rows that share draws follow each other, and begin with one of this kind
            p += row[1] in OPENING
            places.append(p)
    else:
        places = [row[0] for row in plan]
    used = {(p, z) for p, row in zip(places, plan) for z, draw in enumerate(row[4]) if draw[0]}
    rows, known = [], {}
    for p, (i, kind, sigma, weights, noise, *lifts) in zip(places, plan):
        kept = [z for z in range(len(noise)) if (p, z) in used]
        new = tuple(noise[z][1:] for z in kept if z >= known.get(p, 0))
        known[p] = len(noise)
        rows.append((i, kind, sigma, [*weights, *(noise[z][0] for z in kept)], new, *lifts))
    return rows


def numbers(*unlimited, **parameters):
    """Parameters as floats; refuse what is no number, and infinity unless it is unlimited."""
    for name, value in parameters.items():
        try:
            known = not math.isnan(value) if name in unlimited else math.isfinite(value)
        except (TypeError, ValueError, OverflowError):
            known = False
        if not known:
            raise ValueError(f"{name} must be a finite number; got {value!r}")
    return map(float, parameters.values())
