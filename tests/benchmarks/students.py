"""Train and examine recipes on several seeds, and print the table of students.

    python tests/benchmarks/students.py [--seeds 0,1,2] [--out FILE.json] [RECIPE ...]

Every recipe of the package unless some are named. What FILE holds already is not run again, so that an
interrupted table is gone on with. Seconds are those of the processor.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from solvergen.distil.recipe import names
from solvergen.writing import write


def command(*words):
    """A command of solvergen: what it printed and its seconds of processor."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run(
        [sys.executable, "-m", "solvergen", *map(str, words)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    spent = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    if done.returncode not in (0, 1):
        raise SystemExit(f"solvergen {' '.join(map(str, words))}: {done.stderr}")
    return done.stdout, spent


def measured(recipe, seed):
    """Train, examine, and keep the figures of every check."""
    with tempfile.TemporaryDirectory() as folder:
        _, seconds = command("train", recipe, "--out", folder, "--seed", seed)
        text, examining = command("examine", folder, "--samples", 131072, "--json")
    (found,) = json.loads(text)
    return {"recipe": recipe, "seed": seed, "seconds": seconds, "examined": examining, **found}


def lines(table):
    """A row a recipe: seconds, then least and greatest over seeds of what its examiner measured."""
    yield "| recipe | seeds | seconds | endpoint error | law (KS) | shares off by | refuted by |"
    yield "|---|---|---|---|---|---|---|"
    for recipe in dict.fromkeys(row["recipe"] for row in table):
        rows = [row for row in table if row["recipe"] == recipe]
        seen = [{check["name"]: check for check in row["checks"]} for row in rows]
        cells = [span([row["seconds"] for row in rows], "{:.0f}")]
        for name, form in (("endpoint error", "{:.2%}"), ("law", "{:.4f}"), ("modes", "{:.3f}")):
            cells.append(span([checks[name]["figure"] for checks in seen if name in checks], form))
        refuted = {
            name for checks in seen for name, one in checks.items() if one["status"] == "refuted"
        }
        yield f"| `{recipe}` | {len(rows)} | {' | '.join(cells)} | {', '.join(sorted(refuted))} |"


def span(figures, form):
    """Least to greatest, one figure where they print alike."""
    ends = dict.fromkeys(form.format(end(figures)) for end in (min, max) if figures)
    return " to ".join(ends)


def main():
    """Run what is missing, one student after another."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--out", type=Path, default=Path("build/students.json"))
    parser.add_argument("recipes", nargs="*", metavar="RECIPE")
    args = parser.parse_args()
    table = json.loads(args.out.read_text(encoding="utf-8")) if args.out.is_file() else []
    held = {(row["recipe"], row["seed"]) for row in table}
    for seed in map(int, args.seeds.split(",")):
        for recipe in args.recipes or names():
            if (recipe, seed) not in held:
                table.append(measured(recipe, seed))
                write(args.out, json.dumps(table, indent=1) + "\n")
                print(recipe, seed, f"{table[-1]['seconds']:.0f} s", file=sys.stderr, flush=True)
    print("\n".join(lines(table)))


if __name__ == "__main__":
    main()
