"""Random specs of every family of rules, and what becomes of each: a seeded script.

    python tests/spec/random_specs.py --specs 500 --audited 20 --mutated 10000

Every spec is read, derived, analysed and emitted within five seconds of CPU, or refused in words; of some
the judge audits the emitted file, whose orders and constants must be those that were derived.
"""

from __future__ import annotations

import argparse
import random
import re
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from solvergen import gallery
from solvergen.derive import derive
from solvergen.emit.torch_file import MAX_COEFFICIENT, torch_file
from solvergen.errors import SolvergenError
from solvergen.order.ode.analyse import analyse
from solvergen.program.advice import advice
from solvergen.proof import noise_report
from solvergen.spec import parse_solver
from verify.errors import ANYTHING

LIMIT = 5.0  # seconds of CPU
COORDINATES = 20.0  # constants in the derivatives of several coordinates cost more


class TooSlow(BaseException):
    """A spec that took more than its time."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise TooSlow after so many seconds of CPU."""

    def stop(*_: object) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


# -- families ----------------------------------------------------------------------------------------


def place(r: random.Random) -> str:
    return r.choice(["1/2", "1/3", "2/3", "1", "3/4", "1/5"])


def number(r: random.Random) -> str:
    return f"{r.randint(-9, 9)}/{r.randint(1, 9)}"


def head(r: random.Random, plain: bool = False) -> str:
    integrand = r.choice(["data", "noise"] if plain else ["data", "noise", "velocity"])
    coordinate = r.choice(["lambda", "clock", "lambda", "rho", "s"])
    if integrand == "velocity" or plain:
        coordinate = "clock" if integrand == "velocity" else r.choice(["lambda", "clock"])
    return f'name = "drawn_rule"\nintegrand = "{integrand}"\ncoordinate = "{coordinate}"\n'


def adams(r: random.Random) -> str:
    text = head(r) + f'[step]\nrule = "adams-bashforth"\nsteps = {r.randint(1, 4)}\n'
    text += "frozen = true\n" if r.random() < 0.2 else ""
    return text + ("[end]\nramp = true\n" if r.random() < 0.3 else "")


def corrected(r: random.Random) -> str:
    text = head(r) + f'[step]\nrule = "adams-bashforth"\nsteps = {r.randint(1, 3)}\n'
    text += f'[corrector]\nmode = "{r.choice(["PEC", "PECE"])}"\n'
    return text + f'rule = "adams-moulton"\nsteps = {r.randint(1, 4)}\n'


def stages(r: random.Random) -> str:
    text, known = head(r), ["n"]
    for name in "abc"[: r.randint(1, 3)]:
        nodes = r.sample(known, r.randint(1, len(known)))
        text += f'[[stage]]\nname = "{name}"\nat = "{place(r)}"\nrule = "interpolate"\n'
        text += f"nodes = {nodes!r}\n".replace("'", '"')
        known.append(name)
    known += ["n-1"] * (r.random() < 0.4)
    nodes = r.sample(known, r.randint(1, min(3, len(known))))
    return text + '[step]\nrule = "interpolate"\nnodes = ' + f"{nodes!r}\n".replace("'", '"')


def before(r: random.Random) -> str:
    text, known = head(r, plain=True), ["n"]
    for name in "ab"[: r.randint(1, 2)]:
        nodes = [
            "n",
            *r.sample(["a-1", "n-1"], r.randint(0, 2)),
            *r.sample(known[1:], len(known[1:])),
        ]
        text += f'[[stage]]\nname = "{name}"\nat = "{r.choice(["1/2", "1/3", "2/3"])}"\n'
        text += 'rule = "interpolate"\nnodes = ' + f"{nodes!r}\n".replace("'", '"')
        known.append(name)
    nodes = ["n", known[-1], *r.sample(["a-1", "n-1"], r.randint(1, 2))]
    return text + '[step]\nrule = "interpolate"\nnodes = ' + f"{nodes!r}\n".replace("'", '"')


def tableau(r: random.Random) -> str:
    count = r.randint(2, 4)
    rows = [[number(r) for _ in range(k)] for k in range(1, count)]
    c = [str(sum(map(_fraction, row))) for row in rows]
    b = [number(r) for _ in range(count - 1)]
    b.append(str(1 - sum(map(_fraction, b))))
    table = f"[tableau]\nc = {c!r}\na = {rows!r}\nb = {b!r}\n".replace("'", '"')
    kept = all(0 < _fraction(one) <= 1 for one in c)
    return head(r).replace('"rho"', '"clock"').replace('"s"', '"clock"') + (
        table
        if kept
        else table.replace(str(c).replace("'", '"'), str([place(r) for _ in c]).replace("'", '"'))
    )


