"""Advice of lint: what is declared or computed in vain, and names that hide others."""

from pathlib import Path

import pytest

from solvergen import gallery
from solvergen.cli import main
from solvergen.loading import load
from solvergen.program.advice import advice

PUBLISHED = Path(__file__).parents[1] / "data" / "published"
# The tables of these have a last column of zeros, so that the last sweep's last stage is not needed.
DEAD = {"lobatto_iiib_2", "lobatto_iiib_3", "lobatto_iiib_4", "lobatto_iiic_star_3"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("dead", "unused (3 evaluations): nothing depends on it; 1 model call a step for nothing"),
        ("64_corr_needs_np1", "does not use the evaluation at the end of the step, `n+1`"),
        ("70_unused_param", "the parameter `q` is used by no weight and no place"),
        ("shadow", "the parameter `r1` hides the symbol of that name"),
    ],
)
def test_lint_advises(name, said, capsys):
    path = str(PUBLISHED / f"{name}.toml")
    assert any(said in one for one in advice(load(path).program))
    assert main(["lint", path]) == 0
    out, err = capsys.readouterr()
    assert said in err and "warning" in out and ": ok" not in out


def test_a_claim_below_what_is_derived_is_not_to_be_cured(tmp_path, capsys):
    path = tmp_path / "modest.toml"
    path.write_text(
        'name = "modest"\nintegrand = "data"\n[claim]\norder = 1\n'
        '[step]\nrule = "adams-bashforth"\nsteps = 2\n',
        encoding="utf-8",
    )
    assert main(["lint", str(path)]) == 0
    assert "claims order 1, derived is exactly 2; claim what it has" in capsys.readouterr().err


def test_a_memory_that_does_not_die_out_is_named(tmp_path, capsys):
    path = tmp_path / "lasting.toml"
    path.write_text(
        'name = "lasting"\nintegrand = "data"\n[memory]\nweights = { n = 3, n-1 = -2 }\n'
        '[step]\nrule = "interpolate"\nnodes = ["n"]\n',
        encoding="utf-8",
    )
    assert main(["lint", str(path)]) == 0
    assert "does not die out: on equal steps it is multiplied by 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["dpmpp_3s", "unipc_3_bh2", "amed", "bdf_3", "dormand_prince_adaptive"]
)
def test_good_solvers_get_none(name):
    assert advice(load(name).program) == []


@pytest.mark.nightly
def test_the_gallery_needs_no_advice():
    assert {name for name in gallery.names() if advice(load(name).program)} == DEAD
