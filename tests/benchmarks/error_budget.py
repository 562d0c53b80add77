"""Does √(E_teacher² + E_net² + E_boot²) predict the error of consistency distillation?

    python tests/benchmarks/error_budget.py [--seed 0] [--out FILE.json]

E_teacher is computed without training. E_net is the error of direct regression with the same network. E_boot is
what is left of a run whose teacher is nearly exact; the four teachers after it are then predicted, and
trained. What FILE holds already is not run again.
"""

import argparse
import json
import math
import sys
import tempfile
from pathlib import Path

from students import command

from solvergen.distil.limits import limits
from solvergen.distil.recipe import read_recipe
from solvergen.writing import write

RECIPE = """
name   = "budget_{solver}_{substeps}"
title  = "Consistency distillation from {solver}, eight levels of {substeps} sub-steps"
system = "consistency"
source = {{ authors = "Song et al.", year = 2023, arxiv = "2303.01469", where = "Algorithm 2" }}

[target]
mixture = "coupled"

[teacher]
solver   = "{solver}"
levels   = {{ n = 8 }}
substeps = {substeps}

[student]
network = {{ kind = "mlp", width = 128, depth = 4 }}

[loss]
metric = "l2"

[training]
iterations = 5000
batch      = 256
rate       = {{ start = 4e-3, end = 1e-5, shape = "cosine" }}
averaging  = 0.999
seeds      = [0, 1, 2]
"""
EXACT = ("dpmpp_3m", 40)
TEACHERS = (("ddim", 5), ("heun_edm", 2), ("dpmpp_2s", 2), ("dpmpp_2m", 2))


def trained(recipe, seed):
    """The rms error of one step over the data's deviation."""
    with tempfile.TemporaryDirectory() as folder:
        command("train", recipe, "--out", folder, "--seed", seed)
        text, _ = command("examine", folder, "--samples", 0, "--json")
    (found,) = json.loads(text)
    return next(c["figure"] for c in found["checks"] if c["name"] == "endpoint error")


def main():
    """Train what is not known yet and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    known = json.loads(args.out.read_text("utf-8")) if args.out and args.out.is_file() else {}

    def measured(name, recipe):
        if name not in known:
            known[name] = trained(recipe, args.seed)
            if args.out:
                write(args.out, json.dumps(known, indent=1) + "\n")
        return known[name]

    with tempfile.TemporaryDirectory() as folder:
        net = measured("direct", "direct")
        rows = []
        for solver, substeps in (EXACT, *TEACHERS):
            path = Path(folder, f"{solver}_{substeps}.toml")
            path.write_text(RECIPE.format(solver=solver, substeps=substeps), "utf-8")
            teacher = limits(read_recipe(str(path)), full=False).teacher.rms
            rows.append((solver, substeps, teacher, measured(f"{solver} {substeps}", str(path))))
    boot = math.sqrt(max(rows[0][3] ** 2 - net**2 - rows[0][2] ** 2, 0.0))
    print(f"E_net {net:.2%}, E_boot {boot:.2%} (from {EXACT[0]}, {EXACT[1]} sub-steps)\n")
    print("| teacher, sub-steps | E_teacher | predicted | measured | measured / predicted |")
    print("|---|---|---|---|---|")
    for solver, substeps, teacher, found in rows[1:]:
        said = math.sqrt(teacher**2 + net**2 + boot**2)
        print(
            f"| {solver}, {substeps} | {teacher:.2%} | {said:.2%} | {found:.2%} | {found / said:.2f} |"
        )


if __name__ == "__main__":
    sys.exit(main())
