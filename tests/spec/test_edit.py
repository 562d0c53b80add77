"""Editing a spec's text keeps everything but the tables that change."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from solvergen import gallery
from solvergen.spec import parse_solver
from solvergen.spec.model import End, Start
from solvergen.spec.text.edit import changed

VARIANTS = [
    {"start": Start(("res_2s", "res_3s"))},
    {"start": Start((), Fraction(3, 2))},
    {"end": End(("ddim",))},
    {"end": End(ramp=True), "start": Start(("rk4_clock",), Fraction(2))},
    {"start": Start(), "end": End()},
]


# Steps written out as rules cannot be moved, and say so.
MOVABLE = [
    n for n in gallery.names() if all(isinstance(s, str) for s in gallery.load(n).start.using)
]


@pytest.mark.parametrize("name", MOVABLE[::9])
@pytest.mark.parametrize("variant", VARIANTS, ids=range(len(VARIANTS)))
def test_the_changed_text_reads_back_as_the_changed_solver(name: str, variant: dict) -> None:
    text = (gallery.CATALOG / f"{name}.toml").read_text(encoding="utf-8")
    before = parse_solver(text)
    after = replace(before, name=f"{name}_2", **variant)
    assert parse_solver(changed(text, before, after)) == after


def test_comments_and_layout_elsewhere_stay() -> None:
    text = (
        '# mine\nname = "a"  # short\nintegrand = "data"\n\n[step]\nrule = "adams-bashforth"\n'
        'steps = 3\n\n# slow start\n[start]\nusing = ["ddim", "dpmpp_2m"]\n\n[claim]\norder = 2\n'
    )
    before = parse_solver(text)
    made = changed(text, before, replace(before, name="b", start=Start(("res_2s",))))
    assert made.startswith('# mine\nname = "b"  # short\n')
    assert 'using = ["res_2s"]' in made
    assert "dpmpp_2m" not in made
    assert made.index("[start]") < made.index("[claim]")


def test_title_and_claim_change_too() -> None:
    text = (
        'name = "a"\ntitle = "An \\"A\\""  # mine\nintegrand = "data"\n[step]\nrule = "adams-bashforth"\n'
        'steps = 3\n[claim]\norder = 3\nrecords = "publication"\n'
    )
    before = parse_solver(text)
    after = replace(before, title='An "A", cured', claim=replace(before.claim, records=""))
    made = changed(text, before, after)
    assert parse_solver(made) == after and "# mine" in made and "records" not in made