def weights(r: random.Random) -> str:
    two = r.choice(["h*phi2", "h*phi1/2", "h*phi3", "h**2/3", f"h*phi1*({number(r)})"])
    clock = "r1*(1 + r1)" if r.random() < 0.5 else "2*r1"
    part = f"{two}/({clock})"
    text = head(r, plain=True).replace('"clock"', '"lambda"')
    level = r.choice(["", "*sigma/(1 + sigma)", "*(1 + sigma - sigma_next)"])
    return text + (
        f'[step]\nrule = "weights"\nweights = {{ n = "h*phi1 + {part}{level}", n-1 = "-{part}{level}" }}\n'
        '[start]\nusing = ["ddim"]\n'
    )


def along_the_run(r: random.Random) -> str:
    part = r.choice(["h*phi2", "h*phi1/2", "h*phi1/3"]) + "/r1"
    share = r.choice(
        [
            "between(1/2, sigma, 2)",
            "between(sigma_next, 1, sigma)",
            "between(0, i, 2)",
            "(1 - between(0, steps, 9))",
            "min(sigma, 1)",
            "min(i, 3)/3",
            "i/steps",
            "(1 - 1/(i + 2)**2)",
            "(1 - h/steps)",
            "between(steps/2, i, steps)*i/steps",
        ]
    )
    return head(r, plain=True).replace('"clock"', '"lambda"') + (
        f'[step]\nrule = "weights"\nweights = {{ n = "h*phi1 + {part}*{share}", n-1 = "-{part}*{share}" }}\n'
        '[start]\nusing = ["ddim"]\n'
    )


def mean_value(r: random.Random) -> str:
    nodes = ["n", "n-1", "n-2"][: r.randint(1, 3)]
    text = head(r) + '[step]\nrule = "mean-value"\nnodes = ' + f"{nodes!r}\n".replace("'", '"')
    return text + f'theta = "{place(r)}"\n' + ('scale = "9/10"\n' if r.random() < 0.2 else "")


def taylor(r: random.Random) -> str:
    count = r.randint(1, 4)
    nodes = ["n", "n-1", "n-2", "n-3"][:count]
    text = head(r) + '[step]\nrule = "taylor"\nnodes = ' + f"{nodes!r}\n".replace("'", '"')
    return text + f"degree = {r.randint(0, count - 1)}\n"


def states(r: random.Random) -> str:
    text = head(r, plain=True).replace('"lambda"', '"clock"')
    if r.random() < 0.5:
        w = number(r)
        carry = f'carry = {{ x = "1 - ({w})", x-1 = "{w}" }}\n'
        rows = f'weights = {{ n = "1 + ({w})*r1 + 1/(2*r1)", n-1 = "-1/(2*r1)" }}\n'
        return text + '[step]\nrule = "weights"\n' + carry + rows + '[start]\nusing = ["ddim"]\n'
    nodes = ["n", "n-1"][: r.randint(1, 2)]
    text += '[step]\nrule = "interpolate"\nstates = ["x", "x-1"]\nnodes = '
    return text + f"{nodes!r}\n".replace("'", '"')


def coupled(r: random.Random) -> str:
    """Two states, the second moved by an output at the first, the first by one at the stage; then mixed."""
    text = head(r, plain=True).replace('"lambda"', '"clock"')
    p, q = r.choice(["1/2", "3/4", "9/10", "1"]), r.choice(["1/2", "1/3", "4/5"])
    at = r.choice(["1", "1/2"])
    rest = f"1 - {at}*(1 - {p})"
    text += f'[[stage]]\nname = "mid"\nat = "{at}"\nrule = "weights"\n'
    text += f'carry = {{ y = 1 }}\nweights = {{ n = "{at}" }}\n'
    text += 'level = "exp(h)"\n' if at == "1" and r.random() < 0.3 else ""
    text += f'[step]\nrule = "weights"\ncarry = {{ x = "{p}", mid = "1 - {p}" }}\n'
    split = f'mid = "{rest} - 1/3", n = "1/3"' if r.random() < 0.3 else f'mid = "{rest}"'
    text += f"weights = {{ {split} }}\n"
    text += f'[coupled]\nrule = "weights"\ncarry = {{ x = "1 - {q}", mid = "{q}" }}\n'
    return text + f'weights = {{ mid = "1 - {at}*{q}" }}\n'


