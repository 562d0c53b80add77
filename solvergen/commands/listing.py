"""The list command, and the filters that `gallery` shares with it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from typing import Any

from ..catalogue import FAMILIES, Entry, entry
from .parsing import command
from .terminal import shown, table


def add(commands: Any) -> None:
    """Register the command."""
    listing = command(
        commands,
        "list",
        "list the gallery, with the order that is proved of each solver",
        "solvergen list --family multistep --order 2",
        "solvergen list --falls-short              # published orders not reached",
        "solvergen list --json | jq '.[].name'",
    )
    form = listing.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="everything as JSON")
    form.add_argument("--names", action="store_true", help="the names alone, one a line")
    add_filters(listing)
    listing.set_defaults(handler=run_list)


def add_filters(parser: argparse.ArgumentParser) -> None:
    """The filters on what is proved and derived."""
    parser.add_argument(
        "--integrand", choices=("data", "noise", "velocity"), help="which prediction is integrated"
    )
    parser.add_argument("--evaluations", type=int, metavar="K", help="model calls per step")
    parser.add_argument(
        "--family",
        choices=FAMILIES,
        metavar="FAMILY",
        help=f"of the main step: {', '.join(FAMILIES)}",
    )
    parser.add_argument("--order", type=int, metavar="P", help="true order on any grid, own start")
    parser.add_argument(
        "--falls-short", action="store_true", help="published order higher than the true one"
    )


def chosen(targets: Iterable[str], args: argparse.Namespace) -> list[Entry]:
    """The entries that pass the filters."""
    return [
        one
        for one in map(entry, shown(list(targets), "reading"))
        if args.family in (None, one.family)
        and args.order in (None, one.true_order)
        and args.integrand in (None, one.integrand)
        and args.evaluations in (None, one.evaluations)
        and (one.falls_short or not args.falls_short)
    ]


def run_list(args: argparse.Namespace) -> int:
    """The gallery as a table or as JSON, with the order that is proved of each solver."""
    from .. import gallery

    found = chosen(gallery.names(), args)
    if args.json:
        print(json.dumps([_facts(one) for one in found], indent=2, ensure_ascii=False))
        return 0
    if args.names:
        print("\n".join(one.name for one in found))
        return 0
    rows = (
        (
            one.name,
            one.integrand,
            str(one.evaluations),
            str(one.history),
            one.shown_order,
            str(one.claim.get("order", "-")),
            one.title,
        )
        for one in found
    )
    table(("name", "integrand", "calls", "history", "order", "claim", "title"), rows, "llrrrr")
    print(
        f"{len(found)} solvers; order: on any grid, with the solver's own start and end; of solvers "
        "with noise: mean/covariance/strong, = for exact; none: it does not converge",
        file=sys.stderr,
    )
    return 0


def _facts(one: Entry) -> dict[str, Any]:
    theory = {"weak_order": one.weak} if one.weak else {"order": one.order}
    return {
        "name": one.name,
        "title": one.title,
        "description": one.description,
        "integrand": one.integrand,
        "source": one.source,
        "claim": one.claim,
        "evaluations_per_step": one.evaluations,
        "history": one.history,
        "parameters": {name: default for name, (default, _) in one.parameters.items()},
        "digest": one.digest,
        "family": one.family,
        **theory,
        **({"divergence": one.divergence} if one.divergence else {}),
    }
