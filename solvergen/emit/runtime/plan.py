"""The plan of a run: its rows, the same as matrices, and the parameters of the solver."""

import math

import torch

from .choices import FLAT, LANGEVIN, LIFTED, LINEAR, NOISY, OPENING, step


class Plan:
    """The rows of a run, one for each model call, made when they are first asked for.

    Numbers of all rows are one tensor, an input where a run is compiled. `tensors` is the plan
    for a loop in one graph.
    """

    def __init__(self, rows):
        found, forms = [], {}
        self.steps, self.kinds = [row[0] for row in rows], [row[1] for row in rows]
        self.made = [None] * len(rows)
        if FLAT:
            self.parts = []
            for row in rows:  # a level, then its weights
                begin, count = len(found), len(row[3])
                found += row[2], *row[3]
                if count not in forms:
                    forms[count] = None, (None,) * count
                self.parts.append((begin, forms[count]))
        else:
            known = {id(row): row for row in rows}  # steps that repeat share their row
            for key, row in known.items():
                begin = len(found)
                form = places_of(row[2:], found)
                known[key] = begin, forms.setdefault(form, form)
            self.parts = [known[id(row)] for row in rows]
        self.numbers = torch.tensor(found, dtype=torch.float64)
        if LINEAR:
            whole = hasattr(torch._higher_order_ops, "scan")
            self.tensors = stacked(rows, self.numbers, self.parts) if whole else None

    def __len__(self):
        return len(self.steps)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[k] for k in range(len(self))[index]]
        if self.made[index] is None:
            begin, form = self.parts[index]
            numbers = tensors(form, self.numbers[begin:])
            self.made[index] = (self.steps[index], self.kinds[index], *numbers)
        return self.made[index]

    def __iter__(self):
        return (self[k] for k in range(len(self)))


def places_of(part, found):
    """The form of a part of a row, None in the place of a number; its numbers join those found."""
    many, add = (list, tuple), found.append
    return tuple([places_of(p, found) if isinstance(p, many) else add(p) for p in part])


def tensors(form, numbers):
    """0-d float64 tensors in the places of numbers: they keep the state's dtype."""

    def count(part):
        return 1 if part is None else sum(map(count, part))

    def filled(part):
        return next(cells) if part is None else tuple(map(filled, part))

    cells = iter(numbers[: count(form)].unbind())
    return filled(form)


def stacked(rows, numbers, parts):
    """Levels and matrices of the rows: weights as inputs of one graph for any number of steps.

    numbers, parts: the numbers of all rows, and where the level and weights of each row begin.

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

    empty, known, state, after, alike, same = torch.zeros(0), [()], 0, {}, {}, None
    begins, times = [], []  # where the numbers of a row begin, and how often it follows itself
    for (begin, _), row in zip(parts, rows):
        if row is same:
            times[-1] += 1
            continue
        if NOISY:
            key = state, row[1], len(row[3]), len(row[4])
        else:
            key = state, row[1], len(row[3])
        if key not in after:
            ones, drawn = torch.ones(key[2], 1).unbind(), (empty,) * sum(key[3:])
            memory = stepped(row[1], ones, empty, empty, known[state], drawn)[1]
            shapes = [shape(m) for m in known]
            if shape(memory) not in shapes:
                known.append(memory)
                shapes.append(shape(memory))
            after[key], alike[key] = shapes.index(shape(memory)), []
        same = row if after[key] == state else None
        state = after[key]
        alike[key].append(len(begins))
        begins.append(begin)
        times.append(1)
    held = max(len(flat(memory)) for memory in known)
    most = max(sum(key[3:]) for key in alike)
    unit = torch.eye(2 + held + most, dtype=torch.float64).unbind()
    moves = torch.zeros(len(begins), 1 + held, 2 + held + most, dtype=torch.float64)
    begins = torch.tensor(begins)
    for (state, kind, count, *drawn), places in alike.items():
        index = torch.tensor(places)
        weights = numbers[begins[index] + 1 + torch.arange(count)[:, None]]
        left, noise = iter(unit[2:]), unit[2 + held : 2 + held + sum(drawn)]
        sizes = shape(known[state])
        memory = [next(left) if n < 0 else tuple(next(left) for _ in range(n)) for n in sizes]
        x, memory = stepped(kind, weights[..., None].unbind(), unit[0], unit[1], memory, noise)
        part = moves.new_zeros(len(places), *moves.shape[1:])
        for r, entry in enumerate([x, *flat(memory)]):
            part[:, r] = entry
        moves[index] = part
    found = [numbers[begins], moves]
    if len(begins) < len(rows):
        found = [part.repeat_interleave(torch.tensor(times), 0) for part in found]
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
    """The plan with the weights of draws; the first row that lists a draw asks for it."""
    groups, times, same, rows = [], [], None, []
    for row in plan:  # rows that share draws follow each other
        if LANGEVIN:
            begins = row[1] in OPENING
        else:
            begins = not groups or row[0] != groups[-1][0][0]
        if begins and row is same:
            times[-1] += 1
        elif begins:
            groups.append([row])
            times.append(1)
        else:
            groups[-1].append(row)
        same = row
    for group, count in zip(groups, times):
        used, known, made = {z for row in group for z, d in enumerate(row[4]) if d[0]}, 0, []
        for i, kind, sigma, weights, noise, *lifts in group:
            kept = [z for z in range(len(noise)) if z in used]
            new = tuple(noise[z][1:] for z in kept if z >= known)
            known = len(noise)
            made.append((i, kind, sigma, [*weights, *(noise[z][0] for z in kept)], new, *lifts))
        rows += made * count
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