def own_linear(r: random.Random) -> str:
    """A linear part that is a number or a parameter, under Adams rules, stages and correctors."""
    share = r.choice(["0", number(r), "l", "1 - l", "1", "-1"])
    family = r.choice([adams, corrected, stages, mean_value, taylor])
    text = re.sub(r'coordinate = "\w+"\n', "", family(r), count=1)
    text = text.replace('"velocity"', '"data"').replace('"PEC"', '"PECE"')
    text = text.replace("\n", f'\nlinear = "{share}"\n', 1)
    if r.random() < 0.3:
        text = text.replace('rule = "interpolate"\n', 'place = "sigma"\nrule = "interpolate"\n', 1)
        text = text if "[[stage]]" in text else text.replace('place = "sigma"\n', "")
    return text + f'[parameters.l]\ndefault = "{number(r)}"\n' * ("l" in share)


def coordinates(r: random.Random) -> str:
    """Rules and places of one solver in up to three coordinates beside λ and the clock."""
    names = ["lambda", "clock", "rho", "s", "sigma", "t"]
    schedule = r.choice(["flow", "vp-linear", "vp-linear", "cosine"])
    integrand = r.choice(["data", "noise"])
    text = f'name = "drawn_rule"\nintegrand = "{integrand}"\ncoordinate = "{r.choice(names)}"\n'
    text += f'schedule = {{ name = "{schedule}" }}\n'
    known = ["n"]
    for name in "ab"[: r.randint(0, 2)]:
        nodes = ["n", *r.sample(known[1:], len(known[1:])), *["n-1"] * (r.random() < 0.3)]
        text += f'[[stage]]\nname = "{name}"\nat = "{place(r)}"\nplace = "{r.choice(names)}"\n'
        text += f'rule = "interpolate"\ncoordinate = "{r.choice(names)}"\n'
        text += f"nodes = {nodes!r}\n".replace("'", '"')
        known.append(name)
    nodes = [*known[-2:], *["n-1"] * (r.random() < 0.5)]
    text += f'[step]\nrule = "interpolate"\ncoordinate = "{r.choice(names)}"\n'
    text += f"nodes = {nodes!r}\n".replace("'", '"')
    if r.random() < 0.4:
        text += f'[corrector]\nmode = "{r.choice(["PEC", "PECE"])}"\nrule = "adams-moulton"\n'
        text += f'coordinate = "{r.choice(names)}"\nsteps = {r.randint(2, 3)}\n'
    return text


def noise(r: random.Random) -> str:
    """Adams rules and stages that draw noise in every form."""
    family = r.choice([adams, stages, mean_value, taylor, corrected])
    text = family(r).replace('"velocity"', '"noise"')
    text = re.sub(r'coordinate = "\w+"', 'coordinate = "lambda"', text, count=1)
    form = r.choice(["sde", "sde", "ancestral", "churn", "explicit"])
    strength = r.choice(["1", "1/2", "q", "min(1, sigma)", "2*q"])
    text += f'[noise]\nform = "{form}"\n'
    text += f'strength = "{strength}"\n' if form != "explicit" or r.random() < 0.1 else ""
    text += 'scale = "q"\n' if r.random() < 0.2 else ""
    return text + '[parameters.q]\ndefault = "3/4"\n' * ("q" in text.split("[noise]")[1])


def _fraction(text: str):
    from fractions import Fraction

    return Fraction(text)


FAMILIES: dict[str, Callable[[random.Random], str]] = {
    "adams": adams,
    "corrected": corrected,
    "stages": stages,
    "stages before": before,
    "tableau": tableau,
    "weights": weights,
    "along the run": along_the_run,
    "mean-value": mean_value,
    "taylor": taylor,
    "past states": states,
    "coupled states": coupled,
    "own linear part": own_linear,
    "coordinates": coordinates,
    "noise": noise,
}


# -- what becomes of them ----------------------------------------------------------------------------


@dataclass
class Record:
    """What became of the specs of a family."""

    made: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    analysed: int = 0
    audited: int = 0
    slowest: float = 0.0
    faults: list[tuple[str, str]] = field(default_factory=list)


def met(text: str, record: Record, orders: bool = True, limit: float = LIMIT) -> str | None:
    """Read, derive, analyse and emit a spec; the emitted text where all went well."""
    record.made += 1
    began, made = time.process_time(), None
    try:
        with at_most(limit):
            solver = parse_solver(text)
            program = derive(solver)
            advice(program)
            theory = None
            if orders and program.stochastic:
                theory = {"weak": noise_report(program).json()}
                record.analysed += 1
            elif orders:
                report = analyse(program)
                report.json()
                theory = report.theory(longest=MAX_COEFFICIENT)
                record.analysed += 1
            made = torch_file(solver, program, theory)
    except SolvergenError as error:
        record.refused[str(error).splitlines()[0].split(": ", 1)[-1][:90]] += 1
        if not str(error).strip():
            record.faults.append((text, "refused without a word"))
    except TooSlow:
        record.faults.append((text, f"more than {limit} s of CPU"))
    except ANYTHING:
        record.faults.append((text, traceback.format_exc(limit=-4)))
    record.slowest = max(record.slowest, time.process_time() - began)
    return made


def audited(text: str, made: str, record: Record, folder: Path) -> None:
    """The judge on an emitted file: its orders and constants must be those derived."""
    from verify.judge import judge
    from verify.targets import find

    record.audited += 1
    path = folder / f"random_{record.audited}.py"
    path.write_text(made, encoding="utf-8")
    verdict = judge(find(str(path))[0], rates=False, constants=False, conduct=False)
    unstable = verdict.reason == "unproved"  # its weights overflow: there is nothing to compare
    if verdict.status not in ("pass", "none") and not unstable:
        said = "; ".join(verdict.findings)
        record.faults.append((text, f"audit: {verdict.status}: {said}"))


def families(
    specs: int, audits: int, seed: int, names: Iterable[str] = tuple(FAMILIES)
) -> dict[str, Record]:
    """Random specs of every family."""
    found = {}
    for name in names:
        make = FAMILIES[name]
        record, chosen = Record(), random.Random(f"{seed} {name}")
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(specs):
                text = make(chosen)
                made = met(text, record, limit=COORDINATES if name == "coordinates" else LIMIT)
                if made is not None and record.audited < audits:
                    audited(text, made, record, Path(folder))
        found[name] = record
    return found


HOSTILE = [
    "h.__class__", "9**9**9", "(" * 50, "1e999", "n-99", "n+1", "mid-1", "mid-2", "x-1", "[[stage]]", "sweeps = 9",
    "[tableau]", "true", "-1", "1.5", "h*phi13", "phi(99, 1)", "r1", "sigma", "sigma_next", "between(0, i, 1)", "steps", "min(i, 1)", "1/i", "\x00", "'''",
    '"""', "[", "{", "=", "a.b.c = 1", "steps = 9", "degree = 9", "spans = 9", "1/0", "h**-9", "sqrt(-1)", "0", "99",
]  # fmt: skip


def mutated(count: int, seed: int) -> Record:
    """Gallery specs with a few pieces replaced, doubled, removed or moved."""
    texts = [
        text
        for name in gallery.names()
        if len(text := (gallery.CATALOG / f"{name}.toml").read_text(encoding="utf-8")) < 2000
    ]
    words = sorted({word for text in texts for word in text.replace('"', " ").split()})
    record, chosen = Record(), random.Random(seed)
    for number_ in range(count):
        text = chosen.choice(texts)
        for _ in range(chosen.randint(1, 3)):
            at, size = chosen.randrange(len(text) + 1), chosen.randint(0, 12)
            piece = chosen.choice(
                [chosen.choice(HOSTILE), chosen.choice(words), text[at : at + size] * 2]
            )
            text = text[:at] + piece + text[at + chosen.choice([0, size]) :]
        met(text, record, orders=number_ % 10 == 0)
    return record


def say(name: str, one: Record) -> None:
    """A line for a family, its commonest refusals, and its faults."""
    print(
        f"{name:14} made {one.made:6} refused {one.refused.total():5} analysed {one.analysed:5} "
        f"audited {one.audited:4} faults {len(one.faults):3} slowest {one.slowest:.1f} s",
        flush=True,
    )
    for said, count in one.refused.most_common(4 if name != "mutated" else 0):
        print(f"    {count:5} {said}")
    for text, fault in one.faults[:10]:
        print(f"\n--- {name}\n{text}\n{fault}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--specs", type=int, default=500)
    parser.add_argument("--audited", type=int, default=20)
    parser.add_argument("--mutated", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    found = {}
    for name in FAMILIES:
        found |= families(given.specs, given.audited, given.seed, (name,))
        say(name, found[name])
    found["mutated"] = mutated(given.mutated, given.seed)
    say("mutated", found["mutated"])
    return int(any(one.faults for one in found.values()))


if __name__ == "__main__":
    sys.exit(main())
